/* SPDX-License-Identifier: Apache-2.0
 * The loss that keeps experts evenly used: aux = E * sum_e f_e P_e, f_e = count_e / T, P_e = (sum of probabilities)_e / T over the T
 * rows of all layers together, so that sum_e f_e = K. It adds weight * aux to what is minimized.
 * in: load (2,E) of expert_load.c, weight (1)   attr[0]: K   out: aux (1), external
 * Gradient: dload[0,e] = weight * E * f_e / T, the counts are constant. Source: Fedus et al. 2021, eq. 4, as transformers'
 * load_balancing_loss_func has it. */
#include "ops/graph.h"

static fj_status infer(fj_node *node, fj_err *err)
{
    const fj_value *load = node->in[0];
    if (load->shape.rank != 2 || load->shape.dim[0] != 2 || fj_shape_count(&node->in[1]->shape) != 1)
        return fj_fail(err, FJ_ERR_SHAPE, "balance_loss: wants a load and one weight");
    node->out[0]->shape = fj_shape_1(1);
    node->out[0]->place = FJ_EXTERNAL;
    return FJ_OK;
}

/* Both the loss and its gradient: a handful of numbers. */
static void work(const fj_run *run, const fj_node *node, int phase, int64_t part, int worker)
{
    (void)phase, (void)part, (void)worker;
    const fj_node *f = node->rule < 0 ? node : node->fwd;
    const float *load = f->in[0]->data;
    int64_t e = fj_cols(f->in[0]);
    double rows = 0, sum = 0, weight = *(const float *)f->in[1]->data;
    for (int64_t j = 0; j < e; j++) {
        rows += load[e + j] / f->attr[0];
        sum += (double)load[j] * load[e + j];
    }
    double by = rows > 0 ? (double)e / (rows * rows) : 0;
    *(float *)f->out[0]->data = (float)(by * sum);
    if (node->rule < 0)
        return;
    float *d = node->din[0]->data;
    bool add = fj_adds(run, node, 0);
    for (int64_t j = 0; j < e; j++) {
        d[j] = (float)((add ? d[j] : 0) + weight * by * load[e + j]);
        d[e + j] = add ? d[e + j] : 0;
    }
}

const fj_op fj_op_balance_loss = {
    .name = "balance_loss",
    .infer = infer,
    .forward = { .part = work },
    .backward = { { .gives = 1, .reads_in = 3, .reads_out = 1, .work = { .part = work } } },
    .is_loss = true,
};

fj_value *fj_balance_loss(fj_graph *g, fj_value *load, fj_value *weight, int64_t k)
{
    fj_value *in[] = { load, weight };
    double attr = (double)k;
    return fj_graph_add(g, &fj_op_balance_loss, in, 2, 1, &attr, 1, NULL)->out[0];
}
