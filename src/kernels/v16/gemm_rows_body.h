/* SPDX-License-Identifier: Apache-2.0
 * Products in row form in v16: c[i,j] (+)= sum_p a[i,p] b[p,j], columns in lanes, a broadcast, p in order by FMA.
 * Included behind a v16 header and a madd_pairs by a file that also says TILE_M rows and TILE_V registers of columns of a tile.
 *
 * Everything is in words of four bytes: an f32, or a pair of bf16 (kind PAIRS; then p counts pairs).
 * p is cut in blocks: c is f32 like the sums, so a sum that rests in c between two blocks goes on with the same bits. A block of
 * c stays in L2 while all of p goes by.
 * Within a block, a panel of b is laid end to end, [p][TILE_V][16], and rows of a as [p][TILE_M], where enough tiles share
 * them to pay for it: then nothing depends on strides, which else may put all rows in the same few lines of the caches. */
#ifndef FJ_KERNELS_V16_GEMM_ROWS_BODY_H
#define FJ_KERNELS_V16_GEMM_ROWS_BODY_H

#include <stddef.h>
#include <string.h>

#include "kernels/kernels_internal.h"

typedef enum kind { F32, PAIRS } kind;

enum {
    PANEL    = 16 * TILE_V,
    BLOCK_P  = 128, /* words of p: a panel of 32 KB with TILE_V = 4 */
    BLOCK_M  = 132, /* rows of a that are packed together: 66 KB */
    BLOCK_N  = 640, /* columns of c that stay in L2 with those rows while p goes by */
    SHARED_B = 8,   /* tiles that pay for a packed panel of b */
    SHARED_A = 4,   /* panels that pay for packed rows of a */
};

/* One product; strides in bytes: _i from row to row, _p along p. */
typedef struct rows {
    float      *c;
    int64_t     ldc;
    const char *a, *b;
    int64_t     a_i, a_p, b_p;
    int64_t     m, n, p;
    bool        add, half_word; /* the last word of a row of a is one bf16 */
} rows;

typedef struct room {
    _Alignas(64) float b[BLOCK_P * PANEL];
    _Alignas(64) float a[BLOCK_P * BLOCK_M];
} room;

/* What a tile reads: packed or where it lies. */
typedef struct operands {
    const char *a, *b;
    int64_t     a_i, a_p, b_p;
    int64_t     p;
} operands;

INLINE v16 broadcast(const char *at)
{
    float word;
    memcpy(&word, at, sizeof word);
    return v16_set1(word);
}

INLINE v16 madd(kind k, v16 a, v16 b, v16 sum)
{
    return k == PAIRS ? madd_pairs(a, b, sum) : v16_fma(a, b, sum, 16);
}

/* m (at most mr) rows by nv registers of columns, the last of which holds `last`. zero: start at 0 instead of c. */
INLINE void tile(kind k, const operands *o, float *c, int64_t ldc, int m, bool zero, int mr, int nv, int last)
{
    v16         sum[TILE_M * TILE_V];
    const char *a[TILE_M], *b = o->b;
#pragma GCC unroll 8
    for (int i = 0; i < mr; i++) {
        int row = i < m ? i : m - 1;
        a[i] = o->a + row * o->a_i;
#pragma GCC unroll 4
        for (int v = 0; v < nv; v++)
            sum[i * nv + v] = zero ? v16_zero() : v16_load(c + row * ldc + v * 16, v < nv - 1 ? 16 : last);
    }
    for (int64_t p = 0, at = 0; p < o->p; p++, b += o->b_p, at += o->a_p) {
        v16 bs[TILE_V];
#pragma GCC unroll 4
        for (int v = 0; v < nv; v++)
            bs[v] = v16_load((const float *)(const void *)b + v * 16, v < nv - 1 ? 16 : last);
#pragma GCC unroll 8
        for (int i = 0; i < mr; i++) {
            v16 as = broadcast(a[i] + at);
#pragma GCC unroll 4
            for (int v = 0; v < nv; v++)
                sum[i * nv + v] = madd(k, as, bs[v], sum[i * nv + v]);
        }
    }
#pragma GCC unroll 8
    for (int i = 0; i < mr; i++)
        if (i < m)
#pragma GCC unroll 4
            for (int v = 0; v < nv; v++)
                v16_store(c + i * ldc + v * 16, sum[i * nv + v], v < nv - 1 ? 16 : last);
}

INLINE void tile_rows(kind k, const operands *o, float *c, int64_t ldc, int m, bool zero, int nv, int last)
{
    if (m > 2)
        tile(k, o, c, ldc, m, zero, TILE_M, nv, last);
    else if (m > 1)
        tile(k, o, c, ldc, m, zero, 2, nv, last);
    else
        tile(k, o, c, ldc, m, zero, 1, nv, last);
}

/* Whole panels. Not inlined: alone, the compiler keeps all sums in registers. */
static __attribute__((noinline, unused)) void whole_panel_f32(const operands *o, float *c, int64_t ldc, int m, bool zero)
{
    tile_rows(F32, o, c, ldc, m, zero, TILE_V, 16);
}

static __attribute__((noinline, unused)) void whole_panel_pairs(const operands *o, float *c, int64_t ldc, int m, bool zero)
{
    tile_rows(PAIRS, o, c, ldc, m, zero, TILE_V, 16);
}

/* m (at most TILE_M) rows by n (at most PANEL) columns */
INLINE void tile_panel(kind k, operands o, float *c, int64_t ldc, int m, int n, bool zero)
{
    if (n == PANEL) {
        if (k == F32)
            whole_panel_f32(&o, c, ldc, m, zero);
        else
            whole_panel_pairs(&o, c, ldc, m, zero);
        return;
    }
    for (; n >= 16; n -= 16, o.b += 64, c += 16)
        tile_rows(k, &o, c, ldc, m, zero, 1, 16);
    if (n > 0)
        tile_rows(k, &o, c, ldc, m, zero, 1, n);
}

/* ---- packing ----------------------------------------------------------------------------------------------------------- */

INLINE void pack_b(float *to, const char *b, int64_t b_p, int64_t p, int n)
{
    for (int64_t q = 0; q < p; q++, to += PANEL, b += b_p) {
        const float *from = (const float *)(const void *)b;
        if (n == PANEL)
#pragma GCC unroll 4
            for (int v = 0; v < TILE_V; v++)
                v16_store(to + v * 16, v16_load(from + v * 16, 16), 16);
        else
            for (int j = 0; j < n; j += 16)
                v16_store(to + j, v16_load(from + j, FJ_MIN(16, n - j)), 16);
    }
}

/* Six rows of p words, the words of one p side by side: four by four, the last p one by one. */
INLINE void interleave(float *to, const char *const *from, int64_t p)
{
    int64_t q = 0;
    for (; q + 4 <= p; q += 4, to += 4 * TILE_M)
        store_four_of_six(to, from, 4 * q);
    for (; q < p; q++, to += TILE_M)
        for (int i = 0; i < TILE_M; i++)
            memcpy(to + i, from[i] + 4 * q, 4);
}

/* Rows i0… of a, at most TILE_M and at least one, p words from p0, as [p][TILE_M]; absent rows repeat the last. */
INLINE void pack_tile(float *to, const rows *r, int64_t i0, int64_t m, int64_t p0, int64_t p)
{
    const char *from[TILE_M];
    int64_t     whole = r->half_word && p0 + p == r->p ? p - 1 : p;
    for (int i = 0; i < TILE_M; i++)
        from[i] = r->a + (i0 + FJ_MIN(i, m - 1)) * r->a_i + p0 * r->a_p;
    if (r->a_p == 4)
        interleave(to, from, whole);
    else
        for (int64_t q = 0; q < whole; q++)
            for (int i = 0; i < TILE_M; i++)
                memcpy(to + q * TILE_M + i, from[i] + q * r->a_p, 4);
    for (int i = 0; i < TILE_M && whole < p; i++) {
        to[whole * TILE_M + i] = 0;
        memcpy(to + whole * TILE_M + i, from[i] + whole * r->a_p, 2);
    }
}

/* Asks for part `at` of `parts` of the panel that is packed next: PANEL words of p rows, which no hardware stream follows. */
INLINE void fetch_ahead(const char *next, int64_t b_p, int64_t p, int64_t at, int64_t parts)
{
    for (int64_t q = at * p / parts; q < (at + 1) * p / parts; q++)
#pragma GCC unroll 4
        for (int v = 0; v < TILE_V; v++)
            __builtin_prefetch(next + q * b_p + v * 64, 0, 2);
}

/* ---- the walk ----------------------------------------------------------------------------------------------------------- */

/* What one step of the walk covers: rows, columns and words of p. */
typedef struct block {
    int64_t i, m, j, n, p0, p;
    bool    packs_a, packs_b;
} block;

INLINE void multiply_block(kind k, const rows *r, const block *w, room *s)
{
    bool    zero = w->p0 == 0 && !r->add;
    int64_t tiles = (w->m + TILE_M - 1) / TILE_M;
    for (int64_t i = 0; i < w->m && w->packs_a; i += TILE_M)
        pack_tile(s->a + i * w->p, r, w->i + i, FJ_MIN(TILE_M, w->m - i), w->p0, w->p);
    for (int64_t j = w->j; j < w->j + w->n; j += PANEL) {
        int         n = (int)FJ_MIN(PANEL, w->j + w->n - j);
        const char *next = r->b + w->p0 * r->b_p + (j + PANEL) * 4;
        operands    o = { .b = r->b + w->p0 * r->b_p + j * 4, .b_p = r->b_p, .p = w->p };
        if (w->packs_b) {
            pack_b(s->b, o.b, o.b_p, w->p, n);
            o.b = (const char *)s->b;
            o.b_p = PANEL * 4;
        }
        for (int64_t i = 0; i < w->m; i += TILE_M) {
            if (w->packs_b)
                fetch_ahead(next, r->b_p, w->p, i / TILE_M, tiles);
            o.a = w->packs_a ? (const char *)(s->a + i * w->p) : r->a + (w->i + i) * r->a_i + w->p0 * r->a_p;
            o.a_i = w->packs_a ? 4 : r->a_i;
            o.a_p = w->packs_a ? TILE_M * 4 : r->a_p;
            tile_panel(k, o, r->c + (w->i + i) * r->ldc + j, r->ldc, (int)FJ_MIN(TILE_M, w->m - i), n, zero);
        }
    }
}

INLINE void row_products(kind k, const rows *r)
{
    room  s;
    block w = { .packs_b = r->m >= SHARED_B * TILE_M, .packs_a = r->half_word || r->n >= SHARED_A * PANEL };
    for (w.i = 0; w.i < r->m; w.i += BLOCK_M)
        for (w.j = 0; w.j < r->n; w.j += BLOCK_N) {
            w.m = FJ_MIN(BLOCK_M, r->m - w.i);
            w.n = FJ_MIN(BLOCK_N, r->n - w.j);
            w.p0 = 0;
            do { /* once for p = 0 too: c is then zeroed or left */
                w.p = FJ_MIN(BLOCK_P, r->p - w.p0);
                multiply_block(k, r, &w, &s);
                w.p0 += w.p;
            } while (w.p0 < r->p);
        }
}

INLINE void pairs_products(float *c, int64_t ldc, const uint16_t *a, int64_t lda, const uint16_t *b_pairs, int64_t m, int64_t n,
                           int64_t p, bool add)
{
    const rows r = { .c = c, .ldc = ldc, .a = (const char *)a, .b = (const char *)b_pairs, .a_i = lda * 2, .a_p = 4, .b_p = n * 4,
                     .m = m, .n = n, .p = (p + 1) / 2, .add = add, .half_word = p % 2 };
    row_products(PAIRS, &r);
}

#endif
