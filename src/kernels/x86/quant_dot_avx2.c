/* SPDX-License-Identifier: Apache-2.0
 * int8 products with AVX2: VPMADDUBSW where it cannot saturate. Pairs of products of codes up to 2^bits - 1 with int8
 * up to 127 are added in 16 bits for as many groups as fit (15*127*2*8, 31*127*2*4, 63*127*2*2 < 2^15), then widened
 * by VPMADDWD with ones. Codes of 8 bits go as |w| times x with w's sign (128*127*2 < 2^15). A tile's 16 rows are two
 * registers, taken one after the other.
 * Layout and order of summation: tile_internal.h. */
#include <immintrin.h>

#include "kernels/kernels_internal.h"
#include "kernels/tile_internal.h"

enum { MAX_ROWS = 4 };

FJ_INLINE __m256i load_plane(const uint8_t *p)
{
    return _mm256_loadu_si256((const __m256i *)p);
}

/* 8 x 4 codes of group g; codes: this half's 32 bytes of the first plane. */
FJ_INLINE __m256i codes_of_group(fj_form f, const uint8_t *codes, int g)
{
    if (f.bits == 8)
        return _mm256_xor_si256(load_plane(codes + 64 * g), _mm256_set1_epi8((char)0x80)); /* signed again */
    __m256i low = load_plane(codes + 64 * (g & 3));
    if (g >= 4)
        low = _mm256_srli_epi16(low, 4);
    low = _mm256_and_si256(low, _mm256_set1_epi8(0x0f));
    if (f.bits == 4)
        return low;
    if (f.bits == 5) {
        __m256i high = load_plane(codes + 256);
        high = g < 4 ? _mm256_slli_epi16(high, 4 - (g & 3)) : _mm256_srli_epi16(high, g & 3);
        return _mm256_or_si256(low, _mm256_and_si256(high, _mm256_set1_epi8(0x10)));
    }
    __m256i high = load_plane(codes + 256 + 64 * (g >> 2));
    high = (g & 3) < 3 ? _mm256_slli_epi16(high, 4 - 2 * (g & 3)) : _mm256_srli_epi16(high, 2);
    return _mm256_or_si256(low, _mm256_and_si256(high, _mm256_set1_epi8(0x30)));
}

/* Exact integer sums of a block for each row: sums[0], and for q6_k sums[1] of the second half. */
FJ_INLINE void block_sums(fj_form f, const int rows, const fj_word *x, const uint8_t *codes, __m256i sums[2][MAX_ROWS])
{
    const bool halves = f.is_super && !f.has_min;
    const int groups = f.bits == 8 ? 1 : f.bits == 6 ? 2 : f.bits == 5 ? 4 : 8; /* that 16 bits can add */
    const __m256i ones = _mm256_set1_epi16(1);
#pragma GCC unroll 4
    for (int r = 0; r < MAX_ROWS; r++) {
        if (r >= rows)
            break;
        sums[0][r] = f.offset && f.bits < 8 ? _mm256_set1_epi32(x[fj_panel_start(rows, 0, r)].i)
                                            : _mm256_setzero_si256();
        sums[1][r] = halves ? _mm256_set1_epi32(x[fj_panel_start(rows, 1, r)].i) : _mm256_setzero_si256();
    }
#pragma GCC unroll 8
    for (int first = 0; first < 8; first += groups) {
        __m256i part[MAX_ROWS];
#pragma GCC unroll 8
        for (int g = first; g < first + groups; g++) {
            __m256i w = codes_of_group(f, codes, g), magnitude = f.bits == 8 ? _mm256_abs_epi8(w) : w;
#pragma GCC unroll 4
            for (int r = 0; r < MAX_ROWS; r++) {
                if (r >= rows)
                    break;
                __m256i q = _mm256_set1_epi32(x[fj_panel_q(r) + g].i);
                if (f.bits == 8)
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

FJ_INLINE __m256 load_u8(const uint8_t *p)
{
    return _mm256_cvtepi32_ps(_mm256_cvtepu8_epi32(_mm_loadl_epi64((const __m128i *)p)));
}

FJ_INLINE __m256 load_i8(const uint8_t *p)
{
    return _mm256_cvtepi32_ps(_mm256_cvtepi8_epi32(_mm_loadl_epi64((const __m128i *)p)));
}

/* Adds one block to the accumulators of rows 8*h…8*h+7 of the tile. head: the block's own scales; super: those of its
 * super-block. */
FJ_INLINE void add_block(fj_form f, const int rows, const int h, const fj_word *x, const uint8_t *super,
                         const uint8_t *head, __m256 acc[MAX_ROWS])
{
    __m256i sums[2][MAX_ROWS];
    block_sums(f, rows, x, head + fj_block_head(f) + 32 * h, sums);
    __m256 d = load_f16((f.is_super ? super : head) + 16 * h);
    if (f.is_super && !f.has_min) {
        __m256 d0 = _mm256_mul_ps(d, load_i8(head + 8 * h)), d1 = _mm256_mul_ps(d, load_i8(head + 16 + 8 * h));
#pragma GCC unroll 4
        for (int r = 0; r < MAX_ROWS; r++) {
            if (r >= rows)
                break;
            __m256 part = _mm256_mul_ps(_mm256_cvtepi32_ps(sums[0][r]), d0);
            part = _mm256_fmadd_ps(_mm256_cvtepi32_ps(sums[1][r]), d1, part);
            acc[r] = _mm256_fmadd_ps(part, _mm256_set1_ps(x[fj_panel_scale(rows, r)].f), acc[r]);
        }
        return;
    }
    if (f.is_super)
        d = _mm256_mul_ps(d, load_u8(head + 8 * h));
#pragma GCC unroll 4
    for (int r = 0; r < MAX_ROWS; r++)
        if (r < rows)
            acc[r] = _mm256_fmadd_ps(_mm256_cvtepi32_ps(sums[0][r]),
                                     _mm256_mul_ps(d, _mm256_set1_ps(x[fj_panel_scale(rows, r)].f)), acc[r]);
    if (!f.has_min)
        return;
    __m256 min = load_f16((f.is_super ? super : head) + 32 + 16 * h);
    if (f.is_super)
        min = _mm256_mul_ps(min, load_u8(head + 16 + 8 * h));
#pragma GCC unroll 4
    for (int r = 0; r < MAX_ROWS; r++) {
        if (r >= rows)
            break;
        __m256 sum = _mm256_set1_ps(x[fj_panel_scaled_sum(rows, r)].f);
        acc[r] = f.is_super ? _mm256_fnmadd_ps(min, sum, acc[r]) : _mm256_fmadd_ps(min, sum, acc[r]);
    }
}

/* Half h of a tile: 8 outputs. */
FJ_INLINE void half_tile_rows(fj_form f, const int rows, const int h, const fj_tile_work *work)
{
    const __m256i lane = _mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7);
    const __m256i cols = _mm256_cmpgt_epi32(_mm256_set1_epi32(work->n - 8 * h), lane);
    const fj_word *x = work->panel;
    const uint8_t *super = work->tile + fj_super_at(f, work->first_block);
    const uint8_t *head = work->tile + fj_block_at(f, work->first_block);
    float *y = work->y + 8 * h;
    __m256 acc[MAX_ROWS];
#pragma GCC unroll 4
    for (int r = 0; r < MAX_ROWS; r++)
        if (r < rows)
            acc[r] = work->first_block > 0 && r < work->m ? _mm256_maskload_ps(y + r * work->ldy, cols)
                                                          : _mm256_setzero_ps();
    for (int64_t b = 0; b < work->n_blocks; b++, x += rows * FJ_PANEL_ROW_WORDS) {
        add_block(f, rows, h, x, super, head, acc);
        head += fj_block_bytes(f);
        if (f.is_super && b % FJ_SUPER_BLOCKS == FJ_SUPER_BLOCKS - 1) {
            super = head;
            head += fj_super_head(f);
        }
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

static void tile_q8_0(const fj_tile_work *work)
{
    tile(fj_forms[FJ_ROW_Q8_0], work);
}

static void gemm_q8_0(float *y, int64_t ldy, const void *x, size_t x_bytes, const void *tiles, int64_t m, int64_t n,
                      int64_t k)
{
    fj_gemm_q_tiles(fj_forms[FJ_ROW_Q8_0], tile_q8_0, MAX_ROWS, y, ldy, x, x_bytes, tiles, m, n, k);
}

static void tile_q4_0(const fj_tile_work *work)
{
    tile(fj_forms[FJ_ROW_Q4_0], work);
}

static void gemm_q4_0(float *y, int64_t ldy, const void *x, size_t x_bytes, const void *tiles, int64_t m, int64_t n,
                      int64_t k)
{
    fj_gemm_q_tiles(fj_forms[FJ_ROW_Q4_0], tile_q4_0, MAX_ROWS, y, ldy, x, x_bytes, tiles, m, n, k);
}

static void tile_q4_1(const fj_tile_work *work)
{
    tile(fj_forms[FJ_ROW_Q4_1], work);
}

static void gemm_q4_1(float *y, int64_t ldy, const void *x, size_t x_bytes, const void *tiles, int64_t m, int64_t n,
                      int64_t k)
{
    fj_gemm_q_tiles(fj_forms[FJ_ROW_Q4_1], tile_q4_1, MAX_ROWS, y, ldy, x, x_bytes, tiles, m, n, k);
}

static void tile_q5_0(const fj_tile_work *work)
{
    tile(fj_forms[FJ_ROW_Q5_0], work);
}

static void gemm_q5_0(float *y, int64_t ldy, const void *x, size_t x_bytes, const void *tiles, int64_t m, int64_t n,
                      int64_t k)
{
    fj_gemm_q_tiles(fj_forms[FJ_ROW_Q5_0], tile_q5_0, MAX_ROWS, y, ldy, x, x_bytes, tiles, m, n, k);
}

static void tile_q5_1(const fj_tile_work *work)
{
    tile(fj_forms[FJ_ROW_Q5_1], work);
}

static void gemm_q5_1(float *y, int64_t ldy, const void *x, size_t x_bytes, const void *tiles, int64_t m, int64_t n,
                      int64_t k)
{
    fj_gemm_q_tiles(fj_forms[FJ_ROW_Q5_1], tile_q5_1, MAX_ROWS, y, ldy, x, x_bytes, tiles, m, n, k);
}

static void tile_q4_k(const fj_tile_work *work)
{
    tile(fj_forms[FJ_ROW_Q4_K], work);
}

static void gemm_q4_k(float *y, int64_t ldy, const void *x, size_t x_bytes, const void *tiles, int64_t m, int64_t n,
                      int64_t k)
{
    fj_gemm_q_tiles(fj_forms[FJ_ROW_Q4_K], tile_q4_k, MAX_ROWS, y, ldy, x, x_bytes, tiles, m, n, k);
}

static void tile_q5_k(const fj_tile_work *work)
{
    tile(fj_forms[FJ_ROW_Q5_K], work);
}

static void gemm_q5_k(float *y, int64_t ldy, const void *x, size_t x_bytes, const void *tiles, int64_t m, int64_t n,
                      int64_t k)
{
    fj_gemm_q_tiles(fj_forms[FJ_ROW_Q5_K], tile_q5_k, MAX_ROWS, y, ldy, x, x_bytes, tiles, m, n, k);
}

static void tile_q6_k(const fj_tile_work *work)
{
    tile(fj_forms[FJ_ROW_Q6_K], work);
}

static void gemm_q6_k(float *y, int64_t ldy, const void *x, size_t x_bytes, const void *tiles, int64_t m, int64_t n,
                      int64_t k)
{
    fj_gemm_q_tiles(fj_forms[FJ_ROW_Q6_K], tile_q6_k, MAX_ROWS, y, ldy, x, x_bytes, tiles, m, n, k);
}

void fj_kernels_init_quant_dot_avx2(fj_kernels *k)
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
