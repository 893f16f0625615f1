/* SPDX-License-Identifier: Apache-2.0
 * y = min(max(x, lo), hi); NaN stays NaN
 * in: x (N,F)   attr: lo, hi (infinite: no limit) */
#include "ops/elementwise.h"
#include "ops/graph.h"

static void forward(const fj_run *run, const fj_node *node, int phase, int64_t part, int worker)
{
    (void)phase, (void)worker;
    int64_t n, at = fj_element_first(run, node, part, &n);
    const float *x = (const float *)node->in[0]->data + at;
    float *y = (float *)node->out[0]->data + at, lo = (float)node->attr[0], hi = (float)node->attr[1];
    for (int64_t i = 0; i < n; i++)
        y[i] = x[i] < lo ? lo : x[i] > hi ? hi : x[i];
}

/* dx = dy inside (the limits themselves too, as PyTorch has it), 0 outside */
static void d_x(const fj_run *run, const fj_node *node, int phase, int64_t part, int worker)
{
    (void)phase, (void)worker;
    int64_t n, at = fj_element_first(run, node, part, &n);
    const float *x = (const float *)node->fwd->in[0]->data + at, *dy = (const float *)node->dout[0]->data + at;
    float *dx = (float *)node->din[0]->data + at, lo = (float)node->attr[0], hi = (float)node->attr[1];
    bool add = fj_adds(run, node, 0);
    for (int64_t i = 0; i < n; i++) {
        float d = x[i] < lo || x[i] > hi ? 0 : dy[i];
        dx[i] = add ? dx[i] + d : d;
    }
}

const fj_op fj_op_clamp = {
    .name = "clamp",
    .infer = fj_element_infer,
    .forward = { .parts = fj_element_parts, .part = forward },
    .backward = { { .gives = 1, .reads_in = 1, .work = { .parts = fj_element_parts, .part = d_x } } },
    .inplace = 1,
    .is_cheap = true,
};

fj_value *fj_clamp(fj_graph *g, fj_value *x, double lo, double hi)
{
    double attr[] = { lo, hi };
    return fj_graph_add(g, &fj_op_clamp, &x, 1, 1, attr, 2, NULL)->out[0];
}
