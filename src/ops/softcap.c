/* SPDX-License-Identifier: Apache-2.0
 * y = c * tanh(x / c)
 * in: x (N,F)   attr[0]: c   Source: Gemma team 2024, "Gemma 2", section 2 (logit soft-capping). */
#include "ops/elementwise.h"
#include "ops/graph.h"

static void forward(const fj_run *run, const fj_node *node, int phase, int64_t part, int worker)
{
    (void)phase, (void)worker;
    int64_t n, at = fj_element_first(run, node, part, &n);
    float *y = (float *)node->out[0]->data + at, c = (float)node->attr[0];
    run->k->tanh_row(y, (const float *)node->in[0]->data + at, 1.0f / c, n);
    run->k->scale_row(y, y, c, n);
}

/* dx = dy * (1 - (y/c)^2) */
static void d_x(const fj_run *run, const fj_node *node, int phase, int64_t part, int worker)
{
    (void)phase, (void)worker;
    int64_t n, at = fj_element_first(run, node, part, &n);
    float *dx = (float *)node->din[0]->data + at, down = 1.0f / (float)node->attr[0];
    const float *dy = (const float *)node->dout[0]->data + at, *y = (const float *)node->fwd->out[0]->data + at;
    bool add = fj_adds(run, node, 0);
    for (int64_t i = 0; i < n; i++) {
        float t = y[i] * down, d = dy[i] * (1.0f - t * t);
        dx[i] = add ? dx[i] + d : d;
    }
}

const fj_op fj_op_softcap = {
    .name = "softcap",
    .infer = fj_element_infer,
    .forward = { .parts = fj_element_parts, .part = forward },
    .backward = { { .gives = 1, .reads_out = 1, .work = { .parts = fj_element_parts, .part = d_x } } },
    .inplace = 1,
};

fj_value *fj_softcap(fj_graph *g, fj_value *x, double c)
{
    return fj_graph_add(g, &fj_op_softcap, &x, 1, 1, &c, 1, NULL)->out[0];
}
