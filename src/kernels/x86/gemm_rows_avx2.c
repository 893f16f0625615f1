/* SPDX-License-Identifier: Apache-2.0
 * Products in row form with AVX2: tiles of 6 rows by 16 columns, 12 of 16 registers. */
#include "kernels/x86/v16_avx2.h"

enum { TILE_M = 6, TILE_V = 1 };

#include "kernels/v16/gemm_rows_float_body.h"

void fj_kernels_init_gemm_rows_avx2(fj_kernels *k)
{
    init_gemm_rows(k);
}
