/* SPDX-License-Identifier: Apache-2.0
 * The products of gemm_rows_body.h whose sums are chains of f32 FMAs, and the packing of pairs. */
#ifndef FJ_KERNELS_V16_GEMM_ROWS_FLOAT_BODY_H
#define FJ_KERNELS_V16_GEMM_ROWS_FLOAT_BODY_H

#include "kernels/v16/madd_pairs_wide.h"

#include "kernels/v16/gemm_rows_body.h"

static void gemm_rows_f32(float *c, int64_t ldc, const float *a, int64_t a_row, int64_t a_col, const float *b, int64_t ldb,
                          int64_t m, int64_t n, int64_t p, bool add)
{
    const rows r = { .c = c, .ldc = ldc, .a = (const char *)a, .b = (const char *)b, .a_i = a_row * 4, .a_p = a_col * 4,
                     .b_p = ldb * 4, .m = m, .n = n, .p = p, .add = add };
    row_products(F32, &r);
}

static void gemm_pairs_bf16(float *c, int64_t ldc, const uint16_t *a, int64_t lda, const uint16_t *b_pairs, int64_t m, int64_t n,
                            int64_t p, bool add)
{
    pairs_products(c, ldc, a, lda, b_pairs, m, n, p, add);
}

static void pack_pairs_bf16(uint16_t *dst, const uint16_t *b, int64_t ldb, int64_t p, int64_t n)
{
    for (int64_t q = 0; q < p; q += 2) {
        const uint16_t *b0 = b + q * ldb, *b1 = q + 1 < p ? b0 + ldb : NULL;
        for (int64_t j = 0; j < n; j += 16)
            v16_store_interleaved(dst + q * n + 2 * j, b0 + j, b1 ? b1 + j : NULL, (int)FJ_MIN(16, n - j));
    }
}

static void init_gemm_rows(fj_kernels *k)
{
    k->gemm_rows_f32   = gemm_rows_f32;
    k->pack_pairs_bf16 = pack_pairs_bf16;
    k->gemm_pairs_bf16 = gemm_pairs_bf16;
}

#endif
