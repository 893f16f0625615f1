/* SPDX-License-Identifier: Apache-2.0
 * Products in row form with NEON: tiles of 6 rows by 16 columns, 24 of 32 registers. */
#include "kernels/arm/v16_neon.h"

enum { TILE_M = 6, TILE_V = 1 };

#include "kernels/v16/gemm_rows_float_body.h"

void fj_kernels_init_gemm_rows_neon(fj_kernels *k)
{
    init_gemm_rows(k);
}
