/* SPDX-License-Identifier: Apache-2.0
 * Falcon 7B, 11B, 40B, RW, Aguila.  Source: transformers, modeling_falcon.py, FalconDecoderLayer.
 *   7B:  x = LN(h; attn_norm);  h += attention(x) + mlp(x)                             (one norm, parallel)
 *   40B: h += attention(LN(h; attn_norm_2)) + mlp(LN(h; attn_norm))                    (11B has one norm)
 *   RW:  h += attention(LN(h; attn_norm));  h += mlp(LN(h; ffn_norm));  alibi added before the scale, no rope
 * query_key_value: 7B has all query heads, then one k and one v; 40B for each key head its query heads, k, v; RW for each head q, k, v.
 * GGUF has all q, all k, all v, and calls 40B's norm of the MLP attn_norm. There is no GGUF of RW but what forja writes. */
#include <string.h>

#include "models/build.h"
#include "models/config.h"

#define LAYER "transformer.h.{}."
static const fj_weight_row weights[] = {
    { &fj_role_token_embd, "transformer.word_embeddings.weight", { FJ_DIM_VOCAB, FJ_DIM_MODEL } },
    { &fj_role_output_norm, "transformer.ln_f.weight", { FJ_DIM_MODEL } },
    { &fj_role_output_norm, "transformer.ln_f.bias", { FJ_DIM_MODEL }, .is_bias = true },
    { &fj_role_output, "lm_head.weight", { FJ_DIM_VOCAB, FJ_DIM_MODEL }, .flags = FJ_TIED_OUTPUT },
    { &fj_role_attn_norm, LAYER "input_layernorm.weight", { FJ_DIM_MODEL }, .only_if = fj_if_one_norm },
    { &fj_role_attn_norm, LAYER "input_layernorm.bias", { FJ_DIM_MODEL }, .is_bias = true, .only_if = fj_if_one_norm },
    { &fj_role_attn_norm_2, LAYER "ln_attn.weight", { FJ_DIM_MODEL }, .only_if = fj_if_second_norm },
    { &fj_role_attn_norm_2, LAYER "ln_attn.bias", { FJ_DIM_MODEL }, .is_bias = true, .only_if = fj_if_second_norm },
    { &fj_role_attn_norm, LAYER "ln_mlp.weight", { FJ_DIM_MODEL }, .only_if = fj_if_second_norm },
    { &fj_role_attn_norm, LAYER "ln_mlp.bias", { FJ_DIM_MODEL }, .is_bias = true, .only_if = fj_if_second_norm },
    { &fj_role_attn_qkv,
      LAYER "self_attention.query_key_value.weight",
      { FJ_DIM_QKV, FJ_DIM_MODEL },
      .gguf_rewrite = &fj_rewrite_qkv },
    { &fj_role_attn_qkv,
      LAYER "self_attention.query_key_value.bias",
      { FJ_DIM_QKV },
      .is_bias = true,
      .only_if = fj_if_attn_bias,
      .gguf_rewrite = &fj_rewrite_qkv },
    { &fj_role_attn_output, LAYER "self_attention.dense.weight", { FJ_DIM_MODEL, FJ_DIM_Q } },
    { &fj_role_attn_output,
      LAYER "self_attention.dense.bias",
      { FJ_DIM_MODEL },
      .is_bias = true,
      .only_if = fj_if_attn_bias },
    { &fj_role_ffn_norm, LAYER "post_attention_layernorm.weight", { FJ_DIM_MODEL }, .only_if = fj_if_sequential },
    { &fj_role_ffn_norm,
      LAYER "post_attention_layernorm.bias",
      { FJ_DIM_MODEL },
      .is_bias = true,
      .only_if = fj_if_sequential },
    { &fj_role_ffn_up, LAYER "mlp.dense_h_to_4h.weight", { FJ_DIM_FF, FJ_DIM_MODEL } },
    { &fj_role_ffn_up, LAYER "mlp.dense_h_to_4h.bias", { FJ_DIM_FF }, .is_bias = true, .only_if = fj_if_mlp_bias },
    { &fj_role_ffn_down, LAYER "mlp.dense_4h_to_h.weight", { FJ_DIM_MODEL, FJ_DIM_FF } },
    { &fj_role_ffn_down, LAYER "mlp.dense_4h_to_h.bias", { FJ_DIM_MODEL }, .is_bias = true, .only_if = fj_if_mlp_bias },
    { 0 },
};
#undef LAYER

static const char *const model_types[] = { "falcon", "RefinedWeb", "RefinedWebModel", NULL };
static const char *const ignored[] = { "rotary_emb.inv_freq", NULL };

/* Old configurations (RefinedWeb, with n_head_kv) are of 40B's architecture without saying so. */
static fj_status read_layout(const fj_json *config, fj_naming naming, fj_hparams *hp, fj_err *err)
{
    bool is_new = false, is_multi_query = true, is_parallel = true, has_alibi = false, has_bias = false;
    int64_t n_norms = 1;
    bool is_old_40b = !strcmp(fj_json_string(fj_json_get(config, "model_type"), ""), "RefinedWeb");
    fj_status st = fj_config_bool(config, "new_decoder_architecture", is_old_40b, &is_new, err);
    if (!st)
        st = fj_config_bool(config, "multi_query", true, &is_multi_query, err);
    if (!st)
        st = fj_config_bool(config, "parallel_attn", true, &is_parallel, err);
    if (!st)
        st = fj_config_bool(config, "alibi", false, &has_alibi, err);
    if (!st)
        st = fj_config_bool(config, "bias", false, &has_bias, err);
    if (!st && is_new)
        st = fj_config_count(config, "num_ln_in_parallel_attn", 2, 2, &n_norms, err);
    if (!st && is_new)
        st = fj_config_count(config, "num_kv_heads|n_head_kv", hp->n_heads, hp->n_heads, &hp->n_kv_heads, err);
    else if (!st)
        hp->n_kv_heads = is_multi_query ? 1 : hp->n_heads;
    if (!st && hp->n_heads % hp->n_kv_heads)
        st = fj_fail(err, FJ_ERR_FORMAT, "config.json: %lld attention heads are not a multiple of %lld key/value heads",
                     (long long)hp->n_heads, (long long)hp->n_kv_heads);
    hp->is_parallel = is_new || is_parallel;
    hp->has_second_norm = n_norms == 2;
    hp->has_attn_bias = hp->has_mlp_bias = has_bias;
    hp->qkv_by_group = naming == FJ_NAMING_HF;
    hp->alibi = has_alibi ? 8 : 0;
    hp->alibi_before = true;
    return st;
}

static fj_status hparams(const fj_json *config, fj_naming naming, fj_hparams *hp, fj_err *err)
{
    static const fj_config_names names = { .n_layers = "num_hidden_layers|n_layer",
                                           .n_heads = "num_attention_heads|n_head",
                                           .n_kv_heads = "",
                                           .d_head = "",
                                           .d_ff = "ffn_hidden_size",
                                           .ff_times = 4,
                                           .norm_eps = "layer_norm_epsilon",
                                           .norm_eps_is = 1e-5 };
    fj_status st = fj_config_core(config, &names, hp, err);
    if (!st)
        st = fj_config_activation(config, "activation", "gelu", hp, err);
    if (!st)
        st = read_layout(config, naming, hp, err);
    hp->is_layer_norm = true;
    return st || hp->alibi > 0 ? st : fj_config_rope(config, 1, hp, err);
}

static fj_value *block(fj_build *b, fj_value *x, int layer)
{
    const fj_hparams *hp = &b->m->hp;
    fj_value *for_mlp = fj_block_norm(b, x, &fj_role_attn_norm, layer);
    fj_value *h = hp->has_second_norm ? fj_block_norm(b, x, &fj_role_attn_norm_2, layer) : for_mlp;
    h = fj_block_attention(b, h, layer);
    if (hp->is_parallel)
        return fj_add(b->g, x, fj_add(b->g, h, fj_block_mlp(b, for_mlp, layer)));
    x = fj_add(b->g, x, h);
    return fj_add(b->g, x, fj_block_mlp(b, fj_block_norm(b, x, &fj_role_ffn_norm, layer), layer));
}

const fj_family fj_family_falcon = {
    .name = "falcon",
    .model_types = model_types,
    .weights = weights,
    .ignored = ignored,
    .prefix = "transformer.",
    .is_tied = true,
    .has_falcon_recipe = true,
    .hparams = hparams,
    .block = block,
};
