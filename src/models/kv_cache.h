/* SPDX-License-Identifier: Apache-2.0
 * The pool of cache pages and the tables of the sequences that hold them. A page may belong to several sequences (a common prefix);
 * it is copied before one of them writes to it. */
#ifndef FJ_MODELS_KV_CACHE_H
#define FJ_MODELS_KV_CACHE_H

#include "base/buffer.h"
#include "models/model.h"

typedef struct fj_kv_cache {
    fj_buffer      data;
    fj_cache_layout layout;
    size_t         page_bytes;
    int64_t        n_pages, n_seqs, pages_per_seq;
    int32_t       *tables; /* (n_seqs, pages_per_seq); -1: none yet. What graphs read */
    int32_t       *n_users; /* of each page */
    int32_t       *free_pages;
    int64_t        n_free;
    int64_t       *length; /* positions of each sequence */
    fj_arena      *arena;
} fj_kv_cache;

fj_cache_layout fj_kv_cache_layout(const fj_model *m, const fj_dtype *k, const fj_dtype *v);

size_t    fj_kv_cache_bytes(const fj_cache_layout *layout, int64_t n_seqs, int64_t n_ctx);
fj_status fj_kv_cache_open(const fj_cache_layout *layout, int64_t n_seqs, int64_t n_ctx, fj_kv_cache *out, fj_err *err);
void      fj_kv_cache_close(fj_kv_cache *c); /* accepts a zeroed one */

/* Pages for positions up to `length`, ready to be written from the sequence's present length on. A pool that was sized for its
 * sequences never runs out. */
void fj_kv_cache_grow(fj_kv_cache *c, int64_t seq, int64_t length);
void fj_kv_cache_truncate(fj_kv_cache *c, int64_t seq, int64_t length); /* gives back the pages behind */

/* `to` forgets what it holds and shares the first `length` positions of `from`. */
void fj_kv_cache_fork(fj_kv_cache *c, int64_t from, int64_t to, int64_t length);

#endif
