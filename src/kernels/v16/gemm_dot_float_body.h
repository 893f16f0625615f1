/* SPDX-License-Identifier: Apache-2.0
 * The products of gemm_dot_body.h whose sums are chains of f32 FMAs: f32, f16 and bf16, widened exactly.
 * gemm_bf16 widens both sides. */
#ifndef FJ_KERNELS_V16_GEMM_DOT_FLOAT_BODY_H
#define FJ_KERNELS_V16_GEMM_DOT_FLOAT_BODY_H

#include "kernels/v16/madd_pairs_wide.h"

#include "kernels/v16/gemm_dot_body.h"

static void gemm_f32(float *y, int64_t ldy, const float *x, int64_t ldx, const float *w, int64_t ldw, int64_t m, int64_t n,
                     int64_t k)
{
    const dots d = { y, ldy, (const char *)x, (const char *)w, (size_t)ldx * 4, (size_t)ldw * 4, k };
    dot_products(F32, F32, &d, m, n);
}

static void gemm_f32_f16(float *y, int64_t ldy, const float *x, int64_t ldx, const uint16_t *w, int64_t ldw, int64_t m, int64_t n,
                         int64_t k)
{
    const dots d = { y, ldy, (const char *)x, (const char *)w, (size_t)ldx * 4, (size_t)ldw * 2, k };
    dot_products(F32, F16, &d, m, n);
}

static void gemm_f32_bf16(float *y, int64_t ldy, const float *x, int64_t ldx, const uint16_t *w, int64_t ldw, int64_t m,
                          int64_t n, int64_t k)
{
    const dots d = { y, ldy, (const char *)x, (const char *)w, (size_t)ldx * 4, (size_t)ldw * 2, k };
    dot_products(F32, BF16, &d, m, n);
}

static void gemm_bf16(float *y, int64_t ldy, const uint16_t *x, int64_t ldx, const uint16_t *w, int64_t ldw, int64_t m, int64_t n,
                      int64_t k)
{
    const dots d = { y, ldy, (const char *)x, (const char *)w, (size_t)ldx * 2, (size_t)ldw * 2, k };
    dot_products(BF16, BF16, &d, m, n);
}

static void init_gemm_dot(fj_kernels *k)
{
    k->gemm_f32      = gemm_f32;
    k->gemm_f32_f16  = gemm_f32_f16;
    k->gemm_f32_bf16 = gemm_f32_bf16;
    k->gemm_bf16     = gemm_bf16;
}

#endif
