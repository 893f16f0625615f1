/* SPDX-License-Identifier: Apache-2.0
 * Rows of types without a packed form with AVX2: decode_body.h over v16_avx2.h and i16_avx2.h. */
#include "kernels/x86/i16_avx2.h"

#include "kernels/v16/decode_body.h"

void fj_kernels_init_decode_avx2(fj_kernels *k)
{
    init_decode(k);
}
