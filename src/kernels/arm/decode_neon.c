/* SPDX-License-Identifier: Apache-2.0
 * Rows of types without a packed form with NEON: decode_body.h over v16_neon.h and i16_neon.h. */
#include "kernels/arm/i16_neon.h"

#include "kernels/v16/decode_body.h"

void fj_kernels_init_decode_neon(fj_kernels *k)
{
    init_decode(k);
}
