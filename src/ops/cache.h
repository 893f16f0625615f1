/* SPDX-License-Identifier: Apache-2.0
 * The layout of the key/value cache: a pool of pages. A page holds FJ_TILE_ROWS positions of one sequence for all layers:
 *
 *   page p ──┬ layer 0 ──┬ keys   of head 0: (64,d)  … of head G-1
 *            │           └ values of head 0: (64,d)  … of head G-1
 *            └ layer 1 …
 *
 * so a key tile of attention is one contiguous block, and growing, sharing a prefix, rolling back and sliding are edits of page
 * tables. Keys are of one type, values of one: f32, f16, bf16, or blocks that each head's row fills by itself, so that what is
 * stored of a position depends on it alone. A row that a block does not divide is filled up with its last value, which changes no
 * scale. Rows go into blocks turned (turn.c), so that no value stands out and coarsens its block: queries are turned the same way,
 * and sums of values back. */
#ifndef FJ_OPS_CACHE_H
#define FJ_OPS_CACHE_H

#include <stdint.h>

#include "ops/op.h"

/* Turns a row by a matrix that is its own inverse and keeps all products of rows: Walsh and Hadamard's, divided by the root of its size,
 * over each run of as many values as the largest power of two that divides d. Source: Ashkboos et al. 2024 (QuaRot), section 4. */
void fj_turn_row(float *x, int64_t d);

typedef struct fj_cache_layout {
    const fj_dtype *k, *v;
    int64_t         n_layers, n_kv_heads, d_head;
} fj_cache_layout;

/* Values of a stored row of d, what fills its last block included, and its bytes. */
static inline int64_t fj_cache_row_values(const fj_dtype *type, int64_t d)
{
    return (d + type->block_len - 1) / type->block_len * type->block_len;
}

static inline size_t fj_cache_row_bytes(const fj_dtype *type, int64_t d)
{
    return (size_t)(fj_cache_row_values(type, d) / type->block_len * type->block_bytes);
}

static inline size_t fj_page_bytes(const fj_cache_layout *c)
{
    size_t row = fj_cache_row_bytes(c->k, c->d_head) + fj_cache_row_bytes(c->v, c->d_head);
    return (size_t)(c->n_layers * c->n_kv_heads * FJ_TILE_ROWS) * row;
}

/* Where the first row of (page, layer, head) begins, of its keys or its values. */
static inline size_t fj_page_at(const fj_cache_layout *c, int64_t page, int64_t layer, int64_t head, bool is_value)
{
    size_t k = FJ_TILE_ROWS * fj_cache_row_bytes(c->k, c->d_head), v = FJ_TILE_ROWS * fj_cache_row_bytes(c->v, c->d_head);
    size_t first = (size_t)((page * c->n_layers + layer) * c->n_kv_heads) * (k + v);
    return first + (is_value ? (size_t)c->n_kv_heads * k + (size_t)head * v : (size_t)head * k);
}

#endif
