/* SPDX-License-Identifier: Apache-2.0
 * Updates of weights with AVX2: optimizer_body.h over v16_avx2.h. */
#include "kernels/x86/v16_avx2.h"

#include "kernels/v16/optimizer_body.h"

void fj_kernels_init_optimizer_avx2(fj_kernels *k)
{
    init_optimizer(k);
}
