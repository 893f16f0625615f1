/* SPDX-License-Identifier: Apache-2.0
 * What bpe.c (words to symbols) and bpe_merge.c (symbols to tokens) share. */
#ifndef FJ_TOKENIZERS_BPE_H
#define FJ_TOKENIZERS_BPE_H

#include "tokenizers/parts.h"

/* A pair of ids to what it becomes. */
typedef struct bpe_slot {
    uint32_t left, right, rank, made; /* rank UINT32_MAX: an empty slot */
} bpe_slot;

typedef struct bpe {
    fj_bpe_options options;
    int64_t unk_id;
    int32_t byte_ids[256], ascii_ids[256], fallback_ids[256]; /* of a byte: spelled, itself, <0xXX>; -1 when absent */
    fj_text_table words;
    bpe_slot *slots;
    size_t mask;
} bpe;

/* One symbol of a word: an id and the bytes it covers; neighbours by place. */
typedef struct bpe_node {
    uint32_t id, len;
    uint32_t rank, made; /* of the pair with the next one; rank UINT32_MAX: none */
    uint32_t next, previous;
} bpe_node;

typedef struct bpe_work {
    bpe_node *nodes;
    size_t n, cap;
    uint64_t *heap; /* rank << 32 | place */
    size_t n_heap, heap_cap;
    bool failed;
} bpe_work;

void bpe_work_free(void *work);
void bpe_symbol(bpe_work *w, uint32_t id, uint32_t len);

/* Merges the symbols and appends what is left. False without memory. */
bool bpe_merge_all(const bpe *b, bpe_work *w, fj_ids *out);

fj_status bpe_put_merges(bpe *b, const fj_merge *merges, size_t n, fj_arena *arena, fj_err *err);

#endif
