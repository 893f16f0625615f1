/* SPDX-License-Identifier: Apache-2.0
 * out[r,i] = x[r,i] * keep / (1 - p), keep drawn for (seed, step, node, element): the same when a layer is recomputed.
 * in: x (N,D)   attr[0]: p in [0,1) */
#include "base/rng.h"
#include "ops/graph.h"

enum { ROWS = 8 };

static fj_status infer(fj_node *node, fj_err *err)
{
    if (!(node->attr[0] >= 0 && node->attr[0] < 1))
        return fj_fail(err, FJ_ERR_ARG, "dropout: probability %g is not in [0, 1)", node->attr[0]);
    node->out[0]->extent = node->in[0]->extent;
    node->out[0]->shape = node->in[0]->shape;
    return FJ_OK;
}

static int64_t parts(const fj_run *run, const fj_node *node, int phase)
{
    (void)phase;
    return fj_blocks(fj_rows(run, node->rule < 0 ? node->in[0] : node->fwd->in[0]), ROWS);
}

/* 64 random bits serve two elements. */
static void masked(const fj_run *run, const fj_node *node, float *to, const float *from, int64_t first, int64_t n,
                   bool add)
{
    double p = node->attr[0];
    uint64_t limit = (uint64_t)(p * 4294967296.0);
    float scale = (float)(1.0 / (1.0 - p));
    for (int64_t i = 0; i < n; i++) {
        uint64_t at = (uint64_t)(first + i);
        uint64_t bits = fj_rng(run->seed, FJ_STREAM_DROPOUT, run->step, (uint32_t)node->id, at / 2);
        uint64_t word = at & 1 ? bits >> 32 : bits & 0xffffffffu;
        float v = word >= limit ? from[i] * scale : 0.0f;
        to[i] = add ? to[i] + v : v;
    }
}

static void forward(const fj_run *run, const fj_node *node, int phase, int64_t part, int worker)
{
    (void)phase, (void)worker;
    int64_t n = fj_cols(node->in[0]), row0 = part * ROWS, row1 = FJ_MIN(row0 + ROWS, fj_rows(run, node->in[0]));
    masked(run, node, (float *)node->out[0]->data + row0 * n, (const float *)node->in[0]->data + row0 * n, row0 * n,
           (row1 - row0) * n, false);
}

static void d_x(const fj_run *run, const fj_node *node, int phase, int64_t part, int worker)
{
    (void)phase, (void)worker;
    int64_t n = fj_cols(node->fwd->in[0]), row0 = part * ROWS,
            row1 = FJ_MIN(row0 + ROWS, fj_rows(run, node->fwd->in[0]));
    masked(run, node->fwd, (float *)node->din[0]->data + row0 * n, (const float *)node->dout[0]->data + row0 * n,
           row0 * n, (row1 - row0) * n, fj_adds(run, node, 0));
}

const fj_op fj_op_dropout = {
    .name = "dropout",
    .infer = infer,
    .forward = { .parts = parts, .part = forward },
    .backward = { { .gives = 1, .work = { .parts = parts, .part = d_x } } },
    .inplace = 1,
    .is_cheap = true,
};

fj_value *fj_dropout(fj_graph *g, fj_value *x, double probability)
{
    if (probability == 0)
        return x;
    return fj_graph_add(g, &fj_op_dropout, &x, 1, 1, &probability, 1, NULL)->out[0];
}
