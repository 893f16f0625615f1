/* SPDX-License-Identifier: Apache-2.0
 * Softmax attention of a few queries over keys in tiles of FJ_TILE_ROWS at absolute positions, in order; the score matrix never
 * exists whole. A query's bits depend on it and its keys alone, not on which queries are worked on beside it.
 * Source: Milakov and Gimelshein 2018 (online softmax); Dao et al. 2022 (FlashAttention, the tiling). */
#ifndef FJ_OPS_ATTEND_H
#define FJ_OPS_ATTEND_H

#include "ops/op.h"

/* Where the keys of one tile lie: rows of d values, ldk and ldv apart (in values). */
typedef struct fj_key_tile {
    const void *k, *v;
    int64_t     ldk, ldv;
} fj_key_tile;

typedef struct fj_attend {
    const float *q;        /* n vectors of d values, ldq apart */
    float       *out;      /* n vectors, ldo apart */
    float       *lse;      /* log of the softmax's denominator, lse_step apart; NULL when not wanted */
    int64_t      ldq, ldo, lse_step, n, d;
    int64_t      pos0, pos_step; /* query i stands at pos0 + i * pos_step (0: heads of one row) */
    int64_t      window;   /* 0: all keys up to the query's own position */
    double       scale;
    bool         is_f16;   /* keys and values are f16, else f32 */
    fj_key_tile (*tile)(const void *context, int64_t index);
    const void  *context;
} fj_attend;

/* First and one past the last key of tile `index` that query i sees, as indices in the tile; empty when first >= end. */
void fj_attend_range(const fj_attend *a, int64_t i, int64_t index, int64_t *first, int64_t *end);

/* First tile that any of the queries sees, and one past the last. */
void fj_attend_tiles(const fj_attend *a, int64_t *first, int64_t *end);

size_t fj_attend_scratch(int64_t d);
void   fj_attend_run(const fj_run *run, const fj_attend *a, void *scratch); /* n <= FJ_TILE_ROWS */

#endif
