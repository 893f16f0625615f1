/* SPDX-License-Identifier: Apache-2.0
 * Products in dot form with AVX2: tiles of 2 x 3 sums, 12 of 16 registers. */
#include "kernels/x86/v16_avx2.h"

enum { TILE_M = 2, TILE_N = 3, TAIL_N = 1 };

#include "kernels/v16/gemm_dot_float_body.h"

void fj_kernels_init_gemm_dot_avx2(fj_kernels *k)
{
    init_gemm_dot(k);
}
