/* SPDX-License-Identifier: Apache-2.0
 * JetMoE.  Source: transformers, modeling_jetmoe.py, JetMoeAttention and JetMoeMoE.
 * Attention has experts too: each of a row's K experts makes G query heads of its own, which look at the G keys and values that all
 * share; a second matrix of the same experts takes their results back, weighed.
 *   h += sum_s g_s * out_exps[e_s] attention(rope(in_exps[e_s] x), rope(k), v) + bias,   x = RMS(h; attn_norm)
 *   h += sum_s g_s * down_exps[e_s] (silu(a) * b) + bias,   [a; b] = in_exps[e_s] RMS(h; ffn_norm)
 * The norms of blocks have an eps of their own. Two sets of key names are in use. There is no GGUF architecture but forja's. */
#include "models/build.h"
#include "models/config.h"

#define LAYER "model.layers.{}."
static const fj_weight_row weights[] = {
    { &fj_role_token_embd, "model.embed_tokens.weight", { FJ_DIM_VOCAB, FJ_DIM_MODEL } },
    { &fj_role_output_norm, "model.norm.weight", { FJ_DIM_MODEL } },
    { &fj_role_output, "lm_head.weight", { FJ_DIM_VOCAB, FJ_DIM_MODEL }, .flags = FJ_TIED_OUTPUT },
    { &fj_role_attn_norm, LAYER "input_layernorm.weight", { FJ_DIM_MODEL } },
    { &fj_role_attn_gate_inp, LAYER "self_attention.experts.router.layer.weight", { FJ_DIM_EXPERTS, FJ_DIM_MODEL } },
    { &fj_role_attn_in_exps,
      LAYER "self_attention.experts.input_linear.weight",
      { FJ_DIM_EXPERTS, FJ_DIM_KV, FJ_DIM_MODEL } },
    { &fj_role_attn_out_exps,
      LAYER "self_attention.experts.output_linear.weight",
      { FJ_DIM_EXPERTS, FJ_DIM_MODEL, FJ_DIM_KV } },
    { &fj_role_attn_out_exps, LAYER "self_attention.experts.bias", { FJ_DIM_MODEL }, .is_bias = true },
    { &fj_role_attn_kv, LAYER "self_attention.kv_proj.weight", { FJ_DIM_2KV, FJ_DIM_MODEL } },
    { &fj_role_ffn_norm, LAYER "post_attention_layernorm.weight", { FJ_DIM_MODEL } },
    { &fj_role_ffn_gate_inp, LAYER "mlp.router.layer.weight", { FJ_DIM_EXPERTS, FJ_DIM_MODEL } },
    { &fj_role_ffn_in_exps, LAYER "mlp.input_linear.weight", { FJ_DIM_EXPERTS, FJ_DIM_2FF, FJ_DIM_MODEL } },
    { &fj_role_ffn_down_exps, LAYER "mlp.output_linear.weight", { FJ_DIM_EXPERTS, FJ_DIM_MODEL, FJ_DIM_FF } },
    { &fj_role_ffn_down_exps, LAYER "mlp.bias", { FJ_DIM_MODEL }, .is_bias = true },
    { 0 },
};
#undef LAYER

static const char *const model_types[] = { "jetmoe", NULL };
static const char *const ignored[] = { "rotary_emb.inv_freq", NULL };

static const double block_eps = 1e-6;

static fj_status hparams(const fj_json *config, fj_naming naming, fj_hparams *hp, fj_err *err)
{
    static const fj_config_names names = { .d_ff = "intermediate_size|ffn_hidden_size",
                                           .n_layers = "num_hidden_layers|num_layers",
                                           .n_heads = "num_key_value_heads",
                                           .n_kv_heads = "num_key_value_heads",
                                           .d_head = "kv_channels",
                                           .d_head_is = 128 };
    (void)naming;
    fj_status st = fj_config_core(config, &names, hp, err);
    if (!st)
        st = fj_config_activation(config, "activation_function", "silu", hp, err);
    if (!st)
        st = fj_config_experts(config, "num_local_experts|moe_num_experts", "num_experts_per_tok|moe_top_k", hp, err);
    hp->n_heads = hp->n_kv_heads * hp->n_experts_used;
    hp->expert_norm = 1;
    return st ? st : fj_config_rope(config, 1, hp, err);
}

static fj_value *norm(fj_build *b, fj_value *x, const fj_role *role, int layer)
{
    return fj_rms_norm(b->g, x, fj_build_need(b, role, layer), block_eps, 0);
}

static fj_value *attention(fj_build *b, fj_value *x, int layer)
{
    int64_t kv = fj_dim_size(&b->m->hp, FJ_DIM_KV);
    const int64_t offsets[] = { 0, kv }, widths[] = { kv, kv };
    fj_value *p[3];
    fj_attention_shape s = fj_block_attention_shape(b, layer);
    fj_route route = fj_block_route(b, x, &fj_role_attn_gate_inp, layer);
    fj_value *q = fj_expert_linear(b->g, fj_spread_rows(b->g, x, &route), &route,
                                   fj_build_need(b, &fj_role_attn_in_exps, layer));
    p[0] = fj_unsort_slots(b->g, q, &route);
    fj_split(b->g, fj_block_product(b, x, &fj_role_attn_kv, layer), 1, 2 * kv, 2, offsets, widths, p + 1);
    fj_block_rope(b, layer, p);
    s.keys_by_modulo = true;
    s.n_heads = b->m->hp.n_kv_heads * route.k;
    fj_value *y = fj_sort_slots(b->g, fj_block_mix(b, layer, p, &s), &route);
    y = fj_expert_linear(b->g, y, &route, fj_build_need(b, &fj_role_attn_out_exps, layer));
    return fj_combine(b->g, y, &route, fj_build_bias(b, &fj_role_attn_out_exps, layer));
}

static fj_value *mlp(fj_build *b, fj_value *x, int layer)
{
    int64_t f = b->m->hp.d_ff;
    const int64_t offsets[] = { 0, f }, widths[] = { f, f };
    fj_value *p[2];
    fj_route route = fj_block_route(b, x, &fj_role_ffn_gate_inp, layer);
    fj_value *h = fj_expert_linear(b->g, fj_spread_rows(b->g, x, &route), &route,
                                   fj_build_need(b, &fj_role_ffn_in_exps, layer));
    fj_split(b->g, h, route.k, 2 * f, 2, offsets, widths, p); /* of each slot: the gate, then the other */
    h = fj_gated(b->g, p[0], p[1], b->m->hp.act);
    h = fj_expert_linear(b->g, h, &route, fj_build_need(b, &fj_role_ffn_down_exps, layer));
    return fj_combine(b->g, h, &route, fj_build_bias(b, &fj_role_ffn_down_exps, layer));
}

static fj_value *block(fj_build *b, fj_value *x, int layer)
{
    x = fj_add(b->g, x, attention(b, norm(b, x, &fj_role_attn_norm, layer), layer));
    return fj_add(b->g, x, mlp(b, norm(b, x, &fj_role_ffn_norm, layer), layer));
}

const fj_family fj_family_jetmoe = {
    .name = "jetmoe",
    .model_types = model_types,
    .weights = weights,
    .ignored = ignored,
    .is_tied = true,
    .hparams = hparams,
    .block = block,
};
