/* SPDX-License-Identifier: Apache-2.0
 * out = act(gate) * up: the gated MLP's product for any activation (with silu it is swiglu.c).
 * in: gate (N,F), up (N,F)   extra: fj_activation   Source: Shazeer 2020, "GLU variants improve transformer". */
#include "ops/activation.h"
#include "ops/elementwise.h"
#include "ops/graph.h"

static void forward(const fj_run *run, const fj_node *node, int phase, int64_t part, int worker)
{
    (void)phase, (void)worker;
    const fj_activation *act = node->extra;
    int64_t n, at = fj_element_first(run, node, part, &n);
    const float *gate = (const float *)node->in[0]->data + at, *up = (const float *)node->in[1]->data + at;
    float *out = (float *)node->out[0]->data + at, y[FJ_ACTIVATION_MOST];
    for (int64_t i = 0; i < n; i += FJ_ACTIVATION_MOST) {
        int64_t some = FJ_MIN(FJ_ACTIVATION_MOST, n - i);
        act->row(run->k, y, gate + i, some);
        run->k->mul_row(out + i, y, up + i, some, false);
    }
}

/* dgate = dout * up * act'(gate), dup = dout * act(gate): one pass gives both */
static void d_both(const fj_run *run, const fj_node *node, int phase, int64_t part, int worker)
{
    (void)phase, (void)worker;
    const fj_activation *act = node->extra;
    int64_t n, at = fj_element_first(run, node, part, &n);
    const float *gate = (const float *)node->fwd->in[0]->data + at, *up = (const float *)node->fwd->in[1]->data + at;
    const float *dout = (const float *)node->dout[0]->data + at;
    float *dgate = node->din[0] ? (float *)node->din[0]->data + at : NULL;
    float *dup = node->din[1] ? (float *)node->din[1]->data + at : NULL;
    float y[FJ_ACTIVATION_MOST], slope[FJ_ACTIVATION_MOST];
    for (int64_t i = 0; i < n; i += FJ_ACTIVATION_MOST) {
        int64_t some = FJ_MIN(FJ_ACTIVATION_MOST, n - i);
        act->slope_row(run->k, y, slope, gate + i, some);
        run->k->mul_row(slope, slope, up + i, some, false);
        if (dgate)
            run->k->mul_row(dgate + i, dout + i, slope, some, fj_adds(run, node, 0));
        if (dup)
            run->k->mul_row(dup + i, dout + i, y, some, fj_adds(run, node, 1));
    }
}

const fj_op fj_op_gated = {
    .name = "gated",
    .infer = fj_element_infer,
    .forward = { .parts = fj_element_parts, .part = forward },
    .backward = { { .gives = 3, .reads_in = 3, .work = { .parts = fj_element_parts, .part = d_both } } },
    .inplace = 3,
    .is_cheap = true,
};

fj_value *fj_gated(fj_graph *g, fj_value *gate, fj_value *up, const fj_activation *act)
{
    fj_value *in[] = { gate, up };
    if (act == &fj_act_silu)
        return fj_swiglu(g, gate, up);
    return fj_graph_add(g, &fj_op_gated, in, 2, 1, NULL, 0, act)->out[0];
}
