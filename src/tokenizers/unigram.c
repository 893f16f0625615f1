/* SPDX-License-Identifier: Apache-2.0
 * Unigram: of all ways to spell a text with tokens, the one whose scores (log-probabilities) have the largest sum; a character that no
 * token spells costs the worst score less 10. best[i] is the best way to spell the first i bytes. Source: Kudo 2018; tokenizers,
 * models/unigram (encode_optimized). */
#include <float.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/utf8.h"
#include "tokenizers/parts.h"

static const double UNKNOWN_COSTS = 10.0;

typedef struct unigram {
    double *scores;   /* by id */
    uint32_t *sorted; /* ids by their bytes, for all tokens that a text begins with */
    size_t n;
    uint32_t buckets[257]; /* sorted[buckets[b] … buckets[b + 1]) begin with byte b */
    double unk_score;
    int64_t unk;
    bool byte_fallback;
    int32_t fallback_ids[256];
} unigram;

typedef struct node {
    double score;
    uint32_t start; /* UINT32_MAX: not reached */
    int32_t id;
} node;

typedef struct work {
    node *best;
    size_t cap;
    fj_ids spans; /* from the end: id (-1: unknown) and bytes */
} work;

static void reach(node *n, double score, size_t start, int64_t id)
{
    if (n->start != UINT32_MAX && score <= n->score)
        return;
    *n = (node){ score, (uint32_t)start, (int32_t)id };
}

/* All tokens that text[at …] begins with; true when one of them is the first character alone. */
static bool reach_tokens(const fj_tokenizer *t, const unigram *u, fj_text text, size_t at, size_t character, node *best)
{
    size_t lo = u->buckets[(unsigned char)text.data[at]], hi = u->buckets[(unsigned char)text.data[at] + 1];
    bool has_single = false;
    for (size_t depth = 0; lo < hi; depth++) {
        fj_text token = t->vocab_tokens[u->sorted[lo]];
        if (token.len == depth + 1) {
            uint32_t id = u->sorted[lo++];
            reach(&best[at + token.len], best[at].score + u->scores[id], at, id);
            has_single |= token.len == character;
        }
        if (at + depth + 1 >= text.len)
            break;
        int next = (unsigned char)text.data[at + depth + 1]; /* narrow to those that go on with it */
        for (int side = 0; side < 2; side++) {
            size_t from = lo, to = hi;
            while (from < to) {
                size_t mid = from + (to - from) / 2;
                if ((unsigned char)t->vocab_tokens[u->sorted[mid]].data[depth + 1] < next + side)
                    from = mid + 1;
                else
                    to = mid;
            }
            if (side)
                hi = from;
            else
                lo = from;
        }
    }
    return has_single;
}

static bool make_room(work *w, size_t n)
{
    if (n > w->cap) {
        node *best = realloc(w->best, n * sizeof *best);
        if (!best)
            return false;
        w->best = best;
        w->cap = n;
    }
    for (size_t i = 0; i < n; i++)
        w->best[i] = (node){ .start = UINT32_MAX };
    return true;
}

/* The best way, from the end: neighbouring unknown characters are one span. */
static void collect(const unigram *u, work *w, size_t len)
{
    w->spans.n = 0;
    for (size_t at = len; at > 0; at = w->best[at].start) {
        const node *n = &w->best[at];
        bool is_unknown = n->id == u->unk, goes_on = is_unknown && w->spans.n && w->spans.ids[w->spans.n - 1] == n->id;
        if (goes_on)
            w->spans.lens[w->spans.n - 1] += (uint32_t)at - n->start;
        else
            fj_ids_add(&w->spans, n->id, (uint32_t)at - n->start);
    }
}

/* What a span of unknown characters becomes: a token after all, its bytes, or the unknown token. */
static void put_unknown(const fj_tokenizer *t, const unigram *u, fj_text span, fj_ids *out)
{
    int64_t id = fj_text_table_find(&t->vocab, span);
    bool has_bytes = id < 0 && u->byte_fallback;
    for (size_t i = 0; has_bytes && i < span.len; i++)
        has_bytes = u->fallback_ids[(unsigned char)span.data[i]] >= 0;
    for (size_t i = 0; has_bytes && i < span.len; i++)
        fj_ids_add(out, u->fallback_ids[(unsigned char)span.data[i]],
                   (uint32_t)span.len | (i + 1 < span.len ? FJ_LEN_STAYS : 0));
    if (!has_bytes)
        fj_ids_add(out, (int32_t)(id >= 0 ? id : u->unk), (uint32_t)span.len);
}

static fj_status encode(const fj_tokenizer *t, void *memory, fj_text word, fj_ids *out, fj_err *err)
{
    const unigram *u = t->model;
    work *w = memory;
    size_t n = 1;
    if (!make_room(w, word.len + 1))
        return fj_fail(err, FJ_ERR_MEMORY, "no memory to tokenize a word of %zu bytes", word.len);
    w->best[0] = (node){ .start = 0 };
    for (size_t at = 0; at < word.len; at += n) {
        uint32_t c;
        n = FJ_MAX(fj_utf8_get(word.data + at, word.len - at, &c), (size_t)1);
        if (reach_tokens(t, u, word, at, n, w->best))
            continue;
        if (u->unk < 0)
            return fj_fail(err, FJ_ERR_DATA,
                           "a character that the vocabulary does not spell, and no token for the unknown");
        reach(&w->best[at + n], w->best[at].score + u->unk_score, at, u->unk);
    }
    collect(u, w, word.len);
    if (w->spans.failed)
        return fj_fail(err, FJ_ERR_MEMORY, "no memory to tokenize a word of %zu bytes", word.len);
    for (size_t i = w->spans.n, at = 0; i-- > 0; at += w->spans.lens[i])
        if (w->spans.ids[i] == u->unk)
            put_unknown(t, u, (fj_text){ word.data + at, w->spans.lens[i] }, out);
        else
            fj_ids_add(out, w->spans.ids[i], w->spans.lens[i]);
    return FJ_OK;
}

static void *work_new(const fj_tokenizer *t)
{
    (void)t;
    return calloc(1, sizeof(work));
}

static void work_free(void *memory)
{
    work *w = memory;
    if (!w)
        return;
    free(w->best);
    free(w->spans.ids);
    free(w->spans.lens);
    free(w);
}

/* ---- opening ------------------------------------------------------------------------------------------------------------------------ */

typedef struct entry {
    fj_text text;
    uint32_t id;
} entry;

static int by_bytes(const void *a, const void *b)
{
    const entry *x = a, *y = b;
    int order = memcmp(x->text.data, y->text.data, FJ_MIN(x->text.len, y->text.len));
    if (order)
        return order;
    if (x->text.len != y->text.len)
        return x->text.len > y->text.len ? 1 : -1;
    return (x->id > y->id) - (x->id < y->id);
}

static fj_status sort_tokens(fj_tokenizer *t, unigram *u, const uint8_t *may_use, fj_err *err)
{
    entry *list = calloc((size_t)t->n_vocab + 1, sizeof *list);
    size_t n = 0;
    u->sorted = fj_arena_array(t->arena, (size_t)t->n_vocab, sizeof *u->sorted);
    if (!list || !u->sorted) {
        free(list);
        return fj_fail(err, FJ_ERR_MEMORY, "no memory for a vocabulary of %lld tokens", (long long)t->n_vocab);
    }
    for (int64_t i = 0; i < t->n_vocab; i++)
        if (t->vocab_tokens[i].len && (!may_use || may_use[i]) &&
            fj_text_table_find(&t->vocab, t->vocab_tokens[i]) == i)
            list[n++] = (entry){ t->vocab_tokens[i], (uint32_t)i };
    if (n)
        qsort(list, n, sizeof *list, by_bytes);
    for (size_t i = 0; i < n; i++) {
        u->sorted[i] = list[i].id;
        u->buckets[(unsigned char)list[i].text.data[0] + 1]++;
    }
    for (size_t b = 0; b < 256; b++)
        u->buckets[b + 1] += u->buckets[b];
    u->n = n;
    free(list);
    return FJ_OK;
}

fj_status fj_unigram_init(fj_tokenizer *t, double *scores, const uint8_t *may_use, int64_t unk, bool byte_fallback,
                          fj_err *err)
{
    unigram *u = fj_arena_take(t->arena, sizeof *u);
    double worst = DBL_MAX;
    if (!u)
        return fj_fail(err, FJ_ERR_MEMORY, "no memory for a tokenizer");
    for (int64_t i = 0; i < t->n_vocab; i++) {
        if (!isfinite(scores[i]))
            return fj_fail(err, FJ_ERR_FORMAT, "model Unigram: token %lld has no score", (long long)i);
        if (!may_use || may_use[i])
            worst = fmin(worst, scores[i]);
    }
    if (unk >= t->n_vocab)
        return fj_fail(err, FJ_ERR_FORMAT, "model Unigram: unk_id %lld is not in the vocabulary", (long long)unk);
    *u = (unigram){ .scores = scores, .unk = unk, .unk_score = worst - UNKNOWN_COSTS, .byte_fallback = byte_fallback };
    for (int i = 0; i < 256; i++) {
        char text[8];
        (void)snprintf(text, sizeof text, "<0x%02X>", (unsigned)i);
        u->fallback_ids[i] = (int32_t)fj_text_table_find(&t->vocab, fj_text_of(text));
    }
    t->kind = &fj_model_unigram;
    t->model = u;
    t->shown_unk = unk;
    if (t->unk < 0)
        t->unk = unk;
    return sort_tokens(t, u, may_use, err);
}

static fj_status open_model(fj_tokenizer *t, const fj_json *spec, fj_err *err)
{
    const fj_json *vocab = fj_json_get(spec, "vocab");
    double *scores = fj_arena_array(t->arena, (size_t)t->n_vocab, sizeof *scores);
    if (!scores)
        return fj_fail(err, FJ_ERR_MEMORY, "no memory for a vocabulary of %lld tokens", (long long)t->n_vocab);
    if (!fj_json_is_array(vocab))
        return fj_fail(err, FJ_ERR_FORMAT, "model Unigram: its vocabulary is no list of pairs");
    for (int64_t i = 0; i < t->n_vocab; i++)
        scores[i] = fj_json_real(fj_json_at(fj_json_at(vocab, (size_t)i), 1), NAN);
    return fj_unigram_init(t, scores, NULL, fj_json_int(fj_json_get(spec, "unk_id"), -1),
                           fj_json_bool(fj_json_get(spec, "byte_fallback"), false), err);
}

static fj_status write_model(const fj_tokenizer *t, fj_json *out, fj_err *err)
{
    const unigram *u = t->model;
    fj_json *vocab = fj_json_new_array();
    bool ok = vocab && fj_json_set(out, "vocab", vocab) &&
              fj_json_set(out, "unk_id", u->unk >= 0 ? fj_json_new_int(u->unk) : fj_json_new_null()) &&
              fj_json_set(out, "byte_fallback", fj_json_new_bool(u->byte_fallback));
    for (int64_t i = 0; ok && i < t->n_vocab; i++) {
        fj_json *pair = fj_json_new_array();
        ok = fj_json_add(vocab, pair) && fj_json_add(pair, fj_text_json(t->vocab_tokens[i])) &&
             fj_json_add(pair, fj_json_new_real(u->scores[i]));
    }
    return ok ? FJ_OK : fj_fail(err, FJ_ERR_MEMORY, "no memory for a vocabulary");
}

const fj_token_model fj_model_unigram = { .name = "Unigram",
                                          .open = open_model,
                                          .work_new = work_new,
                                          .work_free = work_free,
                                          .encode = encode,
                                          .write = write_model };
