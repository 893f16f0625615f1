/* SPDX-License-Identifier: Apache-2.0
 * Phi-1.5, Phi-2.  Source: transformers, modeling_phi.py, PhiDecoderLayer.
 *   x = LN(h; attn_norm);  h += attention(x) + down(gelu(up x))       (one norm, parallel)
 * Every matrix has a bias, the head too. Older GGUF files have q, k and v in one matrix. */
#include "models/build.h"
#include "models/config.h"

#define LAYER "model.layers.{}."
static const fj_weight_row weights[] = {
    { &fj_role_token_embd, "model.embed_tokens.weight", { FJ_DIM_VOCAB, FJ_DIM_MODEL } },
    { &fj_role_output_norm, "model.final_layernorm.weight", { FJ_DIM_MODEL } },
    { &fj_role_output_norm, "model.final_layernorm.bias", { FJ_DIM_MODEL }, .is_bias = true },
    { &fj_role_output, "lm_head.weight", { FJ_DIM_VOCAB, FJ_DIM_MODEL }, .flags = FJ_TIED_OUTPUT },
    { &fj_role_output, "lm_head.bias", { FJ_DIM_VOCAB }, .is_bias = true },
    { &fj_role_attn_norm, LAYER "input_layernorm.weight", { FJ_DIM_MODEL } },
    { &fj_role_attn_norm, LAYER "input_layernorm.bias", { FJ_DIM_MODEL }, .is_bias = true },
    { &fj_role_attn_q, LAYER "self_attn.q_proj.weight", { FJ_DIM_Q, FJ_DIM_MODEL }, .part_of = &fj_role_attn_qkv },
    { &fj_role_attn_q, LAYER "self_attn.q_proj.bias", { FJ_DIM_Q }, .is_bias = true, .part_of = &fj_role_attn_qkv },
    { &fj_role_attn_k,
      LAYER "self_attn.k_proj.weight",
      { FJ_DIM_KV, FJ_DIM_MODEL },
      .part_of = &fj_role_attn_qkv,
      .part_after = { FJ_DIM_Q } },
    { &fj_role_attn_k,
      LAYER "self_attn.k_proj.bias",
      { FJ_DIM_KV },
      .is_bias = true,
      .part_of = &fj_role_attn_qkv,
      .part_after = { FJ_DIM_Q } },
    { &fj_role_attn_v,
      LAYER "self_attn.v_proj.weight",
      { FJ_DIM_KV, FJ_DIM_MODEL },
      .part_of = &fj_role_attn_qkv,
      .part_after = { FJ_DIM_Q, FJ_DIM_KV } },
    { &fj_role_attn_v,
      LAYER "self_attn.v_proj.bias",
      { FJ_DIM_KV },
      .is_bias = true,
      .part_of = &fj_role_attn_qkv,
      .part_after = { FJ_DIM_Q, FJ_DIM_KV } },
    { &fj_role_attn_q_norm, LAYER "self_attn.q_layernorm.weight", { FJ_DIM_HEAD }, .only_if = fj_if_qk_norm },
    { &fj_role_attn_q_norm,
      LAYER "self_attn.q_layernorm.bias",
      { FJ_DIM_HEAD },
      .is_bias = true,
      .only_if = fj_if_qk_norm },
    { &fj_role_attn_k_norm, LAYER "self_attn.k_layernorm.weight", { FJ_DIM_HEAD }, .only_if = fj_if_qk_norm },
    { &fj_role_attn_k_norm,
      LAYER "self_attn.k_layernorm.bias",
      { FJ_DIM_HEAD },
      .is_bias = true,
      .only_if = fj_if_qk_norm },
    { &fj_role_attn_output, LAYER "self_attn.dense.weight", { FJ_DIM_MODEL, FJ_DIM_Q } },
    { &fj_role_attn_output, LAYER "self_attn.dense.bias", { FJ_DIM_MODEL }, .is_bias = true },
    { &fj_role_ffn_up, LAYER "mlp.fc1.weight", { FJ_DIM_FF, FJ_DIM_MODEL } },
    { &fj_role_ffn_up, LAYER "mlp.fc1.bias", { FJ_DIM_FF }, .is_bias = true },
    { &fj_role_ffn_down, LAYER "mlp.fc2.weight", { FJ_DIM_MODEL, FJ_DIM_FF } },
    { &fj_role_ffn_down, LAYER "mlp.fc2.bias", { FJ_DIM_MODEL }, .is_bias = true },
    { 0 },
};
#undef LAYER

static const char *const model_types[] = { "phi", NULL };
static const char *const ignored[] = { "rotary_emb.inv_freq", NULL };

static fj_status hparams(const fj_json *config, fj_naming naming, fj_hparams *hp, fj_err *err)
{
    static const fj_config_names names = { .norm_eps = "layer_norm_eps", .norm_eps_is = 1e-5 };
    (void)naming;
    fj_status st = fj_config_core(config, &names, hp, err);
    if (!st)
        st = fj_config_activation(config, "hidden_act", "gelu_new", hp, err);
    if (!st)
        st = fj_config_bool(config, "qk_layernorm", false, &hp->has_qk_norm, err);
    hp->is_layer_norm = true;
    return st ? st : fj_config_rope(config, 0.5, hp, err);
}

static fj_value *block(fj_build *b, fj_value *x, int layer)
{
    fj_value *h = fj_block_norm(b, x, &fj_role_attn_norm, layer);
    return fj_add(b->g, x, fj_add(b->g, fj_block_attention(b, h, layer), fj_block_mlp(b, h, layer)));
}

const fj_family fj_family_phi = {
    .name = "phi",
    .model_types = model_types,
    .weights = weights,
    .ignored = ignored,
    .hparams = hparams,
    .block = block,
};
