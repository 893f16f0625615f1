/* SPDX-License-Identifier: Apache-2.0
 * Rows of activations with AVX-512: rows_body.h over v16_avx512.h. */
#include "kernels/x86/v16_avx512.h"

#include "kernels/v16/rows_body.h"

void fj_kernels_init_rows_avx512(fj_kernels *k)
{
    init_rows(k);
}
