/* SPDX-License-Identifier: Apache-2.0
 * y = act(x)
 * in: x (N,F)   extra: fj_activation */
#include "ops/activation.h"

#include "ops/elementwise.h"
#include "ops/graph.h"

static void forward(const fj_run *run, const fj_node *node, int phase, int64_t part, int worker)
{
    (void)phase, (void)worker;
    const fj_activation *act = node->extra;
    int64_t n, at = fj_element_first(run, node, part, &n);
    const float *x = (const float *)node->in[0]->data + at;
    float *y = (float *)node->out[0]->data + at;
    for (int64_t i = 0; i < n; i += FJ_ACTIVATION_MOST)
        act->row(run->k, y + i, x + i, FJ_MIN(FJ_ACTIVATION_MOST, n - i));
}

/* dx = dy * act'(x) */
static void d_x(const fj_run *run, const fj_node *node, int phase, int64_t part, int worker)
{
    (void)phase, (void)worker;
    const fj_activation *act = node->extra;
    int64_t n, at = fj_element_first(run, node, part, &n);
    const float *x = (const float *)node->fwd->in[0]->data + at, *dy = (const float *)node->dout[0]->data + at;
    float *dx = (float *)node->din[0]->data + at, y[FJ_ACTIVATION_MOST], slope[FJ_ACTIVATION_MOST];
    for (int64_t i = 0; i < n; i += FJ_ACTIVATION_MOST) {
        int64_t some = FJ_MIN(FJ_ACTIVATION_MOST, n - i);
        act->slope_row(run->k, y, slope, x + i, some);
        run->k->mul_row(dx + i, dy + i, slope, some, fj_adds(run, node, 0));
    }
}

const fj_op fj_op_activation = {
    .name = "activation",
    .infer = fj_element_infer,
    .forward = { .parts = fj_element_parts, .part = forward },
    .backward = { { .gives = 1, .reads_in = 1, .work = { .parts = fj_element_parts, .part = d_x } } },
    .inplace = 1,
    .is_cheap = true,
};

fj_value *fj_activate(fj_graph *g, fj_value *x, const fj_activation *act)
{
    return fj_graph_add(g, &fj_op_activation, &x, 1, 1, NULL, 0, act)->out[0];
}
