/* SPDX-License-Identifier: Apache-2.0
 * Rotates the first r values of every head by the row's angles; the rest of a head passes through.
 * half:        y[j] = x[j] cos_j - x[j+r/2] sin_j,  y[j+r/2] = x[j+r/2] cos_j + x[j] sin_j
 * interleaved: the same on pairs (2j, 2j+1)
 * in: x (N,H*d), table (N,r)   attr: H, d, half   Source: Su et al. 2021, "RoFormer"; the gradient is the inverse rotation. */
#include <string.h>

#include "ops/graph.h"

enum { ROWS = 16 };

static fj_status infer(fj_node *node, fj_err *err)
{
    const fj_value *x = node->in[0], *table = node->in[1];
    int64_t h = (int64_t)node->attr[0], d = (int64_t)node->attr[1];
    if (fj_cols(x) != h * d || fj_cols(table) > d)
        return fj_fail(err, FJ_ERR_SHAPE,
                       "rope: rows of %lld values are not %lld heads of %lld, or %lld are to be rotated",
                       (long long)fj_cols(x), (long long)h, (long long)d, (long long)fj_cols(table));
    node->out[0]->extent = x->extent;
    node->out[0]->shape = x->shape;
    return FJ_OK;
}

static int64_t parts(const fj_run *run, const fj_node *node, int phase)
{
    (void)phase;
    return fj_blocks(fj_rows(run, node->rule < 0 ? node->in[0] : node->fwd->in[0]), ROWS);
}

static void rotate(const fj_run *run, const fj_node *f, float *to, const float *from, int64_t part, bool inverse,
                   bool add)
{
    int64_t h = (int64_t)f->attr[0], d = (int64_t)f->attr[1], r = fj_cols(f->in[1]);
    int64_t row1 = FJ_MIN((part + 1) * ROWS, fj_rows(run, f->in[0]));
    for (int64_t i = part * ROWS; i < row1; i++) {
        const float *cos = (const float *)f->in[1]->data + i * r;
        for (int64_t head = 0; head < h; head++) {
            float *y = to + (i * h + head) * d;
            const float *x = from + (i * h + head) * d;
            run->k->rope_head(y, x, cos, cos + r / 2, r, f->attr[2] != 0, inverse, add);
            if (add)
                run->k->add_row(y + r, y + r, x + r, d - r);
            else if (y != x)
                memcpy(y + r, x + r, (size_t)(d - r) * sizeof(float));
        }
    }
}

static void forward(const fj_run *run, const fj_node *node, int phase, int64_t part, int worker)
{
    (void)phase, (void)worker;
    rotate(run, node, node->out[0]->data, node->in[0]->data, part, false, false);
}

static void d_x(const fj_run *run, const fj_node *node, int phase, int64_t part, int worker)
{
    (void)phase, (void)worker;
    rotate(run, node->fwd, node->din[0]->data, node->dout[0]->data, part, true, fj_adds(run, node, 0));
}

const fj_op fj_op_rope = {
    .name = "rope",
    .infer = infer,
    .forward = { .parts = parts, .part = forward },
    .backward = { { .gives = 1, .reads_in = 1u << 1, .work = { .parts = parts, .part = d_x } } },
    .inplace = 1,
};

fj_value *fj_rope(fj_graph *g, fj_value *x, fj_value *table, int64_t n_heads, int64_t d_head, bool half)
{
    fj_value *in[] = { x, table };
    double attr[] = { (double)n_heads, (double)d_head, half };
    return fj_graph_add(g, &fj_op_rope, in, 2, 1, attr, 3, NULL)->out[0];
}
