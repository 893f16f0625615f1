/* SPDX-License-Identifier: Apache-2.0
 * gemm_bf16 with BFDOT, for processors that have it: the tiles of gemm_dot_neon.c with a pair of bf16 in each lane. */
#include "kernels/arm/v16_neon.h"

#include "kernels/arm/madd_pairs_bf16_neon.h"

enum { TILE_M = 2, TILE_N = 3, TAIL_N = 1 };

#include "kernels/v16/gemm_dot_body.h"

static void gemm_bf16(float *y, int64_t ldy, const uint16_t *x, int64_t ldx, const uint16_t *w, int64_t ldw, int64_t m,
                      int64_t n, int64_t k)
{
    const dots d = { y, ldy, (const char *)x, (const char *)w, (size_t)ldx * 2, (size_t)ldw * 2, k };
    dot_products(PAIRS, PAIRS, &d, m, n);
}

void fj_kernels_init_gemm_dot_bf16_neon(fj_kernels *k)
{
    k->gemm_bf16 = gemm_bf16;
}
