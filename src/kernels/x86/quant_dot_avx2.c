/* SPDX-License-Identifier: Apache-2.0
 * int8 products with AVX2: VPMADDUBSW where it cannot saturate. Pairs of products of codes up to 2^bits - 1 with int8
 * up to 127 are added in 16 bits for as many groups as fit (15*127*2*8, 31*127*2*4, 63*127*2*2 < 2^15), then widened
 * by VPMADDWD with ones. int8 codes and levels go as |w| times x with w's sign (128*127*2 < 2^15). A tile's 16 rows are
 * two registers, taken one after the other.
 * Layout and order of summation: tile_internal.h. */
#include <immintrin.h>

#include "kernels/kernels_internal.h"
#include "kernels/tile_internal.h"

enum { MAX_ROWS = 4 };

FJ_INLINE int most_rows(fj_form f)
{
    (void)f;
    return MAX_ROWS;
}

FJ_INLINE __m256i load_plane(const uint8_t *p)
{
    return _mm256_loadu_si256((const __m256i *)p);
}

/* 16 levels, in both lanes. */
FJ_INLINE __m256i load_book(const int8_t *book)
{
    return _mm256_broadcastsi128_si256(_mm_loadu_si128((const __m128i *)book));
}

/* Bits of a plane moved to where the mask wants them: left, or right when negative. */
FJ_INLINE __m256i moved(__m256i plane, const int left)
{
    return left > 0 ? _mm256_slli_epi16(plane, left) : left < 0 ? _mm256_srli_epi16(plane, -left) : plane;
}

/* 8 x 4 codes of group g, or int8 (fj_is_signed); codes: this half's 32 bytes of the first plane. */
FJ_INLINE __m256i codes_of_group(fj_form f, const uint8_t *codes, int g, __m256i book)
{
    __m256i code, high = _mm256_setzero_si256();
    if (f.bits == 8)
        return _mm256_xor_si256(load_plane(codes + 64 * g), _mm256_set1_epi8((char)0x80)); /* signed again */
    if (f.bits <= 3)
        code = _mm256_and_si256(moved(load_plane(codes + 64 * (g & 1)), -(g & 6)), _mm256_set1_epi8(3));
    else
        code = _mm256_and_si256(moved(load_plane(codes + 64 * (g & 3)), -(g & 4)), _mm256_set1_epi8(15));
    if (f.bits == 3)
        high = _mm256_and_si256(moved(load_plane(codes + 128), 2 - g), _mm256_set1_epi8(4));
    if (f.bits == 5)
        high = _mm256_and_si256(moved(load_plane(codes + 256), 4 - g), _mm256_set1_epi8(0x10));
    if (f.bits == 6)
        high = _mm256_and_si256(moved(load_plane(codes + 256 + 64 * (g >> 2)), 4 - 2 * (g & 3)),
                                _mm256_set1_epi8(0x30));
    code = _mm256_or_si256(code, high);
    return f.book ? _mm256_shuffle_epi8(book, code) : code;
}

/* How many groups of products 16 bits can add: 8, 4, 2 or 1. */
FJ_INLINE int groups_added(fj_form f)
{
    int groups = 8;
    while (f.largest * 127 * 2 * groups >= 1 << 15)
        groups /= 2;
    return fj_has_halves(f) && groups > 4 ? 4 : groups;
}

FJ_INLINE __m256i load_u8(const uint8_t *p)
{
    return _mm256_cvtepu8_epi32(_mm_loadl_epi64((const __m128i *)p));
}

/* Low nibbles, in both halves of 16 bits of each lane: bytes times them stay bytes. */
FJ_INLINE __m256i load_nibble_scale(const uint8_t *p)
{
    __m256i a = _mm256_and_si256(load_u8(p), _mm256_set1_epi32(15));
    return _mm256_or_si256(a, _mm256_slli_epi32(a, 16));
}

/* Exact integer sums of a block for each row: sums[0], and with scales of halves sums[1] of the second. Of rows 8*h…8*h+7
 * of the tile; sub: where the block begins. */
FJ_INLINE void block_sums(fj_form f, const int rows, const int h, const fj_word *x, const uint8_t *sub, __m256i book,
                          __m256i sums[2][MAX_ROWS])
{
    const uint8_t *codes = sub + fj_sub_bytes(f) + 32 * h;
    const bool halves = fj_has_halves(f), starts = f.offset && !fj_is_signed(f);
    const int groups = groups_added(f);
    const __m256i ones = _mm256_set1_epi16(1);
#pragma GCC unroll 4
    for (int r = 0; r < MAX_ROWS; r++) {
        if (r >= rows)
            break;
        sums[0][r] = starts ? _mm256_set1_epi32(x[fj_panel_start(rows, 0, r)].i) : _mm256_setzero_si256();
        sums[1][r] = starts && halves ? _mm256_set1_epi32(x[fj_panel_start(rows, 1, r)].i) : _mm256_setzero_si256();
    }
#pragma GCC unroll 8
    for (int first = 0; first < 8; first += groups) {
        __m256i part[MAX_ROWS];
#pragma GCC unroll 8
        for (int g = first; g < first + groups; g++) {
            __m256i w = codes_of_group(f, codes, g, book), magnitude = fj_is_signed(f) ? _mm256_abs_epi8(w) : w;
            if (f.sub == FJ_SUB_NIBBLES)
                magnitude = _mm256_mullo_epi16(w, load_nibble_scale(sub + g / 4 * 16 + 8 * h));
#pragma GCC unroll 4
            for (int r = 0; r < MAX_ROWS; r++) {
                if (r >= rows)
                    break;
                __m256i q = _mm256_set1_epi32(x[fj_panel_q(r) + g].i);
                if (fj_is_signed(f))
                    q = _mm256_sign_epi8(q, w);
                __m256i pairs = _mm256_maddubs_epi16(magnitude, q);
                part[r] = g == first ? pairs
                                     : _mm256_adds_epi16(
                                           part[r], pairs); /* saturates never; a plain add gcc reorders, and spills */
            }
        }
        const int half = halves && first >= 4;
#pragma GCC unroll 4
        for (int r = 0; r < MAX_ROWS; r++)
            if (r < rows)
                sums[half][r] = _mm256_add_epi32(sums[half][r], _mm256_madd_epi16(part[r], ones));
    }
}

FJ_INLINE __m256 load_f16(const uint8_t *p)
{
    return _mm256_cvtph_ps(_mm_loadu_si128((const __m128i *)p));
}

FJ_INLINE __m256 load_i8(const uint8_t *p)
{
    return _mm256_cvtepi32_ps(_mm256_cvtepi8_epi32(_mm_loadl_epi64((const __m128i *)p)));
}

/* fj_power of each. */
FJ_INLINE __m256 load_power(const uint8_t *p)
{
    __m256i e = load_u8(p), bits = _mm256_slli_epi32(_mm256_sub_epi32(e, _mm256_set1_epi32(1)), 23);
    __m256i is_small = _mm256_cmpgt_epi32(_mm256_set1_epi32(2), e);
    return _mm256_castsi256_ps(_mm256_blendv_epi8(bits, _mm256_sllv_epi32(_mm256_set1_epi32(0x00200000), e), is_small));
}

/* Scales and minimums of a block, or of its halves. */
typedef struct scales {
    __m256 d[2], min[2];
} scales;

/* Of rows 8*h…8*h+7 of the tile. */
FJ_INLINE scales load_scales(fj_form f, const int h, const uint8_t *top, const uint8_t *sub)
{
    scales s;
    if (f.top == FJ_TOP_POWER)
        s.d[0] = load_power(top + 8 * h);
    else if (f.top == FJ_TOP_FLOAT || f.top == FJ_TOP_ROW)
        s.d[0] = _mm256_loadu_ps((const float *)(const void *)(top + 32 * h));
    else
        s.d[0] = load_f16(top + 16 * h);
    if (f.top == FJ_TOP_ROW)
        s.d[0] = _mm256_mul_ps(s.d[0], _mm256_set1_ps(FJ_INT8_STEP));
    s.min[0] = f.top == FJ_TOP_HALF_MIN ? load_f16(top + 32 + 16 * h) : _mm256_setzero_ps();
    if (f.top == FJ_TOP_HALF_ZERO) {
        __m256i zero = _mm256_cvtepu16_epi32(_mm_loadu_si128((const __m128i *)(top + 32 + 16 * h)));
        zero = _mm256_sub_epi32(zero, _mm256_set1_epi32(f.offset));
        s.min[0] = _mm256_mul_ps(_mm256_cvtepi32_ps(zero), s.d[0]);
    }
    s.d[1] = s.d[0];
    s.min[1] = s.min[0];
    if (f.sub == FJ_SUB_MIN) {
        s.d[0] = _mm256_mul_ps(s.d[0], _mm256_cvtepi32_ps(load_u8(sub + 8 * h)));
        s.min[0] = _mm256_mul_ps(s.min[0], _mm256_cvtepi32_ps(load_u8(sub + 16 + 8 * h)));
    }
    if (f.sub == FJ_SUB_INT8)
        s.d[0] = _mm256_mul_ps(s.d[0], load_i8(sub + 8 * h));
#pragma GCC unroll 2
    for (int i = 0; i < 2; i++) {
        if (f.sub == FJ_SUB_HALVES)
            s.d[i] = _mm256_mul_ps(s.d[i], load_i8(sub + 16 * i + 8 * h));
        if (f.sub == FJ_SUB_NIBBLES)
            s.min[i] = _mm256_mul_ps(s.min[i], _mm256_cvtepi32_ps(_mm256_srli_epi32(load_u8(sub + 16 * i + 8 * h), 4)));
    }
    return s;
}

/* The minimum of a block, or of its half i, times the sum of what it meets. */
FJ_INLINE void add_min(fj_form f, const int rows, const int i, const fj_word *x, __m256 min, __m256 acc[MAX_ROWS])
{
#pragma GCC unroll 4
    for (int r = 0; r < MAX_ROWS; r++) {
        if (r >= rows)
            break;
        __m256 sum = _mm256_set1_ps(x[fj_panel_scaled_sum(rows, i, r)].f);
        acc[r] = fj_min_is_negative(f) ? _mm256_fnmadd_ps(min, sum, acc[r]) : _mm256_fmadd_ps(min, sum, acc[r]);
    }
}

/* Adds one block to the accumulators of rows 8*h…8*h+7 of the tile. top: the scales of its super-block; sub: its own. */
FJ_INLINE void add_block(fj_form f, const int rows, const int h, const fj_word *x, const uint8_t *top,
                         const uint8_t *sub, __m256i book, __m256 acc[MAX_ROWS])
{
    __m256i sums[2][MAX_ROWS];
    block_sums(f, rows, h, x, sub, book, sums);
    scales s = load_scales(f, h, top, sub);
#pragma GCC unroll 4
    for (int r = 0; r < MAX_ROWS; r++) {
        if (r >= rows)
            break;
        __m256 scale = _mm256_set1_ps(x[fj_panel_scale(rows, r)].f), sum = _mm256_cvtepi32_ps(sums[0][r]);
        if (fj_has_halves(f)) {
            __m256 part = _mm256_fmadd_ps(_mm256_cvtepi32_ps(sums[1][r]), s.d[1], _mm256_mul_ps(sum, s.d[0]));
            acc[r] = _mm256_fmadd_ps(part, scale, acc[r]);
        } else {
            acc[r] = _mm256_fmadd_ps(sum, _mm256_mul_ps(s.d[0], scale), acc[r]);
        }
    }
    if (fj_has_min(f))
        add_min(f, rows, 0, x, s.min[0], acc);
    if (fj_has_half_mins(f))
        add_min(f, rows, 1, x, s.min[1], acc);
}

/* Half h of a tile: 8 outputs. */
FJ_INLINE void half_tile_rows(fj_form f, const int rows, const int h, const fj_tile_work *work)
{
    const __m256i lane = _mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7);
    const __m256i cols = _mm256_cmpgt_epi32(_mm256_set1_epi32(work->n - 8 * h), lane);
    const __m256i book = f.book ? load_book(work->book) : _mm256_setzero_si256();
    const fj_word *x = work->panel;
    const uint8_t *top = work->tile + fj_super_at(f, work->first_block);
    float *y = work->y + 8 * h;
    __m256 acc[MAX_ROWS];
#pragma GCC unroll 4
    for (int r = 0; r < MAX_ROWS; r++)
        if (r < rows)
            acc[r] = work->first_block > 0 && r < work->m ? _mm256_maskload_ps(y + r * work->ldy, cols)
                                                          : _mm256_setzero_ps();
    for (int64_t b = 0; b < work->n_blocks; b += f.blocks, top += fj_super_bytes(f)) {
        const uint8_t *sub = top + fj_top_bytes(f);
        for (int i = 0; i < f.blocks; i++, sub += fj_block_bytes(f), x += rows * FJ_PANEL_ROW_WORDS)
            add_block(f, rows, h, x, top, sub, book, acc);
    }
#pragma GCC unroll 4
    for (int r = 0; r < MAX_ROWS; r++)
        if (r < rows && r < work->m)
            _mm256_maskstore_ps(y + r * work->ldy, cols, acc[r]);
}

FJ_INLINE void tile(fj_form f, const fj_tile_work *work)
{
    for (int h = 0; 8 * h < work->n; h++) {
        switch (work->rows) {
        case 1: half_tile_rows(f, 1, h, work); break;
        case 2: half_tile_rows(f, 2, h, work); break;
        default: half_tile_rows(f, 4, h, work); break;
        }
    }
}

FJ_EACH_TILE(FJ_TILE_FN)
FJ_EACH_PACK(FJ_GEMM_FN)

void fj_kernels_init_quant_dot_avx2(fj_kernels *k)
{
    FJ_EACH_PACK(FJ_GEMM_ROW)
}
