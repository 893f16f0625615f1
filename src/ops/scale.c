/* SPDX-License-Identifier: Apache-2.0
 * y = c * x + shift
 * in: x (N,F)   attr: c, shift */
#include "ops/elementwise.h"
#include "ops/graph.h"

static void forward(const fj_run *run, const fj_node *node, int phase, int64_t part, int worker)
{
    (void)phase, (void)worker;
    int64_t n, at = fj_element_first(run, node, part, &n);
    float *y = (float *)node->out[0]->data + at, shift = (float)node->attr[1];
    run->k->scale_row(y, (const float *)node->in[0]->data + at, (float)node->attr[0], n);
    for (int64_t i = 0; shift != 0 && i < n; i++)
        y[i] += shift;
}

static void d_x(const fj_run *run, const fj_node *node, int phase, int64_t part, int worker)
{
    (void)phase, (void)worker;
    int64_t n, at = fj_element_first(run, node, part, &n);
    float *dx = (float *)node->din[0]->data + at, c = (float)node->attr[0];
    const float *dy = (const float *)node->dout[0]->data + at;
    if (fj_adds(run, node, 0))
        run->k->axpy_row(dx, dy, c, n);
    else
        run->k->scale_row(dx, dy, c, n);
}

const fj_op fj_op_scale = {
    .name = "scale",
    .infer = fj_element_infer,
    .forward = { .parts = fj_element_parts, .part = forward },
    .backward = { { .gives = 1, .work = { .parts = fj_element_parts, .part = d_x } } },
    .inplace = 1,
};

fj_value *fj_affine(fj_graph *g, fj_value *x, double c, double shift)
{
    double attr[] = { c, shift };
    return fj_graph_add(g, &fj_op_scale, &x, 1, 1, attr, 2, NULL)->out[0];
}

fj_value *fj_scale(fj_graph *g, fj_value *x, double c)
{
    return fj_affine(g, x, c, 0);
}
