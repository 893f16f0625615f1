/* SPDX-License-Identifier: Apache-2.0
 * The merges of a word. Short words are scanned for their best pair; long ones keep their pairs in a heap, so that a megabyte of one
 * letter takes n log n steps. Both take the lowest rank first and of equal ranks the leftmost. */
#include <stdlib.h>
#include <string.h>

#include "tokenizers/bpe.h"

enum { SHORT_WORD = 48 };
#define NONE UINT32_MAX

void fj_ids_add(fj_ids *l, int32_t id, uint32_t len)
{
    if (l->failed)
        return;
    if (l->n == l->cap) {
        size_t cap = l->cap ? 2 * l->cap : 64;
        int32_t *ids = realloc(l->ids, cap * sizeof *ids);
        if (ids)
            l->ids = ids;
        uint32_t *lens = ids ? realloc(l->lens, cap * sizeof *lens) : NULL;
        if (lens)
            l->lens = lens;
        if (!ids || !lens) {
            l->failed = true;
            return;
        }
        l->cap = cap;
    }
    l->ids[l->n] = id;
    l->lens[l->n++] = len;
}

void bpe_work_free(void *work)
{
    bpe_work *w = work;
    if (!w)
        return;
    free(w->nodes);
    free(w->heap);
    free(w);
}

void bpe_symbol(bpe_work *w, uint32_t id, uint32_t len)
{
    if (w->n == w->cap) {
        size_t cap = w->cap ? 2 * w->cap : 256;
        bpe_node *nodes = realloc(w->nodes, cap * sizeof *nodes);
        if (!nodes) {
            w->failed = true;
            return;
        }
        w->nodes = nodes;
        w->cap = cap;
    }
    w->nodes[w->n++] = (bpe_node){ .id = id, .len = len };
}

static size_t place_of(uint32_t left, uint32_t right)
{
    uint64_t key = ((uint64_t)left << 32 | right) * 0x9e3779b97f4a7c15u;
    return (size_t)(key ^ key >> 32);
}

static const bpe_slot *find(const bpe *b, uint32_t left, uint32_t right)
{
    size_t at = place_of(left, right) & b->mask;
    while (b->slots[at].rank != NONE && (b->slots[at].left != left || b->slots[at].right != right))
        at = (at + 1) & b->mask;
    return &b->slots[at];
}

fj_status bpe_put_merges(bpe *b, const fj_merge *merges, size_t n, fj_arena *arena, fj_err *err)
{
    size_t size = 16;
    while (size < 2 * n)
        size *= 2;
    b->slots = fj_arena_array(arena, size, sizeof *b->slots);
    b->mask = size - 1;
    if (!b->slots)
        return fj_fail(err, FJ_ERR_MEMORY, "no memory for %zu merges", n);
    memset(b->slots, 0xff, size * sizeof *b->slots);
    for (size_t i = 0; i < n; i++) {
        const fj_merge *m = &merges[i];
        b->slots[find(b, m->left, m->right) - b->slots] = (bpe_slot){ m->left, m->right, m->rank, m->made };
    }
    return FJ_OK;
}

static void look_up(const bpe *b, bpe_node *left, const bpe_node *right)
{
    const bpe_slot *s = find(b, left->id, right->id);
    left->rank = s->rank;
    left->made = s->made;
}

/* ---- short words -------------------------------------------------------------------------------------------------------------------- */

static void merge_short(const bpe *b, bpe_work *w)
{
    bpe_node *s = w->nodes;
    for (size_t i = 0; i + 1 < w->n; i++)
        look_up(b, &s[i], &s[i + 1]);
    while (w->n > 1) {
        size_t best = 0;
        for (size_t i = 1; i + 1 < w->n; i++)
            if (s[i].rank < s[best].rank)
                best = i;
        if (s[best].rank == NONE)
            return;
        s[best].id = s[best].made;
        s[best].len += s[best + 1].len;
        memmove(&s[best + 1], &s[best + 2], (w->n - best - 2) * sizeof *s);
        w->n--;
        if (best + 1 < w->n)
            look_up(b, &s[best], &s[best + 1]);
        if (best > 0)
            look_up(b, &s[best - 1], &s[best]);
    }
}

/* ---- long words --------------------------------------------------------------------------------------------------------------------- */

static bool push(bpe_work *w, uint32_t rank, size_t place)
{
    if (w->n_heap == w->heap_cap) {
        size_t cap = w->heap_cap ? 2 * w->heap_cap : 256;
        uint64_t *heap = realloc(w->heap, cap * sizeof *heap);
        if (!heap)
            return false;
        w->heap = heap;
        w->heap_cap = cap;
    }
    uint64_t key = (uint64_t)rank << 32 | place;
    size_t at = w->n_heap++;
    while (at && w->heap[(at - 1) / 2] > key) {
        w->heap[at] = w->heap[(at - 1) / 2];
        at = (at - 1) / 2;
    }
    w->heap[at] = key;
    return true;
}

static uint64_t pop(bpe_work *w)
{
    uint64_t top = w->heap[0], last = w->heap[--w->n_heap];
    size_t at = 0;
    for (;;) {
        size_t child = 2 * at + 1;
        if (child >= w->n_heap)
            break;
        child += child + 1 < w->n_heap && w->heap[child + 1] < w->heap[child];
        if (w->heap[child] >= last)
            break;
        w->heap[at] = w->heap[child];
        at = child;
    }
    w->heap[at] = last;
    return top;
}

/* Looks up the pair that begins at place and puts it in the heap. */
static bool offer(const bpe *b, bpe_work *w, uint32_t place)
{
    bpe_node *s = &w->nodes[place];
    s->rank = NONE;
    if (s->next == NONE)
        return true;
    look_up(b, s, &w->nodes[s->next]);
    return s->rank == NONE || push(w, s->rank, place);
}

static bool merge_long(const bpe *b, bpe_work *w)
{
    bool ok = true;
    w->n_heap = 0;
    for (size_t i = 0; i < w->n; i++) {
        w->nodes[i].previous = i ? (uint32_t)i - 1 : NONE;
        w->nodes[i].next = i + 1 < w->n ? (uint32_t)i + 1 : NONE;
    }
    for (size_t i = 0; ok && i < w->n; i++)
        ok = offer(b, w, (uint32_t)i);
    while (ok && w->n_heap) {
        uint64_t top = pop(w);
        uint32_t place = (uint32_t)top;
        bpe_node *s = &w->nodes[place];
        if (!s->len || s->rank != top >> 32) /* merged meanwhile */
            continue;
        bpe_node *gone = &w->nodes[s->next];
        s->id = s->made;
        s->len += gone->len;
        s->next = gone->next;
        gone->len = 0;
        if (s->next != NONE)
            w->nodes[s->next].previous = place;
        ok = offer(b, w, place) && (s->previous == NONE || offer(b, w, s->previous));
    }
    return ok;
}

bool bpe_merge_all(const bpe *b, bpe_work *w, fj_ids *out)
{
    if (w->n <= SHORT_WORD)
        merge_short(b, w);
    else if (!merge_long(b, w))
        return false;
    for (size_t i = 0; i < w->n; i++)
        if (w->nodes[i].len)
            fj_ids_add(out, (int32_t)w->nodes[i].id, w->nodes[i].len);
    return !out->failed;
}

typedef struct ranked {
    fj_merge merge;
    size_t n_left, n_right; /* bytes of the halves */
} ranked;

static int by_rank(const void *a, const void *b)
{
    const ranked *x = a, *y = b;
    if (x->merge.rank != y->merge.rank)
        return x->merge.rank < y->merge.rank ? -1 : 1;
    if (x->n_left != y->n_left)
        return x->n_left > y->n_left ? -1 : 1;
    if (x->n_right != y->n_right)
        return x->n_right > y->n_right ? -1 : 1;
    return (x->merge.made > y->merge.made) - (x->merge.made < y->merge.made);
}

fj_status fj_bpe_merges(const fj_tokenizer *t, fj_arena *arena, fj_merge **out, size_t *n, fj_err *err)
{
    const bpe *b = t->model;
    size_t count = 0;
    for (size_t i = 0; i <= b->mask; i++)
        count += b->slots[i].rank != NONE;
    fj_merge *merges = fj_arena_array(arena, count, sizeof *merges);
    ranked *list = calloc(count + 1, sizeof *list);
    if (!merges || !list) {
        free(list);
        return fj_fail(err, FJ_ERR_MEMORY, "no memory for %zu merges", count);
    }
    *n = 0;
    for (size_t i = 0; i <= b->mask; i++) {
        bpe_slot s = b->slots[i];
        if (s.rank != NONE)
            list[(*n)++] = (ranked){ { s.left, s.right, s.made, s.rank },
                                     t->vocab_tokens[s.left].len,
                                     t->vocab_tokens[s.right].len };
    }
    if (count)
        qsort(list, count, sizeof *list, by_rank);
    for (size_t i = 0; i < count; i++)
        merges[i] = list[i].merge;
    free(list);
    *out = merges;
    return FJ_OK;
}
