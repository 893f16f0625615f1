/* SPDX-License-Identifier: Apache-2.0
 * Rows of types without a packed form with AVX-512: decode_body.h over v16_avx512.h and i16_avx512.h. */
#include "kernels/x86/i16_avx512.h"

#include "kernels/v16/decode_body.h"

void fj_kernels_init_decode_avx512(fj_kernels *k)
{
    init_decode(k);
}
