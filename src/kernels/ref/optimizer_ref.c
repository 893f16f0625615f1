/* SPDX-License-Identifier: Apache-2.0
 * Updates of weights, each value in double and rounded where it is stored.
 * Source: Loshchilov and Hutter 2019, algorithm 2, in the order of torch.optim.AdamW. */
#include <math.h>

#include "kernels/kernels_internal.h"

static void adamw_row(float *p, const float *g, float *m, float *v, int64_t n, float clip, float lr_c1, float decay,
                      double beta1, double beta2, float sqrt_c2, float eps)
{
    for (int64_t i = 0; i < n; i++) {
        double grad = (double)g[i] * clip;
        m[i] = (float)(beta1 * m[i] + (1 - beta1) * grad);
        v[i] = (float)(beta2 * v[i] + (1 - beta2) * grad * grad);
        p[i] = (float)((double)p[i] * decay - lr_c1 * (m[i] / (sqrt(v[i]) / sqrt_c2 + eps)));
    }
}

void fj_kernels_init_optimizer_ref(fj_kernels *k)
{
    k->adamw_row = adamw_row;
}
