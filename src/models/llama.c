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
static fj_status read_rope(const fj_json *config, fj_hparams *hp, fj_err *err)
{
    const fj_json *r = fj_json_get(config, "rope_parameters");
    if (!fj_json_is_object(r))
        r = fj_json_get(config, "rope_scaling");
    hp->rope_theta = fj_json_real(fj_json_get(r, "rope_theta"),
                                  fj_json_real(fj_json_get(config, "rope_theta"), 10000.0));
    if (!(hp->rope_theta > 0))
        return fj_fail(err, FJ_ERR_FORMAT, "config.json: rope_theta is %g", hp->rope_theta);
    const char *kind = fj_json_string(fj_json_get(r, "rope_type"), fj_json_string(fj_json_get(r, "type"), "default"));
    if (!strcmp(kind, "default") || !strcmp(kind, "none"))
        return FJ_OK;
    hp->rope_factor = fj_json_real(fj_json_get(r, "factor"), 0);
    if (!(hp->rope_factor > 0))
        return fj_fail(err, FJ_ERR_FORMAT, "config.json: rope scaling '%s' without a factor above 0", kind);
    if (!strcmp(kind, "linear")) {
        hp->rope_kind = FJ_ROPE_LINEAR;
        return FJ_OK;
    }
    if (strcmp(kind, "llama3"))
        return fj_fail(err, FJ_ERR_FORMAT,
                       "config.json: rope scaling '%s' is not known; llama has default, linear and llama3", kind);
    hp->rope_kind = FJ_ROPE_LLAMA3;
    hp->rope_low = fj_json_real(fj_json_get(r, "low_freq_factor"), 1);
    hp->rope_high = fj_json_real(fj_json_get(r, "high_freq_factor"), 4);
    hp->rope_original = fj_json_real(fj_json_get(r, "original_max_position_embeddings"), 8192);
    if (!(hp->rope_low > 0) || !(hp->rope_high > hp->rope_low) || !(hp->rope_original > 0))
        return fj_fail(err, FJ_ERR_FORMAT, "config.json: llama3 rope scaling with low %g, high %g, original length %g",
                       hp->rope_low, hp->rope_high, hp->rope_original);
    return FJ_OK;
}

static fj_status hparams(const fj_json *config, fj_naming naming, fj_hparams *hp, fj_err *err)
{
    fj_status st = fj_config_core(config, hp, err);
    if (st)
        return st;
    const char *act = fj_json_string(fj_json_get(config, "hidden_act"), "silu");
    if (strcmp(act, "silu") && strcmp(act, "swish"))
        return fj_fail(err, FJ_ERR_FORMAT, "config.json: hidden_act '%s', llama has silu", act);
    hp->has_attn_bias = fj_json_bool(fj_json_get(config, "attention_bias"), false);
    hp->has_mlp_bias = fj_json_bool(fj_json_get(config, "mlp_bias"), false);
    hp->is_tied = fj_json_bool(fj_json_get(config, "tie_word_embeddings"), false);
    if (!strcmp(fj_json_string(fj_json_get(config, "model_type"), ""), "mistral")) { /* llama ignores the key */
        const fj_json *window = fj_json_get(config, "sliding_window");
        hp->window = fj_json_int(window, window ? 0 : 4096); /* null: none; absent: MistralConfig's default */
    }
    if (hp->window < 0)
        return fj_fail(err, FJ_ERR_FORMAT, "config.json: sliding_window is %lld", (long long)hp->window);
    hp->rope_half = naming == FJ_NAMING_HF;
    return read_rope(config, hp, err);
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
