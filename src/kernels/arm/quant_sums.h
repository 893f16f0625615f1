/* SPDX-License-Identifier: Apache-2.0
 * Exact integer sums of a block of a packed tile: codes as int8, four outputs (a quarter of the tile's rows) a register.
 * Included by a file that says dot4 first. */
#ifndef FJ_KERNELS_ARM_QUANT_SUMS_H
#define FJ_KERNELS_ARM_QUANT_SUMS_H

enum { MOST_SUMS = 8 }; /* registers of sums: rows of a panel times quarters */

FJ_INLINE int most_rows(fj_form f)
{
    (void)f;
    return 4;
}

FJ_INLINE uint8x8_t load_4_bytes(const uint8_t *p)
{
    return vreinterpret_u8_u32(vdup_n_u32(fj_load_u32(p)));
}

FJ_INLINE uint32x4_t load_u8(const uint8_t *p)
{
    return vmovl_u16(vget_low_u16(vmovl_u8(load_4_bytes(p))));
}

/* 4 x 4 codes of group g, or int8 (fj_is_signed), or codes times their scale (Q2_K). sub: where the block begins; quarter: of the
 * tile's rows. */
FJ_INLINE int8x16_t codes_of_group(fj_form f, const uint8_t *sub, int quarter, int g, int8x16_t book)
{
    const uint8_t *codes = sub + fj_sub_bytes(f) + 16 * quarter;
    uint8x16_t code, high = vdupq_n_u8(0);
    if (f.bits == 8)
        return vreinterpretq_s8_u8(veorq_u8(vld1q_u8(codes + 64 * g), vdupq_n_u8(0x80)));
    if (f.bits <= 3)
        code = vandq_u8(vshlq_u8(vld1q_u8(codes + 64 * (g & 1)), vdupq_n_s8((int8_t)-(g & 6))), vdupq_n_u8(3));
    else
        code = vandq_u8(vshlq_u8(vld1q_u8(codes + 64 * (g & 3)), vdupq_n_s8((int8_t)-(g & 4))), vdupq_n_u8(15));
    if (f.bits == 3)
        high = vandq_u8(vshlq_u8(vld1q_u8(codes + 128), vdupq_n_s8((int8_t)(2 - g))), vdupq_n_u8(4));
    if (f.bits == 5)
        high = vandq_u8(vshlq_u8(vld1q_u8(codes + 256), vdupq_n_s8((int8_t)(4 - g))), vdupq_n_u8(0x10));
    if (f.bits == 6)
        high = vandq_u8(vshlq_u8(vld1q_u8(codes + 256 + 64 * (g >> 2)), vdupq_n_s8((int8_t)(4 - 2 * (g & 3)))),
                        vdupq_n_u8(0x30));
    code = vorrq_u8(code, high);
    if (f.sub == FJ_SUB_NIBBLES) {
        uint32x4_t a = vandq_u32(load_u8(sub + g / 4 * 16 + 4 * quarter), vdupq_n_u32(15));
        code = vmulq_u8(code, vreinterpretq_u8_u32(vmulq_n_u32(a, 0x01010101u)));
    }
    return f.book ? vqtbl1q_s8(book, code) : vreinterpretq_s8_u8(code);
}

/* Where the sum of half h and row r begins. */
FJ_INLINE int32x4_t start(fj_form f, const int rows, const fj_word *x, int h, int r)
{
    return vdupq_n_s32(f.offset && !fj_is_signed(f) ? x[fj_panel_start(rows, h, r)].i : 0);
}

/* Sums of `quarters` quarters for each row: sums[0][quarters * row + quarter], and with scales of halves sums[1] of the second. */
FJ_INLINE void dot_sums(fj_form f, const int rows, const int quarters, const fj_word *x, const uint8_t *sub, int first_quarter, int8x16_t book,
                        int32x4_t sums[2][MOST_SUMS])
{
    const bool halves = fj_has_halves(f);
#pragma GCC unroll 8
    for (int i = 0; i < rows * quarters; i++) {
        sums[0][i] = start(f, rows, x, 0, i / quarters);
        sums[1][i] = halves ? start(f, rows, x, 1, i / quarters) : vdupq_n_s32(0);
    }
#pragma GCC unroll 4
    for (int p = 0; p < 4; p++)
#pragma GCC unroll 4
        for (int q = 0; q < quarters; q++) {
            int8x16_t first = codes_of_group(f, sub, first_quarter + q, p, book);
            int8x16_t second = codes_of_group(f, sub, first_quarter + q, p + 4, book);
#pragma GCC unroll 4
            for (int r = 0; r < rows; r++) {
                const int8_t *row = (const int8_t *)(x + fj_panel_q(r));
                int           at = quarters * r + q;
                sums[0][at] = dot4(sums[0][at], first, vld1q_s8(row), p);
                sums[halves][at] = dot4(sums[halves][at], second, vld1q_s8(row + 16), p);
            }
        }
}

#endif
