/* SPDX-License-Identifier: Apache-2.0
 * Mamba: no attention, no MLP; h += mixer(RMS(h; attn_norm)) in each layer.  Source: transformers, modeling_mamba.py, MambaBlock.
 * GGUF has A itself where Hugging Face has log(-A). */
#include <string.h>

#include "models/build.h"
#include "models/config.h"

#define LAYER "backbone.layers.{}."
static const fj_weight_row weights[] = {
    { &fj_role_token_embd, "backbone.embeddings.weight", { FJ_DIM_VOCAB, FJ_DIM_MODEL } },
    { &fj_role_output_norm, "backbone.norm_f.weight", { FJ_DIM_MODEL } },
    { &fj_role_output, "lm_head.weight", { FJ_DIM_VOCAB, FJ_DIM_MODEL }, .flags = FJ_TIED_OUTPUT },
    { &fj_role_attn_norm, LAYER "norm.weight", { FJ_DIM_MODEL } },
    { &fj_role_ssm_in, LAYER "mixer.in_proj.weight", { FJ_DIM_2INNER, FJ_DIM_MODEL } },
    { &fj_role_ssm_in, LAYER "mixer.in_proj.bias", { FJ_DIM_2INNER }, .is_bias = true, .only_if = fj_if_ssm_bias },
    { &fj_role_ssm_conv1d, LAYER "mixer.conv1d.weight", { FJ_DIM_INNER, FJ_DIM_CONV }, .flags = FJ_HF_CONV },
    { &fj_role_ssm_conv1d, LAYER "mixer.conv1d.bias", { FJ_DIM_INNER }, .is_bias = true, .only_if = fj_if_conv_bias },
    { &fj_role_ssm_x, LAYER "mixer.x_proj.weight", { FJ_DIM_SCAN, FJ_DIM_INNER } },
    { &fj_role_ssm_dt, LAYER "mixer.dt_proj.weight", { FJ_DIM_INNER, FJ_DIM_DT } },
    { &fj_role_ssm_dt, LAYER "mixer.dt_proj.bias", { FJ_DIM_INNER }, .is_bias = true },
    { &fj_role_ssm_a, LAYER "mixer.A_log", { FJ_DIM_INNER, FJ_DIM_STATE }, .gguf_rewrite = &fj_rewrite_minus_exp },
    { &fj_role_ssm_d, LAYER "mixer.D", { FJ_DIM_INNER } },
    { &fj_role_ssm_out, LAYER "mixer.out_proj.weight", { FJ_DIM_MODEL, FJ_DIM_INNER } },
    { &fj_role_ssm_out, LAYER "mixer.out_proj.bias", { FJ_DIM_MODEL }, .is_bias = true, .only_if = fj_if_ssm_bias },
    { 0 },
};
#undef LAYER

static const char *const model_types[] = { "mamba", NULL };
static const char *const ignored[] = { NULL };

/* A number, or "auto": d_model / 16, rounded up. */
static fj_status read_rank(const fj_json *config, const char *key, fj_hparams *hp, fj_err *err)
{
    hp->d_dt = (hp->d_model + 15) / 16;
    if (!strcmp(fj_json_string(fj_json_find(config, key), ""), "auto"))
        return FJ_OK;
    return fj_config_count(config, key, hp->d_dt, 1 << 20, &hp->d_dt, err);
}

static fj_status hparams(const fj_json *config, fj_naming naming, fj_hparams *hp, fj_err *err)
{
    static const fj_config_names names = { .d_model = "hidden_size|d_model",
                                           .n_layers = "num_hidden_layers|n_layer",
                                           .n_heads = "",
                                           .n_kv_heads = "",
                                           .d_head = "",
                                           .d_ff = "",
                                           .ff_times = 1,
                                           .norm_eps = "layer_norm_epsilon",
                                           .norm_eps_is = 1e-5 };
    int64_t expand = 2;
    (void)naming;
    fj_status st = fj_config_core(config, &names, hp, err);
    if (!st)
        st = fj_config_activation(config, "hidden_act", "silu", hp, err);
    if (!st)
        st = fj_config_count(config, "expand", 2, 64, &expand, err);
    if (!st)
        st = fj_config_count(config, "intermediate_size|d_inner", expand * hp->d_model, 1 << 22, &hp->d_inner, err);
    if (!st)
        st = fj_config_count(config, "state_size", 16, 65536, &hp->d_state, err);
    if (!st)
        st = fj_config_count(config, "conv_kernel", 4, 64, &hp->d_conv, err);
    if (!st)
        st = read_rank(config, "time_step_rank", hp, err);
    if (!st)
        st = fj_config_bool(config, "use_bias", false, &hp->has_ssm_bias, err);
    if (!st)
        st = fj_config_bool(config, "use_conv_bias", true, &hp->has_conv_bias, err);
    if (!fj_json_find(config, "max_position_embeddings"))
        hp->n_ctx = 1 << 20; /* as long as it likes */
    for (int64_t layer = 0; !st && layer < hp->n_layers; layer++)
        fj_layers_add(&hp->recurrent, layer);
    return st;
}

static fj_value *block(fj_build *b, fj_value *x, int layer)
{
    return fj_add(b->g, x, fj_block_mamba(b, fj_block_norm(b, x, &fj_role_attn_norm, layer), layer));
}

const fj_family fj_family_mamba = {
    .name = "mamba",
    .model_types = model_types,
    .weights = weights,
    .ignored = ignored,
    .is_tied = true,
    .hparams = hparams,
    .block = block,
};
