/* SPDX-License-Identifier: Apache-2.0
 * Softmax attention of a few queries over keys in tiles of FJ_TILE_ROWS at absolute positions, in order; the score matrix never
 * exists whole. FJ_CHUNK_TILES tiles make a chunk, with a maximum, a denominator and sums of its own; the chunks are then added up in
 * order, so that several threads may share the keys of one query. A query's bits depend on it and its keys alone, neither on which
 * queries are worked on beside it nor on who worked on a chunk.
 * Source: Milakov and Gimelshein 2018 (online softmax); Dao et al. 2022 (FlashAttention, the tiling); Dao et al. 2023 (Flash-Decoding). */
#ifndef FJ_OPS_ATTEND_H
#define FJ_OPS_ATTEND_H

#include "base/arena.h"
#include "ops/op.h"

/* What attention is made of. Zero means none for everything behind scale. The mask is causal; scores are
 *   softcap * tanh(scale q.k / softcap) + slopes[h] * (j - i)        i, j: positions of the query and the key
 * (the slope's term differs from slope * j by what the softmax takes out again, and rounds less far from the start). */
typedef struct fj_attention_shape {
    int64_t      n_heads, n_kv_heads, d_head;
    double       scale;
    int64_t      window;         /* keys a query sees, itself included */
    double       softcap;
    const float *slopes;         /* ALiBi: one a query head; copied when the node is recorded */
    bool         keys_by_modulo; /* query head h uses key head h mod n_kv_heads, else h / (n_heads / n_kv_heads) */
    /* Block-sparse: of blocks of block_rows keys (0: FJ_TILE_ROWS) a query in block b sees the last local_blocks, its own included,
     * and every block k with (k + 1 + h * head_offset) mod vertical_stride = 0. */
    int64_t      block_rows, local_blocks, vertical_stride, head_offset;
} fj_attention_shape;

static inline int64_t fj_key_head(const fj_attention_shape *s, int64_t head)
{
    return s->keys_by_modulo ? head % s->n_kv_heads : head / (s->n_heads / s->n_kv_heads);
}

/* The query heads of key head g: r = n_heads / n_kv_heads of them, from the first on so far apart. */
static inline int64_t fj_first_head(const fj_attention_shape *s, int64_t g)
{
    return s->keys_by_modulo ? g : g * (s->n_heads / s->n_kv_heads);
}

static inline int64_t fj_head_step(const fj_attention_shape *s)
{
    return s->keys_by_modulo ? s->n_kv_heads : 1;
}

/* A copy in the arena, slopes too. */
fj_attention_shape *fj_attention_shape_copy(fj_arena *arena, const fj_attention_shape *s);

enum { FJ_CHUNK_TILES = 4 };

/* Where the keys of one tile lie: rows of d values, ldk and ldv apart (in values, those of the last block included). */
typedef struct fj_key_tile {
    const void *k, *v;
    int64_t     ldk, ldv;
} fj_key_tile;

typedef struct fj_attend {
    const float *q;        /* n vectors of d values, ldq apart */
    float       *out;      /* n vectors, ldo apart */
    float       *lse;      /* log of the softmax's denominator, lse_step apart; NULL when not wanted */
    int64_t      ldq, ldo, lse_step, n;
    int64_t      pos0, pos_step; /* query i stands at pos0 + i * pos_step (0: heads of one row) */
    int64_t      head, head_step; /* query i is of query head head + i * head_step */
    const fj_attention_shape *shape;
    const fj_dtype *k_type, *v_type; /* of keys and values; rows of what is not f32 lie end to end. NULL: f32 */
    fj_key_tile (*tile)(const void *context, int64_t index);
    const void  *context;
    bool         bf16;     /* products in bf16 with f32 sums, for processors that have them; lse too is then of rounded scores */
} fj_attend;

/* First and one past the last key of tile `index` that query i sees, as indices in the tile; empty when first >= end. */
void fj_attend_range(const fj_attend *a, int64_t i, int64_t index, int64_t *first, int64_t *end);

/* Whether any of the queries sees a key of tile `index`. */
bool fj_attend_sees(const fj_attend *a, int64_t index);

/* Turns n raw products q.k of query i with keys `first`… of tile `index` into scores. Returns by what they are still to be multiplied.
 * slope (n values, may be NULL): the derivative of the scores by the products. */
float fj_attend_scores(const fj_run *run, const fj_attend *a, int64_t i, int64_t index, int64_t first, int64_t n, float *row,
                       float *slope);

/* First tile that any of the queries sees, and one past the last; the same of chunks. */
void fj_attend_tiles(const fj_attend *a, int64_t *first, int64_t *end);
void fj_attend_chunks(const fj_attend *a, int64_t *first, int64_t *end);

/* All chunks; n <= FJ_TILE_ROWS. */
size_t fj_attend_scratch(int64_t d);
void   fj_attend_run(const fj_run *run, const fj_attend *a, void *scratch);

/* The same in two steps: one chunk at a time, each to fj_part_values(n, d) floats; then n_parts of them, end to end and in order. */
int64_t fj_part_values(int64_t n, int64_t d);
void    fj_attend_part(const fj_run *run, const fj_attend *a, int64_t chunk, float *part, void *scratch);
void    fj_attend_parts(const fj_run *run, const fj_attend *a, const float *parts, int64_t n_parts, void *scratch);

#endif
