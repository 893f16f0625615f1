/* SPDX-License-Identifier: Apache-2.0
 * out = y + s * u B^T: the second half of a low-rank path. B A is never formed.
 * in: y (N,M), u (N,r), B (M,r)   attr[0]: s   Source: Hu et al. 2021, "LoRA", section 4.1.
 * The workspace holds s * B^T (r,M): all three products then run along rows of M values. */
#include <string.h>

#include "ops/graph.h"

enum { ROWS = 32, COLS = 64, TRANSPOSE = 256 };

static fj_status infer(fj_node *node, fj_err *err)
{
    const fj_value *y = node->in[0], *u = node->in[1], *b = node->in[2];
    if (b->shape.rank != 2 || b->dtype != &fj_f32 || fj_cols(b) != fj_cols(u) || b->shape.dim[0] != fj_cols(y))
        return fj_fail(err, FJ_ERR_SHAPE, "lora_add: '%s' is %lldx%lld, wanted %lldx%lld", b->name,
                       (long long)b->shape.dim[0], (long long)fj_cols(b), (long long)fj_cols(y), (long long)fj_cols(u));
    node->out[0]->extent = y->extent;
    node->out[0]->shape = y->shape;
    return FJ_OK;
}

static const fj_node *forward_of(const fj_node *node)
{
    return node->rule < 0 ? node : node->fwd;
}

static size_t workspace(const fj_node *node, const fj_run *run)
{
    (void)run;
    return (size_t)fj_shape_count(&forward_of(node)->in[2]->shape) * sizeof(float);
}

static int two_phases(const fj_run *run, const fj_node *node)
{
    (void)run, (void)node;
    return 2;
}

static int64_t parts(const fj_run *run, const fj_node *node, int phase)
{
    const fj_node *f = forward_of(node);
    return phase == 0 ? fj_blocks(f->in[2]->shape.dim[0], TRANSPOSE) : fj_blocks(fj_rows(run, f->in[0]), ROWS);
}

static void transpose(const fj_node *node, int64_t part)
{
    const fj_node *f = forward_of(node);
    const float *b = f->in[2]->data;
    float *to = node->workspace->data, s = (float)f->attr[0];
    int64_t m = f->in[2]->shape.dim[0], r = fj_cols(f->in[2]), end = FJ_MIN((part + 1) * TRANSPOSE, m);
    for (int64_t p = 0; p < r; p++)
        for (int64_t i = part * TRANSPOSE; i < end; i++)
            to[p * m + i] = s * b[i * r + p];
}

static void forward(const fj_run *run, const fj_node *node, int phase, int64_t part, int worker)
{
    (void)worker;
    if (phase == 0) {
        transpose(node, part);
        return;
    }
    int64_t m = fj_cols(node->in[0]), r = fj_cols(node->in[1]);
    int64_t row0 = part * ROWS, rows = FJ_MIN(ROWS, fj_rows(run, node->in[0]) - row0);
    float *out = (float *)node->out[0]->data + row0 * m;
    const float *y = (const float *)node->in[0]->data + row0 * m;
    if (out != y)
        memcpy(out, y, (size_t)(rows * m) * sizeof(float));
    run->k->gemm_rows_f32(out, m, (const float *)node->in[1]->data + row0 * r, r, 1, node->workspace->data, m, rows, m,
                          r, true);
}

/* du = s * dout B */
static void d_u(const fj_run *run, const fj_node *node, int phase, int64_t part, int worker)
{
    (void)worker;
    if (phase == 0) {
        transpose(node, part);
        return;
    }
    const fj_node *f = node->fwd;
    int64_t m = fj_cols(f->in[0]), r = fj_cols(f->in[1]);
    int64_t row0 = part * ROWS, rows = FJ_MIN(ROWS, fj_rows(run, f->in[0]) - row0);
    fj_assert(!fj_adds(run, node, 1));
    run->k->gemm_f32((float *)node->din[1]->data + row0 * r, r, (const float *)node->dout[0]->data + row0 * m, m,
                     node->workspace->data, m, rows, r, m);
}

/* dB = s * dout^T u: a part owns some rows of dB and takes the rows of the pass in order */
static int64_t d_b_parts(const fj_run *run, const fj_node *node, int phase)
{
    (void)run, (void)phase;
    return fj_blocks(node->din[2]->shape.dim[0], COLS);
}

static size_t d_b_scratch(const fj_node *node, const fj_run *run)
{
    (void)run;
    return (size_t)COLS * (size_t)fj_cols(node->fwd->in[2]) * sizeof(float);
}

static void d_b(const fj_run *run, const fj_node *node, int phase, int64_t part, int worker)
{
    (void)phase;
    const fj_node *f = node->fwd;
    int64_t m = fj_cols(f->in[0]), r = fj_cols(f->in[1]), n0 = part * COLS, n = FJ_MIN(COLS, m - n0);
    float *transposed = fj_scratch(run, worker), *db = (float *)node->din[2]->data + n0 * r, s = (float)f->attr[0];
    bool add = fj_adds(run, node, 2);
    run->k->gemm_rows_f32(transposed, COLS, f->in[1]->data, 1, r, (const float *)node->dout[0]->data + n0, m, r, n,
                          fj_rows(run, f->in[0]), false);
    for (int64_t j = 0; j < n; j++)
        for (int64_t p = 0; p < r; p++) {
            float v = s * transposed[p * COLS + j];
            db[j * r + p] = add ? db[j * r + p] + v : v;
        }
}

const fj_op fj_op_lora_add = {
    .name = "lora_add",
    .infer = infer,
    .forward = { two_phases, parts, forward, workspace, NULL },
    .backward = { { .gives = 1u << 0, .pass = true },
                  { .gives = 1u << 1, .reads_in = 1u << 2, .work = { two_phases, parts, d_u, workspace, NULL } },
                  { .gives = 1u << 2, .reads_in = 1u << 1, .work = { NULL, d_b_parts, d_b, NULL, d_b_scratch } } },
    .inplace = 1u << 0,
};

fj_value *fj_lora_add(fj_graph *g, fj_value *y, fj_value *u, fj_value *b, double scale)
{
    fj_value *in[] = { y, u, b };
    return fj_graph_add(g, &fj_op_lora_add, in, 3, 1, &scale, 1, NULL)->out[0];
}
