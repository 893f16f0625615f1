/* SPDX-License-Identifier: Apache-2.0
 * Blocks that families share: projections with their biases and low-rank paths, norms, attention, MLPs. What a model has (one matrix for
 * q, k and v or three, biases, norms of q and k) is what its table lists. */
#include <math.h>

#include "models/build_internal.h"

fj_value *fj_build_need(fj_build *b, const fj_role *role, int layer)
{
    const fj_weight *w = fj_model_weight(b->m, role, layer, false);
    fj_assert(w && "a family asks for a weight that its table does not have");
    return fj_build_weight(b, w);
}

fj_value *fj_build_bias(fj_build *b, const fj_role *role, int layer)
{
    return fj_build_weight(b, fj_model_weight(b->m, role, layer, true));
}

static bool has(const fj_build *b, const fj_role *role, int layer)
{
    return fj_model_weight(b->m, role, layer, false) != NULL;
}

/* ---- projections --------------------------------------------------------------------------------------------------------- */

static const fj_lora *lora_of(const fj_build *b, const fj_weight *w)
{
    for (int i = 0; b->adapter && i < b->adapter->n; i++)
        if (b->adapter->items[i].weight == w)
            return &b->adapter->items[i];
    return NULL;
}

/* y_i += scale_i * B_i (A_i x): the A's share one product when they share their dropout, which they do in an adapter. */
static void add_low_rank(fj_build *b, fj_value *x, const fj_weight *const *w, int n, fj_value **out)
{
    fj_value *a[FJ_MAX_LINEAR], *u[FJ_MAX_LINEAR];
    const fj_lora *lora[FJ_MAX_LINEAR];
    int at[FJ_MAX_LINEAR], k = 0;
    for (int i = 0; i < n; i++) {
        lora[k] = lora_of(b, w[i]);
        if (!lora[k])
            continue;
        a[k] = fj_build_lora_half(b, lora[k], false);
        at[k++] = i;
    }
    if (!k)
        return;
    fj_linear(b->g, fj_dropout(b->g, x, lora[0]->dropout * b->dropout_scale), a, NULL, k, u);
    for (int i = 0; i < k; i++)
        out[at[i]] = fj_lora_add(b->g, out[at[i]], u[i], fj_build_lora_half(b, lora[i], true), lora[i]->scale);
}

void fj_block_project(fj_build *b, fj_value *x, const fj_role *const *roles, int n, int layer, fj_value **out)
{
    const fj_weight *w[FJ_MAX_LINEAR];
    fj_value *value[FJ_MAX_LINEAR] = { 0 }, *bias[FJ_MAX_LINEAR] = { 0 };
    for (int i = 0; i < n; i++) {
        w[i] = fj_model_weight(b->m, roles[i], layer, false);
        fj_assert(w[i] && "a family asks for a weight that its table does not have");
        value[i] = fj_build_weight(b, w[i]);
        bias[i] = fj_build_weight(b, fj_model_weight(b->m, roles[i], layer, true));
    }
    fj_linear(b->g, x, value, bias, n, out);
    add_low_rank(b, x, w, n, out);
}

fj_value *fj_block_product(fj_build *b, fj_value *x, const fj_role *role, int layer)
{
    fj_value *y;
    fj_block_project(b, x, &role, 1, layer, &y);
    return y;
}

/* ---- norms --------------------------------------------------------------------------------------------------------------- */

fj_value *fj_block_norm(fj_build *b, fj_value *x, const fj_role *role, int layer)
{
    const fj_hparams *hp = &b->m->hp;
    fj_value *w = fj_build_need(b, role, layer), *bias = fj_build_bias(b, role, layer);
    return hp->is_layer_norm ? fj_layer_norm(b->g, x, w, bias, hp->norm_eps, hp->norm_offset)
                             : fj_rms_norm(b->g, x, w, hp->norm_eps, hp->norm_offset);
}

/* Each head by itself. */
static fj_value *norm_heads(fj_build *b, fj_value *x, const fj_role *role, int layer)
{
    const fj_hparams *hp = &b->m->hp;
    fj_value *w = fj_build_need(b, role, layer), *bias = fj_build_bias(b, role, layer);
    return hp->is_layer_norm ? fj_layer_norm_groups(b->g, x, w, bias, hp->d_head, hp->norm_eps, hp->norm_offset)
                             : fj_rms_norm_groups(b->g, x, w, hp->d_head, hp->norm_eps, hp->norm_offset);
}

/* ---- attention ------------------------------------------------------------------------------------------------------------ */

/* Rows of a fused matrix: groups of query heads with their k and v, or all q, all k, all v, which is one group of H, G and G heads. */
static void split_qkv(fj_build *b, fj_value *x, fj_value *p[3])
{
    const fj_hparams *hp = &b->m->hp;
    int64_t groups = hp->qkv_by_group ? hp->n_kv_heads : 1, d = hp->d_head;
    int64_t q = hp->n_heads / groups * d, k = hp->n_kv_heads / groups * d;
    const int64_t offsets[] = { 0, q, q + k }, widths[] = { q, k, k };
    fj_split(b->g, x, groups, q + 2 * k, 3, offsets, widths, p);
}

void fj_block_qkv(fj_build *b, fj_value *x, int layer, fj_value *p[3])
{
    const fj_role *three[] = { &fj_role_attn_q, &fj_role_attn_k, &fj_role_attn_v };
    double clip = b->m->hp.clip_qkv;
    bool is_fused = has(b, &fj_role_attn_qkv, layer);
    fj_value *whole = is_fused ? fj_block_product(b, x, &fj_role_attn_qkv, layer) : NULL;
    if (!is_fused)
        fj_block_project(b, x, three, 3, layer, p);
    if (is_fused)
        split_qkv(b, clip > 0 ? fj_clamp(b->g, whole, -clip, clip) : whole, p);
    for (int i = 0; i < 3 && clip > 0 && !is_fused; i++)
        p[i] = fj_clamp(b->g, p[i], -clip, clip);
}

void fj_block_rope(fj_build *b, int layer, fj_value *p[3])
{
    const fj_hparams *hp = &b->m->hp;
    if (!b->rope)
        return;
    fj_value *table = fj_layers_has(&hp->windowed, layer) ? b->rope_local : b->rope;
    p[0] = fj_rope(b->g, p[0], table, fj_cols(p[0]) / hp->d_head, hp->d_head, hp->rope_half);
    p[1] = fj_rope(b->g, p[1], table, hp->n_kv_heads, hp->d_head, hp->rope_half);
}

fj_attention_shape fj_block_attention_shape(const fj_build *b, int layer)
{
    const fj_hparams *hp = &b->m->hp;
    fj_attention_shape s = { .n_heads = hp->n_heads,
                             .n_kv_heads = hp->n_kv_heads,
                             .d_head = hp->d_head,
                             .scale = hp->attn_scale / (hp->scale_by_layer ? layer + 1 : 1),
                             .window = fj_layers_has(&hp->windowed, layer) ? hp->window : 0,
                             .softcap = hp->attn_softcap,
                             .slopes = b->m->alibi };
    if (fj_layers_has(&hp->sparse.layers, layer)) {
        s.block_rows = hp->sparse.block;
        s.local_blocks = hp->sparse.local;
        s.vertical_stride = hp->sparse.stride;
        s.head_offset = hp->sparse.is_same_in_heads ? 0 : FJ_MAX(1, hp->sparse.stride / hp->n_heads);
    }
    return s;
}

fj_value *fj_block_mix(fj_build *b, int layer, fj_value *const p[3], const fj_attention_shape *s)
{
    if (!b->is_cached)
        return fj_attention(b->g, p[0], p[1], p[2], b->tiles, s);
    int64_t at = layer - fj_model_state_layer(b->m, layer);
    return fj_attention_cached(b->g, p[0], p[1], p[2], b->tiles, b->tables, b->cache, at, &b->layout, s);
}

fj_value *fj_block_attend(fj_build *b, int layer, fj_value *const p[3], const fj_attention_shape *s)
{
    return fj_block_product(b, fj_block_mix(b, layer, p, s), &fj_role_attn_output, layer);
}

fj_value *fj_block_attention(fj_build *b, fj_value *x, int layer)
{
    fj_value *p[3];
    fj_attention_shape s = fj_block_attention_shape(b, layer);
    fj_block_qkv(b, x, layer, p);
    if (has(b, &fj_role_attn_q_norm, layer)) {
        p[0] = norm_heads(b, p[0], &fj_role_attn_q_norm, layer);
        p[1] = norm_heads(b, p[1], &fj_role_attn_k_norm, layer);
    }
    fj_block_rope(b, layer, p);
    return fj_block_attend(b, layer, p, &s);
}

/* ---- MLPs ----------------------------------------------------------------------------------------------------------------- */

fj_value *fj_block_gated_mlp(fj_build *b, fj_value *x, int layer)
{
    const fj_role *gate_up[] = { &fj_role_ffn_gate, &fj_role_ffn_up };
    int64_t f = b->m->hp.d_ff;
    const int64_t offsets[] = { 0, f }, widths[] = { f, f };
    fj_value *p[2];
    if (has(b, &fj_role_ffn_gate, layer))
        fj_block_project(b, x, gate_up, 2, layer, p);
    else /* one matrix: the rows of gate, then those of up */
        fj_split(b->g, fj_block_product(b, x, &fj_role_ffn_up, layer), 1, 2 * f, 2, offsets, widths, p);
    return fj_block_product(b, fj_gated(b->g, p[0], p[1], b->m->hp.act), &fj_role_ffn_down, layer);
}

fj_value *fj_block_mlp(fj_build *b, fj_value *x, int layer)
{
    fj_value *h = fj_activate(b->g, fj_block_product(b, x, &fj_role_ffn_up, layer), b->m->hp.act);
    return fj_block_product(b, h, &fj_role_ffn_down, layer);
}

/* ---- experts -------------------------------------------------------------------------------------------------------------- */

fj_route fj_block_route(fj_build *b, fj_value *x, const fj_role *router, int layer)
{
    fj_value *logits = fj_block_product(b, x, router, layer);
    fj_route route = fj_route_rows(b->g, logits, fj_model_experts_used(b->m, layer), b->m->hp.expert_norm,
                                   fj_model_allowed(b->m, layer));
    if (b->keeps_routes) {
        route.weights->place = route.chosen->place = FJ_EXTERNAL;
        b->routes[b->n_routes++] = (fj_build_route){ layer, router, route.k, route.weights, route.chosen };
    }
    if (b->wants_balance)
        b->load = fj_expert_load(b->g, b->load, logits, &route);
    return route;
}

/* The product of slots with a role's experts, low-rank paths included. */
static fj_value *expert_product(fj_build *b, fj_value *x, const fj_route *route, const fj_role *role, int layer)
{
    const fj_lora *lora = lora_of(b, fj_model_weight(b->m, role, layer, false));
    fj_value *y = fj_expert_linear(b->g, x, route, fj_build_need(b, role, layer));
    if (!lora)
        return y;
    x = fj_dropout(b->g, x, lora->dropout * b->dropout_scale);
    fj_value *u = fj_expert_linear(b->g, x, route, fj_build_lora_half(b, lora, false));
    u = fj_expert_linear(b->g, u, route, fj_build_lora_half(b, lora, true));
    return fj_add(b->g, y, fj_scale(b->g, u, lora->scale));
}

fj_value *fj_block_experts(fj_build *b, fj_value *x, int layer)
{
    fj_route route = fj_block_route(b, x, &fj_role_ffn_gate_inp, layer);
    fj_value *slots = fj_spread_rows(b->g, x, &route);
    fj_value *gate = expert_product(b, slots, &route, &fj_role_ffn_gate_exps, layer),
             *up = expert_product(b, slots, &route, &fj_role_ffn_up_exps, layer);
    fj_value *h = fj_gated(b->g, gate, up, b->m->hp.act);
    return fj_combine(b->g, expert_product(b, h, &route, &fj_role_ffn_down_exps, layer), &route, NULL);
}
