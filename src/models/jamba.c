/* SPDX-License-Identifier: Apache-2.0
 * Jamba: Mamba's mixer in most layers, attention without positions in every attn_layer_period-th; experts in every
 * expert_layer_period-th, their weights as softmax gives them; else a gated MLP.  Source: transformers, modeling_jamba.py. */
#include <string.h>

#include "models/build.h"
#include "models/config.h"

static bool in_mamba(const fj_hparams *hp, int64_t layer)
{
    return fj_layers_has(&hp->recurrent, layer);
}

static bool in_attention(const fj_hparams *hp, int64_t layer)
{
    return !in_mamba(hp, layer);
}

static bool in_experts(const fj_hparams *hp, int64_t layer)
{
    return fj_layers_has(&hp->with_experts, layer);
}

static bool in_dense(const fj_hparams *hp, int64_t layer)
{
    return !in_experts(hp, layer);
}

#define LAYER "model.layers.{}."
static const fj_weight_row weights[] = {
    { &fj_role_token_embd, "model.embed_tokens.weight", { FJ_DIM_VOCAB, FJ_DIM_MODEL } },
    { &fj_role_output_norm, "model.final_layernorm.weight", { FJ_DIM_MODEL } },
    { &fj_role_output, "lm_head.weight", { FJ_DIM_VOCAB, FJ_DIM_MODEL }, .flags = FJ_TIED_OUTPUT },
    { &fj_role_attn_norm, LAYER "input_layernorm.weight", { FJ_DIM_MODEL } },
    { &fj_role_attn_q, LAYER "self_attn.q_proj.weight", { FJ_DIM_Q, FJ_DIM_MODEL }, .in_layers = in_attention },
    { &fj_role_attn_k, LAYER "self_attn.k_proj.weight", { FJ_DIM_KV, FJ_DIM_MODEL }, .in_layers = in_attention },
    { &fj_role_attn_v, LAYER "self_attn.v_proj.weight", { FJ_DIM_KV, FJ_DIM_MODEL }, .in_layers = in_attention },
    { &fj_role_attn_output, LAYER "self_attn.o_proj.weight", { FJ_DIM_MODEL, FJ_DIM_Q }, .in_layers = in_attention },
    { &fj_role_ssm_in, LAYER "mamba.in_proj.weight", { FJ_DIM_2INNER, FJ_DIM_MODEL }, .in_layers = in_mamba },
    { &fj_role_ssm_in,
      LAYER "mamba.in_proj.bias",
      { FJ_DIM_2INNER },
      .is_bias = true,
      .only_if = fj_if_ssm_bias,
      .in_layers = in_mamba },
    { &fj_role_ssm_conv1d,
      LAYER "mamba.conv1d.weight",
      { FJ_DIM_INNER, FJ_DIM_CONV },
      .flags = FJ_HF_CONV,
      .in_layers = in_mamba },
    { &fj_role_ssm_conv1d,
      LAYER "mamba.conv1d.bias",
      { FJ_DIM_INNER },
      .is_bias = true,
      .only_if = fj_if_conv_bias,
      .in_layers = in_mamba },
    { &fj_role_ssm_x, LAYER "mamba.x_proj.weight", { FJ_DIM_SCAN, FJ_DIM_INNER }, .in_layers = in_mamba },
    { &fj_role_ssm_dt, LAYER "mamba.dt_proj.weight", { FJ_DIM_INNER, FJ_DIM_DT }, .in_layers = in_mamba },
    { &fj_role_ssm_dt, LAYER "mamba.dt_proj.bias", { FJ_DIM_INNER }, .is_bias = true, .in_layers = in_mamba },
    { &fj_role_ssm_a,
      LAYER "mamba.A_log",
      { FJ_DIM_INNER, FJ_DIM_STATE },
      .gguf_rewrite = &fj_rewrite_minus_exp,
      .in_layers = in_mamba },
    { &fj_role_ssm_d, LAYER "mamba.D", { FJ_DIM_INNER }, .in_layers = in_mamba },
    { &fj_role_ssm_out, LAYER "mamba.out_proj.weight", { FJ_DIM_MODEL, FJ_DIM_INNER }, .in_layers = in_mamba },
    { &fj_role_ssm_out,
      LAYER "mamba.out_proj.bias",
      { FJ_DIM_MODEL },
      .is_bias = true,
      .only_if = fj_if_ssm_bias,
      .in_layers = in_mamba },
    { &fj_role_ssm_dt_norm, LAYER "mamba.dt_layernorm.weight", { FJ_DIM_DT }, .in_layers = in_mamba },
    { &fj_role_ssm_b_norm, LAYER "mamba.b_layernorm.weight", { FJ_DIM_STATE }, .in_layers = in_mamba },
    { &fj_role_ssm_c_norm, LAYER "mamba.c_layernorm.weight", { FJ_DIM_STATE }, .in_layers = in_mamba },
    { &fj_role_ffn_norm, LAYER "pre_ff_layernorm.weight", { FJ_DIM_MODEL } },
    { &fj_role_ffn_gate, LAYER "feed_forward.gate_proj.weight", { FJ_DIM_FF, FJ_DIM_MODEL }, .in_layers = in_dense },
    { &fj_role_ffn_up, LAYER "feed_forward.up_proj.weight", { FJ_DIM_FF, FJ_DIM_MODEL }, .in_layers = in_dense },
    { &fj_role_ffn_down, LAYER "feed_forward.down_proj.weight", { FJ_DIM_MODEL, FJ_DIM_FF }, .in_layers = in_dense },
    { &fj_role_ffn_gate_inp,
      LAYER "feed_forward.router.weight",
      { FJ_DIM_EXPERTS, FJ_DIM_MODEL },
      .in_layers = in_experts },
    { &fj_role_ffn_gate_exps,
      LAYER "feed_forward.experts.{e}.gate_proj.weight",
      { FJ_DIM_EXPERTS, FJ_DIM_FF, FJ_DIM_MODEL },
      .in_layers = in_experts },
    { &fj_role_ffn_up_exps,
      LAYER "feed_forward.experts.{e}.up_proj.weight",
      { FJ_DIM_EXPERTS, FJ_DIM_FF, FJ_DIM_MODEL },
      .in_layers = in_experts },
    { &fj_role_ffn_down_exps,
      LAYER "feed_forward.experts.{e}.down_proj.weight",
      { FJ_DIM_EXPERTS, FJ_DIM_MODEL, FJ_DIM_FF },
      .in_layers = in_experts },
    { 0 },
};
#undef LAYER

static const char *const model_types[] = { "jamba", NULL };
static const char *const ignored[] = { "rotary_emb.inv_freq", NULL };

/* A number, or "auto": d_model / 16, rounded up. */
static fj_status read_rank(const fj_json *config, const char *key, fj_hparams *hp, fj_err *err)
{
    hp->d_dt = (hp->d_model + 15) / 16;
    if (!strcmp(fj_json_string(fj_json_find(config, key), ""), "auto"))
        return FJ_OK;
    return fj_config_count(config, key, hp->d_dt, 1 << 20, &hp->d_dt, err);
}

/* Every period-th layer, from offset on. */
static fj_status read_layers(const fj_json *config, const char *period_key, const char *offset_key, int64_t period,
                             int64_t offset, fj_hparams *hp, fj_layers *out, fj_err *err)
{
    double first = 0;
    fj_status st = fj_config_count(config, period_key, period, FJ_MOST_LAYERS, &period, err);
    if (!st)
        st = fj_config_real(config, offset_key, (double)offset, &first, err);
    if (!st && !(first >= 0 && first < (double)period && first == (double)(int64_t)first))
        st = fj_fail(err, FJ_ERR_FORMAT, "config.json: '%s' is %g, wanted a whole number below '%s'", offset_key, first,
                     period_key);
    for (int64_t layer = st ? hp->n_layers : (int64_t)first; layer < hp->n_layers; layer += period)
        fj_layers_add(out, layer);
    return st;
}

static fj_status read_mixer(const fj_json *config, fj_hparams *hp, fj_err *err)
{
    int64_t expand = 2;
    fj_layers attention = { 0 };
    fj_status st = fj_config_count(config, "mamba_expand", 2, 64, &expand, err);
    if (!st)
        st = fj_config_count(config, "mamba_d_state", 16, 65536, &hp->d_state, err);
    if (!st)
        st = fj_config_count(config, "mamba_d_conv", 4, 64, &hp->d_conv, err);
    if (!st)
        st = read_rank(config, "mamba_dt_rank", hp, err);
    if (!st)
        st = fj_config_bool(config, "mamba_proj_bias", false, &hp->has_ssm_bias, err);
    if (!st)
        st = fj_config_bool(config, "mamba_conv_bias", true, &hp->has_conv_bias, err);
    if (!st)
        st = read_layers(config, "attn_layer_period", "attn_layer_offset", 8, 4, hp, &attention, err);
    hp->d_inner = st ? 0 : expand * hp->d_model;
    for (int64_t layer = 0; !st && layer < hp->n_layers; layer++)
        if (!fj_layers_has(&attention, layer))
            fj_layers_add(&hp->recurrent, layer);
    return st;
}

static fj_status hparams(const fj_json *config, fj_naming naming, fj_hparams *hp, fj_err *err)
{
    (void)naming;
    fj_status st = fj_config_core(config, NULL, hp, err);
    if (!st)
        st = fj_config_activation(config, "hidden_act", "silu", hp, err);
    if (!st)
        st = fj_config_experts(config, "num_experts", "num_experts_per_tok", hp, err);
    if (!st)
        st = read_mixer(config, hp, err);
    if (!st && hp->n_experts > 1)
        st = read_layers(config, "expert_layer_period", "expert_layer_offset", 2, 1, hp, &hp->with_experts, err);
    return st ? st : fj_config_window(config, 0, hp, err);
}

static fj_value *block(fj_build *b, fj_value *x, int layer)
{
    const fj_hparams *hp = &b->m->hp;
    fj_value *h = fj_block_norm(b, x, &fj_role_attn_norm, layer);
    h = in_mamba(hp, layer) ? fj_block_mamba(b, h, layer) : fj_block_attention(b, h, layer);
    x = fj_add(b->g, x, h);
    h = fj_block_norm(b, x, &fj_role_ffn_norm, layer);
    return fj_add(b->g, x, in_experts(hp, layer) ? fj_block_experts(b, h, layer) : fj_block_gated_mlp(b, h, layer));
}

const fj_family fj_family_jamba = {
    .name = "jamba",
    .model_types = model_types,
    .weights = weights,
    .ignored = ignored,
    .hparams = hparams,
    .block = block,
};
