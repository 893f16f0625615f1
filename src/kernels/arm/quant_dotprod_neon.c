/* SPDX-License-Identifier: Apache-2.0
 * int8 products with SDOT, for processors that have it. */
#include "kernels/arm/v16_neon.h"
#include "kernels/kernels_internal.h"
#include "kernels/tile_internal.h"

#include "kernels/arm/sdot.h"

#include "kernels/arm/quant_sums.h"

FJ_INLINE void block_sums(fj_form f, const int rows, const int quarters, const fj_word *x, const uint8_t *sub,
                          int first_quarter, int8x16_t book, int32x4_t sums[2][MOST_SUMS])
{
    dot_sums(f, rows, quarters, x, sub, first_quarter, book, sums);
}

#include "kernels/arm/quant_dot_body.h"

void fj_kernels_init_quant_dotprod_neon(fj_kernels *k)
{
    init_quant_dot(k);
}
