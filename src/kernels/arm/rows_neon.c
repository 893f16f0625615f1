/* SPDX-License-Identifier: Apache-2.0
 * Rows of activations with NEON: rows_body.h over v16_neon.h. */
#include "kernels/arm/v16_neon.h"

#include "kernels/v16/rows_body.h"

void fj_kernels_init_rows_neon(fj_kernels *k)
{
    init_rows(k);
}
