/* SPDX-License-Identifier: Apache-2.0
 * Updates of weights in v16. Included behind a v16 header. */
#ifndef FJ_KERNELS_V16_OPTIMIZER_BODY_H
#define FJ_KERNELS_V16_OPTIMIZER_BODY_H

#include "kernels/kernels_internal.h"

typedef struct adamw {
    v16 clip, minus_lr, decay, beta1, rest1, beta2, rest2, sqrt_c2, eps;
} adamw;

INLINE void adamw_step(float *p, const float *g, float *m, float *v, const adamw *a, int n)
{
    v16 grad = v16_mul(v16_load(g, n), a->clip);
    v16 m1 = v16_fma(a->beta1, v16_load(m, n), v16_mul(a->rest1, grad), 16);
    v16 v1 = v16_fma(a->beta2, v16_load(v, n), v16_mul(v16_mul(a->rest2, grad), grad), 16);
    v16 below = v16_add(v16_div(v16_sqrt(v1), a->sqrt_c2), a->eps);
    v16_store(m, m1, n);
    v16_store(v, v1, n);
    v16_store(p, v16_fma(a->minus_lr, v16_div(m1, below), v16_mul(v16_load(p, n), a->decay), 16), n);
}

static void adamw_row(float *p, const float *g, float *m, float *v, int64_t n, float clip, float lr_c1, float decay, double beta1,
                      double beta2, float sqrt_c2, float eps)
{
    const adamw a = { v16_set1(clip), v16_set1(-lr_c1), v16_set1(decay), v16_set1((float)beta1), v16_set1((float)(1 - beta1)),
                      v16_set1((float)beta2), v16_set1((float)(1 - beta2)), v16_set1(sqrt_c2), v16_set1(eps) };
    int64_t i = 0;
    for (; i + 16 <= n; i += 16)
        adamw_step(p + i, g + i, m + i, v + i, &a, 16);
    if (i < n)
        adamw_step(p + i, g + i, m + i, v + i, &a, (int)(n - i));
}

static void init_optimizer(fj_kernels *k)
{
    k->adamw_row = adamw_row;
}

#endif
