/* SPDX-License-Identifier: Apache-2.0
 * Conversions of rows with NEON: convert_body.h over v16_neon.h. */
#include "kernels/arm/v16_neon.h"

#include "kernels/v16/convert_body.h"

void fj_kernels_init_convert_neon(fj_kernels *k)
{
    init_convert(k);
}
