/* SPDX-License-Identifier: Apache-2.0
 * y[r,i] = x[r,i] * rstd[r] * (w[i] + offset),  rstd[r] = 1 / sqrt(mean_i x[r,i]^2 + eps)
 * in: x (N,D), w   attr: eps, offset, group: see norm.h   saved: rstd (N,groups)   Source: Zhang and Sennrich 2019, eq. 4. */
#include <string.h>

#include "ops/graph.h"
#include "ops/norm.h"

static fj_status infer(fj_node *node, fj_err *err)
{
    return fj_norm_infer(node, NULL, err);
}

static void forward(const fj_run *run, const fj_node *node, int phase, int64_t part, int worker)
{
    (void)phase;
    const float *w = fj_norm_weight(run, node, fj_scratch(run, worker));
    int64_t d = fj_cols(node->in[0]), n = fj_norm_group(node), groups = d / n, step = fj_norm_weight_step(node);
    int64_t row1 = FJ_MIN((part + 1) * FJ_NORM_ROWS, fj_rows(run, node->in[0]));
    for (int64_t i = part * FJ_NORM_ROWS * groups; i < row1 * groups; i++)
        run->k->rms_norm_row((float *)node->out[0]->data + i * n, (float *)node->out[1]->data + i,
                             (const float *)node->in[0]->data + i * n, w + i % groups * step, n, (float)node->attr[0]);
}

/* dx = rstd * dy*w - x * rstd^3 / n * sum(dy*w*x) */
static void d_x(const fj_run *run, const fj_node *node, int phase, int64_t part, int worker)
{
    (void)phase;
    const fj_node *f = node->fwd;
    const float *w = fj_norm_weight(run, f, fj_scratch(run, worker));
    int64_t n = fj_norm_group(f), groups = fj_cols(f->in[0]) / n, step = fj_norm_weight_step(f);
    int64_t row1 = FJ_MIN((part + 1) * FJ_NORM_ROWS, fj_rows(run, f->in[0]));
    for (int64_t i = part * FJ_NORM_ROWS * groups; i < row1 * groups; i++)
        run->k->rms_norm_grad_row((float *)node->din[0]->data + i * n, (const float *)node->dout[0]->data + i * n,
                                  (const float *)f->in[0]->data + i * n, w + i % groups * step,
                                  ((const float *)f->out[1]->data)[i], n, fj_adds(run, node, 0));
}

/* dw = sum over rows (and over the groups that share it) of dy * x * rstd: a part owns some columns and takes the rows in order */
static void d_w(const fj_run *run, const fj_node *node, int phase, int64_t part, int worker)
{
    (void)phase, (void)worker;
    const fj_node *f = node->fwd;
    int64_t width = fj_shape_count(&f->in[1]->shape), c = part * FJ_NORM_COLS, n = FJ_MIN(FJ_NORM_COLS, width - c);
    int64_t rows = fj_rows(run, f->in[0]) * fj_cols(f->in[0]) / width, group = fj_norm_group(f), end;
    float product[FJ_NORM_COLS], *dw = (float *)node->din[1]->data + c;
    if (!fj_adds(run, node, 1))
        memset(dw, 0, (size_t)n * sizeof(float));
    for (int64_t r = 0; r < rows; r++) {
        int64_t at = r * width + c;
        run->k->mul_row(product, (const float *)node->dout[0]->data + at, (const float *)f->in[0]->data + at, n, false);
        for (int64_t i = 0; i < n; i = end) { /* a part may reach over groups, each with its own rstd */
            end = FJ_MIN(n, ((at + i) / group + 1) * group - at);
            run->k->axpy_row(dw + i, product + i, ((const float *)f->out[1]->data)[(at + i) / group], end - i);
        }
    }
}

const fj_op fj_op_rms_norm = {
    .name = "rms_norm",
    .infer = infer,
    .forward = { .parts = fj_norm_row_parts, .part = forward, .scratch = fj_norm_scratch },
    .backward = { { .gives = 1u << 0,
                    .reads_in = 3,
                    .reads_out = 1u << 1,
                    .work = { .parts = fj_norm_row_parts, .part = d_x, .scratch = fj_norm_scratch } },
                  { .gives = 1u << 1,
                    .reads_in = 1,
                    .reads_out = 1u << 1,
                    .work = { .parts = fj_norm_col_parts, .part = d_w } } },
    .is_cheap = true,
};

fj_value *fj_rms_norm_groups(fj_graph *g, fj_value *x, fj_value *w, int64_t group, double eps, double offset)
{
    fj_value *in[] = { x, w };
    double attr[] = { eps, offset, (double)group };
    return fj_graph_add(g, &fj_op_rms_norm, in, 2, 2, attr, 3, NULL)->out[0];
}

fj_value *fj_rms_norm(fj_graph *g, fj_value *x, fj_value *w, double eps, double offset)
{
    return fj_rms_norm_groups(g, x, w, 0, eps, offset);
}
