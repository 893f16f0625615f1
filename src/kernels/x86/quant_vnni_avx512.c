/* SPDX-License-Identifier: Apache-2.0
 * int8 products with VPDPBUSD: 16 outputs are the 16 lanes of a register; a plane of unsigned codes meets four
 * broadcast int8 of each activation row. Codes are unpacked once for all rows of a panel. Layout and order of
 * summation: tile_internal.h. */
#include <immintrin.h>

#include "kernels/kernels_internal.h"
#include "kernels/tile_internal.h"

enum { OR_OF_AND = 0xf8, MAX_ROWS = 12 }; /* of VPTERNLOG: a | (b & c) */

/* 16 x 4 codes of group g. */
FJ_INLINE __m512i codes_of_group(fj_form f, const uint8_t *codes, int g)
{
    if (f.bits == 8)
        return _mm512_loadu_si512(codes + 64 * g);
    __m512i low = _mm512_loadu_si512(codes + 64 * (g & 3));
    if (g >= 4)
        low = _mm512_srli_epi16(low, 4);
    low = _mm512_and_si512(low, _mm512_set1_epi8(0x0f));
    if (f.bits == 4)
        return low;
    if (f.bits == 5) {
        __m512i high = _mm512_loadu_si512(codes + 256);
        high = g < 4 ? _mm512_slli_epi16(high, 4 - (g & 3)) : _mm512_srli_epi16(high, g & 3);
        return _mm512_ternarylogic_epi32(low, high, _mm512_set1_epi8(0x10), OR_OF_AND);
    }
    __m512i high = _mm512_loadu_si512(codes + 256 + 64 * (g >> 2));
    high = (g & 3) < 3 ? _mm512_slli_epi16(high, 4 - 2 * (g & 3)) : _mm512_srli_epi16(high, 2);
    return _mm512_ternarylogic_epi32(low, high, _mm512_set1_epi8(0x30), OR_OF_AND);
}

FJ_INLINE __m512 load_f16(const uint8_t *p)
{
    return _mm512_cvtph_ps(_mm256_loadu_si256((const __m256i *)p));
}

FJ_INLINE __m512 load_u8(const uint8_t *p)
{
    return _mm512_cvtepi32_ps(_mm512_cvtepu8_epi32(_mm_loadu_si128((const __m128i *)p)));
}

FJ_INLINE __m512 load_i8(const uint8_t *p)
{
    return _mm512_cvtepi32_ps(_mm512_cvtepi8_epi32(_mm_loadu_si128((const __m128i *)p)));
}

/* Exact integer sums of a block for each row: sums[0], and for q6_k sums[1] of the second half. */
FJ_INLINE void block_sums(fj_form f, const int rows, const fj_word *x, const uint8_t *codes,
                          __m512i sums[2][FJ_PANEL_ROWS])
{
    const bool halves = f.is_super && !f.has_min;
#pragma GCC unroll 12
    for (int r = 0; r < FJ_PANEL_ROWS; r++) {
        if (r >= rows)
            break;
        sums[0][r] = f.offset ? _mm512_set1_epi32(x[fj_panel_start(rows, 0, r)].i) : _mm512_setzero_si512();
        sums[1][r] = halves ? _mm512_set1_epi32(x[fj_panel_start(rows, 1, r)].i) : _mm512_setzero_si512();
    }
#pragma GCC unroll 4
    for (int p = 0; p < 4; p++) {
        __m512i first = codes_of_group(f, codes, p), second = codes_of_group(f, codes, p + 4);
#pragma GCC unroll 12
        for (int r = 0; r < FJ_PANEL_ROWS; r++)
            if (r < rows)
                sums[0][r] = _mm512_dpbusd_epi32(sums[0][r], first, _mm512_set1_epi32(x[fj_panel_q(r) + p].i));
#pragma GCC unroll 12
        for (int r = 0; r < FJ_PANEL_ROWS; r++)
            if (r < rows)
                sums[halves][r] = _mm512_dpbusd_epi32(sums[halves][r], second,
                                                      _mm512_set1_epi32(x[fj_panel_q(r) + p + 4].i));
    }
}

/* Adds one block to the accumulators. head: the block's own scales; super: those of its super-block. */
FJ_INLINE void add_block(fj_form f, const int rows, const fj_word *x, const uint8_t *super, const uint8_t *head,
                         __m512 acc[FJ_PANEL_ROWS])
{
    __m512i sums[2][FJ_PANEL_ROWS];
    block_sums(f, rows, x, head + fj_block_head(f), sums);
    __m512 d = load_f16(f.is_super ? super : head);
    if (f.is_super && !f.has_min) {
        __m512 d0 = _mm512_mul_ps(d, load_i8(head)), d1 = _mm512_mul_ps(d, load_i8(head + 16));
#pragma GCC unroll 12
        for (int r = 0; r < FJ_PANEL_ROWS; r++) {
            if (r >= rows)
                break;
            __m512 part = _mm512_mul_ps(_mm512_cvtepi32_ps(sums[0][r]), d0);
            part = _mm512_fmadd_ps(_mm512_cvtepi32_ps(sums[1][r]), d1, part);
            acc[r] = _mm512_fmadd_ps(part, _mm512_set1_ps(x[fj_panel_scale(rows, r)].f), acc[r]);
        }
        return;
    }
    if (f.is_super)
        d = _mm512_mul_ps(d, load_u8(head));
#pragma GCC unroll 12
    for (int r = 0; r < FJ_PANEL_ROWS; r++)
        if (r < rows)
            acc[r] = _mm512_fmadd_ps(_mm512_cvtepi32_ps(sums[0][r]),
                                     _mm512_mul_ps(d, _mm512_set1_ps(x[fj_panel_scale(rows, r)].f)), acc[r]);
    if (!f.has_min)
        return;
    __m512 min = f.is_super ? _mm512_mul_ps(load_f16(super + 32), load_u8(head + 16)) : load_f16(head + 32);
#pragma GCC unroll 12
    for (int r = 0; r < FJ_PANEL_ROWS; r++) {
        if (r >= rows)
            break;
        __m512 sum = _mm512_set1_ps(x[fj_panel_scaled_sum(rows, r)].f);
        acc[r] = f.is_super ? _mm512_fnmadd_ps(min, sum, acc[r]) : _mm512_fmadd_ps(min, sum, acc[r]);
    }
}

FJ_INLINE void tile_rows(fj_form f, const int rows, const fj_tile_work *work)
{
    const __mmask16 cols = (__mmask16)((1u << work->n) - 1);
    const fj_word *x = work->panel;
    const int ahead =
        2048; /* bytes: the hardware's own prefetch ends with each page. Into L2: the misses of L1 are busy */
    const uint8_t *super = work->tile + fj_super_at(f, work->first_block);
    const uint8_t *head = work->tile + fj_block_at(f, work->first_block);
    __m512 acc[FJ_PANEL_ROWS];
#pragma GCC unroll 12
    for (int r = 0; r < FJ_PANEL_ROWS; r++)
        if (r < rows)
            acc[r] = work->first_block > 0 && r < work->m ? _mm512_maskz_loadu_ps(cols, work->y + r * work->ldy)
                                                          : _mm512_setzero_ps();
    for (int64_t b = 0; b < work->n_blocks; b++, x += rows * FJ_PANEL_ROW_WORDS) {
        if (rows <= 4)
            for (int line = 0; line < fj_block_bytes(f); line += 64)
                _mm_prefetch((const char *)head + ahead + line, _MM_HINT_T1);
        add_block(f, rows, x, super, head, acc);
        head += fj_block_bytes(f);
        if (f.is_super && b % FJ_SUPER_BLOCKS == FJ_SUPER_BLOCKS - 1) {
            super = head;
            head += fj_super_head(f);
        }
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
    case 8: tile_rows(f, 8, work); break;
    default: tile_rows(f, 12, work); break;
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

void fj_kernels_init_quant_vnni_avx512(fj_kernels *k)
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
