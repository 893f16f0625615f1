/* SPDX-License-Identifier: Apache-2.0
 * Rows of activations with AVX2: rows_body.h over v16_avx2.h. */
#include "kernels/x86/v16_avx2.h"

#include "kernels/v16/rows_body.h"

void fj_kernels_init_rows_avx2(fj_kernels *k)
{
    init_rows(k);
}
