/* SPDX-License-Identifier: Apache-2.0
 * y[r,i] = x[r,i] * rstd[r] * w[i],  rstd[r] = 1 / sqrt(mean_i x[r,i]^2 + eps)
 * in: x (N,D), w (D)   attr[0]: eps   saved: rstd (N,1)   Source: Zhang and Sennrich 2019, eq. 4. */
#include <string.h>

#include "ops/graph.h"

enum { ROWS = 16, COLS = 64 };

static fj_status infer(fj_node *node, fj_err *err)
{
    const fj_value *x = node->in[0], *w = node->in[1];
    if (w->shape.rank != 1 || w->shape.dim[0] != fj_cols(x))
        return fj_fail(err, FJ_ERR_SHAPE, "rms_norm: weight '%s' has %lld values, rows have %lld", w->name,
                       (long long)fj_cols(w), (long long)fj_cols(x));
    node->out[0]->extent = node->out[1]->extent = x->extent;
    node->out[0]->shape = x->shape;
    node->out[1]->shape = fj_shape_2(x->shape.dim[0], 1);
    return FJ_OK;
}

static int64_t forward_parts(const fj_run *run, const fj_node *node, int phase)
{
    (void)phase;
    return fj_blocks(fj_rows(run, node->in[0]), ROWS);
}

static void forward(const fj_run *run, const fj_node *node, int phase, int64_t part, int worker)
{
    (void)phase, (void)worker;
    int64_t n = fj_cols(node->in[0]), row1 = FJ_MIN((part + 1) * ROWS, fj_rows(run, node->in[0]));
    for (int64_t r = part * ROWS; r < row1; r++)
        run->k->rms_norm_row((float *)node->out[0]->data + r * n, (float *)node->out[1]->data + r,
                             (const float *)node->in[0]->data + r * n, node->in[1]->data, n, (float)node->attr[0]);
}

/* dx = rstd * dy*w - x * rstd^3 / n * sum(dy*w*x) */
static int64_t d_x_parts(const fj_run *run, const fj_node *node, int phase)
{
    (void)phase;
    return fj_blocks(fj_rows(run, node->fwd->in[0]), ROWS);
}

static void d_x(const fj_run *run, const fj_node *node, int phase, int64_t part, int worker)
{
    (void)phase, (void)worker;
    const fj_node *f = node->fwd;
    int64_t n = fj_cols(f->in[0]), row1 = FJ_MIN((part + 1) * ROWS, fj_rows(run, f->in[0]));
    for (int64_t r = part * ROWS; r < row1; r++)
        run->k->rms_norm_grad_row((float *)node->din[0]->data + r * n, (const float *)node->dout[0]->data + r * n,
                                  (const float *)f->in[0]->data + r * n, f->in[1]->data,
                                  ((const float *)f->out[1]->data)[r], n, fj_adds(run, node, 0));
}

/* dw = sum over rows of dy * x * rstd: a part owns some columns and takes the rows in order */
static int64_t d_w_parts(const fj_run *run, const fj_node *node, int phase)
{
    (void)run, (void)phase;
    return fj_blocks(fj_cols(node->fwd->in[0]), COLS);
}

static void d_w(const fj_run *run, const fj_node *node, int phase, int64_t part, int worker)
{
    (void)phase, (void)worker;
    const fj_node *f = node->fwd;
    int64_t d = fj_cols(f->in[0]), c = part * COLS, n = FJ_MIN(COLS, d - c), rows = fj_rows(run, f->in[0]);
    float product[COLS], *dw = (float *)node->din[1]->data + c;
    if (!fj_adds(run, node, 1))
        memset(dw, 0, (size_t)n * sizeof(float));
    for (int64_t r = 0; r < rows; r++) {
        run->k->mul_row(product, (const float *)node->dout[0]->data + r * d + c,
                        (const float *)f->in[0]->data + r * d + c, n, false);
        run->k->axpy_row(dw, product, ((const float *)f->out[1]->data)[r], n);
    }
}

const fj_op fj_op_rms_norm = {
    .name = "rms_norm",
    .infer = infer,
    .forward = { .parts = forward_parts, .part = forward },
    .backward = { { .gives = 1u << 0,
                    .reads_in = 3,
                    .reads_out = 1u << 1,
                    .work = { .parts = d_x_parts, .part = d_x } },
                  { .gives = 1u << 1,
                    .reads_in = 1,
                    .reads_out = 1u << 1,
                    .work = { .parts = d_w_parts, .part = d_w } } },
    .is_cheap = true,
};

fj_value *fj_rms_norm(fj_graph *g, fj_value *x, fj_value *w, double eps)
{
    fj_value *in[] = { x, w };
    return fj_graph_add(g, &fj_op_rms_norm, in, 2, 2, &eps, 1, NULL)->out[0];
}
