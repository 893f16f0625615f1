/* SPDX-License-Identifier: Apache-2.0
 * out[i] = x[index[i]]: the rows that the head has to look at. index rises strictly.
 * in: x (N,D), index (M) i32 */
#include <string.h>

#include "ops/graph.h"

enum { ROWS = 32 };

static fj_status infer(fj_node *node, fj_err *err)
{
    const fj_value *x = node->in[0], *index = node->in[1];
    if (index->dtype != &fj_i32 || index->shape.rank != 1)
        return fj_fail(err, FJ_ERR_SHAPE, "select_rows: wants a row of i32 indices");
    node->out[0]->extent = index->extent;
    node->out[0]->shape = fj_shape_2(index->shape.dim[0], fj_cols(x));
    return FJ_OK;
}

static int64_t parts(const fj_run *run, const fj_node *node, int phase)
{
    (void)phase;
    return fj_blocks(fj_rows(run, node->in[1]), ROWS);
}

static void forward(const fj_run *run, const fj_node *node, int phase, int64_t part, int worker)
{
    (void)phase, (void)worker;
    const int32_t *index = node->in[1]->data;
    int64_t n = fj_cols(node->in[0]), row1 = FJ_MIN((part + 1) * ROWS, fj_rows(run, node->in[1]));
    for (int64_t i = part * ROWS; i < row1; i++)
        memcpy((float *)node->out[0]->data + i * n, (const float *)node->in[0]->data + index[i] * n,
               (size_t)n * sizeof(float));
}

/* dx[index[i]] = dout[i], zero elsewhere: a part owns some rows of dx and finds its first index by bisection */
static int64_t d_parts(const fj_run *run, const fj_node *node, int phase)
{
    (void)phase;
    return fj_blocks(fj_rows(run, node->fwd->in[0]), ROWS);
}

static void d_x(const fj_run *run, const fj_node *node, int phase, int64_t part, int worker)
{
    (void)phase, (void)worker;
    const int32_t *index = node->fwd->in[1]->data;
    int64_t n = fj_cols(node->fwd->in[0]), row0 = part * ROWS,
            row1 = FJ_MIN(row0 + ROWS, fj_rows(run, node->fwd->in[0]));
    int64_t count = fj_rows(run, node->fwd->in[1]), lo = 0, hi = count;
    float *dx = node->din[0]->data;
    bool add = fj_adds(run, node, 0);
    if (!add)
        memset(dx + row0 * n, 0, (size_t)((row1 - row0) * n) * sizeof(float));
    while (lo < hi) {
        int64_t mid = (lo + hi) / 2;
        if (index[mid] < row0)
            lo = mid + 1;
        else
            hi = mid;
    }
    for (int64_t i = lo; i < count && index[i] < row1; i++)
        run->k->add_row(dx + index[i] * n, dx + index[i] * n, (const float *)node->dout[0]->data + i * n, n);
}

const fj_op fj_op_select_rows = {
    .name = "select_rows",
    .infer = infer,
    .forward = { .parts = parts, .part = forward },
    .backward = { { .gives = 1, .reads_in = 1u << 1, .work = { .parts = d_parts, .part = d_x } } },
};

fj_value *fj_select_rows(fj_graph *g, fj_value *x, fj_value *index)
{
    fj_value *in[] = { x, index };
    return fj_graph_add(g, &fj_op_select_rows, in, 2, 1, NULL, 0, NULL)->out[0];
}
