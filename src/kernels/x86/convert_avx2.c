/* SPDX-License-Identifier: Apache-2.0
 * Conversions of rows with AVX2: convert_body.h over v16_avx2.h. */
#include "kernels/x86/v16_avx2.h"

#include "kernels/v16/convert_body.h"

void fj_kernels_init_convert_avx2(fj_kernels *k)
{
    init_convert(k);
}
