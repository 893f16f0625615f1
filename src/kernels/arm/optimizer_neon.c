/* SPDX-License-Identifier: Apache-2.0
 * Updates of weights with NEON: optimizer_body.h over v16_neon.h. */
#include "kernels/arm/v16_neon.h"

#include "kernels/v16/optimizer_body.h"

void fj_kernels_init_optimizer_neon(fj_kernels *k)
{
    init_optimizer(k);
}
