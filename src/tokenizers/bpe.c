/* SPDX-License-Identifier: Apache-2.0
 * Byte-pair encoding: a word's characters (or bytes) are symbols; of all neighbouring pairs that have a merge, the one of lowest rank
 * is merged, the leftmost first, until none is left. Source: Sennrich et al. 2016; tokenizers, models/bpe (model.rs, word.rs). */
#define _GNU_SOURCE /* memmem */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/utf8.h"
#include "tokenizers/bpe.h"

/* ---- first symbols ------------------------------------------------------------------------------------------------------------------ */

/* An unknown stretch waits until the next known character: neighbours may be fused. */
typedef struct unknown {
    uint32_t len;
    bool is_open;
} unknown;

static void close_unknown(const bpe *b, bpe_work *w, unknown *u)
{
    if (u->is_open)
        bpe_symbol(w, (uint32_t)b->unk_id, u->len);
    u->is_open = false;
}

static void add_unknown(const bpe *b, bpe_work *w, unknown *u, uint32_t len)
{
    if (b->unk_id < 0) /* no token for it: it is left out */
        return;
    if (u->is_open && b->options.fuse_unk) {
        u->len += len;
        return;
    }
    close_unknown(b, w, u);
    *u = (unknown){ len, true };
}

/* The id of a character of a word, with what stands before and behind words' characters. */
static int64_t id_of_character(const fj_tokenizer *t, const bpe *b, fj_text word, size_t at, size_t n)
{
    const fj_bpe_options *o = &b->options;
    const char *c = word.data + at;
    bool has_prefix = o->prefix.len && at > 0, has_suffix = o->suffix.len && at + n == word.len;
    char text[512];
    size_t len = 0;
    if (!has_prefix && !has_suffix)
        return n == 1 ? b->ascii_ids[(unsigned char)*c] : fj_text_table_find(&t->vocab, (fj_text){ c, n });
    if (has_prefix) {
        memcpy(text, o->prefix.data, o->prefix.len);
        len = o->prefix.len;
    }
    memcpy(text + len, c, n);
    len += n;
    if (has_suffix) {
        memcpy(text + len, o->suffix.data, o->suffix.len);
        len += o->suffix.len;
    }
    return fj_text_table_find(&t->vocab, (fj_text){ text, len });
}

/* All bytes of an unknown character as tokens <0xXX>; false when one is missing. */
static bool fall_back(const bpe *b, bpe_work *w, const char *c, size_t n)
{
    if (!b->options.byte_fallback)
        return false;
    for (size_t i = 0; i < n; i++)
        if (b->fallback_ids[(unsigned char)c[i]] < 0)
            return false;
    for (size_t i = 0; i < n; i++)
        bpe_symbol(w, (uint32_t)b->fallback_ids[(unsigned char)c[i]], 1);
    return true;
}

static void symbols_of_characters(const fj_tokenizer *t, const bpe *b, bpe_work *w, fj_text word)
{
    unknown u = { 0 };
    size_t n = 1;
    for (size_t at = 0; at < word.len; at += n) {
        uint32_t c;
        n = FJ_MAX(fj_utf8_get(word.data + at, word.len - at, &c), (size_t)1);
        int64_t id = id_of_character(t, b, word, at, n);
        if (id >= 0) {
            close_unknown(b, w, &u);
            bpe_symbol(w, (uint32_t)id, (uint32_t)n);
        } else if (!fall_back(b, w, word.data + at, n)) {
            add_unknown(b, w, &u, (uint32_t)n);
        }
    }
    close_unknown(b, w, &u);
}

static void symbols_of_bytes(const bpe *b, bpe_work *w, fj_text word)
{
    unknown u = { 0 };
    for (size_t i = 0; i < word.len; i++) {
        int32_t id = b->byte_ids[(unsigned char)word.data[i]];
        if (id < 0) {
            add_unknown(b, w, &u, 1);
            continue;
        }
        close_unknown(b, w, &u);
        bpe_symbol(w, (uint32_t)id, 1);
    }
    close_unknown(b, w, &u);
}

static fj_status encode(const fj_tokenizer *t, void *work, fj_text word, fj_ids *out, fj_err *err)
{
    const bpe *b = t->model;
    bpe_work *w = work;
    if (b->options.ignore_merges) {
        int64_t id = fj_text_table_find(t->reads_bytes ? &b->words : &t->vocab, word);
        if (id >= 0) {
            fj_ids_add(out, (int32_t)id, (uint32_t)word.len);
            return FJ_OK;
        }
    }
    w->n = 0;
    if (t->reads_bytes)
        symbols_of_bytes(b, w, word);
    else
        symbols_of_characters(t, b, w, word);
    if (w->failed || !bpe_merge_all(b, w, out))
        return fj_fail(err, FJ_ERR_MEMORY, "no memory to tokenize a word of %zu bytes", word.len);
    return FJ_OK;
}

static void *work_new(const fj_tokenizer *t)
{
    (void)t;
    return calloc(1, sizeof(bpe_work));
}

/* ---- opening ------------------------------------------------------------------------------------------------------------------------ */

static void fill_ids(const fj_tokenizer *t, bpe *b)
{
    for (int i = 0; i < 256; i++) {
        char text[8], c = (char)i;
        size_t n = fj_utf8_put(fj_byte_character((uint8_t)i), text);
        b->byte_ids[i] = (int32_t)fj_text_table_find(&t->vocab, (fj_text){ text, n });
        b->ascii_ids[i] = (int32_t)fj_text_table_find(&t->vocab, (fj_text){ &c, 1 });
        (void)snprintf(text, sizeof text, "<0x%02X>", (unsigned)i);
        b->fallback_ids[i] = (int32_t)fj_text_table_find(&t->vocab, fj_text_of(text));
    }
}

/* The vocabulary's words as bytes: what ignore_merges looks a word up in. */
static fj_status fill_words(fj_tokenizer *t, bpe *b, fj_err *err)
{
    size_t total = 0, at = 0;
    for (int64_t i = 0; i < t->n_vocab; i++)
        total += t->vocab_tokens[i].len;
    fj_text *texts = fj_arena_array(t->arena, (size_t)t->n_vocab, sizeof *texts);
    char *bytes = fj_arena_take(t->arena, total);
    if (!texts || !bytes)
        return fj_fail(err, FJ_ERR_MEMORY, "no memory for a vocabulary of %lld tokens", (long long)t->n_vocab);
    for (int64_t i = 0; i < t->n_vocab; i++) {
        size_t n = 0;
        if (!t->vocab_tokens[i].len || !fj_unspell(t->vocab_tokens[i], bytes + at, &n))
            continue;
        texts[i] = (fj_text){ bytes + at, n };
        at += n;
    }
    return fj_text_table_init(&b->words, texts, (size_t)t->n_vocab, t->arena, err);
}

/* A whole text as one word is slow and fills no cache. Where no merge makes a token with ▁ behind another character, cutting
 * before each run of ▁ gives the same ids. */
static fj_status add_cuts(fj_tokenizer *t, const bpe *b, const fj_merge *merges, size_t n, fj_err *err)
{
    const fj_bpe_options *o = &b->options;
    if (t->reads_bytes || o->ignore_merges || o->prefix.len || o->suffix.len ||
        fj_text_table_find(&t->vocab, fj_text_of("\xe2\x96\x81")) < 0)
        return FJ_OK;
    for (size_t i = 0; i < n; i++)
        if (fj_has_blank_inside(t->vocab_tokens[merges[i].made]))
            return FJ_OK;
    return fj_add_metaspace_cuts(&t->pre_tokenizer, err);
}

fj_status fj_bpe_init(fj_tokenizer *t, const fj_merge *merges, size_t n, const fj_bpe_options *options, fj_err *err)
{
    bpe *b = fj_arena_take(t->arena, sizeof *b);
    fj_steps *steps = &t->pre_tokenizer;
    if (!b)
        return fj_fail(err, FJ_ERR_MEMORY, "no memory for a tokenizer");
    b->options = *options;
    t->kind = &fj_model_bpe;
    t->model = b;
    if (options->prefix.len + options->suffix.len > 256)
        return fj_fail(err, FJ_ERR_FORMAT, "continuing_subword_prefix and end_of_word_suffix are too long");
    b->unk_id = options->unk.len ? fj_text_table_find(&t->vocab, options->unk) : -1;
    if (options->unk.len && b->unk_id < 0)
        return fj_fail(err, FJ_ERR_FORMAT, "unk_token '%.*s' is not in the vocabulary",
                       (int)FJ_MIN(options->unk.len, 100), options->unk.data);
    fill_ids(t, b);
    bool is_plain = !options->prefix.len && !options->suffix.len && !options->byte_fallback;
    if (is_plain && steps->n && fj_step_is_byte_map(&steps->items[steps->n - 1])) {
        t->reads_bytes = true;
        steps->n--;
    }
    fj_status st = bpe_put_merges(b, merges, n, t->arena, err);
    if (!st && t->reads_bytes && options->ignore_merges)
        st = fill_words(t, b, err);
    return st ? st : add_cuts(t, b, merges, n, err);
}

/* One of the two texts of a merge: a pair, or a text with one space. */
static bool halves(const fj_json *v, fj_text *left, fj_text *right)
{
    *left = fj_json_text(fj_json_at(v, 0));
    *right = fj_json_text(fj_json_at(v, 1));
    if (fj_json_is_array(v))
        return fj_json_len(v) == 2 && left->data && right->data;
    fj_text text = fj_json_text(v);
    const char *space = text.data ? memchr(text.data, ' ', text.len) : NULL;
    if (!space)
        return false;
    *left = (fj_text){ text.data, (size_t)(space - text.data) };
    *right = (fj_text){ space + 1, text.len - left->len - 1 };
    return !memchr(right->data, ' ', right->len);
}

static fj_status read_merge(const fj_tokenizer *t, const fj_json *v, size_t prefix, size_t at, fj_str *whole,
                            fj_merge *out, fj_err *err)
{
    fj_text a, b;
    if (!halves(v, &a, &b))
        return fj_fail(err, FJ_ERR_FORMAT, "merge %zu is no pair", at);
    int64_t left = fj_text_table_find(&t->vocab, a), right = fj_text_table_find(&t->vocab, b);
    size_t skip = FJ_MIN(prefix, b.len);
    fj_str_clear(whole);
    fj_str_add(whole, a.data, a.len);
    fj_str_add(whole, b.data + skip, b.len - skip);
    int64_t made = whole->len ? fj_text_table_find(&t->vocab, (fj_text){ whole->data, whole->len }) : -1;
    if (left < 0 || right < 0 || made < 0)
        return fj_fail(err, FJ_ERR_FORMAT, "merge %zu ('%.*s' and '%.*s') has a token that the vocabulary lacks", at,
                       (int)FJ_MIN(a.len, 100), a.data, (int)FJ_MIN(b.len, 100), b.data);
    *out = (fj_merge){ (uint32_t)left, (uint32_t)right, (uint32_t)made, (uint32_t)at };
    return FJ_OK;
}

static fj_status read_merges(const fj_tokenizer *t, const fj_json *list, size_t prefix, fj_merge *out, size_t *n,
                             fj_err *err)
{
    fj_status st = FJ_OK;
    fj_str whole = { 0 };
    for (size_t i = 0; !st && i < fj_json_len(list); i++) {
        const fj_json *v = fj_json_at(list, i);
        fj_text text = fj_json_text(v);
        if (text.data && fj_text_starts(text, "#version"))
            continue;
        st = read_merge(t, v, prefix, i, &whole, &out[*n], err);
        (*n)++;
    }
    if (whole.failed)
        st = fj_fail(err, FJ_ERR_MEMORY, "no memory for merges");
    fj_str_free(&whole);
    return st;
}

static fj_status open_bpe(fj_tokenizer *t, const fj_json *spec, fj_err *err)
{
    fj_bpe_options o = { .unk = fj_json_text(fj_json_get(spec, "unk_token")),
                         .prefix = fj_json_text(fj_json_get(spec, "continuing_subword_prefix")),
                         .suffix = fj_json_text(fj_json_get(spec, "end_of_word_suffix")),
                         .fuse_unk = fj_json_bool(fj_json_get(spec, "fuse_unk"), false),
                         .byte_fallback = fj_json_bool(fj_json_get(spec, "byte_fallback"), false),
                         .ignore_merges = fj_json_bool(fj_json_get(spec, "ignore_merges"), false) };
    const fj_json *list = fj_json_get(spec, "merges");
    size_t n = 0;
    if (fj_json_real(fj_json_get(spec, "dropout"), 0) != 0)
        return fj_fail(err, FJ_ERR_FORMAT, "dropout is not supported");
    if (!fj_json_is_array(list) || fj_json_len(list) > FJ_MAX_TOKENS)
        return fj_fail(err, FJ_ERR_FORMAT, "no list of merges, or more than %d", FJ_MAX_TOKENS);
    fj_status st = fj_keep_text(t, o.unk, &o.unk, err);
    if (!st)
        st = fj_keep_text(t, o.prefix, &o.prefix, err);
    if (!st)
        st = fj_keep_text(t, o.suffix, &o.suffix, err);
    fj_merge *merges = st ? NULL : calloc(fj_json_len(list) + 1, sizeof *merges);
    if (!st && !merges)
        st = fj_fail(err, FJ_ERR_MEMORY, "no memory for %zu merges", fj_json_len(list));
    if (!st)
        st = read_merges(t, list, o.prefix.len, merges, &n, err);
    if (!st)
        st = fj_bpe_init(t, merges, n, &o, err);
    free(merges);
    return st ? fj_prefix(err, "model BPE") : FJ_OK;
}

static fj_json *merges_json(const fj_tokenizer *t, const fj_merge *merges, size_t n)
{
    fj_json *list = fj_json_new_array();
    bool ok = list != NULL;
    for (size_t i = 0; ok && i < n; i++) {
        fj_json *pair = fj_json_new_array();
        ok = fj_json_add(list, pair) && fj_json_add(pair, fj_text_json(t->vocab_tokens[merges[i].left])) &&
             fj_json_add(pair, fj_text_json(t->vocab_tokens[merges[i].right]));
    }
    if (ok)
        return list;
    fj_json_free(list);
    return NULL;
}

/* An option's text, or null. */
static fj_json *option_json(fj_text text)
{
    return fj_text_json(text.len ? text : (fj_text){ 0 });
}

/* One character, repeated. */
static bool is_run(fj_text token)
{
    uint32_t c;
    size_t n = fj_utf8_get(token.data, token.len, &c);
    return n && !memcmp(token.data, token.data + n, token.len - n);
}

/* Pieces of one score are merged leftmost first, merges in a list one after the other: for runs of a character it is the same (all
 * Llama vocabularies have such runs of â), and what is an added token is found before. */
static fj_status check_ties(const fj_tokenizer *t, const fj_merge *merges, size_t n, fj_err *err)
{
    uint8_t *is_plain = calloc((size_t)t->n_tokens + 1, 1);
    int64_t other = -1;
    fj_status st = is_plain ? FJ_OK : fj_fail(err, FJ_ERR_MEMORY, "no memory for %zu merges", n);
    for (int64_t i = 0; !st && i < t->n_vocab; i++)
        is_plain[i] = true;
    for (size_t i = 0; !st && i < t->n_added; i++)
        is_plain[t->added[i].id] = false;
    for (size_t i = 0, first = 0; !st && i < n; i++) {
        fj_text made = t->vocab_tokens[merges[i].made];
        if (merges[i].rank != merges[first].rank) {
            first = i;
            other = -1;
        }
        if (!is_plain[merges[i].made] || merges[i].made == other)
            continue;
        if (other >= 0 && (!is_run(made) || !is_run(t->vocab_tokens[other])))
            st = fj_fail(err, FJ_ERR_FORMAT,
                         "%s: pieces %lld and %u have one score: tokenizer.json has no word for that", t->name,
                         (long long)other, merges[i].made);
        if (other < 0)
            other = merges[i].made;
    }
    free(is_plain);
    return st;
}

static fj_status write_model(const fj_tokenizer *t, fj_json *out, fj_err *err)
{
    const fj_bpe_options *o = fj_bpe_options_of(t);
    fj_merge *merges = NULL;
    size_t n = 0;
    fj_arena *arena = fj_arena_new();
    fj_status st = arena ? fj_bpe_merges(t, arena, &merges, &n, err) : fj_fail(err, FJ_ERR_MEMORY, "no memory");
    if (!st)
        st = check_ties(t, merges, n, err);
    if (!st) {
        bool ok = fj_json_set(out, "dropout", fj_json_new_null()) &&
                  fj_json_set(out, "unk_token", option_json(o->unk)) &&
                  fj_json_set(out, "continuing_subword_prefix", option_json(o->prefix)) &&
                  fj_json_set(out, "end_of_word_suffix", option_json(o->suffix)) &&
                  fj_json_set(out, "fuse_unk", fj_json_new_bool(o->fuse_unk)) &&
                  fj_json_set(out, "byte_fallback", fj_json_new_bool(o->byte_fallback)) &&
                  fj_json_set(out, "ignore_merges", fj_json_new_bool(o->ignore_merges)) &&
                  fj_json_set(out, "vocab", fj_vocab_json(t)) && fj_json_set(out, "merges", merges_json(t, merges, n));
        st = ok ? FJ_OK : fj_fail(err, FJ_ERR_MEMORY, "no memory for a vocabulary");
    }
    fj_arena_free(arena);
    return st;
}

const fj_bpe_options *fj_bpe_options_of(const fj_tokenizer *t)
{
    return t->kind == &fj_model_bpe ? &((const bpe *)t->model)->options : NULL;
}

const fj_token_model fj_model_bpe = { .name = "BPE",
                                      .open = open_bpe,
                                      .work_new = work_new,
                                      .work_free = bpe_work_free,
                                      .encode = encode,
                                      .write = write_model };
