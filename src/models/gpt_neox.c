/* SPDX-License-Identifier: Apache-2.0
 * GPT-NeoX, Pythia.  Source: transformers, modeling_gpt_neox.py, GPTNeoXLayer.
 *   h += attention(LN(h; attn_norm)) + mlp(LN(h; ffn_norm)), or one after the other without use_parallel_residual
 * query_key_value has q, k, v of each head; GGUF has all q, all k, all v. Rope turns the first rotary_pct of a head. */
#include "models/build.h"
#include "models/config.h"

#define LAYER "gpt_neox.layers.{}."
static const fj_weight_row weights[] = {
    { &fj_role_token_embd, "gpt_neox.embed_in.weight", { FJ_DIM_VOCAB, FJ_DIM_MODEL } },
    { &fj_role_output_norm, "gpt_neox.final_layer_norm.weight", { FJ_DIM_MODEL } },
    { &fj_role_output_norm, "gpt_neox.final_layer_norm.bias", { FJ_DIM_MODEL }, .is_bias = true },
    { &fj_role_output, "embed_out.weight", { FJ_DIM_VOCAB, FJ_DIM_MODEL }, .flags = FJ_TIED_OUTPUT },
    { &fj_role_attn_norm, LAYER "input_layernorm.weight", { FJ_DIM_MODEL } },
    { &fj_role_attn_norm, LAYER "input_layernorm.bias", { FJ_DIM_MODEL }, .is_bias = true },
    { &fj_role_attn_qkv,
      LAYER "attention.query_key_value.weight",
      { FJ_DIM_QKV, FJ_DIM_MODEL },
      .gguf_rewrite = &fj_rewrite_qkv },
    { &fj_role_attn_qkv,
      LAYER "attention.query_key_value.bias",
      { FJ_DIM_QKV },
      .is_bias = true,
      .only_if = fj_if_attn_bias,
      .gguf_rewrite = &fj_rewrite_qkv },
    { &fj_role_attn_output, LAYER "attention.dense.weight", { FJ_DIM_MODEL, FJ_DIM_Q } },
    { &fj_role_attn_output,
      LAYER "attention.dense.bias",
      { FJ_DIM_MODEL },
      .is_bias = true,
      .only_if = fj_if_attn_bias },
    { &fj_role_ffn_norm, LAYER "post_attention_layernorm.weight", { FJ_DIM_MODEL } },
    { &fj_role_ffn_norm, LAYER "post_attention_layernorm.bias", { FJ_DIM_MODEL }, .is_bias = true },
    { &fj_role_ffn_up, LAYER "mlp.dense_h_to_4h.weight", { FJ_DIM_FF, FJ_DIM_MODEL } },
    { &fj_role_ffn_up, LAYER "mlp.dense_h_to_4h.bias", { FJ_DIM_FF }, .is_bias = true },
    { &fj_role_ffn_down, LAYER "mlp.dense_4h_to_h.weight", { FJ_DIM_MODEL, FJ_DIM_FF } },
    { &fj_role_ffn_down, LAYER "mlp.dense_4h_to_h.bias", { FJ_DIM_MODEL }, .is_bias = true },
    { 0 },
};
#undef LAYER

static const char *const model_types[] = { "gpt_neox", NULL };
static const char *const ignored[] = { "rotary_emb.inv_freq", "attention.bias", "attention.masked_bias", NULL };

static fj_status hparams(const fj_json *config, fj_naming naming, fj_hparams *hp, fj_err *err)
{
    static const fj_config_names names = {
        .n_kv_heads = "", .d_head = "", .norm_eps = "layer_norm_eps", .norm_eps_is = 1e-5
    };
    fj_status st = fj_config_core(config, &names, hp, err);
    if (!st)
        st = fj_config_activation(config, "hidden_act", "gelu", hp, err);
    if (!st)
        st = fj_config_bool(config, "attention_bias", true, &hp->has_attn_bias, err);
    if (!st)
        st = fj_config_bool(config, "use_parallel_residual", true, &hp->is_parallel, err);
    hp->is_layer_norm = true;
    hp->qkv_by_group = naming == FJ_NAMING_HF;
    return st ? st : fj_config_rope(config, 0.25, hp, err);
}

static fj_value *block(fj_build *b, fj_value *x, int layer)
{
    fj_value *after = fj_add(b->g, x, fj_block_attention(b, fj_block_norm(b, x, &fj_role_attn_norm, layer), layer));
    fj_value *for_mlp = b->m->hp.is_parallel ? x : after;
    return fj_add(b->g, after, fj_block_mlp(b, fj_block_norm(b, for_mlp, &fj_role_ffn_norm, layer), layer));
}

const fj_family fj_family_gpt_neox = {
    .name = "gpt_neox",
    .model_types = model_types,
    .weights = weights,
    .ignored = ignored,
    .hparams = hparams,
    .block = block,
};
