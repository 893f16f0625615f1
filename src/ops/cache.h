/* SPDX-License-Identifier: Apache-2.0
 * The layout of the key/value cache: a pool of pages. A page holds FJ_TILE_ROWS positions of one sequence for all layers:
 *
 *   page p ──┬ layer 0 ──┬ keys   of head 0: (64,d)  … of head G-1
 *            │           └ values of head 0: (64,d)  … of head G-1
 *            └ layer 1 …
 *
 * so a key tile of attention is one contiguous block, and growing, sharing a prefix, rolling back and sliding are edits of page
 * tables. Elements are f32 or f16. */
#ifndef FJ_OPS_CACHE_H
#define FJ_OPS_CACHE_H

#include <stdint.h>

#include "ops/op.h"

/* Values of one page. */
static inline int64_t fj_page_values(int64_t n_layers, int64_t n_kv_heads, int64_t d_head)
{
    return n_layers * 2 * n_kv_heads * FJ_TILE_ROWS * d_head;
}

/* Index of the first key value of (page, layer, head); the values of that head lie n_kv_heads * 64 * d_head further on. */
static inline int64_t fj_page_at(int64_t page, int64_t layer, int64_t head, int64_t n_layers, int64_t n_kv_heads, int64_t d_head)
{
    return ((page * n_layers + layer) * 2 * n_kv_heads + head) * FJ_TILE_ROWS * d_head;
}

#endif
