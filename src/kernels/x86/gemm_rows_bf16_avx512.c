/* SPDX-License-Identifier: Apache-2.0
 * gemm_pairs_bf16 with VDPBF16PS, for processors that have it: the tiles of gemm_rows_avx512.c with a pair of bf16 in each lane. */
#include "kernels/x86/v16_avx512.h"

#include "kernels/x86/madd_pairs_bf16.h"

enum { TILE_M = 6, TILE_V = 4 };

#include "kernels/v16/gemm_rows_body.h"

static void gemm_pairs_bf16(float *c, int64_t ldc, const uint16_t *a, int64_t lda, const uint16_t *b_pairs, int64_t m,
                            int64_t n, int64_t p, bool add)
{
    pairs_products(c, ldc, a, lda, b_pairs, m, n, p, add);
}

void fj_kernels_init_gemm_rows_bf16_avx512(fj_kernels *k)
{
    k->gemm_pairs_bf16 = gemm_pairs_bf16;
}
