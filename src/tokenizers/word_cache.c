/* SPDX-License-Identifier: Apache-2.0
 * See word_cache.h. A full cache is emptied as a whole: what is frequent comes back at once. */
#include "tokenizers/word_cache.h"

#include <stdlib.h>
#include <string.h>

#include "base/hash.h"

enum { SLOTS = 1 << 15, PROBES = 4, MAX_BYTES = 1 << 20, MAX_IDS = 1 << 18 };

void fj_word_cache_free(fj_word_cache *c)
{
    free(c->slots);
    free(c->words);
    free(c->ids.ids);
    free(c->ids.lens);
    *c = (fj_word_cache){ 0 };
}

const fj_word_slot *fj_word_cache_find(const fj_word_cache *c, fj_text word, uint64_t *hash)
{
    uint64_t h = fj_hash64(word.data, word.len, 0) | 1;
    *hash = h;
    for (size_t i = 0; c->slots && i < PROBES; i++) {
        const fj_word_slot *s = &c->slots[(h >> 20 & (SLOTS - 1)) ^ i];
        if (s->hash == h && s->len == word.len && !memcmp(c->words + s->word, word.data, word.len))
            return s;
    }
    return NULL;
}

static bool make_room(fj_word_cache *c, size_t bytes, size_t n)
{
    if (!c->slots)
        c->slots = calloc(SLOTS, sizeof *c->slots);
    if (!c->words)
        c->words = malloc(MAX_BYTES);
    if (!c->slots || !c->words || c->ids.failed)
        return false;
    if (c->n_words + bytes > MAX_BYTES || c->ids.n + n > MAX_IDS) {
        memset(c->slots, 0, SLOTS * sizeof *c->slots);
        c->n_words = 0;
        c->ids.n = 0;
    }
    return true;
}

void fj_word_cache_put(fj_word_cache *c, fj_text word, uint64_t hash, const int32_t *ids, const uint32_t *lens,
                       size_t n)
{
    if (word.len > FJ_CACHED_WORD || !make_room(c, word.len, n))
        return;
    fj_word_slot *slot = NULL;
    for (size_t i = 0; i < PROBES && (!slot || slot->hash); i++)
        slot = &c->slots[(hash >> 20 & (SLOTS - 1)) ^ i];
    size_t first = c->ids.n;
    for (size_t i = 0; i < n; i++)
        fj_ids_add(&c->ids, ids[i], lens[i]);
    if (c->ids.failed)
        return;
    memcpy(c->words + c->n_words, word.data, word.len);
    *slot = (fj_word_slot){ hash, (uint32_t)c->n_words, (uint32_t)word.len, (uint32_t)first, (uint32_t)n };
    c->n_words += word.len;
}
