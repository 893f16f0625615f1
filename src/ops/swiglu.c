/* SPDX-License-Identifier: Apache-2.0
 * out = silu(gate) * up,  silu(x) = x / (1 + exp(-x))
 * in: gate (N,F), up (N,F)   Source: Shazeer 2020, "GLU variants improve transformer". */
#include "ops/graph.h"

enum { ROWS = 8 };

static fj_status infer(fj_node *node, fj_err *err)
{
    const fj_value *gate = node->in[0], *up = node->in[1];
    if (!fj_shape_equal(&gate->shape, &up->shape))
        return fj_fail(err, FJ_ERR_SHAPE, "swiglu: gate has %lld columns, up %lld", (long long)fj_cols(gate),
                       (long long)fj_cols(up));
    node->out[0]->extent = gate->extent;
    node->out[0]->shape = gate->shape;
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
    int64_t n = fj_cols(node->in[0]), row0 = part * ROWS, row1 = FJ_MIN(row0 + ROWS, fj_rows(run, node->in[0]));
    run->k->silu_mul_row((float *)node->out[0]->data + row0 * n, (const float *)node->in[0]->data + row0 * n,
                         (const float *)node->in[1]->data + row0 * n, (row1 - row0) * n);
}

/* dgate = dout * up * s * (1 + gate * (1 - s)), dup = dout * silu(gate), s = sigmoid(gate): one pass gives both */
static void d_both(const fj_run *run, const fj_node *node, int phase, int64_t part, int worker)
{
    (void)phase, (void)worker;
    const fj_node *f = node->fwd;
    int64_t n = fj_cols(f->in[0]), row0 = part * ROWS, row1 = FJ_MIN(row0 + ROWS, fj_rows(run, f->in[0]));
    float *dgate = node->din[0] ? (float *)node->din[0]->data + row0 * n : NULL;
    float *dup = node->din[1] ? (float *)node->din[1]->data + row0 * n : NULL;
    run->k->silu_mul_grad_row(dgate, dup, (const float *)node->dout[0]->data + row0 * n,
                              (const float *)f->in[0]->data + row0 * n, (const float *)f->in[1]->data + row0 * n,
                              (row1 - row0) * n, dgate && fj_adds(run, node, 0), dup && fj_adds(run, node, 1));
}

const fj_op fj_op_swiglu = {
    .name = "swiglu",
    .infer = infer,
    .forward = { .parts = parts, .part = forward },
    .backward = { { .gives = 3, .reads_in = 3, .work = { .parts = parts, .part = d_both } } },
    .inplace = 3,
    .is_cheap = true,
};

fj_value *fj_swiglu(fj_graph *g, fj_value *gate, fj_value *up)
{
    fj_value *in[] = { gate, up };
    return fj_graph_add(g, &fj_op_swiglu, in, 2, 1, NULL, 0, NULL)->out[0];
}
