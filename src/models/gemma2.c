/* SPDX-License-Identifier: Apache-2.0
 * Gemma 2.  Source: transformers, modeling_gemma2.py, Gemma2DecoderLayer, eager attention.
 *   h += RMS(attention(RMS(h; attn_norm)); post_attention_norm);  h += RMS(mlp(RMS(h; ffn_norm)); post_ffw_norm)
 *   scores are capped before the mask, logits too; layers 0, 2, 4 … have a window */
#include <math.h>

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

static const char *const model_types[] = { "gemma2", NULL };
static const char *const ignored[] = { "rotary_emb.inv_freq", NULL };

static fj_status read_cap(const fj_json *config, const char *key, double absent, double *out, fj_err *err)
{
    *out = fj_json_get(config, key) ? 0 : absent;
    return fj_json_get(config, key) ? fj_config_positive(config, key, out, err) : FJ_OK;
}

fj_status fj_gemma2_scores(const fj_json *config, double scalar, double attn, double final, fj_hparams *hp, fj_err *err)
{
    fj_status st = read_cap(config, "query_pre_attn_scalar", scalar, &scalar, err);
    if (!st)
        st = read_cap(config, "attn_logit_softcapping", attn, &hp->attn_softcap, err);
    if (!st)
        st = read_cap(config, "final_logit_softcapping", final, &hp->logit_softcap, err);
    if (!st && scalar > 0)
        hp->attn_scale = 1 / sqrt(scalar);
    return st;
}

static fj_status hparams(const fj_json *config, fj_naming naming, fj_hparams *hp, fj_err *err)
{
    fj_status st = fj_gemma_hparams(config, naming, hp, err);
    if (!st)
        st = fj_gemma2_scores(config, 256, 50, 30, hp, err);
    if (!st)
        st = fj_config_window(config, 4096, hp, err);
    return st ? st : fj_config_layer_types(config, 2, hp, err);
}

fj_value *fj_gemma2_block(fj_build *b, fj_value *x, int layer)
{
    fj_value *h = fj_block_attention(b, fj_block_norm(b, x, &fj_role_attn_norm, layer), layer);
    x = fj_add(b->g, x, fj_block_norm(b, h, &fj_role_post_attention_norm, layer));
    h = fj_block_gated_mlp(b, fj_block_norm(b, x, &fj_role_ffn_norm, layer), layer);
    return fj_add(b->g, x, fj_block_norm(b, h, &fj_role_post_ffw_norm, layer));
}

const fj_family fj_family_gemma2 = {
    .name = "gemma2",
    .model_types = model_types,
    .weights = weights,
    .ignored = ignored,
    .is_tied = true,
    .hparams = hparams,
    .block = fj_gemma2_block,
};
