/* SPDX-License-Identifier: Apache-2.0
 * Qwen2, Qwen2.5: llama with biases on q, k and v alone.  Source: transformers, modeling_qwen2.py, Qwen2DecoderLayer.
 * GGUF files have the rows in Hugging Face's order. */
#include "models/build.h"
#include "models/config.h"

#define LAYER "model.layers.{}."
static const fj_weight_row weights[] = {
    { &fj_role_token_embd, "model.embed_tokens.weight", { FJ_DIM_VOCAB, FJ_DIM_MODEL } },
    { &fj_role_output_norm, "model.norm.weight", { FJ_DIM_MODEL } },
    { &fj_role_output, "lm_head.weight", { FJ_DIM_VOCAB, FJ_DIM_MODEL }, .flags = FJ_TIED_OUTPUT },
    { &fj_role_attn_norm, LAYER "input_layernorm.weight", { FJ_DIM_MODEL } },
    { &fj_role_attn_q, LAYER "self_attn.q_proj.weight", { FJ_DIM_Q, FJ_DIM_MODEL } },
    { &fj_role_attn_q, LAYER "self_attn.q_proj.bias", { FJ_DIM_Q }, .is_bias = true },
    { &fj_role_attn_k, LAYER "self_attn.k_proj.weight", { FJ_DIM_KV, FJ_DIM_MODEL } },
    { &fj_role_attn_k, LAYER "self_attn.k_proj.bias", { FJ_DIM_KV }, .is_bias = true },
    { &fj_role_attn_v, LAYER "self_attn.v_proj.weight", { FJ_DIM_KV, FJ_DIM_MODEL } },
    { &fj_role_attn_v, LAYER "self_attn.v_proj.bias", { FJ_DIM_KV }, .is_bias = true },
    { &fj_role_attn_output, LAYER "self_attn.o_proj.weight", { FJ_DIM_MODEL, FJ_DIM_Q } },
    { &fj_role_ffn_norm, LAYER "post_attention_layernorm.weight", { FJ_DIM_MODEL } },
    { &fj_role_ffn_gate, LAYER "mlp.gate_proj.weight", { FJ_DIM_FF, FJ_DIM_MODEL } },
    { &fj_role_ffn_up, LAYER "mlp.up_proj.weight", { FJ_DIM_FF, FJ_DIM_MODEL } },
    { &fj_role_ffn_down, LAYER "mlp.down_proj.weight", { FJ_DIM_MODEL, FJ_DIM_FF } },
    { 0 },
};
#undef LAYER

static const char *const model_types[] = { "qwen2", NULL };
static const char *const ignored[] = { "rotary_emb.inv_freq", NULL };

static fj_status hparams(const fj_json *config, fj_naming naming, fj_hparams *hp, fj_err *err)
{
    (void)naming;
    fj_status st = fj_config_core(config, NULL, hp, err);
    if (!st)
        st = fj_config_activation(config, "hidden_act", "silu", hp, err);
    if (!st)
        st = fj_config_late_window(config, hp, err);
    return st ? st : fj_config_rope(config, 1, hp, err);
}

static fj_value *block(fj_build *b, fj_value *x, int layer)
{
    fj_value *h = fj_block_norm(b, x, &fj_role_attn_norm, layer);
    x = fj_add(b->g, x, fj_block_attention(b, h, layer));
    h = fj_block_norm(b, x, &fj_role_ffn_norm, layer);
    return fj_add(b->g, x, fj_block_gated_mlp(b, h, layer));
}

const fj_family fj_family_qwen2 = {
    .name = "qwen2",
    .model_types = model_types,
    .weights = weights,
    .ignored = ignored,
    .hparams = hparams,
    .block = block,
};
