/* SPDX-License-Identifier: Apache-2.0
 * What attention in bf16 reads, a value at a time: tiles of keys and values as pairs, weights of the softmax. */
#include <math.h>
#include <string.h>

#include "kernels/kernels_internal.h"
#include "quant/quant.h"

/* Rows of f16 or of f32. */
static float value(const uint16_t *halves, const float *floats, int64_t at)
{
    return halves ? fj_f16_to_f32(halves[at]) : floats[at];
}

static void pack_keys(uint16_t *dst, const uint16_t *halves, const float *floats, int64_t ldk, const float *less,
                      int64_t n, int64_t d)
{
    memset(dst, 0, (size_t)((d + 1) / 2 * FJ_KEY_COLUMNS * 2) * sizeof *dst);
    for (int64_t j = 0; j < n; j++)
        for (int64_t p = 0; p < d; p++)
            dst[(p / 2 * FJ_KEY_COLUMNS + j) * 2 + p % 2] = fj_f32_to_bf16(value(halves, floats, j * ldk + p) -
                                                                           less[p]);
}

static void pack_values(uint16_t *dst, const uint16_t *halves, const float *floats, int64_t ldv, int64_t n, int64_t d)
{
    memset(dst, 0, (size_t)((n + 1) / 2 * d * 2) * sizeof *dst);
    for (int64_t j = 0; j < n; j++)
        for (int64_t c = 0; c < d; c++)
            dst[(j / 2 * d + c) * 2 + j % 2] = fj_f32_to_bf16(value(halves, floats, j * ldv + c));
}

static void pack_keys_f16(uint16_t *dst, const uint16_t *k, int64_t ldk, const float *less, int64_t n, int64_t d)
{
    pack_keys(dst, k, NULL, ldk, less, n, d);
}

static void pack_keys_f32(uint16_t *dst, const float *k, int64_t ldk, const float *less, int64_t n, int64_t d)
{
    pack_keys(dst, NULL, k, ldk, less, n, d);
}

static void pack_values_f16(uint16_t *dst, const uint16_t *v, int64_t ldv, int64_t n, int64_t d)
{
    pack_values(dst, v, NULL, ldv, n, d);
}

static void pack_values_f32(uint16_t *dst, const float *v, int64_t ldv, int64_t n, int64_t d)
{
    pack_values(dst, NULL, v, ldv, n, d);
}

static float exp_row_bf16(uint16_t *y, const float *x, float scale, float max, int64_t n)
{
    double sum = 0;
    for (int64_t i = 0; i < n; i++) {
        float e = (float)exp(fmaf(scale, x[i], -max));
        y[i] = fj_f32_to_bf16(e);
        sum += e;
    }
    return (float)sum;
}

void fj_kernels_init_keys_ref(fj_kernels *k)
{
    k->pack_keys_f16 = pack_keys_f16;
    k->pack_keys_f32 = pack_keys_f32;
    k->pack_values_f16 = pack_values_f16;
    k->pack_values_f32 = pack_values_f32;
    k->exp_row_bf16 = exp_row_bf16;
}
