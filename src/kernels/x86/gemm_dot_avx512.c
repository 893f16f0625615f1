/* SPDX-License-Identifier: Apache-2.0
 * Products in dot form with AVX-512: tiles of 4 x 6 sums, 24 of 32 registers. */
#include "kernels/x86/v16_avx512.h"

enum { TILE_M = 4, TILE_N = 6, TAIL_N = 2 };

#include "kernels/v16/gemm_dot_float_body.h"

void fj_kernels_init_gemm_dot_avx512(fj_kernels *k)
{
    init_gemm_dot(k);
}
