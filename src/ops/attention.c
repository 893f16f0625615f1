/* SPDX-License-Identifier: Apache-2.0
 * Causal attention inside segments (documents of a packed pass): out_i = sum_j softmax_j(s q_i.k_j) v_j over the keys j of the
 * segment up to i, or those that the shape's window or pattern shows (attend.h has the scores with caps and slopes).
 * in: q (N,H*d), k (N,G*d), v (N,G*d), tiles   extra: fj_attention_shape   saved: lse (N,H)
 *
 * Gradient, per pair of tiles: P = exp(s q k^T - lse), dP = dout v^T, dS = s' P (dP - D), D_i = dout_i . out_i
 *   dq = dS k    dk = dS^T q    dv = P^T dout
 * in three phases: D for all rows; dq, a part for each (query tile, head); dk and dv, a part for each (key tile, key head), which
 * takes the group's heads and the later query tiles in order. Source: Dao et al. 2022, algorithm 4. */
#include <string.h>

#include "ops/attend.h"
#include "ops/graph.h"

enum { T = FJ_TILE_ROWS, D_ROWS = 32 };

static fj_status infer(fj_node *node, fj_err *err)
{
    const fj_attention_shape *s = node->extra;
    int64_t h = s->n_heads, g = s->n_kv_heads, d = s->d_head;
    const fj_value *q = node->in[0], *k = node->in[1], *v = node->in[2];
    if (g < 1 || h % g || fj_cols(q) != h * d || fj_cols(k) != g * d || fj_cols(v) != g * d)
        return fj_fail(err, FJ_ERR_SHAPE, "attention: rows of %lld, %lld, %lld values for %lld and %lld heads of %lld",
                       (long long)fj_cols(q), (long long)fj_cols(k), (long long)fj_cols(v), (long long)h, (long long)g,
                       (long long)d);
    if (s->vertical_stride > 0 && s->local_blocks < 1)
        return fj_fail(err, FJ_ERR_ARG, "attention: a query has to see its own block");
    node->out[0]->extent = node->out[1]->extent = q->extent;
    node->out[0]->shape = q->shape;
    node->out[1]->shape = fj_shape_2(q->shape.dim[0], h);
    return FJ_OK;
}

typedef struct view { /* the numbers of a node, unpacked once a part */
    const fj_attention_shape *shape;
    int64_t h, g, d;
    const float *q, *k, *v;
    const fj_tile *tiles;
} view;

static view view_of(const fj_node *f)
{
    const fj_attention_shape *s = f->extra;
    return (view){ .shape = s,
                   .h = s->n_heads,
                   .g = s->n_kv_heads,
                   .d = s->d_head,
                   .q = f->in[0]->data,
                   .k = f->in[1]->data,
                   .v = f->in[2]->data,
                   .tiles = f->in[3]->data };
}

typedef struct rows_context {
    const float *k, *v;
    int64_t ld;
} rows_context;

static fj_key_tile rows_tile(const void *context, int64_t index)
{
    const rows_context *c = context;
    return (fj_key_tile){ c->k + index * T * c->ld, c->v + index * T * c->ld, c->ld, c->ld };
}

static fj_attend queries(const view *w, const fj_tile *t, int64_t head)
{
    return (fj_attend){ .q = w->q + (t->row0 * w->h + head) * w->d,
                        .ldq = w->h * w->d,
                        .ldo = w->h * w->d,
                        .n = t->n_rows,
                        .pos0 = t->pos0,
                        .pos_step = 1,
                        .head = head,
                        .shape = w->shape };
}

/* The keys of a query head. */
static rows_context keys_of(const view *w, const fj_tile *t, int64_t head)
{
    int64_t group = fj_key_head(w->shape, head);
    int64_t first = (int64_t)t->seq * w->g * w->d + group * w->d;
    return (rows_context){ w->k + first, w->v + first, w->g * w->d };
}

static int64_t forward_parts(const fj_run *run, const fj_node *node, int phase)
{
    (void)phase;
    return run->n_tiles * ((const fj_attention_shape *)node->extra)->n_heads;
}

static size_t forward_scratch(const fj_node *node, const fj_run *run)
{
    (void)run;
    return fj_attend_scratch(((const fj_attention_shape *)node->extra)->d_head);
}

static void forward(const fj_run *run, const fj_node *node, int phase, int64_t part, int worker)
{
    (void)phase;
    view w = view_of(node);
    const fj_tile *t = &w.tiles[part / w.h];
    int64_t head = part % w.h;
    fj_attend a = queries(&w, t, head);
    rows_context keys = keys_of(&w, t, head);
    a.tile = rows_tile;
    a.context = &keys;
    a.out = (float *)node->out[0]->data + (t->row0 * w.h + head) * w.d;
    a.lse = (float *)node->out[1]->data + t->row0 * w.h + head;
    a.lse_step = w.h;
    fj_attend_run(run, &a, fj_scratch(run, worker));
}

/* ---- gradient ------------------------------------------------------------------------------------------------------------ */

static size_t workspace(const fj_node *node, const fj_run *run)
{
    (void)run;
    return (size_t)fj_shape_count(&node->fwd->out[1]->shape) * sizeof(float); /* D (N,H) */
}

static size_t scratch(const fj_node *node, const fj_run *run)
{
    (void)run, (void)node;
    return 2 * T * T * sizeof(float);
}

static int phases(const fj_run *run, const fj_node *node)
{
    (void)run, (void)node;
    return 3;
}

static int64_t parts(const fj_run *run, const fj_node *node, int phase)
{
    if (phase == 0)
        return fj_blocks(fj_rows(run, node->fwd->in[0]), D_ROWS);
    const fj_attention_shape *s = node->extra;
    return run->n_tiles * (phase == 1 ? s->n_heads : s->n_kv_heads);
}

static void row_dots(const fj_run *run, const fj_node *node, const view *w, int64_t part)
{
    const float *out = node->fwd->out[0]->data, *dout = node->dout[0]->data;
    float *to = node->workspace->data;
    int64_t end = FJ_MIN((part + 1) * D_ROWS, fj_rows(run, node->fwd->in[0])) * w->h;
    for (int64_t i = part * D_ROWS * w->h; i < end; i++)
        to[i] = run->k->dot_row(out + i * w->d, dout + i * w->d, w->d);
}

/* P and dS of one pair of tiles: rows are the queries of t, columns n keys of tile `index` of the segment. */
static void weights(const fj_run *run, const fj_node *node, const view *w, const fj_tile *t, int64_t head,
                    int64_t index, int64_t n, float *p, float *ds)
{
    const fj_node *f = node->fwd;
    fj_attend a = queries(w, t, head);
    rows_context keys = keys_of(w, t, head);
    fj_key_tile tile = rows_tile(&keys, index);
    const float *dout = (const float *)node->dout[0]->data + (t->row0 * w->h + head) * w->d;
    run->k->gemm_f32(p, T, a.q, a.ldq, tile.k, tile.ldk, a.n, n, w->d);
    run->k->gemm_f32(ds, T, dout, a.ldo, tile.v, tile.ldv, a.n, n, w->d);
    for (int64_t i = 0; i < a.n; i++) {
        int64_t at = (t->row0 + i) * w->h + head, first, end;
        float lse = ((const float *)f->out[1]->data)[at], dot = ((const float *)node->workspace->data)[at];
        float *pi = p + i * T, *di = ds + i * T, slope[T];
        fj_attend_range(&a, i, index, &first, &end);
        first = FJ_MIN(first, n);
        end = FJ_MAX(FJ_MIN(end, n), first);
        memset(pi, 0, (size_t)first * sizeof(float));
        memset(pi + end, 0, (size_t)(n - end) * sizeof(float));
        float scale = fj_attend_scores(run, &a, i, index, first, end - first, pi + first, slope);
        (void)run->k->exp_row(pi + first, pi + first, scale, lse, end - first);
        memset(di, 0, (size_t)first * sizeof(float));
        memset(di + end, 0, (size_t)(n - end) * sizeof(float));
        for (int64_t j = first; j < end; j++)
            di[j] = slope[j - first] * pi[j] * (di[j] - dot);
    }
}

static int64_t keys_in_tile(const fj_tile *t, int64_t index)
{
    return FJ_MIN(T, t->seg_rows - index * T);
}

static void d_q(const fj_run *run, const fj_node *node, const view *w, int64_t part, float *p)
{
    if (!node->din[0])
        return;
    const fj_tile *t = &w->tiles[part / w->h];
    int64_t head = part % w->h, first, end;
    fj_attend a = queries(w, t, head);
    rows_context keys = keys_of(w, t, head);
    float *dq = (float *)node->din[0]->data + (t->row0 * w->h + head) * w->d, *ds = p + T * T;
    bool add = fj_adds(run, node, 0);
    fj_attend_tiles(&a, &first, &end);
    for (int64_t index = first; index < end; index++) {
        if (!fj_attend_sees(&a, index))
            continue;
        int64_t n = keys_in_tile(t, index);
        weights(run, node, w, t, head, index, n, p, ds);
        run->k->gemm_rows_f32(dq, w->h * w->d, ds, T, 1, rows_tile(&keys, index).k, keys.ld, t->n_rows, w->d, n, add);
        add = true;
    }
}

/* The tile's rows as keys: queries of this and the later tiles of the segment look at them. */
static void d_kv(const fj_run *run, const fj_node *node, const view *w, int64_t part, float *p)
{
    int64_t at = part / w->g, group = part % w->g, r = w->h / w->g, ld = w->g * w->d;
    const fj_tile *key = &w->tiles[at];
    int64_t index = key->pos0 / T, to = key->row0 * ld + group * w->d;
    float *ds = p + T * T, *dk = node->din[1] ? (float *)node->din[1]->data + to : NULL;
    float *dv = node->din[2] ? (float *)node->din[2]->data + to : NULL;
    bool add_k = dk && fj_adds(run, node, 1), add_v = dv && fj_adds(run, node, 2);
    for (int64_t i = 0; i < r; i++) {
        int64_t head = fj_first_head(w->shape, group) + i * fj_head_step(w->shape);
        for (int64_t q = at; q < run->n_tiles && w->tiles[q].seq == key->seq; q++) {
            const fj_tile *t = &w->tiles[q];
            fj_attend a = queries(w, t, head);
            if (w->shape->window > 0 && t->pos0 - w->shape->window + 1 > key->pos0 + key->n_rows - 1)
                break;
            if (!fj_attend_sees(&a, index))
                continue;
            int64_t row = (t->row0 * w->h + head) * w->d;
            weights(run, node, w, t, head, index, key->n_rows, p, ds);
            if (dv)
                run->k->gemm_rows_f32(dv, ld, p, 1, T, (const float *)node->dout[0]->data + row, w->h * w->d,
                                      key->n_rows, w->d, t->n_rows, add_v);
            if (dk)
                run->k->gemm_rows_f32(dk, ld, ds, 1, T, w->q + row, w->h * w->d, key->n_rows, w->d, t->n_rows, add_k);
            add_k = add_v = true;
        }
    }
}

static void backward(const fj_run *run, const fj_node *node, int phase, int64_t part, int worker)
{
    view w = view_of(node->fwd);
    if (phase == 0)
        row_dots(run, node, &w, part);
    else if (phase == 1)
        d_q(run, node, &w, part, fj_scratch(run, worker));
    else
        d_kv(run, node, &w, part, fj_scratch(run, worker));
}

const fj_op fj_op_attention = {
    .name = "attention",
    .infer = infer,
    .forward = { NULL, forward_parts, forward, NULL, forward_scratch },
    .backward = { { .gives = 7,
                    .reads_in = 15,
                    .reads_out = 3,
                    .work = { phases, parts, backward, workspace, scratch } } },
};

fj_value *fj_attention(fj_graph *g, fj_value *q, fj_value *k, fj_value *v, fj_value *tiles, const fj_attention_shape *s)
{
    fj_value *in[] = { q, k, v, tiles };
    return fj_graph_add(g, &fj_op_attention, in, 4, 2, NULL, 0, fj_attention_shape_copy(g->arena, s))->out[0];
}
