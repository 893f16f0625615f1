/* SPDX-License-Identifier: Apache-2.0
 * Products in row form with AVX-512: tiles of 6 rows by 64 columns, 24 of 32 registers. */
#include "kernels/x86/v16_avx512.h"

enum { TILE_M = 6, TILE_V = 4 };

#include "kernels/v16/gemm_rows_float_body.h"

void fj_kernels_init_gemm_rows_avx512(fj_kernels *k)
{
    init_gemm_rows(k);
}
