/* SPDX-License-Identifier: Apache-2.0
 * Conversions of rows in v16. Included behind a v16 header. */
#ifndef FJ_KERNELS_V16_CONVERT_BODY_H
#define FJ_KERNELS_V16_CONVERT_BODY_H

#include "kernels/kernels_internal.h"

static void f16_to_f32_row(float *y, const uint16_t *x, int64_t n)
{
    int64_t i = 0;
    for (; i + 16 <= n; i += 16)
        v16_store(y + i, v16_load_f16(x + i, 16), 16);
    if (i < n)
        v16_store(y + i, v16_load_f16(x + i, (int)(n - i)), (int)(n - i));
}

static void bf16_to_f32_row(float *y, const uint16_t *x, int64_t n)
{
    int64_t i = 0;
    for (; i + 16 <= n; i += 16)
        v16_store(y + i, v16_load_bf16(x + i, 16), 16);
    if (i < n)
        v16_store(y + i, v16_load_bf16(x + i, (int)(n - i)), (int)(n - i));
}

static void f32_to_f16_row(uint16_t *y, const float *x, int64_t n)
{
    int64_t i = 0;
    for (; i + 16 <= n; i += 16)
        v16_store_f16(y + i, v16_load(x + i, 16), 16);
    if (i < n)
        v16_store_f16(y + i, v16_load(x + i, (int)(n - i)), (int)(n - i));
}

static void f32_to_bf16_row(uint16_t *y, const float *x, int64_t n)
{
    int64_t i = 0;
    for (; i + 16 <= n; i += 16)
        v16_store_bf16(y + i, v16_load(x + i, 16), 16);
    if (i < n)
        v16_store_bf16(y + i, v16_load(x + i, (int)(n - i)), (int)(n - i));
}

static void init_convert(fj_kernels *k)
{
    k->f16_to_f32_row  = f16_to_f32_row;
    k->bf16_to_f32_row = bf16_to_f32_row;
    k->f32_to_f16_row  = f32_to_f16_row;
    k->f32_to_bf16_row = f32_to_bf16_row;
}

#endif
