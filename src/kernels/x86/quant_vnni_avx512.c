/* SPDX-License-Identifier: Apache-2.0
 * int8 products with VPDPBUSD: 16 outputs are the 16 lanes of a register; a plane of unsigned codes meets four
 * broadcast int8 of each activation row. Codes are unpacked once for all rows of a panel. Layout and order of
 * summation: tile_internal.h. */
#include <immintrin.h>

#include "kernels/kernels_internal.h"
#include "kernels/tile_internal.h"

enum { OR_OF_AND = 0xf8 }; /* of VPTERNLOG: a | (b & c) */

/* Of a panel. With halves a row takes three registers instead of two, and 12 rows more than there are. */
FJ_INLINE int most_rows(fj_form f)
{
    return fj_has_halves(f) ? 8 : 12;
}

/* 16 levels as unsigned bytes, in each lane of 16. */
FJ_INLINE __m512i load_book(const int8_t *book)
{
    __m128i levels = _mm_xor_si128(_mm_loadu_si128((const __m128i *)book), _mm_set1_epi8((char)0x80));
    return _mm512_broadcast_i32x4(levels);
}

/* Bits of a plane moved to where the mask wants them: left, or right when negative. */
FJ_INLINE __m512i moved(__m512i plane, const int left)
{
    return left > 0   ? _mm512_slli_epi16(plane, (unsigned)left)
           : left < 0 ? _mm512_srli_epi16(plane, (unsigned)-left)
                      : plane;
}

/* 16 x 4 codes of group g, or their levels. */
FJ_INLINE __m512i codes_of_group(fj_form f, const uint8_t *codes, int g, __m512i book)
{
    __m512i code;
    if (f.bits == 8)
        return _mm512_loadu_si512(codes + 64 * g);
    if (f.bits <= 3)
        code = _mm512_and_si512(moved(_mm512_loadu_si512(codes + 64 * (g & 1)), -(g & 6)), _mm512_set1_epi8(3));
    else
        code = _mm512_and_si512(moved(_mm512_loadu_si512(codes + 64 * (g & 3)), -(g & 4)), _mm512_set1_epi8(15));
    if (f.bits == 3)
        code = _mm512_ternarylogic_epi32(code, moved(_mm512_loadu_si512(codes + 128), 2 - g), _mm512_set1_epi8(4),
                                         OR_OF_AND);
    if (f.bits == 5)
        code = _mm512_ternarylogic_epi32(code, moved(_mm512_loadu_si512(codes + 256), 4 - g), _mm512_set1_epi8(0x10),
                                         OR_OF_AND);
    if (f.bits == 6)
        code = _mm512_ternarylogic_epi32(code, moved(_mm512_loadu_si512(codes + 256 + 64 * (g >> 2)), 4 - 2 * (g & 3)),
                                         _mm512_set1_epi8(0x30), OR_OF_AND);
    return f.book ? _mm512_shuffle_epi8(book, code) : code;
}

FJ_INLINE __m512 load_f16(const uint8_t *p)
{
    return _mm512_cvtph_ps(_mm256_loadu_si256((const __m256i *)p));
}

FJ_INLINE __m512i load_u8(const uint8_t *p)
{
    return _mm512_cvtepu8_epi32(_mm_loadu_si128((const __m128i *)p));
}

FJ_INLINE __m512 load_i8(const uint8_t *p)
{
    return _mm512_cvtepi32_ps(_mm512_cvtepi8_epi32(_mm_loadu_si128((const __m128i *)p)));
}

/* fj_power of each. */
FJ_INLINE __m512 load_power(const uint8_t *p)
{
    __m512i e = load_u8(p), bits = _mm512_slli_epi32(_mm512_sub_epi32(e, _mm512_set1_epi32(1)), 23);
    __mmask16 is_small = _mm512_cmplt_epi32_mask(e, _mm512_set1_epi32(2));
    return _mm512_castsi512_ps(_mm512_mask_sllv_epi32(bits, is_small, _mm512_set1_epi32(0x00200000), e));
}

/* Scales and minimums of a block, or of its halves. */
typedef struct scales {
    __m512 d[2], min[2];
} scales;

FJ_INLINE scales load_scales(fj_form f, const uint8_t *top, const uint8_t *sub)
{
    scales s;
    if (f.top == FJ_TOP_POWER)
        s.d[0] = load_power(top);
    else if (f.top == FJ_TOP_FLOAT || f.top == FJ_TOP_ROW)
        s.d[0] = _mm512_loadu_ps(top);
    else
        s.d[0] = load_f16(top);
    if (f.top == FJ_TOP_ROW)
        s.d[0] = _mm512_mul_ps(s.d[0], _mm512_set1_ps(FJ_INT8_STEP));
    s.min[0] = f.top == FJ_TOP_HALF_MIN ? load_f16(top + 32) : _mm512_setzero_ps();
    if (f.top == FJ_TOP_HALF_ZERO) {
        __m512i zero = _mm512_cvtepu16_epi32(_mm256_loadu_si256((const __m256i *)(top + 32)));
        zero = _mm512_sub_epi32(zero, _mm512_set1_epi32(f.offset));
        s.min[0] = _mm512_mul_ps(_mm512_cvtepi32_ps(zero), s.d[0]);
    }
    s.d[1] = s.d[0];
    s.min[1] = s.min[0];
    if (f.sub == FJ_SUB_MIN) {
        s.d[0] = _mm512_mul_ps(s.d[0], _mm512_cvtepi32_ps(load_u8(sub)));
        s.min[0] = _mm512_mul_ps(s.min[0], _mm512_cvtepi32_ps(load_u8(sub + 16)));
    }
    if (f.sub == FJ_SUB_INT8)
        s.d[0] = _mm512_mul_ps(s.d[0], load_i8(sub));
#pragma GCC unroll 2
    for (int h = 0; h < 2; h++) {
        if (f.sub == FJ_SUB_HALVES)
            s.d[h] = _mm512_mul_ps(s.d[h], load_i8(sub + 16 * h));
        if (f.sub == FJ_SUB_NIBBLES)
            s.min[h] = _mm512_mul_ps(s.min[h], _mm512_cvtepi32_ps(_mm512_srli_epi32(load_u8(sub + 16 * h), 4)));
    }
    return s;
}

/* Low nibbles, in both halves of 16 bits of each lane: bytes times them stay bytes. */
FJ_INLINE __m512i load_nibble_scale(const uint8_t *p)
{
    __m512i a = _mm512_and_si512(load_u8(p), _mm512_set1_epi32(15));
    return _mm512_or_si512(a, _mm512_slli_epi32(a, 16));
}

/* Exact integer sums of the half h, or of a block (h 0), for each row. sub: where the block begins. */
FJ_INLINE void group_sums(fj_form f, const int rows, const int h, const fj_word *x, const uint8_t *sub, __m512i book,
                          __m512i sums[FJ_PANEL_ROWS])
{
    const uint8_t *codes = sub + fj_sub_bytes(f);
#pragma GCC unroll 12
    for (int r = 0; r < FJ_PANEL_ROWS; r++) {
        if (r >= rows)
            break;
        sums[r] = f.offset ? _mm512_set1_epi32(x[fj_panel_start(rows, h, r)].i) : _mm512_setzero_si512();
    }
#pragma GCC unroll 8
    for (int i = 0; i < 8; i++) {
        const int g = fj_has_halves(f) ? 4 * h + i : i / 2 + i % 2 * 4; /* those that share a plane are neighbours */
        if (fj_has_halves(f) && i >= 4)
            break;
        __m512i code = codes_of_group(f, codes, g, book);
        if (f.sub == FJ_SUB_NIBBLES)
            code = _mm512_mullo_epi16(code, load_nibble_scale(sub + g / 4 * 16));
#pragma GCC unroll 12
        for (int r = 0; r < FJ_PANEL_ROWS; r++)
            if (r < rows)
                sums[r] = _mm512_dpbusd_epi32(sums[r], code, _mm512_set1_epi32(x[fj_panel_q(r) + g].i));
    }
}

/* The minimum of a block, or of its half i, times the sum of what it meets. */
FJ_INLINE void add_min(fj_form f, const int rows, const int i, const fj_word *x, __m512 min, __m512 acc[FJ_PANEL_ROWS])
{
#pragma GCC unroll 12
    for (int r = 0; r < FJ_PANEL_ROWS; r++) {
        if (r >= rows)
            break;
        __m512 sum = _mm512_set1_ps(x[fj_panel_scaled_sum(rows, i, r)].f);
        acc[r] = fj_min_is_negative(f) ? _mm512_fnmadd_ps(min, sum, acc[r]) : _mm512_fmadd_ps(min, sum, acc[r]);
    }
}

/* Adds one block to the accumulators. top: the scales of its super-block; sub: its own. Halves one after the other: sums of both
 * and the accumulators of 12 rows are more than there are registers. */
FJ_INLINE void add_block(fj_form f, const int rows, const fj_word *x, const uint8_t *top, const uint8_t *sub,
                         __m512i book, __m512 acc[FJ_PANEL_ROWS])
{
    __m512i sums[FJ_PANEL_ROWS];
    __m512 part[FJ_PANEL_ROWS];
    scales s = load_scales(f, top, sub);
    group_sums(f, rows, 0, x, sub, book, sums);
#pragma GCC unroll 12
    for (int r = 0; r < FJ_PANEL_ROWS; r++) {
        if (r >= rows)
            break;
        __m512 scale = _mm512_set1_ps(x[fj_panel_scale(rows, r)].f), sum = _mm512_cvtepi32_ps(sums[r]);
        if (fj_has_halves(f))
            part[r] = _mm512_mul_ps(sum, s.d[0]);
        else
            acc[r] = _mm512_fmadd_ps(sum, _mm512_mul_ps(s.d[0], scale), acc[r]);
    }
    if (fj_has_halves(f)) {
        group_sums(f, rows, 1, x, sub, book, sums);
#pragma GCC unroll 12
        for (int r = 0; r < FJ_PANEL_ROWS; r++) {
            if (r >= rows)
                break;
            part[r] = _mm512_fmadd_ps(_mm512_cvtepi32_ps(sums[r]), s.d[1], part[r]);
            acc[r] = _mm512_fmadd_ps(part[r], _mm512_set1_ps(x[fj_panel_scale(rows, r)].f), acc[r]);
        }
    }
    if (fj_has_min(f))
        add_min(f, rows, 0, x, s.min[0], acc);
    if (fj_has_half_mins(f))
        add_min(f, rows, 1, x, s.min[1], acc);
}

FJ_INLINE void tile_rows(fj_form f, const int rows, const fj_tile_work *work)
{
    const __mmask16 cols = (__mmask16)((1u << work->n) - 1);
    const __m512i book = f.book ? load_book(work->book) : _mm512_setzero_si512();
    const fj_word *x = work->panel;
    const uint8_t *top = work->tile + fj_super_at(f, work->first_block);
    __m512 acc[FJ_PANEL_ROWS];
#pragma GCC unroll 12
    for (int r = 0; r < FJ_PANEL_ROWS; r++)
        if (r < rows)
            acc[r] = work->first_block > 0 && r < work->m ? _mm512_maskz_loadu_ps(cols, work->y + r * work->ldy)
                                                          : _mm512_setzero_ps();
    for (int64_t b = 0; b < work->n_blocks; b += f.blocks, top += fj_super_bytes(f)) {
        const uint8_t *sub = top + fj_top_bytes(f);
        for (int i = 0; i < f.blocks; i++, sub += fj_block_bytes(f), x += rows * FJ_PANEL_ROW_WORDS)
            add_block(f, rows, x, top, sub, book, acc);
    }
#pragma GCC unroll 12
    for (int r = 0; r < FJ_PANEL_ROWS; r++)
        if (r < rows && r < work->m)
            _mm512_mask_storeu_ps(work->y + r * work->ldy, cols, acc[r]);
}

FJ_INLINE void tile(fj_form f, const fj_tile_work *work)
{
    switch (work->rows) {
    case 1: tile_rows(f, 1, work); break;
    case 2: tile_rows(f, 2, work); break;
    case 4: tile_rows(f, 4, work); break;
    case 8:
        if (most_rows(f) != 8) {
            tile_rows(f, 8, work);
            break;
        } /* fall through */
    default: tile_rows(f, most_rows(f), work); break;
    }
}

FJ_EACH_TILE(FJ_TILE_FN)
FJ_EACH_PACK(FJ_GEMM_FN)

void fj_kernels_init_quant_vnni_avx512(fj_kernels *k)
{
    FJ_EACH_PACK(FJ_GEMM_ROW)
}
