/* SPDX-License-Identifier: Apache-2.0
 * What the experts say of a row, weighed: y[n] = sum_k w[n,k] * x[place[n,k]] (+ b), slots in order.
 * in: x (N,K*D) sorted slots, w (N,K), place (N,K) i32, b (D) or NULL */
#include <string.h>

#include "ops/graph.h"

enum { ROWS = 16, COLS = 256 };

static fj_status infer(fj_node *node, fj_err *err)
{
    const fj_value *x = node->in[0], *w = node->in[1], *b = node->in[3];
    int64_t k = fj_cols(w);
    if (fj_cols(x) % k || fj_cols(node->in[2]) != k || (b && fj_cols(b) != fj_cols(x) / k))
        return fj_fail(err, FJ_ERR_SHAPE, "combine: rows of %lld values for %lld slots", (long long)fj_cols(x),
                       (long long)k);
    node->out[0]->extent = x->extent;
    node->out[0]->shape = fj_shape_2(x->shape.dim[0], fj_cols(x) / k);
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
    const int32_t *place = node->in[2]->data;
    const float *w = node->in[1]->data, *x = node->in[0]->data;
    int64_t k = fj_cols(node->in[1]), d = fj_cols(node->out[0]),
            end = FJ_MIN((part + 1) * ROWS, fj_rows(run, node->in[0]));
    for (int64_t n = part * ROWS; n < end; n++) {
        float *y = (float *)node->out[0]->data + n * d;
        run->k->scale_row(y, x + place[n * k] * d, w[n * k], d);
        for (int64_t i = n * k + 1; i < (n + 1) * k; i++)
            run->k->axpy_row(y, x + place[i] * d, w[i], d);
        if (node->in[3])
            run->k->add_row(y, y, node->in[3]->data, d);
    }
}

/* dx[place[n,k]] = w[n,k] * dy[n] */
static void d_x(const fj_run *run, const fj_node *node, int phase, int64_t part, int worker)
{
    (void)phase, (void)worker;
    const fj_node *f = node->fwd;
    const int32_t *place = f->in[2]->data;
    const float *w = f->in[1]->data;
    int64_t k = fj_cols(f->in[1]), d = fj_cols(f->out[0]), end = FJ_MIN((part + 1) * ROWS, fj_rows(run, f->in[0]));
    for (int64_t i = part * ROWS * k; i < end * k; i++) {
        float *dx = (float *)node->din[0]->data + place[i] * d;
        const float *dy = (const float *)node->dout[0]->data + i / k * d;
        if (fj_adds(run, node, 0))
            run->k->axpy_row(dx, dy, w[i], d);
        else
            run->k->scale_row(dx, dy, w[i], d);
    }
}

/* dw[n,k] = dy[n] . x[place[n,k]] */
static void d_w(const fj_run *run, const fj_node *node, int phase, int64_t part, int worker)
{
    (void)phase, (void)worker;
    const fj_node *f = node->fwd;
    const int32_t *place = f->in[2]->data;
    const float *x = f->in[0]->data;
    float *dw = node->din[1]->data;
    int64_t k = fj_cols(f->in[1]), d = fj_cols(f->out[0]), end = FJ_MIN((part + 1) * ROWS, fj_rows(run, f->in[0]));
    for (int64_t i = part * ROWS * k; i < end * k; i++) {
        float dot = run->k->dot_row((const float *)node->dout[0]->data + i / k * d, x + place[i] * d, d);
        dw[i] = fj_adds(run, node, 1) ? dw[i] + dot : dot;
    }
}

/* db = sum of the rows of dy: a part owns some columns and takes the rows in order */
static int64_t db_parts(const fj_run *run, const fj_node *node, int phase)
{
    (void)run, (void)phase;
    return fj_blocks(fj_cols(node->fwd->in[3]), COLS);
}

static void d_b(const fj_run *run, const fj_node *node, int phase, int64_t part, int worker)
{
    (void)phase, (void)worker;
    int64_t d = fj_cols(node->fwd->in[3]), c = part * COLS, n = FJ_MIN(COLS, d - c),
            rows = fj_rows(run, node->fwd->in[0]);
    float *db = (float *)node->din[3]->data + c;
    if (!fj_adds(run, node, 3))
        memset(db, 0, (size_t)n * sizeof(float));
    for (int64_t r = 0; r < rows; r++)
        run->k->add_row(db, db, (const float *)node->dout[0]->data + r * d + c, n);
}

const fj_op fj_op_combine = {
    .name = "combine",
    .infer = infer,
    .forward = { .parts = parts, .part = forward },
    .backward = { { .gives = 1, .reads_in = 6, .work = { .parts = parts, .part = d_x } },
                  { .gives = 2, .reads_in = 5, .work = { .parts = parts, .part = d_w } },
                  { .gives = 8, .work = { .parts = db_parts, .part = d_b } } },
};

fj_value *fj_combine(fj_graph *g, fj_value *x, const fj_route *route, fj_value *bias)
{
    fj_value *in[] = { x, route->weights, route->place, bias };
    return fj_graph_add(g, &fj_op_combine, in, 4, 1, NULL, 0, NULL)->out[0];
}
