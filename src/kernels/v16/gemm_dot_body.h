/* SPDX-License-Identifier: Apache-2.0
 * Products in dot form in v16: both sides are read along k, sixteen lanes hold a sum, the tree of kernels.h ends it.
 * Included behind a v16 header by a file that also says TILE_M, TILE_N (accumulators of a tile) and the madd of pairs.
 *
 * A tile is TILE_M rows of x by TILE_N rows of w. Each of its sums is one chain of FMAs whatever stands beside it, so a tile
 * may be cut and moved freely: rows and columns that are left over repeat the last one and are not stored.
 *
 * Few rows (decoding): tiles read both sides where they lie; the weights pass once, and one or two rows do so little with them
 * that memory decides: each load asks for its line of the next tile, into the second-level cache. (Into the first it is no gain:
 * its few outstanding misses are busy.) From memory, one thread, k = 576: f32 16.6 -> 24.5 GB/s, bf16 12.2 -> 21.5.
 * Many rows: a tile's w rows are widened and laid end to end, [step][TILE_N][16], in a buffer that stays in L1 while a block of
 * x rows, which stays in L2, walks past. That also keeps rows that are 4096 bytes apart from evicting each other. When k is too
 * long for the buffer it is cut; the lanes' sums wait on the stack between two chunks: the chain goes on where it stopped. */
#ifndef FJ_KERNELS_V16_GEMM_DOT_BODY_H
#define FJ_KERNELS_V16_GEMM_DOT_BODY_H

#include <stddef.h>
#include <string.h>

#include "kernels/kernels_internal.h"

/* What a row holds. PAIRS: bf16 that stay together, two to a lane. */
typedef enum kind { F32, F16, BF16, PAIRS } kind;

enum {
    FEW_ROWS    = 2 * TILE_M,
    CHUNK_STEPS = 48,  /* of a packed tile: 18 KB with TILE_N = 6 */
    BLOCK_ROWS  = 256, /* of x, at most CHUNK_STEPS long: they stay in L2 */
    BLOCK_CUT   = 96,  /* the same when their sums wait between chunks: 36 KB with TILE_N = 6 */
    AHEAD_BYTES = 128 * 1024, /* that the next tile of few rows may lie away */
};

INLINE int step_values(kind k)
{
    return k == PAIRS ? 32 : 16;
}

INLINE size_t value_bytes(kind k)
{
    return k == F32 ? 4 : 2;
}

/* n values (a step's, or fewer at the end) as sixteen lanes */
INLINE v16 load_step(kind k, const char *row, int64_t at, int n)
{
    const void *p = row + (size_t)at * value_bytes(k);
    if (k == F32)
        return v16_load(p, n);
    if (k == F16)
        return v16_load_f16(p, n);
    if (k == BF16)
        return v16_load_bf16(p, n);
    return v16_load_pairs(p, n);
}

INLINE v16 madd(kind k, v16 x, v16 w, v16 sum, int n)
{
    return k == PAIRS ? madd_pairs(x, w, sum) : v16_fma(x, w, sum, n);
}

/* One product: everything in bytes, so that the body does not ask for types. */
typedef struct dots {
    float      *y;
    int64_t     ldy;
    const char *x, *w;
    size_t      x_bytes, w_bytes; /* from row to row */
    int64_t     k;
} dots;

/* Ends mr * nr sums and stores the m * n of them that are wanted. */
INLINE void store_sums(float *y, int64_t ldy, const v16 *sum, int mr, int nr, int m, int n)
{
    float out[TILE_M * TILE_N + 8];
#pragma GCC unroll 4
    for (int e = 0; e < mr * nr; e += 8) {
        v16 eight[8];
#pragma GCC unroll 8
        for (int i = 0; i < 8; i++)
            eight[i] = e + i < mr * nr ? sum[e + i] : v16_zero();
        v16_store_sum8(out + e, eight);
    }
    for (int i = 0; i < m; i++)
        memcpy(y + i * ldy, out + i * nr, (size_t)n * sizeof *y);
}

/* ---- tiles read where they lie ----------------------------------------------------------------------------------------- */

/* ahead: bytes to where the rows of the next tile lie, 0 not to ask for them. */
INLINE void plain_step(kind kx, kind kw, v16 *sum, const char *const *x, const char *const *w, int mr, int nr, int64_t at, int n,
                       size_t ahead)
{
    v16 xs[TILE_M];
#pragma GCC unroll 8
    for (int i = 0; i < mr; i++)
        xs[i] = load_step(kx, x[i], at, n);
#pragma GCC unroll 8
    for (int j = 0; j < nr; j++) {
        v16 ws = load_step(kw, w[j], at, n);
        if (ahead)
            __builtin_prefetch(w[j] + (size_t)at * value_bytes(kw) + ahead, 0, 2);
#pragma GCC unroll 8
        for (int i = 0; i < mr; i++)
            sum[i * nr + j] = madd(kx, xs[i], ws, sum[i * nr + j], n);
    }
}

INLINE void plain_tile(kind kx, kind kw, const dots *d, int64_t i0, int64_t j0, int m, int n, int mr, int nr)
{
    v16         sum[TILE_M * TILE_N];
    const char *x[TILE_M], *w[TILE_N];
#pragma GCC unroll 8
    for (int i = 0; i < mr; i++)
        x[i] = d->x + (size_t)(i0 + (i < m ? i : m - 1)) * d->x_bytes;
#pragma GCC unroll 8
    for (int j = 0; j < nr; j++)
        w[j] = d->w + (size_t)(j0 + (j < n ? j : n - 1)) * d->w_bytes;
#pragma GCC unroll 32
    for (int e = 0; e < mr * nr; e++)
        sum[e] = v16_zero();

    size_t  ahead = mr <= 2 && nr == TILE_N ? TILE_N * d->w_bytes : 0;
    if (ahead > AHEAD_BYTES)
        ahead = 0; /* rows this long are streams that the processor follows by itself */
    int64_t at = 0;
    for (; at + step_values(kx) <= d->k; at += step_values(kx))
        plain_step(kx, kw, sum, x, w, mr, nr, at, step_values(kx), ahead);
    if (at < d->k)
        plain_step(kx, kw, sum, x, w, mr, nr, at, (int)(d->k - at), 0);
    store_sums(d->y + i0 * d->ldy + j0, d->ldy, sum, mr, nr, m, n);
}

/* m <= TILE_M rows by all columns j0 <= j < j1 */
INLINE void plain_rows(kind kx, kind kw, const dots *d, int64_t i0, int m, int64_t j0, int64_t j1)
{
    while (j0 < j1) {
        bool wide = j1 - j0 > TAIL_N;
        int  most = wide ? TILE_N : TAIL_N, n = (int)FJ_MIN(j1 - j0, most);
        if (m > 2 && wide)
            plain_tile(kx, kw, d, i0, j0, m, n, TILE_M, TILE_N);
        else if (m > 2)
            plain_tile(kx, kw, d, i0, j0, m, n, TILE_M, TAIL_N);
        else if (m > 1 && wide)
            plain_tile(kx, kw, d, i0, j0, m, n, 2, TILE_N);
        else if (m > 1)
            plain_tile(kx, kw, d, i0, j0, m, n, 2, TAIL_N);
        else if (wide)
            plain_tile(kx, kw, d, i0, j0, m, n, 1, TILE_N);
        else
            plain_tile(kx, kw, d, i0, j0, m, n, 1, TAIL_N);
        j0 += n;
    }
}

/* Rows i0 <= i < i1 by columns j0 <= j < j1; the columns of a tile meet all rows before the next ones come. */
INLINE void plain_block(kind kx, kind kw, const dots *d, int64_t i0, int64_t i1, int64_t j0, int64_t j1)
{
    if (i0 == i1)
        return;
    for (int64_t j = j0; j < j1; j += TILE_N)
        for (int64_t i = i0; i < i1; i += TILE_M)
            plain_rows(kx, kw, d, i, (int)FJ_MIN(i1 - i, TILE_M), j, FJ_MIN(j + TILE_N, j1));
}

/* ---- many rows: packed tiles ------------------------------------------------------------------------------------------- */

typedef struct packed {
    _Alignas(64) float w[CHUNK_STEPS * TILE_N * 16];
    _Alignas(64) v16 sums[BLOCK_CUT * TILE_N]; /* of BLOCK_CUT / TILE_M tiles */
} packed;

/* Values at0 <= k < at1 of TILE_N rows; a last step that is not full ends with zeros. */
INLINE void pack_tile(kind kw, float *dst, const dots *d, int64_t j0, int64_t at0, int64_t at1)
{
    for (int j = 0; j < TILE_N; j++) {
        const char *row = d->w + (size_t)(j0 + j) * d->w_bytes;
        float      *to = dst + j * 16;
        int64_t     at = at0;
        for (; at + step_values(kw) <= at1; at += step_values(kw), to += TILE_N * 16)
            v16_store(to, load_step(kw, row, at, step_values(kw)), 16);
        if (at < at1)
            v16_store(to, load_step(kw, row, at, (int)(at1 - at)), 16);
    }
}

INLINE void packed_step(kind kx, v16 *sum, const char *const *x, const float *w, int64_t at, int n)
{
    v16 xs[TILE_M];
#pragma GCC unroll 8
    for (int i = 0; i < TILE_M; i++)
        xs[i] = load_step(kx, x[i], at, n);
#pragma GCC unroll 8
    for (int j = 0; j < TILE_N; j++) {
        v16 ws = v16_load(w + j * 16, 16);
#pragma GCC unroll 8
        for (int i = 0; i < TILE_M; i++)
            sum[i * TILE_N + j] = madd(kx, xs[i], ws, sum[i * TILE_N + j], n);
    }
}

/* One chunk of one tile. waiting: the sums so far, where first or last does not make them unnecessary. */
INLINE void packed_tile(kind kx, const dots *d, const packed *tile, v16 *waiting, int64_t i0, int64_t j0, int64_t at0, int64_t at1)
{
    v16          sum[TILE_M * TILE_N];
    const char  *x[TILE_M];
    const float *w = tile->w;
#pragma GCC unroll 8
    for (int i = 0; i < TILE_M; i++)
        x[i] = d->x + (size_t)(i0 + i) * d->x_bytes;
#pragma GCC unroll 32
    for (int e = 0; e < TILE_M * TILE_N; e++)
        sum[e] = at0 > 0 ? waiting[e] : v16_zero();

    int64_t at = at0;
    for (; at + step_values(kx) <= at1; at += step_values(kx), w += TILE_N * 16)
        packed_step(kx, sum, x, w, at, step_values(kx));
    if (at < at1)
        packed_step(kx, sum, x, w, at, (int)(at1 - at));

    if (at1 == d->k)
        store_sums(d->y + i0 * d->ldy + j0, d->ldy, sum, TILE_M, TILE_N, TILE_M, TILE_N);
    else
#pragma GCC unroll 32
        for (int e = 0; e < TILE_M * TILE_N; e++)
            waiting[e] = sum[e];
}

/* Asks for part `at` of `parts` of the weights that are packed next, while others are multiplied: `bytes` of TILE_N rows. */
INLINE void fetch_ahead(const dots *d, const char *next, size_t bytes, int64_t at, int64_t parts)
{
    int64_t lines = (int64_t)bytes / 64 + 1, end = FJ_MIN(lines, (at + 1) * lines / parts);
    for (int64_t line = at * lines / parts; line < end; line++)
#pragma GCC unroll 8
        for (int j = 0; j < TILE_N; j++)
            __builtin_prefetch(next + (size_t)j * d->w_bytes + line * 64, 0, 2);
}

/* Whole tiles of rows i0 <= i < i1 and the TILE_N columns from j0 */
INLINE void packed_columns(kind kx, kind kw, const dots *d, packed *tile, int64_t i0, int64_t i1, int64_t j0, int64_t chunk)
{
    int64_t at0 = 0;
    do {
        int64_t     at1 = FJ_MIN(at0 + chunk, d->k);
        const char *w = d->w + (size_t)j0 * d->w_bytes;
        const char *next = at1 < d->k ? w + (size_t)at1 * value_bytes(kw) : w + TILE_N * d->w_bytes;
        pack_tile(kw, tile->w, d, j0, at0, at1);
        for (int64_t i = i0; i < i1; i += TILE_M) {
            fetch_ahead(d, next, (size_t)chunk * value_bytes(kw), (i - i0) / TILE_M, (i1 - i0) / TILE_M);
            packed_tile(kx, d, tile, tile->sums + (chunk < d->k ? (i - i0) * TILE_N : 0), i, j0, at0, at1);
        }
        at0 = at1;
    } while (at0 < d->k);
}

INLINE void dot_products(kind kx, kind kw, const dots *d, int64_t m, int64_t n)
{
    if (m <= FEW_ROWS || n < TILE_N) {
        plain_block(kx, kw, d, 0, m, 0, n);
        return;
    }
    packed  tile;
    int64_t values = step_values(kx), steps = (d->k + values - 1) / values;
    int64_t chunks = FJ_MAX(1, (steps + CHUNK_STEPS - 1) / CHUNK_STEPS), chunk = (steps + chunks - 1) / chunks * values;
    int64_t block = (chunks > 1 ? BLOCK_CUT : BLOCK_ROWS) / TILE_M * TILE_M;
    int64_t whole_m = m / TILE_M * TILE_M, whole_n = n / TILE_N * TILE_N;

    for (int64_t i = 0; i < whole_m; i += block)
        for (int64_t j = 0; j < whole_n; j += TILE_N)
            packed_columns(kx, kw, d, &tile, i, FJ_MIN(i + block, whole_m), j, chunk);
    plain_block(kx, kw, d, 0, whole_m, whole_n, n);
    plain_block(kx, kw, d, whole_m, m, 0, n);
}

#endif
