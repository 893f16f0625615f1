/* SPDX-License-Identifier: Apache-2.0
 * Blocks that families share: projections with their biases and low-rank paths, attention, the gated MLP. */
#include <math.h>

#include "models/build_internal.h"

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

fj_value *fj_block_attention(fj_build *b, fj_value *x, int layer)
{
    const fj_hparams *hp = &b->m->hp;
    const fj_role *qkv[] = { &fj_role_attn_q, &fj_role_attn_k, &fj_role_attn_v }, *output[] = { &fj_role_attn_output };
    fj_attention_shape s = { .n_heads = hp->n_heads,
                             .n_kv_heads = hp->n_kv_heads,
                             .d_head = hp->d_head,
                             .scale = 1.0 / sqrt((double)hp->d_head),
                             .window = hp->window };
    fj_value *p[3], *y;
    fj_block_project(b, x, qkv, 3, layer, p);
    p[0] = fj_rope(b->g, p[0], b->rope, hp->n_heads, hp->d_head, hp->rope_half);
    p[1] = fj_rope(b->g, p[1], b->rope, hp->n_kv_heads, hp->d_head, hp->rope_half);
    if (b->is_cached)
        y = fj_attention_cached(b->g, p[0], p[1], p[2], b->tiles, b->tables, b->cache, layer, hp->n_layers, &s);
    else
        y = fj_attention(b->g, p[0], p[1], p[2], b->tiles, &s);
    fj_block_project(b, y, output, 1, layer, &y);
    return y;
}

fj_value *fj_block_gated_mlp(fj_build *b, fj_value *x, int layer)
{
    const fj_role *gate_up[] = { &fj_role_ffn_gate, &fj_role_ffn_up }, *down[] = { &fj_role_ffn_down };
    fj_value *p[2], *y;
    fj_block_project(b, x, gate_up, 2, layer, p);
    fj_block_project(b, fj_swiglu(b->g, p[0], p[1]), down, 1, layer, &y);
    return y;
}
