/* SPDX-License-Identifier: Apache-2.0
 * What operations share that work element by element: inputs and out of one shape, parts of a few rows. */
#ifndef FJ_OPS_ELEMENTWISE_H
#define FJ_OPS_ELEMENTWISE_H

#include "ops/op.h"

enum { FJ_ELEMENT_ROWS = 8 };

static inline const fj_node *fj_element_forward(const fj_node *node)
{
    return node->rule < 0 ? node : node->fwd;
}

static inline fj_status fj_element_infer(fj_node *node, fj_err *err)
{
    const fj_value *a = node->in[0];
    for (int i = 1; i < node->n_in; i++)
        if (!fj_shape_equal(&a->shape, &node->in[i]->shape) || a->extent != node->in[i]->extent)
            return fj_fail(err, FJ_ERR_SHAPE, "%s: '%s' has %lld columns, '%s' %lld", node->op->name, a->name,
                           (long long)fj_cols(a), node->in[i]->name, (long long)fj_cols(node->in[i]));
    node->out[0]->extent = a->extent;
    node->out[0]->shape = a->shape;
    return FJ_OK;
}

static inline int64_t fj_element_parts(const fj_run *run, const fj_node *node, int phase)
{
    (void)phase;
    return fj_blocks(fj_rows(run, fj_element_forward(node)->in[0]), FJ_ELEMENT_ROWS);
}

/* Index of the first element of a part, and how many it has. */
static inline int64_t fj_element_first(const fj_run *run, const fj_node *node, int64_t part, int64_t *n)
{
    const fj_value *x = fj_element_forward(node)->in[0];
    int64_t row0 = part * FJ_ELEMENT_ROWS, row1 = FJ_MIN(row0 + FJ_ELEMENT_ROWS, fj_rows(run, x)), cols = fj_cols(x);
    *n = (row1 - row0) * cols;
    return row0 * cols;
}

#endif
