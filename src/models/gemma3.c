/* SPDX-License-Identifier: Apache-2.0
 * Gemma 3, text.  Source: transformers, modeling_gemma3.py, Gemma3DecoderLayer.
 * Gemma 2 without caps, with norms of the heads of q and k; every sliding_window_pattern-th layer looks at everything with
 * rope_theta, the others have a window and rope_local_base_freq without scaling. */
#include "models/gemma.h"
#include "models/build.h"
#include "models/config.h"

#define LAYER "model.layers.{}."
static const fj_weight_row weights[] = {
    { &fj_role_token_embd, "model.embed_tokens.weight", { FJ_DIM_VOCAB, FJ_DIM_MODEL } },
    { &fj_role_output_norm, "model.norm.weight", { FJ_DIM_MODEL }, .gguf_rewrite = &fj_rewrite_plus_one },
    { &fj_role_output, "lm_head.weight", { FJ_DIM_VOCAB, FJ_DIM_MODEL }, .flags = FJ_TIED_OUTPUT },
    { &fj_role_attn_norm, LAYER "input_layernorm.weight", { FJ_DIM_MODEL }, .gguf_rewrite = &fj_rewrite_plus_one },
    { &fj_role_attn_q, LAYER "self_attn.q_proj.weight", { FJ_DIM_Q, FJ_DIM_MODEL } },
    { &fj_role_attn_q, LAYER "self_attn.q_proj.bias", { FJ_DIM_Q }, .is_bias = true, .only_if = fj_if_attn_bias },
    { &fj_role_attn_k, LAYER "self_attn.k_proj.weight", { FJ_DIM_KV, FJ_DIM_MODEL } },
    { &fj_role_attn_k, LAYER "self_attn.k_proj.bias", { FJ_DIM_KV }, .is_bias = true, .only_if = fj_if_attn_bias },
    { &fj_role_attn_v, LAYER "self_attn.v_proj.weight", { FJ_DIM_KV, FJ_DIM_MODEL } },
    { &fj_role_attn_v, LAYER "self_attn.v_proj.bias", { FJ_DIM_KV }, .is_bias = true, .only_if = fj_if_attn_bias },
    { &fj_role_attn_output, LAYER "self_attn.o_proj.weight", { FJ_DIM_MODEL, FJ_DIM_Q } },
    { &fj_role_attn_output,
      LAYER "self_attn.o_proj.bias",
      { FJ_DIM_MODEL },
      .is_bias = true,
      .only_if = fj_if_attn_bias },
    { &fj_role_attn_q_norm, LAYER "self_attn.q_norm.weight", { FJ_DIM_HEAD }, .gguf_rewrite = &fj_rewrite_plus_one },
    { &fj_role_attn_k_norm, LAYER "self_attn.k_norm.weight", { FJ_DIM_HEAD }, .gguf_rewrite = &fj_rewrite_plus_one },
    { &fj_role_post_attention_norm,
      LAYER "post_attention_layernorm.weight",
      { FJ_DIM_MODEL },
      .gguf_rewrite = &fj_rewrite_plus_one },
    { &fj_role_ffn_norm,
      LAYER "pre_feedforward_layernorm.weight",
      { FJ_DIM_MODEL },
      .gguf_rewrite = &fj_rewrite_plus_one },
    { &fj_role_ffn_gate, LAYER "mlp.gate_proj.weight", { FJ_DIM_FF, FJ_DIM_MODEL } },
    { &fj_role_ffn_up, LAYER "mlp.up_proj.weight", { FJ_DIM_FF, FJ_DIM_MODEL } },
    { &fj_role_ffn_down, LAYER "mlp.down_proj.weight", { FJ_DIM_MODEL, FJ_DIM_FF } },
    { &fj_role_post_ffw_norm,
      LAYER "post_feedforward_layernorm.weight",
      { FJ_DIM_MODEL },
      .gguf_rewrite = &fj_rewrite_plus_one },
    { 0 },
};
#undef LAYER

static const char *const model_types[] = { "gemma3_text", NULL };
static const char *const ignored[] = { "rotary_emb.inv_freq", NULL };

static fj_status hparams(const fj_json *config, fj_naming naming, fj_hparams *hp, fj_err *err)
{
    int64_t period = 6;
    double local = 10000;
    fj_status st = fj_gemma_hparams(config, naming, hp, err);
    if (!st && !fj_json_find(config, "rope_theta|rope_parameters"))
        hp->rope_theta = 1e6;
    if (!st)
        st = fj_gemma2_scores(config, 256, 0, 0, hp, err);
    if (!st)
        st = fj_config_window(config, 4096, hp, err);
    if (!st)
        st = fj_config_count(config, "sliding_window_pattern|_sliding_window_pattern", 6, FJ_MOST_LAYERS, &period, err);
    if (!st)
        st = fj_config_layer_types(config, period, hp, err);
    if (!st)
        st = fj_config_real(config, "rope_local_base_freq|rope_parameters.sliding_attention.rope_theta", 10000, &local,
                            err);
    hp->rope_theta_local = local;
    if (!st && !(local > 0))
        st = fj_fail(err, FJ_ERR_FORMAT, "config.json: rope_local_base_freq is %g", local);
    return st;
}

const fj_family fj_family_gemma3 = {
    .name = "gemma3",
    .model_types = model_types,
    .weights = weights,
    .ignored = ignored,
    .is_tied = true,
    .hparams = hparams,
    .block = fj_gemma2_block,
};
