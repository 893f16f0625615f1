/* SPDX-License-Identifier: Apache-2.0
 * out = a * b, element by element
 * in: a, b (N,F) */
#include "ops/elementwise.h"
#include "ops/graph.h"

static void forward(const fj_run *run, const fj_node *node, int phase, int64_t part, int worker)
{
    (void)phase, (void)worker;
    int64_t n, at = fj_element_first(run, node, part, &n);
    run->k->mul_row((float *)node->out[0]->data + at, (const float *)node->in[0]->data + at,
                    (const float *)node->in[1]->data + at, n, false);
}

/* da = dout * b, db = dout * a; a and b may be the same value, then the second adds to the first */
static void d_both(const fj_run *run, const fj_node *node, int phase, int64_t part, int worker)
{
    (void)phase, (void)worker;
    int64_t n, at = fj_element_first(run, node, part, &n);
    for (int i = 0; i < 2; i++)
        if (node->din[i])
            run->k->mul_row((float *)node->din[i]->data + at, (const float *)node->dout[0]->data + at,
                            (const float *)node->fwd->in[1 - i]->data + at, n, fj_adds(run, node, i));
}

const fj_op fj_op_mul = {
    .name = "mul",
    .infer = fj_element_infer,
    .forward = { .parts = fj_element_parts, .part = forward },
    .backward = { { .gives = 3, .reads_in = 3, .work = { .parts = fj_element_parts, .part = d_both } } },
    .inplace = 3,
    .is_cheap = true,
};

fj_value *fj_mul(fj_graph *g, fj_value *a, fj_value *b)
{
    fj_value *in[] = { a, b };
    return fj_graph_add(g, &fj_op_mul, in, 2, 1, NULL, 0, NULL)->out[0];
}
