/* SPDX-License-Identifier: Apache-2.0
 * p *= 1 - lr*wd;  m = b1 m + (1-b1) g;  v = b2 v + (1-b2) g^2;  p -= lr/c1 * m / (sqrt(v)/sqrt(c2) + eps),  c_i = 1 - b_i^t,
 * with g the gradient times run->norm[1]. An effect on the parameter and its moments.
 * in: p, m, v (externals of one shape)   attr: beta1, beta2, eps, weight decay, factor of the rate
 * Source: torch, optim/adamw.py; Loshchilov and Hutter 2019, "Decoupled weight decay". */
#include <math.h>

#include "ops/graph.h"

enum { CHUNK = 1 << 14 };

static fj_status infer(fj_node *node, fj_err *err)
{
    (void)node, (void)err;
    return FJ_OK;
}

static int64_t parts(const fj_run *run, const fj_node *node, int phase)
{
    (void)run, (void)phase;
    return fj_blocks(fj_shape_count(&node->in[0]->shape), CHUNK);
}

static void update(const fj_run *run, const fj_node *node, int phase, int64_t part, int worker)
{
    (void)phase, (void)worker;
    const double *a = node->attr;
    int64_t at = part * CHUNK, n = FJ_MIN(CHUNK, fj_shape_count(&node->in[0]->shape) - at);
    double c1 = 1 - pow(a[0], (double)run->t), c2 = 1 - pow(a[1], (double)run->t), lr = run->lr * a[4];
    run->k->adamw_row((float *)node->in[0]->data + at, (const float *)node->in[0]->grad->data + at,
                      (float *)node->in[1]->data + at, (float *)node->in[2]->data + at, n, (float)run->norm[1],
                      (float)(lr / c1), (float)(1 - lr * a[3]), (float)a[0], (float)a[1], (float)sqrt(c2), (float)a[2]);
}

const fj_op fj_op_adamw = {
    .name = "adamw", .infer = infer, .forward = { .parts = parts, .part = update }, .is_effect = true
};

void fj_adamw(fj_graph *g, fj_value *param, fj_value *m, fj_value *v, const fj_adamw_settings *s, double lr_factor)
{
    fj_value *in[] = { param, m, v };
    double attr[] = { s->beta1, s->beta2, s->eps, s->weight_decay, lr_factor };
    (void)fj_graph_add(g, param->grad->dtype == &fj_bf16 ? &fj_op_adamw_bf16 : &fj_op_adamw, in, 3, 0, attr, 5, NULL);
}
