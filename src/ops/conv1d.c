/* SPDX-License-Identifier: Apache-2.0
 * Causal convolution of each channel along its sequence: y[t,i] = b[i] + sum_c w[i,c] * u[t-C+1+c, i], zeros before the start.
 * conv1d          in: u (N,I), w (I,C), b (I) or NULL, tiles   (segments of a packed pass)
 * conv1d_cached   the same, slots (S) i32, state: what came before the pass is in the sequence's slot, see state.h; an effect
 * Source: Gu and Dao 2023, "Mamba", figure 3. */
#include <string.h>

#include "ops/graph.h"

enum { COLS = 512, DW_COLS = 64 };

typedef struct cached {
    fj_state_shape shape;
    int64_t layer;
} cached;

static int64_t taps(const fj_node *f)
{
    return fj_shape_count(&f->in[1]->shape) / fj_cols(f->in[0]);
}

static fj_status infer(fj_node *node, fj_err *err)
{
    const fj_value *u = node->in[0], *w = node->in[1], *b = node->in[2];
    int64_t n = fj_cols(u), count = fj_shape_count(&w->shape);
    if (count < n || count % n || w->shape.dim[0] != n || (b && fj_shape_count(&b->shape) != n))
        return fj_fail(err, FJ_ERR_SHAPE, "conv1d: '%s' has %lld values for %lld channels", w->name, (long long)count,
                       (long long)n);
    const cached *c = node->extra;
    if (c && (c->shape.d_inner != n || c->shape.d_conv != count / n))
        return fj_fail(err, FJ_ERR_SHAPE, "conv1d: a state of %lld channels and %lld taps for %lld and %lld",
                       (long long)c->shape.d_inner, (long long)c->shape.d_conv, (long long)n, (long long)(count / n));
    node->out[0]->extent = u->extent;
    node->out[0]->shape = u->shape;
    return FJ_OK;
}

/* What a tile's rows look back at: rows of the pass from `first` on, before them the slot (NULL in training). */
typedef struct past {
    const fj_tile *tile;
    const float *u;
    float *slot;
    int64_t first, n, taps;
} past;

static past past_of(const fj_node *f, int64_t at)
{
    const fj_tile *tiles = f->in[3]->data;
    past p = { .tile = &tiles[at], .u = f->in[0]->data, .n = fj_cols(f->in[0]), .taps = taps(f) };
    const cached *c = f->extra;
    int64_t start = at;
    while (c && start > 0 && tiles[start - 1].seq == tiles[at].seq)
        start--;
    p.first = c ? tiles[start].row0 : p.tile->seq;
    if (c)
        p.slot = (float *)f->in[5]->data +
                 fj_state_at(&c->shape, ((const int32_t *)f->in[4]->data)[p.tile->seq], c->layer);
    return p;
}

/* The input `back` rows before row i of the tile, NULL before the sequence's start. */
static const float *input(const past *p, int64_t i, int64_t back)
{
    int64_t row = p->tile->row0 + i - back;
    if (p->tile->pos0 + i - back < 0)
        return NULL;
    return row >= p->first ? p->u + row * p->n : p->slot + (p->taps - 1 - (p->first - row)) * p->n;
}

static size_t scratch(const fj_node *node, const fj_run *run)
{
    (void)run;
    return (size_t)(taps(node->rule < 0 ? node : node->fwd) * COLS) * sizeof(float);
}

/* Columns c … c+n-1 of the weights, a row for each tap. */
static void by_tap(const fj_node *f, int64_t c, int64_t n, float *to)
{
    int64_t count = taps(f);
    const float *w = (const float *)f->in[1]->data + c * count;
    for (int64_t t = 0; t < count; t++)
        for (int64_t i = 0; i < n; i++)
            to[t * COLS + i] = w[i * count + t];
}

static int64_t parts(const fj_run *run, const fj_node *node, int phase)
{
    const fj_node *f = node->rule < 0 ? node : node->fwd;
    return run->n_tiles * (phase ? 1 : fj_blocks(fj_cols(f->in[0]), COLS));
}

static int phases_cached(const fj_run *run, const fj_node *node)
{
    (void)run, (void)node;
    return 2;
}

static void convolve(const fj_run *run, const fj_node *node, int64_t part, float *w)
{
    int64_t blocks = fj_blocks(fj_cols(node->in[0]), COLS), c = part % blocks * COLS;
    past p = past_of(node, part / blocks);
    int64_t n = FJ_MIN(COLS, p.n - c);
    by_tap(node, c, n, w);
    for (int64_t i = 0; i < p.tile->n_rows; i++) {
        float *y = (float *)node->out[0]->data + (p.tile->row0 + i) * p.n + c;
        if (node->in[2])
            memcpy(y, (const float *)node->in[2]->data + c, (size_t)n * sizeof(float));
        else
            memset(y, 0, (size_t)n * sizeof(float));
        for (int64_t t = 0; t < p.taps; t++) {
            const float *u = input(&p, i, p.taps - 1 - t);
            if (u)
                run->k->mul_row(y, u + c, w + t * COLS, n, true);
        }
    }
}

/* The last inputs of the pass go to the slot, oldest first; what stays of the old ones moves up. */
static void keep(const fj_run *run, const fj_node *node, int64_t at)
{
    const fj_tile *tiles = node->in[3]->data;
    if (at + 1 < run->n_tiles && tiles[at + 1].seq == tiles[at].seq)
        return;
    past p = past_of(node, at);
    for (int64_t t = 0; t < p.taps - 1; t++) {
        const float *u = input(&p, p.tile->n_rows - 1, p.taps - 2 - t);
        if (u)
            memmove(p.slot + t * p.n, u, (size_t)p.n * sizeof(float));
    }
}

static void forward(const fj_run *run, const fj_node *node, int phase, int64_t part, int worker)
{
    if (phase)
        keep(run, node, part);
    else
        convolve(run, node, part, fj_scratch(run, worker));
}

/* du[t] = sum_c w[c] * dy[t+C-1-c], as far as the segment goes */
static void d_u(const fj_run *run, const fj_node *node, int phase, int64_t part, int worker)
{
    (void)phase;
    const fj_node *f = node->fwd;
    float *w = fj_scratch(run, worker);
    int64_t blocks = fj_blocks(fj_cols(f->in[0]), COLS), c = part % blocks * COLS;
    past p = past_of(f, part / blocks);
    int64_t n = FJ_MIN(COLS, p.n - c);
    by_tap(f, c, n, w);
    for (int64_t i = 0; i < p.tile->n_rows; i++) {
        int64_t row = p.tile->row0 + i, left = p.tile->seg_rows - (p.tile->pos0 + i);
        float *du = (float *)node->din[0]->data + row * p.n + c;
        bool add = fj_adds(run, node, 0);
        for (int64_t ahead = 0; ahead < FJ_MIN(p.taps, left); ahead++, add = true)
            run->k->mul_row(du, (const float *)node->dout[0]->data + (row + ahead) * p.n + c,
                            w + (p.taps - 1 - ahead) * COLS, n, add);
    }
}

/* dw[c] = sum over rows of dy[t] * u[t-C+1+c], db of dy: a part owns some channels and takes the rows in order */
static int64_t dw_parts(const fj_run *run, const fj_node *node, int phase)
{
    (void)run, (void)phase;
    return fj_blocks(fj_cols(node->fwd->in[0]), DW_COLS);
}

static void sum_taps(const fj_run *run, const fj_node *node, int64_t c, int64_t n, float *dw, float *db)
{
    int64_t count = taps(node->fwd);
    for (int64_t at = 0; at < run->n_tiles; at++) {
        past p = past_of(node->fwd, at);
        for (int64_t i = 0; i < p.tile->n_rows; i++) {
            const float *dy = (const float *)node->dout[0]->data + (p.tile->row0 + i) * p.n + c;
            run->k->add_row(db, db, dy, n);
            for (int64_t t = 0; t < count; t++) {
                const float *u = input(&p, i, count - 1 - t);
                if (u)
                    run->k->mul_row(dw + t * DW_COLS, dy, u + c, n, true);
            }
        }
    }
}

static void d_w(const fj_run *run, const fj_node *node, int phase, int64_t part, int worker)
{
    (void)phase;
    int64_t c = part * DW_COLS, n = FJ_MIN(DW_COLS, fj_cols(node->fwd->in[0]) - c), count = taps(node->fwd);
    float *dw = fj_scratch(run, worker), db[DW_COLS] = { 0 };
    memset(dw, 0, (size_t)(count * DW_COLS) * sizeof(float));
    sum_taps(run, node, c, n, dw, db);
    for (int64_t i = 0; i < n; i++) {
        float *to = node->din[1] ? (float *)node->din[1]->data + (c + i) * count : NULL;
        for (int64_t t = 0; to && t < count; t++)
            to[t] = (fj_adds(run, node, 1) ? to[t] : 0) + dw[t * DW_COLS + i];
        if (node->din[2]) {
            float *b = (float *)node->din[2]->data + c + i;
            *b = (fj_adds(run, node, 2) ? *b : 0) + db[i];
        }
    }
}

const fj_op fj_op_conv1d = {
    .name = "conv1d",
    .infer = infer,
    .forward = { .parts = parts, .part = forward, .scratch = scratch },
    .backward = { { .gives = 1, .reads_in = 0xa, .work = { .parts = parts, .part = d_u, .scratch = scratch } },
                  { .gives = 6, .reads_in = 9, .work = { .parts = dw_parts, .part = d_w, .scratch = scratch } } },
};

const fj_op fj_op_conv1d_cached = { .name = "conv1d_cached",
                                    .infer = infer,
                                    .forward = { phases_cached, parts, forward, NULL, scratch },
                                    .is_effect = true };

fj_value *fj_conv1d(fj_graph *g, fj_value *u, fj_value *w, fj_value *b, fj_value *tiles)
{
    fj_value *in[] = { u, w, b, tiles };
    return fj_graph_add(g, &fj_op_conv1d, in, 4, 1, NULL, 0, NULL)->out[0];
}

fj_value *fj_conv1d_cached(fj_graph *g, fj_value *u, fj_value *w, fj_value *b, fj_value *tiles, const fj_state *s)
{
    fj_value *in[] = { u, w, b, tiles, s->slots, s->values };
    cached *extra = fj_arena_take(g->arena, sizeof *extra);
    fj_assert(extra && "memory for the description of a graph");
    *extra = (cached){ s->shape, s->layer };
    return fj_graph_add(g, &fj_op_conv1d_cached, in, 6, 1, NULL, 0, extra)->out[0];
}
