/* SPDX-License-Identifier: Apache-2.0
 * int8 products over NEON: tiles of 4 rows by 8 outputs, or of 1 or 2 rows by 16. Included by a file that says block_sums first:
 * the exact integer sums, which the features of processors differ in. Layout and order of summation: tile_internal.h. */
#ifndef FJ_KERNELS_ARM_QUANT_DOT_BODY_H
#define FJ_KERNELS_ARM_QUANT_DOT_BODY_H

FJ_INLINE float32x4_t load_halves(const uint8_t *p)
{
    return from_f16(vreinterpret_u16_u8(vld1_u8(p)));
}

FJ_INLINE uint8x8_t load_4_bytes(const uint8_t *p)
{
    return vreinterpret_u8_u32(vdup_n_u32(fj_load_u32(p)));
}

FJ_INLINE float32x4_t load_u8(const uint8_t *p)
{
    return vcvtq_f32_u32(vmovl_u16(vget_low_u16(vmovl_u8(load_4_bytes(p)))));
}

FJ_INLINE float32x4_t load_i8(const uint8_t *p)
{
    return vcvtq_f32_s32(vmovl_s16(vget_low_s16(vmovl_s8(vreinterpret_s8_u8(load_4_bytes(p))))));
}

/* Adds a block's part of quarter q, whose sums are given, to the accumulators of that quarter, one for each row.
 * head: the block's own scales; super: those of its super-block. */
FJ_INLINE void add_sums(fj_form f, const int rows, const int quarters, int q, const fj_word *x, const uint8_t *super,
                        const uint8_t *head, int32x4_t sums[2][MOST_SUMS], float32x4_t acc[MOST_SUMS])
{
    float32x4_t d = load_halves(f.is_super ? super : head), min = vdupq_n_f32(0), d1 = min;
    if (f.has_min)
        min = load_halves((f.is_super ? super : head) + 32);
    if (f.is_super && f.has_min) {
        d = vmulq_f32(d, load_u8(head));
        min = vmulq_f32(min, load_u8(head + 16));
    } else if (f.is_super) {
        d1 = vmulq_f32(d, load_i8(head + 16));
        d = vmulq_f32(d, load_i8(head));
    }
#pragma GCC unroll 4
    for (int r = 0; r < rows; r++) {
        int         at = quarters * r + q;
        float       scale = x[fj_panel_scale(rows, r)].f;
        float32x4_t sum = vcvtq_f32_s32(sums[0][at]);
        if (f.is_super && !f.has_min) {
            float32x4_t part = vfmaq_f32(vmulq_f32(sum, d), vcvtq_f32_s32(sums[1][at]), d1);
            acc[at] = vfmaq_n_f32(acc[at], part, scale);
            continue;
        }
        acc[at] = vfmaq_f32(acc[at], sum, vmulq_n_f32(d, scale));
        float32x4_t offset = vdupq_n_f32(x[fj_panel_scaled_sum(rows, r)].f);
        if (f.has_min)
            acc[at] = f.is_super ? vfmsq_f32(acc[at], min, offset) : vfmaq_f32(acc[at], min, offset);
    }
}

/* Quarters first… of a tile. */
FJ_INLINE void part_of_tile(fj_form f, const int rows, const int quarters, int first, const fj_tile_work *work)
{
    const fj_word *x = work->panel;
    const uint8_t *super = work->tile + fj_super_at(f, work->first_block);
    const uint8_t *head = work->tile + fj_block_at(f, work->first_block);
    float         *y = work->y + 4 * first;
    int            n = work->n - 4 * first;
    float32x4_t    acc[MOST_SUMS];
#pragma GCC unroll 8
    for (int i = 0; i < rows * quarters; i++) {
        int r = i / quarters, q = i % quarters;
        acc[i] = work->first_block > 0 && r < work->m ? load4(y + r * work->ldy + 4 * q, n - 4 * q) : vdupq_n_f32(0);
    }
    for (int64_t b = 0; b < work->n_blocks; b++, x += rows * FJ_PANEL_ROW_WORDS) {
        int32x4_t sums[2][MOST_SUMS];
        block_sums(f, rows, quarters, x, head + fj_block_head(f) + 16 * first, sums);
#pragma GCC unroll 4
        for (int q = 0; q < quarters; q++) {
            int at = first + q, step = f.is_super ? 4 : 8; /* bytes of a quarter: scales of a super-block's blocks, halves */
            add_sums(f, rows, quarters, q, x, super + 8 * at, head + step * at, sums, acc);
        }
        head += fj_block_bytes(f);
        if (f.is_super && b % FJ_SUPER_BLOCKS == FJ_SUPER_BLOCKS - 1) {
            super = head;
            head += fj_super_head(f);
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

static void tile_q8_0(const fj_tile_work *work)
{
    tile(fj_forms[FJ_ROW_Q8_0], work);
}

static void gemm_q8_0(float *y, int64_t ldy, const void *x, size_t x_bytes, const void *tiles, int64_t m, int64_t n, int64_t k)
{
    fj_gemm_q_tiles(fj_forms[FJ_ROW_Q8_0], tile_q8_0, MAX_ROWS, y, ldy, x, x_bytes, tiles, m, n, k);
}

static void tile_q4_0(const fj_tile_work *work)
{
    tile(fj_forms[FJ_ROW_Q4_0], work);
}

static void gemm_q4_0(float *y, int64_t ldy, const void *x, size_t x_bytes, const void *tiles, int64_t m, int64_t n, int64_t k)
{
    fj_gemm_q_tiles(fj_forms[FJ_ROW_Q4_0], tile_q4_0, MAX_ROWS, y, ldy, x, x_bytes, tiles, m, n, k);
}

static void tile_q4_1(const fj_tile_work *work)
{
    tile(fj_forms[FJ_ROW_Q4_1], work);
}

static void gemm_q4_1(float *y, int64_t ldy, const void *x, size_t x_bytes, const void *tiles, int64_t m, int64_t n, int64_t k)
{
    fj_gemm_q_tiles(fj_forms[FJ_ROW_Q4_1], tile_q4_1, MAX_ROWS, y, ldy, x, x_bytes, tiles, m, n, k);
}

static void tile_q5_0(const fj_tile_work *work)
{
    tile(fj_forms[FJ_ROW_Q5_0], work);
}

static void gemm_q5_0(float *y, int64_t ldy, const void *x, size_t x_bytes, const void *tiles, int64_t m, int64_t n, int64_t k)
{
    fj_gemm_q_tiles(fj_forms[FJ_ROW_Q5_0], tile_q5_0, MAX_ROWS, y, ldy, x, x_bytes, tiles, m, n, k);
}

static void tile_q5_1(const fj_tile_work *work)
{
    tile(fj_forms[FJ_ROW_Q5_1], work);
}

static void gemm_q5_1(float *y, int64_t ldy, const void *x, size_t x_bytes, const void *tiles, int64_t m, int64_t n, int64_t k)
{
    fj_gemm_q_tiles(fj_forms[FJ_ROW_Q5_1], tile_q5_1, MAX_ROWS, y, ldy, x, x_bytes, tiles, m, n, k);
}

static void tile_q4_k(const fj_tile_work *work)
{
    tile(fj_forms[FJ_ROW_Q4_K], work);
}

static void gemm_q4_k(float *y, int64_t ldy, const void *x, size_t x_bytes, const void *tiles, int64_t m, int64_t n, int64_t k)
{
    fj_gemm_q_tiles(fj_forms[FJ_ROW_Q4_K], tile_q4_k, MAX_ROWS, y, ldy, x, x_bytes, tiles, m, n, k);
}

static void tile_q5_k(const fj_tile_work *work)
{
    tile(fj_forms[FJ_ROW_Q5_K], work);
}

static void gemm_q5_k(float *y, int64_t ldy, const void *x, size_t x_bytes, const void *tiles, int64_t m, int64_t n, int64_t k)
{
    fj_gemm_q_tiles(fj_forms[FJ_ROW_Q5_K], tile_q5_k, MAX_ROWS, y, ldy, x, x_bytes, tiles, m, n, k);
}

static void tile_q6_k(const fj_tile_work *work)
{
    tile(fj_forms[FJ_ROW_Q6_K], work);
}

static void gemm_q6_k(float *y, int64_t ldy, const void *x, size_t x_bytes, const void *tiles, int64_t m, int64_t n, int64_t k)
{
    fj_gemm_q_tiles(fj_forms[FJ_ROW_Q6_K], tile_q6_k, MAX_ROWS, y, ldy, x, x_bytes, tiles, m, n, k);
}

static void init_quant_dot(fj_kernels *k)
{
    k->gemm_q[FJ_ROW_Q8_0] = gemm_q8_0;
    k->gemm_q[FJ_ROW_Q4_0] = gemm_q4_0;
    k->gemm_q[FJ_ROW_Q4_1] = gemm_q4_1;
    k->gemm_q[FJ_ROW_Q5_0] = gemm_q5_0;
    k->gemm_q[FJ_ROW_Q5_1] = gemm_q5_1;
    k->gemm_q[FJ_ROW_Q4_K] = gemm_q4_k;
    k->gemm_q[FJ_ROW_Q5_K] = gemm_q5_k;
    k->gemm_q[FJ_ROW_Q6_K] = gemm_q6_k;
}

#endif
