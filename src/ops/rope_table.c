/* SPDX-License-Identifier: Apache-2.0
 * out[r] = (m cos(pos_r * inv_j))_j, (m sin(pos_r * inv_j))_j: once a pass, for all heads and layers.
 * in: pos (N) i32   extra: inv, r/2 f32   attr[0]: r   attr[1]: m
 * The angle is a product in f32, as transformers computes it: at large positions that is what models were trained with. */
#include <math.h>

#include "ops/graph.h"

enum { ROWS = 16 };

static fj_status infer(fj_node *node, fj_err *err)
{
    int64_t r = (int64_t)node->attr[0];
    if (r < 2 || r % 2)
        return fj_fail(err, FJ_ERR_SHAPE, "rope: %lld rotated values a head, wanted an even number", (long long)r);
    node->out[0]->extent = node->in[0]->extent;
    node->out[0]->shape = fj_shape_2(node->in[0]->shape.dim[0], r);
    return FJ_OK;
}

static int64_t parts(const fj_run *run, const fj_node *node, int phase)
{
    (void)phase;
    return fj_blocks(fj_rows(run, node->in[0]), ROWS);
}

static void forward(const fj_run *run, const fj_node *node, int phase, int64_t part, int worker)
{
    (void)phase, (void)worker;
    const int32_t *pos = node->in[0]->data;
    const float *inverse = node->extra;
    int64_t r = fj_cols(node->out[0]), row1 = FJ_MIN((part + 1) * ROWS, fj_rows(run, node->in[0]));
    for (int64_t i = part * ROWS; i < row1; i++) {
        float *out = (float *)node->out[0]->data + i * r;
        for (int64_t j = 0; j < r / 2; j++) {
            float angle = (float)pos[i] * inverse[j];
            out[j] = (float)(cos((double)angle) * node->attr[1]);
            out[r / 2 + j] = (float)(sin((double)angle) * node->attr[1]);
        }
    }
}

const fj_op fj_op_rope_table = { .name = "rope_table", .infer = infer, .forward = { .parts = parts, .part = forward } };

fj_value *fj_rope_table(fj_graph *g, fj_value *pos, const float *inverse, int64_t r, double mscale)
{
    double attr[] = { (double)r, mscale };
    return fj_graph_add(g, &fj_op_rope_table, &pos, 1, 1, attr, 2, inverse)->out[0];
}
