/* SPDX-License-Identifier: Apache-2.0
 * Products in dot form with NEON: tiles of 2 x 3 sums, 24 of 32 registers. */
#include "kernels/arm/v16_neon.h"

enum { TILE_M = 2, TILE_N = 3, TAIL_N = 1 };

#include "kernels/v16/gemm_dot_float_body.h"

void fj_kernels_init_gemm_dot_neon(fj_kernels *k)
{
    init_gemm_dot(k);
}
