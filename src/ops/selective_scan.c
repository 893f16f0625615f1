/* SPDX-License-Identifier: Apache-2.0
 * The selective state space of Mamba, along each sequence, from S = 0:
 *   S[i,n] = exp(dt_i A[i,n]) S[i,n] + dt_i u_i B_n      y_i = D_i u_i + sum_n C_n S[i,n]
 * selective_scan          in: dt (N,I), u (N,I), B (N,M), C (N,M), A (I,M), D (I), tiles   attr[0]: A is stored as log(-A)
 *                         saved: S at the start of each tile (tiles, M*I)
 * selective_scan_cached   the same, its last input the state: S begins and ends in the sequence's slot, see state.h; an effect
 *
 * A part owns some channels and walks the tiles in order, S transposed (M, channels) so that rows of channels are worked on.
 * Gradient: the same walk backwards, tile by tile; S of a tile's rows is computed again from its start. With g = dS + C dy:
 *   du = D dy + sum_n g dt B    d dt = sum_n g (exp(dt A) S' A + u B)    dA = sum_t g dt exp(dt A) S'    dS' = g exp(dt A)
 *   dB = sum_i g dt u    dC = sum_i dy S    (over channels: partial sums of a part, added in order in a second phase)
 * Source: Gu and Dao 2023, "Mamba", algorithm 2. */
#include <string.h>

#include "ops/graph.h"

enum { COLS = 64, T = FJ_TILE_ROWS, SUM_ROWS = 16 };
enum { DT, U, B, C, A, D, TILES, SLOTS, STATE };

typedef struct cached {
    fj_state_shape shape;
    int64_t layer;
} cached;

static fj_status infer(fj_node *node, fj_err *err)
{
    const fj_value *u = node->in[U], *b = node->in[B], *a = node->in[A];
    int64_t n = fj_cols(u), m = fj_cols(b);
    if (fj_cols(node->in[DT]) != n || fj_cols(node->in[C]) != m || fj_shape_count(&a->shape) != n * m ||
        fj_shape_count(&node->in[D]->shape) != n)
        return fj_fail(err, FJ_ERR_SHAPE, "selective_scan: '%s' has %lld values for %lld channels of %lld", a->name,
                       (long long)fj_shape_count(&a->shape), (long long)n, (long long)m);
    node->out[0]->extent = u->extent;
    node->out[0]->shape = u->shape;
    if (node->n_out > 1) {
        node->out[1]->extent = FJ_TILES;
        node->out[1]->shape = fj_shape_2(node->in[TILES]->shape.dim[0], m * n);
    }
    return FJ_OK;
}

static int64_t parts(const fj_run *run, const fj_node *node, int phase)
{
    const fj_node *f = node->rule < 0 ? node : node->fwd;
    return phase ? fj_blocks(fj_rows(run, f->in[U]), SUM_ROWS) : fj_blocks(fj_cols(f->in[U]), COLS);
}

/* One part: channels c … c+n-1 of all, m states each. */
typedef struct walk {
    const fj_run *run;
    const fj_node *f;
    int64_t channels, m, c, n;
    float *a; /* (M,COLS): A */
} walk;

/* A of the part's channels, a row for each state. */
static walk walk_of(const fj_run *run, const fj_node *f, int64_t part, float *a)
{
    walk w = { .run = run, .f = f, .channels = fj_cols(f->in[U]), .m = fj_cols(f->in[B]), .c = part * COLS, .a = a };
    const float *stored = f->in[A]->data;
    w.n = FJ_MIN(COLS, w.channels - w.c);
    for (int64_t s = 0; s < w.m; s++) {
        float *row = a + s * COLS;
        for (int64_t i = 0; i < w.n; i++)
            row[i] = stored[(w.c + i) * w.m + s];
        if (f->attr[0] != 0) {
            (void)run->k->exp_row(row, row, 1.0f, 0.0f, w.n);
            run->k->scale_row(row, row, -1.0f, w.n);
        }
    }
    return w;
}

static const float *at(const walk *w, int input, int64_t row)
{
    return (const float *)w->f->in[input]->data + row * w->channels + w->c;
}

/* to = exp(dt A_s) */
static void decay(const walk *w, int64_t row, int64_t s, float *to)
{
    w->run->k->mul_row(to, at(w, DT, row), w->a + s * COLS, w->n, false);
    (void)w->run->k->exp_row(to, to, 1.0f, 0.0f, w->n);
}

/* States of the part's channels, a row of `ld` values for each of the M. */
typedef struct states {
    float *values;
    int64_t ld;
} states;

/* S of a row from that of the row before, which may be the same; y (NULL: none) is D u + C S. */
static void advance(const walk *w, int64_t row, states before, states now, float *y)
{
    const fj_kernels *k = w->run->k;
    const float *b = (const float *)w->f->in[B]->data + row * w->m, *c = (const float *)w->f->in[C]->data + row * w->m;
    float du[COLS];
    k->mul_row(du, at(w, DT, row), at(w, U, row), w->n, false);
    if (y)
        k->mul_row(y, (const float *)w->f->in[D]->data + w->c, at(w, U, row), w->n, false);
    k->scan_row(now.values, before.values, now.ld, y, at(w, DT, row), du, w->a, COLS, b, c, w->m, w->n);
}

/* Between (M,COLS) here and (M,I) there. */
static void move(const walk *w, float *state, float *there, bool is_store)
{
    for (int64_t s = 0; s < w->m; s++) {
        float *far = there + s * w->channels + w->c, *near = state + s * COLS;
        memcpy(is_store ? far : near, is_store ? near : far, (size_t)w->n * sizeof(float));
    }
}

static float *slot_of(const fj_node *f, const fj_tile *t)
{
    const cached *c = f->extra;
    if (!c)
        return NULL;
    int64_t slot = ((const int32_t *)f->in[SLOTS]->data)[t->seq];
    return (float *)f->in[STATE]->data + fj_state_at(&c->shape, slot, c->layer) +
           (c->shape.d_conv - 1) * c->shape.d_inner;
}

static size_t forward_scratch(const fj_node *node, const fj_run *run)
{
    (void)run;
    return (size_t)(2 * fj_cols(node->in[B]) * COLS) * sizeof(float);
}

/* A sequence with a slot has its states there. */
static void forward(const fj_run *run, const fj_node *node, int phase, int64_t part, int worker)
{
    (void)phase;
    walk w = walk_of(run, node, part, fj_scratch(run, worker));
    float *own = w.a + w.m * COLS;
    const fj_tile *tiles = node->in[TILES]->data;
    for (int64_t i = 0; i < run->n_tiles; i++) {
        const fj_tile *t = &tiles[i];
        float *slot = slot_of(node, t);
        states s = slot ? (states){ slot + w.c, w.channels } : (states){ own, COLS };
        for (int64_t m = 0; t->pos0 == 0 && m < w.m; m++)
            memset(s.values + m * s.ld, 0, (size_t)w.n * sizeof(float));
        if (node->n_out > 1)
            move(&w, own, (float *)node->out[1]->data + i * w.m * w.channels, true);
        for (int64_t r = t->row0; r < t->row0 + t->n_rows; r++)
            advance(&w, r, s, s, (float *)node->out[0]->data + r * w.channels + w.c);
    }
}

/* ---- gradient ---------------------------------------------------------------------------------------------------------------- */

static int phases(const fj_run *run, const fj_node *node)
{
    (void)run, (void)node;
    return 2;
}

/* Partial sums of dB and dC: (blocks, rows, 2M). */
static size_t workspace(const fj_node *node, const fj_run *run)
{
    (void)run;
    const fj_node *f = node->fwd;
    return (size_t)(fj_blocks(fj_cols(f->in[U]), COLS) * f->in[U]->shape.dim[0] * 2 * fj_cols(f->in[B])) *
           sizeof(float);
}

/* A, dA, dS (M,COLS), S of a tile's rows and of the one before (T+1,M,COLS) */
static size_t scratch(const fj_node *node, const fj_run *run)
{
    (void)run;
    return (size_t)((T + 4) * fj_cols(node->fwd->in[B]) * COLS) * sizeof(float);
}

typedef struct sums {
    float *da, *ds, *states; /* (M,COLS), (M,COLS), (T+1,M,COLS) */
    float dd[COLS];
    float *partial; /* (rows, 2M) of this part */
} sums;

static void store(float *to, const float *from, int64_t n, bool add)
{
    for (int64_t i = 0; i < n; i++)
        to[i] = add ? to[i] + from[i] : from[i];
}

/* One row backwards: before, now are S around it. */
static void back(const fj_node *node, const walk *w, sums *t, int64_t row, const float *before, const float *now)
{
    const fj_kernels *k = w->run->k;
    const float *dy = (const float *)node->dout[0]->data + row * w->channels + w->c, *dt = at(w, DT, row),
                *u = at(w, U, row);
    const float *b = (const float *)w->f->in[B]->data + row * w->m, *c = (const float *)w->f->in[C]->data + row * w->m;
    float du[COLS], ddt[COLS] = { 0 }, e[COLS], dtu[COLS], along[COLS] = { 0 }, g_e[COLS];
    k->mul_row(du, (const float *)w->f->in[D]->data + w->c, dy, w->n, false);
    k->mul_row(t->dd, dy, u, w->n, true);
    k->mul_row(dtu, dt, u, w->n, false);
    for (int64_t s = 0; s < w->m; s++) {
        float *g = t->ds + s * COLS;
        k->axpy_row(g, dy, c[s], w->n);
        t->partial[row * 2 * w->m + s] = k->dot_row(g, dtu, w->n);
        t->partial[row * 2 * w->m + w->m + s] = k->dot_row(dy, now + s * COLS, w->n);
        k->axpy_row(along, g, b[s], w->n); /* sum of g B */
        decay(w, row, s, e);
        k->mul_row(g, g, e, w->n, false); /* the next dS, g exp(dt A) */
        k->mul_row(g_e, g, before + s * COLS, w->n, false);
        k->mul_row(ddt, g_e, w->a + s * COLS, w->n, true);
        k->mul_row(t->da + s * COLS, g_e, dt, w->n, true);
    }
    k->mul_row(du, along, dt, w->n, true);
    k->mul_row(ddt, along, u, w->n, true);
    int64_t to = row * w->channels + w->c;
    if (node->din[DT])
        store((float *)node->din[DT]->data + to, ddt, w->n, fj_adds(w->run, node, DT));
    if (node->din[U])
        store((float *)node->din[U]->data + to, du, w->n, fj_adds(w->run, node, U));
}

static void back_tile(const fj_node *node, const walk *w, sums *t, int64_t i)
{
    const fj_tile *tile = (const fj_tile *)w->f->in[TILES]->data + i;
    int64_t size = w->m * COLS;
    if (tile->pos0 + tile->n_rows == tile->seg_rows) /* nobody comes after the last */
        memset(t->ds, 0, (size_t)size * sizeof(float));
    move(w, t->states, (float *)w->f->out[1]->data + i * w->m * w->channels, false);
    for (int64_t r = 0; r < tile->n_rows; r++)
        advance(w, tile->row0 + r, (states){ t->states + r * size, COLS }, (states){ t->states + (r + 1) * size, COLS },
                NULL);
    for (int64_t r = tile->n_rows - 1; r >= 0; r--)
        back(node, w, t, tile->row0 + r, t->states + r * size, t->states + (r + 1) * size);
}

static void back_channels(const fj_run *run, const fj_node *node, int64_t part, float *a)
{
    const fj_node *f = node->fwd;
    walk w = walk_of(run, f, part, a);
    int64_t size = w.m * COLS;
    sums t = { .da = a + size, .ds = a + 2 * size, .states = a + 3 * size };
    t.partial = (float *)node->workspace->data + part * f->in[U]->shape.dim[0] * 2 * w.m;
    memset(t.da, 0, (size_t)size * sizeof(float));
    for (int64_t i = run->n_tiles - 1; i >= 0; i--)
        back_tile(node, &w, &t, i);
    for (int64_t s = 0; node->din[A] && s < w.m; s++)
        for (int64_t i = 0; i < w.n; i++) {
            float *to = (float *)node->din[A]->data + (w.c + i) * w.m + s;
            float d = t.da[s * COLS + i] * (f->attr[0] != 0 ? w.a[s * COLS + i] : 1.0f); /* dA/dlog(-A) = A */
            *to = fj_adds(run, node, A) ? *to + d : d;
        }
    if (node->din[D])
        store((float *)node->din[D]->data + w.c, t.dd, w.n, fj_adds(run, node, D));
}

static void sum_rows(const fj_run *run, const fj_node *node, int64_t part)
{
    const fj_node *f = node->fwd;
    int64_t m = fj_cols(f->in[B]), blocks = fj_blocks(fj_cols(f->in[U]), COLS), rows = f->in[U]->shape.dim[0];
    int64_t row1 = FJ_MIN((part + 1) * SUM_ROWS, fj_rows(run, f->in[U]));
    for (int which = 0; which < 2; which++)
        for (int64_t r = part * SUM_ROWS; node->din[B + which] && r < row1; r++)
            for (int64_t i = 0; i < blocks; i++)
                store((float *)node->din[B + which]->data + r * m,
                      (const float *)node->workspace->data + (i * rows + r) * 2 * m + which * m, m,
                      i > 0 || fj_adds(run, node, B + which));
}

static void backward(const fj_run *run, const fj_node *node, int phase, int64_t part, int worker)
{
    if (phase)
        sum_rows(run, node, part);
    else
        back_channels(run, node, part, fj_scratch(run, worker));
}

const fj_op fj_op_selective_scan = {
    .name = "selective_scan",
    .infer = infer,
    .forward = { NULL, parts, forward, NULL, forward_scratch },
    .backward = { { .gives = 0x3f,
                    .reads_in = 0x7f,
                    .reads_out = 2,
                    .work = { phases, parts, backward, workspace, scratch } } },
};

const fj_op fj_op_selective_scan_cached = { .name = "selective_scan_cached",
                                            .infer = infer,
                                            .forward = { NULL, parts, forward, NULL, forward_scratch },
                                            .is_effect = true };

fj_value *fj_selective_scan(fj_graph *g, const fj_scan *s, fj_value *tiles)
{
    fj_value *in[] = { s->dt, s->u, s->b, s->c, s->a, s->d, tiles };
    double attr = s->a_is_log;
    return fj_graph_add(g, &fj_op_selective_scan, in, 7, 2, &attr, 1, NULL)->out[0];
}

fj_value *fj_selective_scan_cached(fj_graph *g, const fj_scan *s, fj_value *tiles, const fj_state *state)
{
    fj_value *in[] = { s->dt, s->u, s->b, s->c, s->a, s->d, tiles, state->slots, state->values };
    cached *extra = fj_arena_take(g->arena, sizeof *extra);
    fj_assert(extra && "memory for the description of a graph");
    *extra = (cached){ state->shape, state->layer };
    double attr = s->a_is_log;
    return fj_graph_add(g, &fj_op_selective_scan_cached, in, 9, 1, &attr, 1, extra)->out[0];
}
