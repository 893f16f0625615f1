/* SPDX-License-Identifier: Apache-2.0
 * int8 products with SMMLA, for processors that have it: two rows by two outputs by eight values along k in one instruction.
 * A panel of one row uses SDOT, half of SMMLA would be idle. */
#include "kernels/arm/v16_neon.h"
#include "kernels/kernels_internal.h"
#include "kernels/tile_internal.h"

#include "kernels/arm/sdot.h"

#include "kernels/arm/quant_sums.h"

/* Groups g, g + 1 of two rows, row after row. */
FJ_INLINE int8x16_t two_rows(const fj_word *x, int g)
{
    return vcombine_s8(vld1_s8((const int8_t *)(x + g)), vld1_s8((const int8_t *)(x + 8 + g)));
}

/* Adds groups g, g + 1 of one quarter and two rows. sums: [x0 w0, x0 w1, x1 w0, x1 w1], then the same of w2, w3. */
FJ_INLINE void add_groups(int32x4_t sums[2], int8x16_t x, int8x16_t first, int8x16_t second)
{
    int32x4_t u = vreinterpretq_s32_s8(first), v = vreinterpretq_s32_s8(second);
    sums[0] = vmmlaq_s32(sums[0], x, vreinterpretq_s8_s32(vzip1q_s32(u, v)));
    sums[1] = vmmlaq_s32(sums[1], x, vreinterpretq_s8_s32(vzip2q_s32(u, v)));
}

/* Groups g … g + n of all quarters and rows to sums[quarters * row + quarter]. */
FJ_INLINE void add_pairs(fj_form f, const int rows, const int quarters, const fj_word *x, const uint8_t *sub,
                         int first_quarter, int8x16_t book, int g, int n, int32x4_t sums[MOST_SUMS])
{
    int32x4_t square[MOST_SUMS];
#pragma GCC unroll 8
    for (int i = 0; i < rows * quarters; i++)
        square[i] = vdupq_n_s32(0);
#pragma GCC unroll 4
    for (int end = g + n; g < end; g += 2)
#pragma GCC unroll 4
        for (int q = 0; q < quarters; q++) {
            int8x16_t first = codes_of_group(f, sub, first_quarter + q, g, book);
            int8x16_t second = codes_of_group(f, sub, first_quarter + q, g + 1, book);
#pragma GCC unroll 2
            for (int r = 0; r < rows; r += 2)
                add_groups(square + quarters * r + 2 * q, two_rows(x + fj_panel_q(r), g), first, second);
        }
#pragma GCC unroll 2
    for (int r = 0; r < rows; r += 2)
#pragma GCC unroll 4
        for (int q = 0; q < quarters; q++) {
            int64x2_t low = vreinterpretq_s64_s32(square[quarters * r + 2 * q]);
            int64x2_t high = vreinterpretq_s64_s32(square[quarters * r + 2 * q + 1]);
            int32x4_t *one = sums + quarters * r + q, *other = one + quarters;
            *one = vaddq_s32(*one, vreinterpretq_s32_s64(vzip1q_s64(low, high)));
            *other = vaddq_s32(*other, vreinterpretq_s32_s64(vzip2q_s64(low, high)));
        }
}

FJ_INLINE void block_sums(fj_form f, const int rows, const int quarters, const fj_word *x, const uint8_t *sub,
                          int first_quarter, int8x16_t book, int32x4_t sums[2][MOST_SUMS])
{
    const bool halves = fj_has_halves(f);
    if (rows == 1) {
        dot_sums(f, rows, quarters, x, sub, first_quarter, book, sums);
        return;
    }
#pragma GCC unroll 8
    for (int i = 0; i < rows * quarters; i++) {
        sums[0][i] = start(f, rows, x, 0, i / quarters);
        sums[1][i] = halves ? start(f, rows, x, 1, i / quarters) : vdupq_n_s32(0);
    }
    add_pairs(f, rows, quarters, x, sub, first_quarter, book, 0, halves ? 4 : 8, sums[0]);
    if (halves)
        add_pairs(f, rows, quarters, x, sub, first_quarter, book, 4, 4, sums[1]);
}

#include "kernels/arm/quant_dot_body.h"

void fj_kernels_init_quant_i8mm_neon(fj_kernels *k)
{
    init_quant_dot(k);
}
