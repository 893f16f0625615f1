/* SPDX-License-Identifier: Apache-2.0
 * Qwen3: llama with RMS norms of each head of q and k before rope.  Source: transformers, modeling_qwen3.py, Qwen3Attention. */
#include "models/build.h"
#include "models/config.h"

#define LAYER "model.layers.{}."
static const fj_weight_row weights[] = {
    { &fj_role_token_embd, "model.embed_tokens.weight", { FJ_DIM_VOCAB, FJ_DIM_MODEL } },
    { &fj_role_output_norm, "model.norm.weight", { FJ_DIM_MODEL } },
    { &fj_role_output, "lm_head.weight", { FJ_DIM_VOCAB, FJ_DIM_MODEL }, .flags = FJ_TIED_OUTPUT },
    { &fj_role_attn_norm, LAYER "input_layernorm.weight", { FJ_DIM_MODEL } },
    { &fj_role_attn_q, LAYER "self_attn.q_proj.weight", { FJ_DIM_Q, FJ_DIM_MODEL } },
    { &fj_role_attn_q, LAYER "self_attn.q_proj.bias", { FJ_DIM_Q }, .is_bias = true, .only_if = fj_if_attn_bias },
    { &fj_role_attn_k, LAYER "self_attn.k_proj.weight", { FJ_DIM_KV, FJ_DIM_MODEL } },
    { &fj_role_attn_k, LAYER "self_attn.k_proj.bias", { FJ_DIM_KV }, .is_bias = true, .only_if = fj_if_attn_bias },
    { &fj_role_attn_v, LAYER "self_attn.v_proj.weight", { FJ_DIM_KV, FJ_DIM_MODEL } },
    { &fj_role_attn_v, LAYER "self_attn.v_proj.bias", { FJ_DIM_KV }, .is_bias = true, .only_if = fj_if_attn_bias },
    { &fj_role_attn_q_norm, LAYER "self_attn.q_norm.weight", { FJ_DIM_HEAD } },
    { &fj_role_attn_k_norm, LAYER "self_attn.k_norm.weight", { FJ_DIM_HEAD } },
    { &fj_role_attn_output, LAYER "self_attn.o_proj.weight", { FJ_DIM_MODEL, FJ_DIM_Q } },
    { &fj_role_attn_output,
      LAYER "self_attn.o_proj.bias",
      { FJ_DIM_MODEL },
      .is_bias = true,
      .only_if = fj_if_attn_bias },
    { &fj_role_ffn_norm, LAYER "post_attention_layernorm.weight", { FJ_DIM_MODEL } },
    { &fj_role_ffn_gate, LAYER "mlp.gate_proj.weight", { FJ_DIM_FF, FJ_DIM_MODEL } },
    { &fj_role_ffn_up, LAYER "mlp.up_proj.weight", { FJ_DIM_FF, FJ_DIM_MODEL } },
    { &fj_role_ffn_down, LAYER "mlp.down_proj.weight", { FJ_DIM_MODEL, FJ_DIM_FF } },
    { 0 },
};
#undef LAYER

static const char *const model_types[] = { "qwen3", NULL };
static const char *const ignored[] = { "rotary_emb.inv_freq", NULL };

static fj_status hparams(const fj_json *config, fj_naming naming, fj_hparams *hp, fj_err *err)
{
    static const fj_config_names names = { .d_head_is = 128 };
    (void)naming;
    fj_status st = fj_config_core(config, &names, hp, err);
    if (!st)
        st = fj_config_activation(config, "hidden_act", "silu", hp, err);
    if (!st)
        st = fj_config_bool(config, "attention_bias", false, &hp->has_attn_bias, err);
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

const fj_family fj_family_qwen3 = {
    .name = "qwen3",
    .model_types = model_types,
    .weights = weights,
    .ignored = ignored,
    .hparams = hparams,
    .block = block,
};
