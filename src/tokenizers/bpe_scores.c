/* SPDX-License-Identifier: Apache-2.0
 * SentencePiece's BPE as merges: any two neighbouring pieces whose text together is a piece may be merged, the best score first.
 * Source: sentencepiece, bpe_model.cc. */
#include <stdlib.h>

#include "base/utf8.h"
#include "tokenizers/tokenizer_internal.h"

enum { MAX_PIECE = 512 }; /* of one that merges make: every split of it is tried */

typedef struct scored {
    float score;
    uint32_t id;
} scored;

static int best_first(const void *a, const void *b)
{
    const scored *x = a, *y = b;
    if (x->score != y->score)
        return x->score < y->score ? 1 : -1;
    return (x->id > y->id) - (x->id < y->id);
}

typedef struct merges {
    fj_merge *items;
    size_t n, cap;
} merges;

static bool add(merges *m, fj_merge one)
{
    if (m->n == m->cap) {
        size_t cap = m->cap ? 2 * m->cap : 1024;
        fj_merge *items = realloc(m->items, cap * sizeof *items);
        if (!items)
            return false;
        m->items = items;
        m->cap = cap;
    }
    m->items[m->n++] = one;
    return true;
}

/* Every split of a piece into two pieces. */
static bool add_splits(const fj_tokenizer *t, const uint8_t *may_merge, uint32_t id, uint32_t rank, merges *out)
{
    fj_text whole = t->vocab_tokens[id];
    uint32_t c;
    size_t n = fj_utf8_get(whole.data, whole.len, &c);
    for (size_t at = n; n && at < whole.len; at += n) {
        int64_t left = fj_text_table_find(&t->vocab, (fj_text){ whole.data, at });
        n = fj_utf8_get(whole.data + at, whole.len - at, &c);
        if (left < 0 || !may_merge[left])
            continue;
        int64_t right = fj_text_table_find(&t->vocab, (fj_text){ whole.data + at, whole.len - at });
        if (right >= 0 && may_merge[right] && !add(out, (fj_merge){ (uint32_t)left, (uint32_t)right, id, rank }))
            return false;
    }
    return true;
}

fj_status fj_merges_of_scores(fj_tokenizer *t, const float *scores, const uint8_t *may_merge, fj_merge **out, size_t *n,
                              fj_err *err)
{
    size_t count = 0;
    uint32_t rank = 0;
    merges m = { 0 };
    fj_status st = FJ_OK;
    scored *order = calloc((size_t)t->n_vocab + 1, sizeof *order);
    bool ok = order != NULL;
    for (int64_t i = 0; ok && !st && i < t->n_vocab; i++) {
        if (!may_merge[i] ||
            fj_text_table_find(&t->vocab, t->vocab_tokens[i]) != i) /* of equal texts the first counts */
            continue;
        if (scores[i] != scores[i])
            st = fj_fail(err, FJ_ERR_FORMAT, "piece %lld has no number as its score", (long long)i);
        else if (t->vocab_tokens[i].len > MAX_PIECE)
            st = fj_fail(err, FJ_ERR_FORMAT, "piece %lld has %zu bytes, at most %d are supported", (long long)i,
                         t->vocab_tokens[i].len, MAX_PIECE);
        order[count++] = (scored){ scores[i], (uint32_t)i };
    }
    if (ok && !st && count)
        qsort(order, count, sizeof *order, best_first);
    for (size_t i = 0; ok && !st && i < count; i++) {
        rank += i > 0 && order[i].score != order[i - 1].score;
        ok = add_splits(t, may_merge, order[i].id, rank, &m);
    }
    free(order);
    if (!ok)
        st = fj_fail(err, FJ_ERR_MEMORY, "no memory for the merges of %lld pieces", (long long)t->n_vocab);
    if (st) {
        free(m.items);
        return st;
    }
    *out = m.items;
    *n = m.n;
    return FJ_OK;
}
