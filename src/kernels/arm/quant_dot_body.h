/* SPDX-License-Identifier: Apache-2.0
 * int8 products over NEON: tiles of 4 rows by 8 outputs, or of 1 or 2 rows by 16. Included by a file that says block_sums first:
 * the exact integer sums, which the features of processors differ in. Layout and order of summation: tile_internal.h. */
#ifndef FJ_KERNELS_ARM_QUANT_DOT_BODY_H
#define FJ_KERNELS_ARM_QUANT_DOT_BODY_H

FJ_INLINE float32x4_t load_halves(const uint8_t *p)
{
    return from_f16(vreinterpret_u16_u8(vld1_u8(p)));
}

FJ_INLINE float32x4_t load_i8(const uint8_t *p)
{
    return vcvtq_f32_s32(vmovl_s16(vget_low_s16(vmovl_s8(vreinterpret_s8_u8(load_4_bytes(p))))));
}

/* fj_power of each. */
FJ_INLINE float32x4_t load_power(const uint8_t *p)
{
    uint32x4_t e = load_u8(p), bits = vshlq_n_u32(vsubq_u32(e, vdupq_n_u32(1)), 23);
    uint32x4_t small = vshlq_u32(vdupq_n_u32(0x00200000), vreinterpretq_s32_u32(e));
    return vreinterpretq_f32_u32(vbslq_u32(vcltq_u32(e, vdupq_n_u32(2)), small, bits));
}

/* Scales and minimums of a block, or of its halves. */
typedef struct scales {
    float32x4_t d[2], min[2];
} scales;

/* Of quarter q of the tile's rows. */
FJ_INLINE scales load_scales(fj_form f, int q, const uint8_t *top, const uint8_t *sub)
{
    scales s;
    sub += 4 * q;
    if (f.top == FJ_TOP_POWER)
        s.d[0] = load_power(top + 4 * q);
    else if (f.top == FJ_TOP_FLOAT || f.top == FJ_TOP_ROW)
        s.d[0] = vreinterpretq_f32_u8(vld1q_u8(top + 16 * q));
    else
        s.d[0] = load_halves(top + 8 * q);
    if (f.top == FJ_TOP_ROW)
        s.d[0] = vmulq_n_f32(s.d[0], FJ_INT8_STEP);
    s.min[0] = f.top == FJ_TOP_HALF_MIN ? load_halves(top + 32 + 8 * q) : vdupq_n_f32(0);
    if (f.top == FJ_TOP_HALF_ZERO) {
        uint16x4_t zero = vreinterpret_u16_u8(vld1_u8(top + 32 + 8 * q));
        int32x4_t  above = vsubq_s32(vreinterpretq_s32_u32(vmovl_u16(zero)), vdupq_n_s32(f.offset));
        s.min[0] = vmulq_f32(vcvtq_f32_s32(above), s.d[0]);
    }
    s.d[1] = s.d[0];
    s.min[1] = s.min[0];
    if (f.sub == FJ_SUB_MIN) {
        s.d[0] = vmulq_f32(s.d[0], vcvtq_f32_u32(load_u8(sub)));
        s.min[0] = vmulq_f32(s.min[0], vcvtq_f32_u32(load_u8(sub + 16)));
    }
    if (f.sub == FJ_SUB_INT8)
        s.d[0] = vmulq_f32(s.d[0], load_i8(sub));
#pragma GCC unroll 2
    for (int h = 0; h < 2; h++) {
        if (f.sub == FJ_SUB_HALVES)
            s.d[h] = vmulq_f32(s.d[h], load_i8(sub + 16 * h));
        if (f.sub == FJ_SUB_NIBBLES)
            s.min[h] = vmulq_f32(s.min[h], vcvtq_f32_u32(vshrq_n_u32(load_u8(sub + 16 * h), 4)));
    }
    return s;
}

/* Adds a block's part of quarter q of `quarters`, whose sums and scales are given, to the accumulators of that quarter, one for each
 * row. */
FJ_INLINE void add_sums(fj_form f, const int rows, const int quarters, int q, const fj_word *x, scales s,
                        int32x4_t sums[2][MOST_SUMS], float32x4_t acc[MOST_SUMS])
{
#pragma GCC unroll 4
    for (int r = 0; r < rows; r++) {
        int         at = quarters * r + q;
        float       scale = x[fj_panel_scale(rows, r)].f;
        float32x4_t sum = vcvtq_f32_s32(sums[0][at]);
        if (fj_has_halves(f)) {
            float32x4_t part = vfmaq_f32(vmulq_f32(sum, s.d[0]), vcvtq_f32_s32(sums[1][at]), s.d[1]);
            acc[at] = vfmaq_n_f32(acc[at], part, scale);
        } else {
            acc[at] = vfmaq_f32(acc[at], sum, vmulq_n_f32(s.d[0], scale));
        }
#pragma GCC unroll 2
        for (int h = 0; h < 2; h++) {
            if (!fj_has_min(f) || h > fj_has_half_mins(f))
                break;
            float32x4_t offset = vdupq_n_f32(x[fj_panel_scaled_sum(rows, h, r)].f);
            acc[at] = fj_min_is_negative(f) ? vfmsq_f32(acc[at], s.min[h], offset) : vfmaq_f32(acc[at], s.min[h], offset);
        }
    }
}

/* Quarters first… of a tile. */
FJ_INLINE void part_of_tile(fj_form f, const int rows, const int quarters, int first, const fj_tile_work *work)
{
    const fj_word  *x = work->panel;
    const uint8_t  *top = work->tile + fj_super_at(f, work->first_block);
    const int8x16_t book = f.book ? vld1q_s8(work->book) : vdupq_n_s8(0);
    float          *y = work->y + 4 * first;
    int             n = work->n - 4 * first;
    float32x4_t     acc[MOST_SUMS];
#pragma GCC unroll 8
    for (int i = 0; i < rows * quarters; i++) {
        int r = i / quarters, q = i % quarters;
        acc[i] = work->first_block > 0 && r < work->m ? load4(y + r * work->ldy + 4 * q, n - 4 * q) : vdupq_n_f32(0);
    }
    for (int64_t b = 0; b < work->n_blocks; b += f.blocks, top += fj_super_bytes(f)) {
        const uint8_t *sub = top + fj_top_bytes(f);
        for (int i = 0; i < f.blocks; i++, sub += fj_block_bytes(f), x += rows * FJ_PANEL_ROW_WORDS) {
            int32x4_t sums[2][MOST_SUMS];
            block_sums(f, rows, quarters, x, sub, first, book, sums);
#pragma GCC unroll 4
            for (int q = 0; q < quarters; q++)
                add_sums(f, rows, quarters, q, x, load_scales(f, first + q, top, sub), sums, acc);
        }
    }
#pragma GCC unroll 8
    for (int i = 0; i < rows * quarters; i++) {
        int r = i / quarters, q = i % quarters;
        if (r < work->m)
            store4(y + r * work->ldy + 4 * q, acc[i], n - 4 * q);
    }
}

FJ_INLINE void tile(fj_form f, const fj_tile_work *work)
{
    if (work->rows == 1)
        part_of_tile(f, 1, 4, 0, work);
    else if (work->rows == 2)
        part_of_tile(f, 2, 4, 0, work);
    else
        for (int first = 0; 4 * first < work->n; first += 2)
            part_of_tile(f, 4, 2, first, work);
}

FJ_EACH_TILE(FJ_TILE_FN)
FJ_EACH_PACK(FJ_GEMM_FN)

static void init_quant_dot(fj_kernels *k)
{
    FJ_EACH_PACK(FJ_GEMM_ROW)
}

#endif
