/* SPDX-License-Identifier: Apache-2.0
 * Updates of weights with AVX-512: optimizer_body.h over v16_avx512.h. */
#include "kernels/x86/v16_avx512.h"

#include "kernels/v16/optimizer_body.h"

void fj_kernels_init_optimizer_avx512(fj_kernels *k)
{
    init_optimizer(k);
}
