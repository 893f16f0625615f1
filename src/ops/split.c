/* SPDX-License-Identifier: Apache-2.0
 * Takes a row apart: out_i holds, for each group u in order, columns [u*stride + offset_i, + width_i) of x.
 * in: x (N, groups*stride)   attr[0]: groups   extra: pieces
 * q, k and v of one product, heads side by side or interleaved; gate and up, one after the other or column by column. */
#include <string.h>

#include "ops/graph.h"

enum { ROWS = 8 };

typedef struct pieces {
    int64_t stride, offset[FJ_MAX_SPLIT], width[FJ_MAX_SPLIT];
} pieces;

static fj_status infer(fj_node *node, fj_err *err)
{
    const pieces *p = node->extra;
    const fj_value *x = node->in[0];
    int64_t groups = (int64_t)node->attr[0];
    if (groups < 1 || fj_cols(x) != groups * p->stride)
        return fj_fail(err, FJ_ERR_SHAPE, "split: rows of %lld values for %lld groups of %lld", (long long)fj_cols(x),
                       (long long)groups, (long long)p->stride);
    for (int i = 0; i < node->n_out; i++) {
        if (p->offset[i] < 0 || p->width[i] < 1 || p->offset[i] + p->width[i] > p->stride)
            return fj_fail(err, FJ_ERR_SHAPE, "split: columns %lld to %lld of groups of %lld", (long long)p->offset[i],
                           (long long)(p->offset[i] + p->width[i]), (long long)p->stride);
        node->out[i]->extent = x->extent;
        node->out[i]->shape = fj_shape_2(x->shape.dim[0], groups * p->width[i]);
    }
    return FJ_OK;
}

static int64_t parts(const fj_run *run, const fj_node *node, int phase)
{
    (void)phase;
    return fj_blocks(fj_rows(run, node->rule < 0 ? node->in[0] : node->fwd->in[0]), ROWS);
}

static void forward(const fj_run *run, const fj_node *node, int phase, int64_t part, int worker)
{
    (void)phase, (void)worker;
    const pieces *p = node->extra;
    int64_t groups = (int64_t)node->attr[0], row1 = FJ_MIN((part + 1) * ROWS, fj_rows(run, node->in[0]));
    for (int o = 0; o < node->n_out; o++)
        for (int64_t i = part * ROWS * groups; i < row1 * groups; i++) {
            const float *from = (const float *)node->in[0]->data + i * p->stride + p->offset[o];
            float *to = (float *)node->out[o]->data + i * p->width[o];
            if (p->width[o] == 1)
                *to = *from;
            else
                memcpy(to, from, (size_t)p->width[o] * sizeof(float));
        }
}

/* dx is the pieces' gradients in their places, 0 where none came or nobody took; columns that two pieces took get the sum. */
static void d_x(const fj_run *run, const fj_node *node, int phase, int64_t part, int worker)
{
    (void)phase, (void)worker;
    const pieces *p = node->extra;
    int64_t groups = (int64_t)node->attr[0], row0 = part * ROWS;
    int64_t row1 = FJ_MIN(row0 + ROWS, fj_rows(run, node->fwd->in[0]));
    float *dx = node->din[0]->data;
    if (!fj_adds(run, node, 0))
        memset(dx + row0 * groups * p->stride, 0, (size_t)((row1 - row0) * groups * p->stride) * sizeof(float));
    for (int o = 0; o < node->n_out; o++)
        for (int64_t i = row0 * groups; node->dout[o] && i < row1 * groups; i++) {
            const float *from = (const float *)node->dout[o]->data + i * p->width[o];
            float *to = dx + i * p->stride + p->offset[o];
            if (p->width[o] == 1)
                *to += *from;
            else
                run->k->add_row(to, to, from, p->width[o]);
        }
}

const fj_op fj_op_split = {
    .name = "split",
    .infer = infer,
    .forward = { .parts = parts, .part = forward },
    .backward = { { .gives = 1, .work = { .parts = parts, .part = d_x } } },
};

void fj_split(fj_graph *g, fj_value *x, int64_t n_groups, int64_t stride, int n_out, const int64_t *offsets,
              const int64_t *widths, fj_value **out)
{
    fj_assert(n_out >= 1 && n_out <= FJ_MAX_SPLIT);
    pieces *p = fj_arena_take(g->arena, sizeof *p);
    fj_assert(p && "memory for the description of a graph");
    p->stride = stride;
    memcpy(p->offset, offsets, (size_t)n_out * sizeof *offsets);
    memcpy(p->width, widths, (size_t)n_out * sizeof *widths);
    double attr = (double)n_groups;
    fj_node *node = fj_graph_add(g, &fj_op_split, &x, 1, n_out, &attr, 1, p);
    for (int i = 0; i < n_out; i++)
        out[i] = node->out[i];
}
