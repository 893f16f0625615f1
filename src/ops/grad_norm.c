/* SPDX-License-Identifier: Apache-2.0
 * norm[0] = sqrt(sum over parameters of |gradient|^2), norm[1] = min(1, max_norm / (norm[0] + 1e-6)), 1 when max_norm is 0.
 * An effect on run->norm. Squares are summed in double, in chunks of fixed size added in order.
 * attr[0]: max_norm   extra: the parameters   Source: torch, nn/utils/clip_grad.py. */
#include <math.h>

#include "ops/graph.h"

enum { CHUNK = 1 << 15, SOME = 512 };

typedef struct parameters {
    int n;
    fj_value **value;
    int64_t *first; /* n+1: first chunk of each */
} parameters;

static fj_status infer(fj_node *node, fj_err *err)
{
    (void)node, (void)err;
    return FJ_OK;
}

static size_t workspace(const fj_node *node, const fj_run *run)
{
    (void)run;
    const parameters *p = node->extra;
    return (size_t)p->first[p->n] * sizeof(double);
}

static int phases(const fj_run *run, const fj_node *node)
{
    (void)run, (void)node;
    return 2;
}

static int64_t parts(const fj_run *run, const fj_node *node, int phase)
{
    (void)run;
    const parameters *p = node->extra;
    return phase == 0 ? p->first[p->n] : 1;
}

static double sum_squares(const fj_run *run, const fj_value *gradient, int64_t at, int64_t n)
{
    double sum = 0;
    float wide[SOME];
    if (gradient->dtype == &fj_f32)
        return run->k->sum_squares_row((const float *)gradient->data + at, n);
    for (int64_t i = 0; i < n; i += SOME) {
        int64_t some = FJ_MIN(SOME, n - i);
        run->k->bf16_to_f32_row(wide, (const uint16_t *)gradient->data + at + i, some);
        sum += run->k->sum_squares_row(wide, some);
    }
    return sum;
}

static void part_of(const fj_run *run, const fj_node *node, int phase, int64_t part, int worker)
{
    (void)worker;
    const parameters *p = node->extra;
    double *sums = node->workspace->data;
    if (phase == 1) {
        double total = 0;
        for (int64_t i = 0; i < p->first[p->n]; i++)
            total += sums[i];
        run->norm[0] = sqrt(total);
        run->norm[1] = node->attr[0] > 0 ? fmin(1.0, node->attr[0] / (run->norm[0] + 1e-6)) : 1.0;
        return;
    }
    int lo = 0, hi = p->n;
    while (hi - lo > 1) {
        int mid = (lo + hi) / 2;
        if (p->first[mid] <= part)
            lo = mid;
        else
            hi = mid;
    }
    int64_t at = (part - p->first[lo]) * CHUNK, n = fj_shape_count(&p->value[lo]->shape);
    sums[part] = sum_squares(run, p->value[lo]->grad, at, FJ_MIN(CHUNK, n - at));
}

const fj_op fj_op_grad_norm = {
    .name = "grad_norm", .infer = infer, .forward = { phases, parts, part_of, workspace, NULL }, .is_effect = true
};

void fj_grad_norm(fj_graph *g, fj_value *const *params, int n, double max_norm)
{
    parameters *p = fj_arena_take(g->arena, sizeof *p);
    fj_assert(p);
    p->n = n;
    p->value = fj_arena_array(g->arena, (size_t)n, sizeof *p->value);
    p->first = fj_arena_array(g->arena, (size_t)n + 1, sizeof *p->first);
    fj_assert(p->value && p->first);
    for (int i = 0; i < n; i++) {
        p->value[i] = params[i];
        p->first[i + 1] = p->first[i] + fj_blocks(fj_shape_count(&params[i]->shape), CHUNK);
    }
    (void)fj_graph_add(g, &fj_op_grad_norm, NULL, 0, 0, &max_norm, 1, p);
}
