/* SPDX-License-Identifier: Apache-2.0
 * AdamW (adamw.c) with parameter, gradient and moments in bf16, each step of torch's for-loop rounded as torch rounds it on a CPU: [x] is x
 * as bf16, everything inside is f32, where torch multiplies and adds in one (the moments) the product is exact.
 *   p = [p (1 - lr wd)];  m = [m + (1-b1)(g - m)];  v = [[b2 v] + (1-b2) g g];  d = [[[sqrt v] / sqrt c2] + [eps]];  p = [p - lr/c1 m / d]
 * An effect on the parameter and its moments.
 * in: p (bf16, or f32 that holds values of bf16), m, v bf16; the gradient bf16   attr: as adamw
 * Source: torch, optim/adam.py, _single_tensor_adam; aten, native/cpu (LerpKernel, PointwiseOpsKernel, BinaryOpsKernel). */
#include <math.h>
#include <string.h>

#include "ops/graph_internal.h"

enum { CHUNK = 1 << 14, SOME = 512 };

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

typedef struct constants {
    float clip, decay, w1, b2, w2, c2, eps, step;
} constants;

static void rounded(const fj_kernels *k, float *x, int64_t n)
{
    uint16_t half[SOME];
    k->f32_to_bf16_row(half, x, n);
    k->bf16_to_f32_row(x, half, n);
}

static constants constants_of(const fj_run *run, const double *a)
{
    double lr = run->lr * a[4], c1 = 1 - pow(a[0], (double)run->t), c2 = 1 - pow(a[1], (double)run->t);
    constants c = { .clip = (float)run->norm[1],
                    .decay = (float)(1 - lr * a[3]),
                    .w1 = (float)(1 - a[0]),
                    .b2 = (float)a[1],
                    .w2 = (float)(1 - a[1]),
                    .c2 = (float)sqrt(c2),
                    .eps = (float)a[2],
                    .step = (float)(-lr / c1) };
    rounded(run->k, &c.eps, 1);
    return c;
}

/* torch's lerp goes from the nearer end. */
static void first_moment(const constants *c, float *m, const float *g, int64_t n)
{
    for (int64_t i = 0; c->w1 < 0.5f && i < n; i++)
        m[i] = (float)((double)c->w1 * (double)(g[i] - m[i]) + (double)m[i]);
    for (int64_t i = 0; c->w1 >= 0.5f && i < n; i++)
        m[i] = (float)((double)(c->w1 - 1.0f) * (double)(g[i] - m[i]) + (double)g[i]);
}

/* Some values of all four, in f32. */
static void step(const fj_kernels *k, const constants *c, float *p, float *g, float *m, float *v, int64_t n)
{
    float d[SOME];
    k->scale_row(g, g, c->clip, n);
    rounded(k, g, n);
    k->scale_row(p, p, c->decay, n);
    rounded(k, p, n);
    first_moment(c, m, g, n);
    rounded(k, m, n);
    k->scale_row(v, v, c->b2, n);
    rounded(k, v, n);
    for (int64_t i = 0; i < n; i++)
        v[i] = (float)((double)(c->w2 * g[i]) * (double)g[i] + (double)v[i]);
    rounded(k, v, n);
    for (int64_t i = 0; i < n; i++)
        d[i] = sqrtf(v[i]);
    rounded(k, d, n);
    for (int64_t i = 0; i < n; i++)
        d[i] /= c->c2;
    rounded(k, d, n);
    for (int64_t i = 0; i < n; i++)
        d[i] += c->eps;
    rounded(k, d, n);
    for (int64_t i = 0; i < n; i++)
        p[i] += c->step * m[i] / d[i];
    rounded(k, p, n);
}

static void update(const fj_run *run, const fj_node *node, int phase, int64_t part, int worker)
{
    (void)phase, (void)worker;
    const fj_kernels *k = run->k;
    constants c = constants_of(run, node->attr);
    bool is_wide = node->in[0]->dtype == &fj_f32;
    float p[SOME], g[SOME], m[SOME], v[SOME];
    int64_t first = part * CHUNK, end = FJ_MIN(first + CHUNK, fj_shape_count(&node->in[0]->shape));
    for (int64_t i = first, n; i < end; i += n) {
        uint16_t *m16 = (uint16_t *)node->in[1]->data + i, *v16 = (uint16_t *)node->in[2]->data + i;
        uint16_t *p16 = is_wide ? NULL : (uint16_t *)node->in[0]->data + i;
        float *p32 = is_wide ? (float *)node->in[0]->data + i : NULL;
        n = FJ_MIN(SOME, end - i);
        if (is_wide)
            memcpy(p, p32, (size_t)n * sizeof *p);
        else
            k->bf16_to_f32_row(p, p16, n);
        k->bf16_to_f32_row(g, (const uint16_t *)node->in[0]->grad->data + i, n);
        k->bf16_to_f32_row(m, m16, n);
        k->bf16_to_f32_row(v, v16, n);
        step(k, &c, p, g, m, v, n);
        k->f32_to_bf16_row(m16, m, n);
        k->f32_to_bf16_row(v16, v, n);
        if (is_wide)
            memcpy(p32, p, (size_t)n * sizeof *p);
        else
            k->f32_to_bf16_row(p16, p, n);
    }
}

const fj_op fj_op_adamw_bf16 = {
    .name = "adamw_bf16", .infer = infer, .forward = { .parts = parts, .part = update }, .is_effect = true
};
