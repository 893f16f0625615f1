/* SPDX-License-Identifier: Apache-2.0
 * gemm_bf16 with VDPBF16PS, for processors that have it: the tiles of gemm_dot_avx512.c with a pair of bf16 in each lane. */
#include "kernels/x86/v16_avx512.h"

#include "kernels/x86/madd_pairs_bf16.h"

enum { TILE_M = 4, TILE_N = 6, TAIL_N = 2 };

#include "kernels/v16/gemm_dot_body.h"

static void gemm_bf16(float *y, int64_t ldy, const uint16_t *x, int64_t ldx, const uint16_t *w, int64_t ldw, int64_t m,
                      int64_t n, int64_t k)
{
    const dots d = { y, ldy, (const char *)x, (const char *)w, (size_t)ldx * 2, (size_t)ldw * 2, k };
    dot_products(PAIRS, PAIRS, &d, m, n);
}

void fj_kernels_init_gemm_dot_bf16_avx512(fj_kernels *k)
{
    k->gemm_bf16 = gemm_bf16;
}
