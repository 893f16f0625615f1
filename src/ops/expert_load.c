/* SPDX-License-Identifier: Apache-2.0
 * How evenly the experts of a model are used, summed over layers: load[0,e] = load'[0,e] + sum over rows of softmax(logits)_e,
 * load[1,e] = load'[1,e] + how often e was chosen. load' is the load of the layers before, or NULL.
 * in: load' (2,E), logits (N,E), chosen (N,K) i32   out: load (2,E)
 * The counts have no gradient. See balance_loss.c. */
#include <string.h>

#include "ops/graph.h"

enum { ROWS = 16 };

static fj_status infer(fj_node *node, fj_err *err)
{
    const fj_value *before = node->in[0], *z = node->in[1];
    int64_t e = fj_cols(z);
    if (before && fj_cols(before) != e)
        return fj_fail(err, FJ_ERR_SHAPE, "expert_load: %lld experts here, %lld before", (long long)e,
                       (long long)fj_cols(before));
    node->out[0]->shape = fj_shape_2(2, e);
    return FJ_OK;
}

static size_t scratch(const fj_node *node, const fj_run *run)
{
    (void)run;
    return (size_t)fj_cols(node->rule < 0 ? node->in[1] : node->fwd->in[1]) * (sizeof(float) + sizeof(double));
}

/* Rows in order, sums in double: one part, a few numbers a row. */
static void forward(const fj_run *run, const fj_node *node, int phase, int64_t part, int worker)
{
    (void)phase, (void)part;
    int64_t e = fj_cols(node->in[1]), rows = fj_rows(run, node->in[1]), k = fj_cols(node->in[2]);
    double *sum = fj_scratch(run, worker);
    float *p = (float *)(void *)(sum + e), *load = node->out[0]->data;
    const int32_t *chosen = node->in[2]->data;
    memset(sum, 0, (size_t)e * sizeof *sum);
    if (node->in[0])
        memcpy(load, node->in[0]->data, 2 * (size_t)e * sizeof *load);
    else
        memset(load, 0, 2 * (size_t)e * sizeof *load);
    for (int64_t r = 0; r < rows; r++) {
        const float *z = (const float *)node->in[1]->data + r * e;
        double all = run->k->exp_row(p, z, 1.0f, run->k->max_row(z, e), e);
        for (int64_t j = 0; j < e; j++)
            sum[j] += p[j] / all;
        for (int64_t i = 0; i < k; i++)
            load[e + chosen[r * k + i]] += 1;
    }
    for (int64_t j = 0; j < e; j++)
        load[j] += (float)sum[j];
}

/* dz_j = p_j (g_j - sum_i p_i g_i), g = dload[0] */
static int64_t d_parts(const fj_run *run, const fj_node *node, int phase)
{
    (void)phase;
    return fj_blocks(fj_rows(run, node->fwd->in[1]), ROWS);
}

static void d_logits(const fj_run *run, const fj_node *node, int phase, int64_t part, int worker)
{
    (void)phase;
    const fj_node *f = node->fwd;
    const float *g = node->dout[0]->data;
    float *p = fj_scratch(run, worker);
    int64_t e = fj_cols(f->in[1]), row1 = FJ_MIN((part + 1) * ROWS, fj_rows(run, f->in[1]));
    for (int64_t r = part * ROWS; r < row1; r++) {
        const float *z = (const float *)f->in[1]->data + r * e;
        float *dz = (float *)node->din[1]->data + r * e, all = run->k->exp_row(p, z, 1.0f, run->k->max_row(z, e), e);
        run->k->scale_row(p, p, 1.0f / all, e);
        float sum = run->k->dot_row(p, g, e);
        for (int64_t j = 0; j < e; j++) {
            float d = p[j] * (g[j] - sum);
            dz[j] = fj_adds(run, node, 1) ? dz[j] + d : d;
        }
    }
}

const fj_op fj_op_expert_load = {
    .name = "expert_load",
    .infer = infer,
    .forward = { .part = forward, .scratch = scratch },
    .backward = { { .gives = 1, .pass = true },
                  { .gives = 2, .reads_in = 2, .work = { .parts = d_parts, .part = d_logits, .scratch = scratch } } },
};

fj_value *fj_expert_load(fj_graph *g, fj_value *before, fj_value *logits, const fj_route *route)
{
    fj_value *in[] = { before, logits, route->chosen };
    return fj_graph_add(g, &fj_op_expert_load, in, 3, 1, NULL, 0, NULL)->out[0];
}
