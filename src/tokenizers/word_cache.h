/* SPDX-License-Identifier: Apache-2.0
 * Words that a model has seen, with their ids: natural text repeats few words. Bounded; one thread's. */
#ifndef FJ_TOKENIZERS_WORD_CACHE_H
#define FJ_TOKENIZERS_WORD_CACHE_H

#include "tokenizers/tokenizer_internal.h"

enum { FJ_CACHED_WORD = 64 }; /* bytes of the longest word that is kept */

typedef struct fj_word_slot {
    uint64_t hash; /* 0: empty */
    uint32_t word, len, ids, n_ids;
} fj_word_slot;

typedef struct fj_word_cache {
    fj_word_slot *slots; /* NULL until the first word */
    char *words;
    fj_ids ids;
    size_t n_words; /* bytes */
} fj_word_cache;

void fj_word_cache_free(fj_word_cache *c);

/* The place of a word's ids in c->ids, or NULL. *hash is for a later put. */
const fj_word_slot *fj_word_cache_find(const fj_word_cache *c, fj_text word, uint64_t *hash);

/* Keeps the ids; does nothing without memory. */
void fj_word_cache_put(fj_word_cache *c, fj_text word, uint64_t hash, const int32_t *ids, const uint32_t *lens, size_t n);

#endif
