/* SPDX-License-Identifier: Apache-2.0
 * Llama 2/3, Mistral, Nemo, Codestral, Mathstral, SmolLM, TinyLlama.  Source: transformers, modeling_llama.py, LlamaDecoderLayer.
 *
 *   h = embed[t]
 *   per layer: x = RMS(h; attn_norm);  h += Wo attention(rope(Wq x), rope(Wk x), Wv x)
 *              x = RMS(h; ffn_norm);   h += down(silu(gate x) * up x)
 *   logits = output RMS(h; output_norm)
 *
 * GGUF files hold the rows of q and k permuted so that interleaved rope does what half-split rope does on the original order: such a
 * file is run as it is, with interleaved rope. */
#include <math.h>
#include <string.h>

#include "models/build.h"
#include "models/config.h"

/* GGUF row 2j of a head is row j of Hugging Face's, row 2j+1 is row j + d/2. */
static void permuted(const fj_hparams *hp, int64_t n, int64_t *from)
{
    int64_t d = hp->d_head;
    for (int64_t i = 0; i < n; i++) {
        int64_t head = i / d, at = i % d;
        from[i] = head * d + at / 2 + (at % 2 ? d / 2 : 0);
    }
}

static const fj_rewrite permute_heads = { "permute_heads", permuted };

#define LAYER "model.layers.{}."
static const fj_weight_row weights[] = {
    { &fj_role_token_embd, "model.embed_tokens.weight", { FJ_DIM_VOCAB, FJ_DIM_MODEL } },
    { &fj_role_output_norm, "model.norm.weight", { FJ_DIM_MODEL } },
    { &fj_role_output, "lm_head.weight", { FJ_DIM_VOCAB, FJ_DIM_MODEL }, .flags = FJ_TIED_OUTPUT },
    { &fj_role_rope_freqs, NULL, { FJ_DIM_HALF_HEAD }, .flags = FJ_GGUF_ONLY },
    { &fj_role_attn_norm, LAYER "input_layernorm.weight", { FJ_DIM_MODEL } },
    { &fj_role_attn_q, LAYER "self_attn.q_proj.weight", { FJ_DIM_Q, FJ_DIM_MODEL }, .gguf_rewrite = &permute_heads },
    { &fj_role_attn_q, LAYER "self_attn.q_proj.bias", { FJ_DIM_Q }, true, FJ_ATTN_BIAS, &permute_heads },
    { &fj_role_attn_k, LAYER "self_attn.k_proj.weight", { FJ_DIM_KV, FJ_DIM_MODEL }, .gguf_rewrite = &permute_heads },
    { &fj_role_attn_k, LAYER "self_attn.k_proj.bias", { FJ_DIM_KV }, true, FJ_ATTN_BIAS, &permute_heads },
    { &fj_role_attn_v, LAYER "self_attn.v_proj.weight", { FJ_DIM_KV, FJ_DIM_MODEL } },
    { &fj_role_attn_v, LAYER "self_attn.v_proj.bias", { FJ_DIM_KV }, true, FJ_ATTN_BIAS },
    { &fj_role_attn_output, LAYER "self_attn.o_proj.weight", { FJ_DIM_MODEL, FJ_DIM_Q } },
    { &fj_role_attn_output, LAYER "self_attn.o_proj.bias", { FJ_DIM_MODEL }, true, FJ_ATTN_BIAS },
    { &fj_role_ffn_norm, LAYER "post_attention_layernorm.weight", { FJ_DIM_MODEL } },
    { &fj_role_ffn_gate, LAYER "mlp.gate_proj.weight", { FJ_DIM_FF, FJ_DIM_MODEL } },
    { &fj_role_ffn_gate, LAYER "mlp.gate_proj.bias", { FJ_DIM_FF }, true, FJ_MLP_BIAS },
    { &fj_role_ffn_up, LAYER "mlp.up_proj.weight", { FJ_DIM_FF, FJ_DIM_MODEL } },
    { &fj_role_ffn_up, LAYER "mlp.up_proj.bias", { FJ_DIM_FF }, true, FJ_MLP_BIAS },
    { &fj_role_ffn_down, LAYER "mlp.down_proj.weight", { FJ_DIM_MODEL, FJ_DIM_FF } },
    { &fj_role_ffn_down, LAYER "mlp.down_proj.bias", { FJ_DIM_MODEL }, true, FJ_MLP_BIAS },
    { 0 },
};
#undef LAYER

static const char *const model_types[] = { "llama", "mistral", NULL };
static const char *const ignored[] = { "rotary_emb.inv_freq", NULL };

/* rope_scaling of old configurations, rope_parameters of new ones (which hold rope_theta too). */
static fj_status find_rope(const fj_json *config, const fj_json **out, fj_err *err)
{
    static const char *const keys[] = { "rope_parameters", "rope_scaling" };
    *out = NULL;
    for (size_t i = 0; i < FJ_LEN(keys) && !*out; i++) {
        const fj_json *v = fj_json_get(config, keys[i]);
        if (v && !fj_json_is_null(v) && !fj_json_is_object(v))
            return fj_fail(err, FJ_ERR_FORMAT, "config.json: '%s' must be an object", keys[i]);
        *out = fj_json_is_object(v) ? v : NULL;
    }
    return FJ_OK;
}

static fj_status read_llama3(const fj_json *rope, fj_hparams *hp, fj_err *err)
{
    hp->rope_kind = FJ_ROPE_LLAMA3;
    fj_status st = fj_config_real(rope, "low_freq_factor", 1, &hp->rope_low, err);
    if (!st)
        st = fj_config_real(rope, "high_freq_factor", 4, &hp->rope_high, err);
    if (!st)
        st = fj_config_real(rope, "original_max_position_embeddings", 8192, &hp->rope_original, err);
    if (!st && (!(hp->rope_low > 0) || !(hp->rope_high > hp->rope_low) || !(hp->rope_original > 0)))
        st = fj_fail(err, FJ_ERR_FORMAT, "config.json: llama3 rope scaling with low %g, high %g, original length %g",
                     hp->rope_low, hp->rope_high, hp->rope_original);
    return st;
}

static fj_status read_scaling(const fj_json *rope, fj_hparams *hp, fj_err *err)
{
    const char *old, *kind;
    fj_status st = fj_config_text(rope, "type", "default", &old, err);
    if (!st)
        st = fj_config_text(rope, "rope_type", old, &kind, err);
    if (st || !strcmp(kind, "default") || !strcmp(kind, "none"))
        return st;
    st = fj_config_real(rope, "factor", 0, &hp->rope_factor, err);
    if (st)
        return st;
    if (!(hp->rope_factor > 0))
        return fj_fail(err, FJ_ERR_FORMAT, "config.json: rope scaling '%s' without a factor above 0", kind);
    if (!strcmp(kind, "llama3"))
        return read_llama3(rope, hp, err);
    if (strcmp(kind, "linear"))
        return fj_fail(err, FJ_ERR_FORMAT,
                       "config.json: rope scaling '%s' is not known; llama has default, linear and llama3", kind);
    hp->rope_kind = FJ_ROPE_LINEAR;
    return FJ_OK;
}

static fj_status read_rope(const fj_json *config, fj_hparams *hp, fj_err *err)
{
    const fj_json *rope;
    double theta;
    fj_status st = find_rope(config, &rope, err);
    if (!st)
        st = fj_config_real(config, "rope_theta", 10000, &theta, err);
    if (!st)
        st = fj_config_real(rope, "rope_theta", theta, &hp->rope_theta, err);
    if (!st && !(hp->rope_theta > 0))
        st = fj_fail(err, FJ_ERR_FORMAT, "config.json: rope_theta is %g", hp->rope_theta);
    return st ? st : read_scaling(rope, hp, err);
}

/* Mistral's; llama ignores the key. null: none; absent: MistralConfig's default. */
static fj_status read_window(const fj_json *config, fj_hparams *hp, fj_err *err)
{
    const fj_json *v = fj_json_get(config, "sliding_window");
    if (strcmp(fj_json_string(fj_json_get(config, "model_type"), ""), "mistral"))
        return FJ_OK;
    hp->window = fj_json_int(v, v ? 0 : 4096);
    if ((v && !fj_json_is_null(v) && !fj_json_is_integer(v)) || hp->window < 0)
        return fj_fail(err, FJ_ERR_FORMAT, "config.json: 'sliding_window' must be a whole number of at least 0");
    return FJ_OK;
}

static fj_status hparams(const fj_json *config, fj_naming naming, fj_hparams *hp, fj_err *err)
{
    const char *act;
    fj_status st = fj_config_core(config, hp, err);
    if (!st)
        st = fj_config_text(config, "hidden_act", "silu", &act, err);
    if (!st && strcmp(act, "silu") && strcmp(act, "swish"))
        st = fj_fail(err, FJ_ERR_FORMAT, "config.json: hidden_act '%s', llama has silu", act);
    if (!st)
        st = fj_config_bool(config, "attention_bias", false, &hp->has_attn_bias, err);
    if (!st)
        st = fj_config_bool(config, "mlp_bias", false, &hp->has_mlp_bias, err);
    if (!st)
        st = fj_config_bool(config, "tie_word_embeddings", false, &hp->is_tied, err);
    if (!st)
        st = read_window(config, hp, err);
    hp->rope_half = naming == FJ_NAMING_HF;
    return st ? st : read_rope(config, hp, err);
}

static fj_value *block(fj_build *b, fj_value *x, int layer)
{
    fj_value *h = fj_block_norm(b, x, &fj_role_attn_norm, layer);
    x = fj_add(b->g, x, fj_block_attention(b, h, layer));
    h = fj_block_norm(b, x, &fj_role_ffn_norm, layer);
    return fj_add(b->g, x, fj_block_gated_mlp(b, h, layer));
}

const fj_family fj_family_llama = {
    .name = "llama",
    .gguf_arch = "llama",
    .model_types = model_types,
    .weights = weights,
    .ignored = ignored,
    .hparams = hparams,
    .block = block,
};
