/* SPDX-License-Identifier: Apache-2.0
 * See index.h: open addressing over the names' hashes. */
#include "formats/index.h"

#include <string.h>

#include "base/hash.h"

bool fj_index_init(fj_index *x, fj_arena *arena, size_t cap)
{
    *x = (fj_index){ .cap = cap, .n_slots = 16 };
    while (x->n_slots < 2 * cap)
        x->n_slots *= 2;
    x->tensors = fj_arena_array(arena, cap, sizeof *x->tensors);
    x->slots = fj_arena_array(arena, x->n_slots, sizeof *x->slots);
    return x->tensors && x->slots;
}

/* The slot of the name, or the empty one where it would go. */
static size_t slot_of(const fj_index *x, const char *name)
{
    size_t at = (size_t)fj_hash64(name, strlen(name), 0) & (x->n_slots - 1);
    while (x->slots[at] && strcmp(x->tensors[x->slots[at] - 1].name, name))
        at = (at + 1) & (x->n_slots - 1);
    return at;
}

bool fj_index_add(fj_index *x, const fj_tensor *t)
{
    fj_assert(x->n < x->cap);
    size_t at = slot_of(x, t->name);
    if (x->slots[at])
        return false;
    x->tensors[x->n] = *t;
    x->slots[at] = (uint32_t)++x->n;
    return true;
}

const fj_tensor *fj_index_find(const fj_index *x, const char *name)
{
    size_t at = slot_of(x, name);
    return x->slots[at] ? &x->tensors[x->slots[at] - 1] : NULL;
}
