/* SPDX-License-Identifier: Apache-2.0
 * Bloom, FLOR.  Source: transformers, modeling_bloom.py, BloomBlock.
 *   h = LN(embed[t]; token_embd_norm)
 *   per layer: h += attention(LN(h; attn_norm));  h += down(gelu(up LN(h; ffn_norm)))          biases everywhere, alibi, tied
 * query_key_value has q, k, v of each head; GGUF has all q, all k, all v. */
#include "models/build.h"
#include "models/config.h"

#define LAYER "transformer.h.{}."
static const fj_weight_row weights[] = {
    { &fj_role_token_embd, "transformer.word_embeddings.weight", { FJ_DIM_VOCAB, FJ_DIM_MODEL } },
    { &fj_role_token_embd_norm, "transformer.word_embeddings_layernorm.weight", { FJ_DIM_MODEL } },
    { &fj_role_token_embd_norm, "transformer.word_embeddings_layernorm.bias", { FJ_DIM_MODEL }, .is_bias = true },
    { &fj_role_output_norm, "transformer.ln_f.weight", { FJ_DIM_MODEL } },
    { &fj_role_output_norm, "transformer.ln_f.bias", { FJ_DIM_MODEL }, .is_bias = true },
    { &fj_role_output, "lm_head.weight", { FJ_DIM_VOCAB, FJ_DIM_MODEL }, .flags = FJ_TIED_OUTPUT },
    { &fj_role_attn_norm, LAYER "input_layernorm.weight", { FJ_DIM_MODEL } },
    { &fj_role_attn_norm, LAYER "input_layernorm.bias", { FJ_DIM_MODEL }, .is_bias = true },
    { &fj_role_attn_qkv,
      LAYER "self_attention.query_key_value.weight",
      { FJ_DIM_QKV, FJ_DIM_MODEL },
      .gguf_rewrite = &fj_rewrite_qkv },
    { &fj_role_attn_qkv,
      LAYER "self_attention.query_key_value.bias",
      { FJ_DIM_QKV },
      .is_bias = true,
      .gguf_rewrite = &fj_rewrite_qkv },
    { &fj_role_attn_output, LAYER "self_attention.dense.weight", { FJ_DIM_MODEL, FJ_DIM_Q } },
    { &fj_role_attn_output, LAYER "self_attention.dense.bias", { FJ_DIM_MODEL }, .is_bias = true },
    { &fj_role_ffn_norm, LAYER "post_attention_layernorm.weight", { FJ_DIM_MODEL } },
    { &fj_role_ffn_norm, LAYER "post_attention_layernorm.bias", { FJ_DIM_MODEL }, .is_bias = true },
    { &fj_role_ffn_up, LAYER "mlp.dense_h_to_4h.weight", { FJ_DIM_FF, FJ_DIM_MODEL } },
    { &fj_role_ffn_up, LAYER "mlp.dense_h_to_4h.bias", { FJ_DIM_FF }, .is_bias = true },
    { &fj_role_ffn_down, LAYER "mlp.dense_4h_to_h.weight", { FJ_DIM_MODEL, FJ_DIM_FF } },
    { &fj_role_ffn_down, LAYER "mlp.dense_4h_to_h.bias", { FJ_DIM_MODEL }, .is_bias = true },
    { 0 },
};
#undef LAYER

static const char *const model_types[] = { "bloom", NULL };
static const char *const ignored[] = { NULL };

static fj_status hparams(const fj_json *config, fj_naming naming, fj_hparams *hp, fj_err *err)
{
    static const fj_config_names names = { .d_model = "hidden_size|n_embed",
                                           .n_layers = "n_layer|num_hidden_layers",
                                           .n_heads = "n_head|num_attention_heads",
                                           .n_kv_heads = "",
                                           .d_head = "",
                                           .n_ctx = "seq_length",
                                           .d_ff = "n_inner",
                                           .ff_times = 4,
                                           .norm_eps = "layer_norm_epsilon",
                                           .norm_eps_is = 1e-5 };
    fj_status st = fj_config_core(config, &names, hp, err);
    if (!st)
        st = fj_config_bool(config, "apply_residual_connection_post_layernorm", false, &hp->residual_is_normed, err);
    hp->act = &fj_act_gelu_tanh;
    hp->is_layer_norm = true;
    hp->qkv_by_group = naming == FJ_NAMING_HF;
    hp->alibi = 8;
    return st;
}

static fj_value *embed(fj_build *b)
{
    fj_value *x = fj_embed(b->g, b->ids, fj_build_need(b, &fj_role_token_embd, -1));
    return fj_block_norm(b, x, &fj_role_token_embd_norm, -1);
}

static fj_value *block(fj_build *b, fj_value *x, int layer)
{
    bool is_normed = b->m->hp.residual_is_normed;
    fj_value *h = fj_block_norm(b, x, &fj_role_attn_norm, layer);
    x = fj_add(b->g, is_normed ? h : x, fj_block_attention(b, h, layer));
    h = fj_block_norm(b, x, &fj_role_ffn_norm, layer);
    return fj_add(b->g, is_normed ? h : x, fj_block_mlp(b, h, layer));
}

const fj_family fj_family_bloom = {
    .name = "bloom",
    .model_types = model_types,
    .weights = weights,
    .ignored = ignored,
    .prefix = "transformer.",
    .is_tied = true,
    .hparams = hparams,
    .embed = embed,
    .block = block,
};
