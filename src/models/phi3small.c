/* SPDX-License-Identifier: Apache-2.0
 * Phi-3-small.  Source: the model's own repository, modeling_phi3_small.py, Phi3SmallDecoderLayer.
 *   h = embed[t] * mup_embedding_multiplier
 *   h += attention(LN(h; attn_norm)), scores scaled by mup_attn_multiplier / d_head
 *   u = up LN(h; ffn_norm): the even values are gates, the odd ones linear;  h += down(quick_gelu(min(a, limit)) * (clamp(c) + 1))
 *   logits = embed^T LN(h) / mup_width_multiplier
 * Every dense_attention_every_n_layers-th layer sees everything, the others blocks: the nearest and every stride-th. */
#include <math.h>

#include "models/build.h"
#include "models/config.h"

#define LAYER "model.layers.{}."
static const fj_weight_row weights[] = {
    { &fj_role_token_embd, "model.embed_tokens.weight", { FJ_DIM_VOCAB, FJ_DIM_MODEL } },
    { &fj_role_rope_factors_long, NULL, { FJ_DIM_HALF_ROPE }, .flags = FJ_GGUF_ONLY },
    { &fj_role_rope_factors_short, NULL, { FJ_DIM_HALF_ROPE }, .flags = FJ_GGUF_ONLY },
    { &fj_role_output_norm, "model.final_layernorm.weight", { FJ_DIM_MODEL } },
    { &fj_role_output_norm, "model.final_layernorm.bias", { FJ_DIM_MODEL }, .is_bias = true },
    { &fj_role_output, "lm_head.weight", { FJ_DIM_VOCAB, FJ_DIM_MODEL }, .flags = FJ_TIED_OUTPUT },
    { &fj_role_attn_norm, LAYER "input_layernorm.weight", { FJ_DIM_MODEL } },
    { &fj_role_attn_norm, LAYER "input_layernorm.bias", { FJ_DIM_MODEL }, .is_bias = true },
    { &fj_role_attn_qkv, LAYER "self_attn.query_key_value.weight", { FJ_DIM_QKV, FJ_DIM_MODEL } },
    { &fj_role_attn_qkv, LAYER "self_attn.query_key_value.bias", { FJ_DIM_QKV }, .is_bias = true },
    { &fj_role_attn_output, LAYER "self_attn.dense.weight", { FJ_DIM_MODEL, FJ_DIM_Q } },
    { &fj_role_attn_output, LAYER "self_attn.dense.bias", { FJ_DIM_MODEL }, .is_bias = true },
    { &fj_role_ffn_norm, LAYER "post_attention_layernorm.weight", { FJ_DIM_MODEL } },
    { &fj_role_ffn_norm, LAYER "post_attention_layernorm.bias", { FJ_DIM_MODEL }, .is_bias = true },
    { &fj_role_ffn_up, LAYER "mlp.up_proj.weight", { FJ_DIM_2FF, FJ_DIM_MODEL } },
    { &fj_role_ffn_up, LAYER "mlp.up_proj.bias", { FJ_DIM_2FF }, .is_bias = true },
    { &fj_role_ffn_down, LAYER "mlp.down_proj.weight", { FJ_DIM_MODEL, FJ_DIM_FF } },
    { &fj_role_ffn_down, LAYER "mlp.down_proj.bias", { FJ_DIM_MODEL }, .is_bias = true },
    { 0 },
};
#undef LAYER

static const char *const model_types[] = { "phi3small", NULL };
static const char *const ignored[] = { "rotary_emb.inv_freq", NULL };

static fj_status read_sparse(const fj_json *config, fj_hparams *hp, fj_err *err)
{
    fj_sparse *s = &hp->sparse;
    int64_t every = 1;
    fj_status st = fj_config_count(config, "dense_attention_every_n_layers", 1, FJ_MOST_LAYERS, &every, err);
    if (!st)
        st = fj_config_count(config, "blocksparse_block_size", 64, 1 << 16, &s->block, err);
    if (!st)
        st = fj_config_count(config, "blocksparse_num_local_blocks", 16, 1 << 16, &s->local, err);
    if (!st)
        st = fj_config_count(config, "blocksparse_vert_stride", 8, 1 << 16, &s->stride, err);
    if (!st)
        st = fj_config_bool(config, "blocksparse_homo_head_pattern", false, &s->is_same_in_heads, err);
    for (int64_t layer = 0; layer < hp->n_layers; layer++)
        if ((layer + 1) % every)
            fj_layers_add(&s->layers, layer);
    return st;
}

static fj_status read_multipliers(const fj_json *config, fj_hparams *hp, fj_err *err)
{
    double attn = 1, width = 1;
    bool uses = true;
    fj_status st = fj_config_real(config, "mup_embedding_multiplier", 10, &hp->embd_scale, err);
    if (!st)
        st = fj_config_real(config, "mup_attn_multiplier", 1, &attn, err);
    if (!st)
        st = fj_config_real(config, "mup_width_multiplier", 8, &width, err);
    if (!st)
        st = fj_config_bool(config, "mup_use_scaling", true, &uses, err);
    if (!st)
        st = fj_config_positive(config, "gegelu_limit", &hp->gate_limit, err);
    if (!st && !(width > 0))
        st = fj_fail(err, FJ_ERR_FORMAT, "config.json: mup_width_multiplier is %g", width);
    hp->attn_scale = !st && uses ? attn / (double)hp->d_head : 0;
    hp->logit_scale = st ? 0 : 1 / width;
    return st;
}

static fj_status hparams(const fj_json *config, fj_naming naming, fj_hparams *hp, fj_err *err)
{
    static const fj_config_names names = { .d_ff = "ff_intermediate_size|intermediate_size",
                                           .d_head = "",
                                           .norm_eps = "layer_norm_epsilon",
                                           .norm_eps_is = 1e-5 };
    double times = 1;
    (void)naming;
    fj_status st = fj_config_core(config, &names, hp, err);
    if (!st)
        st = read_sparse(config, hp, err);
    if (!st)
        st = read_multipliers(config, hp, err);
    if (!st)
        st = fj_config_rope(config, 1, hp, err);
    if (!st)
        st = fj_config_real(config, "rope_position_scale", 1, &times, err);
    if (!st && times != 1)
        st = fj_fail(err, FJ_ERR_FORMAT, "config.json: rope_position_scale is %g, forja runs phi3small with 1", times);
    hp->act = &fj_act_quick_gelu;
    hp->is_layer_norm = true;
    hp->qkv_by_group = true;
    return st;
}

static fj_value *mlp(fj_build *b, fj_value *x, int layer)
{
    double limit = b->m->hp.gate_limit > 0 ? b->m->hp.gate_limit : INFINITY;
    const int64_t offsets[] = { 0, 1 }, widths[] = { 1, 1 };
    fj_value *p[2];
    fj_split(b->g, fj_block_product(b, x, &fj_role_ffn_up, layer), b->m->hp.d_ff, 2, 2, offsets, widths, p);
    fj_value *gate = fj_clamp(b->g, p[0], -INFINITY, limit), *up = fj_clamp(b->g, p[1], -limit, limit);
    fj_value *h = fj_gated(b->g, gate, fj_affine(b->g, up, 1, 1), b->m->hp.act);
    return fj_block_product(b, h, &fj_role_ffn_down, layer);
}

static fj_value *block(fj_build *b, fj_value *x, int layer)
{
    x = fj_add(b->g, x, fj_block_attention(b, fj_block_norm(b, x, &fj_role_attn_norm, layer), layer));
    return fj_add(b->g, x, mlp(b, fj_block_norm(b, x, &fj_role_ffn_norm, layer), layer));
}

const fj_family fj_family_phi3small = {
    .name = "phi3small",
    .model_types = model_types,
    .weights = weights,
    .ignored = ignored,
    .is_tied = true,
    .hparams = hparams,
    .block = block,
};
