/* SPDX-License-Identifier: Apache-2.0
 * y[r,i] = xhat[r,i] * (w[i] + offset) + b[i],  xhat = (x - mean[r]) * rstd[r],  rstd[r] = 1 / sqrt(mean_i (x - mean)^2 + eps)
 * in: x (N,D), w, b like w or NULL   attr: eps, offset, group: see norm.h   saved: mean, rstd (N,groups)
 * Source: Ba, Kiros and Hinton 2016, eq. 4; the offset is NVIDIA's layernorm1p. */
#include <string.h>

#include "ops/graph.h"
#include "ops/norm.h"

static fj_status infer(fj_node *node, fj_err *err)
{
    return fj_norm_infer(node, node->in[2], err);
}

static void forward(const fj_run *run, const fj_node *node, int phase, int64_t part, int worker)
{
    (void)phase;
    const float *w = fj_norm_weight(run, node, fj_scratch(run, worker)), *b = node->in[2] ? node->in[2]->data : NULL;
    int64_t n = fj_norm_group(node), groups = fj_cols(node->in[0]) / n, step = fj_norm_weight_step(node);
    int64_t row1 = FJ_MIN((part + 1) * FJ_NORM_ROWS, fj_rows(run, node->in[0]));
    for (int64_t i = part * FJ_NORM_ROWS * groups; i < row1 * groups; i++) {
        int64_t at = i % groups * step;
        run->k->layer_norm_row((float *)node->out[0]->data + i * n, (float *)node->out[1]->data + i,
                               (float *)node->out[2]->data + i, (const float *)node->in[0]->data + i * n, w + at,
                               b ? b + at : NULL, n, (float)node->attr[0]);
    }
}

/* dx = rstd * (g - mean(g) - xhat * mean(g*xhat)),  g = dy * (w + offset) */
static void d_x(const fj_run *run, const fj_node *node, int phase, int64_t part, int worker)
{
    (void)phase;
    const fj_node *f = node->fwd;
    const float *w = fj_norm_weight(run, f, fj_scratch(run, worker));
    int64_t n = fj_norm_group(f), groups = fj_cols(f->in[0]) / n, step = fj_norm_weight_step(f);
    int64_t row1 = FJ_MIN((part + 1) * FJ_NORM_ROWS, fj_rows(run, f->in[0]));
    for (int64_t i = part * FJ_NORM_ROWS * groups; i < row1 * groups; i++)
        run->k->layer_norm_grad_row((float *)node->din[0]->data + i * n, (const float *)node->dout[0]->data + i * n,
                                    (const float *)f->in[0]->data + i * n, w + i % groups * step,
                                    ((const float *)f->out[1]->data)[i], ((const float *)f->out[2]->data)[i], n,
                                    fj_adds(run, node, 0));
}

/* xhat of columns at … at+n-1 of all values, which may reach over groups */
static void normalized(const fj_run *run, const fj_node *f, int64_t at, int64_t n, float *hat)
{
    int64_t group = fj_norm_group(f), end;
    const float *x = (const float *)f->in[0]->data + at;
    for (int64_t i = 0; i < n; i = end) {
        int64_t of = (at + i) / group;
        float mean = ((const float *)f->out[1]->data)[of];
        end = FJ_MIN(n, (of + 1) * group - at);
        for (int64_t c = i; c < end; c++)
            hat[c] = x[c] - mean;
        run->k->scale_row(hat + i, hat + i, ((const float *)f->out[2]->data)[of], end - i);
    }
}

/* dw = sum over rows (and over the groups that share it) of dy * xhat, db = of dy: a part owns some columns of both */
static void d_w(const fj_run *run, const fj_node *node, int phase, int64_t part, int worker)
{
    (void)phase, (void)worker;
    const fj_node *f = node->fwd;
    int64_t width = fj_shape_count(&f->in[1]->shape), c = part * FJ_NORM_COLS, n = FJ_MIN(FJ_NORM_COLS, width - c);
    int64_t rows = fj_rows(run, f->in[0]) * fj_cols(f->in[0]) / width;
    float hat[FJ_NORM_COLS], *dw = node->din[1] ? (float *)node->din[1]->data + c : NULL;
    float *db = node->din[2] ? (float *)node->din[2]->data + c : NULL;
    if (dw && !fj_adds(run, node, 1))
        memset(dw, 0, (size_t)n * sizeof(float));
    if (db && !fj_adds(run, node, 2))
        memset(db, 0, (size_t)n * sizeof(float));
    for (int64_t r = 0; r < rows; r++) {
        const float *dy = (const float *)node->dout[0]->data + r * width + c;
        if (db)
            run->k->add_row(db, db, dy, n);
        if (!dw)
            continue;
        normalized(run, f, r * width + c, n, hat);
        run->k->mul_row(dw, dy, hat, n, true);
    }
}

const fj_op fj_op_layer_norm = {
    .name = "layer_norm",
    .infer = infer,
    .forward = { .parts = fj_norm_row_parts, .part = forward, .scratch = fj_norm_scratch },
    .backward = { { .gives = 1u << 0,
                    .reads_in = 3,
                    .reads_out = 6,
                    .work = { .parts = fj_norm_row_parts, .part = d_x, .scratch = fj_norm_scratch } },
                  { .gives = 6, .reads_in = 1, .reads_out = 6, .work = { .parts = fj_norm_col_parts, .part = d_w } } },
    .is_cheap = true,
};

fj_value *fj_layer_norm_groups(fj_graph *g, fj_value *x, fj_value *w, fj_value *b, int64_t group, double eps,
                               double offset)
{
    fj_value *in[] = { x, w, b };
    double attr[] = { eps, offset, (double)group };
    return fj_graph_add(g, &fj_op_layer_norm, in, 3, 3, attr, 3, NULL)->out[0];
}

fj_value *fj_layer_norm(fj_graph *g, fj_value *x, fj_value *w, fj_value *b, double eps, double offset)
{
    return fj_layer_norm_groups(g, x, w, b, 0, eps, offset);
}
