/* SPDX-License-Identifier: Apache-2.0
 * Open addressing over texts that are kept elsewhere: four bytes a slot. */
#include <string.h>

#include "base/hash.h"
#include "tokenizers/tokenizer_internal.h"

/* Where text is, or the empty slot where it would be. */
static uint32_t *slot_of(const fj_text_table *t, fj_text text)
{
    size_t at = (size_t)fj_hash64(text.data, text.len, 0) & t->mask;
    while (t->slots[at]) {
        fj_text have = t->texts[t->slots[at] - 1];
        if (have.len == text.len && !memcmp(have.data, text.data, text.len))
            break;
        at = (at + 1) & t->mask;
    }
    return &t->slots[at];
}

fj_status fj_text_table_init(fj_text_table *t, const fj_text *texts, size_t n, fj_arena *arena, fj_err *err)
{
    size_t size = 16;
    while (size < 2 * n)
        size *= 2;
    *t = (fj_text_table){ .texts = texts, .slots = fj_arena_array(arena, size, sizeof *t->slots), .mask = size - 1 };
    if (!t->slots)
        return fj_fail(err, FJ_ERR_MEMORY, "no memory for a vocabulary of %zu tokens", n);
    for (size_t i = 0; i < n; i++) {
        uint32_t *slot = texts[i].data ? slot_of(t, texts[i]) : NULL;
        if (slot && !*slot)
            *slot = (uint32_t)i + 1;
    }
    return FJ_OK;
}

int64_t fj_text_table_find(const fj_text_table *t, fj_text text)
{
    return t->slots ? (int64_t)*slot_of(t, text) - 1 : -1;
}
