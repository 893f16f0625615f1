/* SPDX-License-Identifier: Apache-2.0
 * out = a + b, element by element. Its gradient passes on unchanged.
 * in: a, b of one shape */
#include "ops/graph.h"

enum { ROWS = 32 };

static fj_status infer(fj_node *node, fj_err *err)
{
    const fj_value *a = node->in[0], *b = node->in[1];
    if (!fj_shape_equal(&a->shape, &b->shape) || a->extent != b->extent)
        return fj_fail(err, FJ_ERR_SHAPE, "add: '%s' and '%s' differ in shape", a->name, b->name);
    node->out[0]->extent = a->extent;
    node->out[0]->shape = a->shape;
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
    int64_t n = fj_cols(node->in[0]), row0 = part * ROWS, row1 = FJ_MIN(row0 + ROWS, fj_rows(run, node->in[0]));
    run->k->add_row((float *)node->out[0]->data + row0 * n, (const float *)node->in[0]->data + row0 * n,
                    (const float *)node->in[1]->data + row0 * n, (row1 - row0) * n);
}

const fj_op fj_op_add = {
    .name = "add",
    .infer = infer,
    .forward = { .parts = parts, .part = forward },
    .backward = { { .gives = 3, .pass = true } },
    .inplace = 3,
};

fj_value *fj_add(fj_graph *g, fj_value *a, fj_value *b)
{
    fj_value *in[] = { a, b };
    return fj_graph_add(g, &fj_op_add, in, 2, 1, NULL, 0, NULL)->out[0];
}
