/* SPDX-License-Identifier: Apache-2.0
 * The list of tensors that readers share: names to tensors in constant time. */
#ifndef FJ_FORMATS_INDEX_H
#define FJ_FORMATS_INDEX_H

#include "base/arena.h"
#include "tensor/tensor.h"

typedef struct fj_index {
    fj_tensor *tensors;
    size_t     n, cap;
    uint32_t  *slots; /* 1 + position; 0 empty; n_slots a power of two, at most half full */
    size_t     n_slots;
} fj_index;

/* Room for `cap` tensors. False without memory. */
bool fj_index_init(fj_index *x, fj_arena *arena, size_t cap);

/* Appends; false when the name is there already. */
bool fj_index_add(fj_index *x, const fj_tensor *t);

const fj_tensor *fj_index_find(const fj_index *x, const char *name);

#endif
