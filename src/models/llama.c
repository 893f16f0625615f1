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
#include <string.h>

#include "models/build.h"
#include "models/config.h"

#define LAYER "model.layers.{}."
static const fj_weight_row weights[] = {
    { &fj_role_token_embd, "model.embed_tokens.weight", { FJ_DIM_VOCAB, FJ_DIM_MODEL } },
    { &fj_role_output_norm, "model.norm.weight", { FJ_DIM_MODEL } },
    { &fj_role_output, "lm_head.weight", { FJ_DIM_VOCAB, FJ_DIM_MODEL }, .flags = FJ_TIED_OUTPUT },
    { &fj_role_rope_freqs, NULL, { FJ_DIM_HALF_ROPE }, .flags = FJ_GGUF_ONLY },
    { &fj_role_attn_norm, LAYER "input_layernorm.weight", { FJ_DIM_MODEL } },
    { &fj_role_attn_q,
      LAYER "self_attn.q_proj.weight",
      { FJ_DIM_Q, FJ_DIM_MODEL },
      .gguf_rewrite = &fj_rewrite_rope_pairs },
    { &fj_role_attn_q,
      LAYER "self_attn.q_proj.bias",
      { FJ_DIM_Q },
      true,
      .only_if = fj_if_attn_bias,
      .gguf_rewrite = &fj_rewrite_rope_pairs },
    { &fj_role_attn_k,
      LAYER "self_attn.k_proj.weight",
      { FJ_DIM_KV, FJ_DIM_MODEL },
      .gguf_rewrite = &fj_rewrite_rope_pairs },
    { &fj_role_attn_k,
      LAYER "self_attn.k_proj.bias",
      { FJ_DIM_KV },
      true,
      .only_if = fj_if_attn_bias,
      .gguf_rewrite = &fj_rewrite_rope_pairs },
    { &fj_role_attn_v, LAYER "self_attn.v_proj.weight", { FJ_DIM_KV, FJ_DIM_MODEL } },
    { &fj_role_attn_v, LAYER "self_attn.v_proj.bias", { FJ_DIM_KV }, true, fj_if_attn_bias },
    { &fj_role_attn_output, LAYER "self_attn.o_proj.weight", { FJ_DIM_MODEL, FJ_DIM_Q } },
    { &fj_role_attn_output, LAYER "self_attn.o_proj.bias", { FJ_DIM_MODEL }, true, fj_if_attn_bias },
    { &fj_role_ffn_norm, LAYER "post_attention_layernorm.weight", { FJ_DIM_MODEL } },
    { &fj_role_ffn_gate, LAYER "mlp.gate_proj.weight", { FJ_DIM_FF, FJ_DIM_MODEL } },
    { &fj_role_ffn_gate, LAYER "mlp.gate_proj.bias", { FJ_DIM_FF }, true, fj_if_mlp_bias },
    { &fj_role_ffn_up, LAYER "mlp.up_proj.weight", { FJ_DIM_FF, FJ_DIM_MODEL } },
    { &fj_role_ffn_up, LAYER "mlp.up_proj.bias", { FJ_DIM_FF }, true, fj_if_mlp_bias },
    { &fj_role_ffn_down, LAYER "mlp.down_proj.weight", { FJ_DIM_MODEL, FJ_DIM_FF } },
    { &fj_role_ffn_down, LAYER "mlp.down_proj.bias", { FJ_DIM_MODEL }, true, fj_if_mlp_bias },
    { 0 },
};
#undef LAYER

static const char *const model_types[] = { "llama", "mistral", NULL };
static const char *const ignored[] = { "rotary_emb.inv_freq", NULL };

static fj_status hparams(const fj_json *config, fj_naming naming, fj_hparams *hp, fj_err *err)
{
    fj_status st = fj_config_core(config, NULL, hp, err);
    if (!st)
        st = fj_config_activation(config, "hidden_act", "silu", hp, err);
    if (!st)
        st = fj_config_bool(config, "attention_bias", false, &hp->has_attn_bias, err);
    if (!st)
        st = fj_config_bool(config, "mlp_bias", false, &hp->has_mlp_bias, err);
    if (!st && !strcmp(fj_json_string(fj_json_get(config, "model_type"), ""), "mistral"))
        st = fj_config_window(config, 4096, hp, err); /* llama ignores the key; absent: MistralConfig's default */
    if (!st)
        st = fj_config_rope(config, 1, hp, err);
    hp->rope_half = naming == FJ_NAMING_HF;
    return st;
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
    .model_types = model_types,
    .weights = weights,
    .ignored = ignored,
    .hparams = hparams,
    .block = block,
};
