/* SPDX-License-Identifier: Apache-2.0
 * Conversions of rows between f32, f16 and bf16, a value at a time. */
#include "kernels/kernels_internal.h"
#include "quant/quant.h"

static void f16_to_f32_row(float *y, const uint16_t *x, int64_t n)
{
    for (int64_t i = 0; i < n; i++)
        y[i] = fj_f16_to_f32(x[i]);
}

static void bf16_to_f32_row(float *y, const uint16_t *x, int64_t n)
{
    for (int64_t i = 0; i < n; i++)
        y[i] = fj_bf16_to_f32(x[i]);
}

static void f32_to_f16_row(uint16_t *y, const float *x, int64_t n)
{
    for (int64_t i = 0; i < n; i++)
        y[i] = fj_f32_to_f16(x[i]);
}

static void f32_to_bf16_row(uint16_t *y, const float *x, int64_t n)
{
    for (int64_t i = 0; i < n; i++)
        y[i] = fj_f32_to_bf16(x[i]);
}

void fj_kernels_init_convert_ref(fj_kernels *k)
{
    k->f16_to_f32_row = f16_to_f32_row;
    k->bf16_to_f32_row = bf16_to_f32_row;
    k->f32_to_f16_row = f32_to_f16_row;
    k->f32_to_bf16_row = f32_to_bf16_row;
}
