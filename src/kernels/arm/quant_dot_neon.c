/* SPDX-License-Identifier: Apache-2.0
 * int8 products with NEON alone: products in 16 bits, which two of them (2 * 128 * 127 < 2^15) are added in, then in 32. */
#include "kernels/arm/v16_neon.h"
#include "kernels/kernels_internal.h"
#include "kernels/tile_internal.h"

/* sum[i] + w[4i…4i+3] times word `lane` of x */
FJ_INLINE int32x4_t dot4(int32x4_t sum, int8x16_t w, int8x16_t x, int lane)
{
    int32x4_t words = vreinterpretq_s32_s8(x);
    int8x16_t word = vreinterpretq_s8_s32(vdupq_n_s32(words[lane]));
    int16x8_t low = vmull_s8(vget_low_s8(w), vget_low_s8(word)), high = vmull_high_s8(w, word);
    return vpadalq_s16(sum, vpaddq_s16(low, high));
}

#include "kernels/arm/quant_sums.h"

FJ_INLINE void block_sums(fj_form f, const int rows, const int quarters, const fj_word *x, const uint8_t *sub,
                          int first_quarter, int8x16_t book, int32x4_t sums[2][MOST_SUMS])
{
    dot_sums(f, rows, quarters, x, sub, first_quarter, book, sums);
}

#include "kernels/arm/quant_dot_body.h"

void fj_kernels_init_quant_dot_neon(fj_kernels *k)
{
    init_quant_dot(k);
}
