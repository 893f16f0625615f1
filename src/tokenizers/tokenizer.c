/* SPDX-License-Identifier: Apache-2.0
 * The tokenizer itself: its tokens, its added tokens, its facts. Readers (json.c, spm.c, gguf.c) fill it. */
#include <stdlib.h>
#include <string.h>

#include "base/utf8.h"
#include "tokenizers/tokenizer_internal.h"

fj_status fj_tokenizer_new(const char *name, fj_tokenizer **out, fj_err *err)
{
    fj_tokenizer *t = calloc(1, sizeof *t);
    if (t)
        t->arena = fj_arena_new();
    if (t && t->arena)
        t->name = fj_arena_text(t->arena, name, strlen(name));
    if (!t || !t->name) {
        fj_tokenizer_free(t);
        return fj_fail(err, FJ_ERR_MEMORY, "no memory for a tokenizer");
    }
    t->bos = t->eos = t->pad = t->unk = t->eot = t->shown_unk = -1;
    *out = t;
    return FJ_OK;
}

void fj_tokenizer_free(fj_tokenizer *t)
{
    if (!t)
        return;
    for (size_t i = 0; i < t->n_regexes; i++)
        fj_regex_free(t->regexes[i]);
    free(t->regexes);
    fj_json_free(t->pipeline);
    fj_arena_free(t->arena);
    free(t);
}

/* ---- filling -------------------------------------------------------------------------------------------------------------------------- */

fj_status fj_tokenizer_set_vocab(fj_tokenizer *t, const fj_text *tokens, size_t n, fj_err *err)
{
    size_t total = 0, at = 0;
    for (size_t i = 0; i < n; i++) {
        if (tokens[i].len > FJ_MAX_TOKEN_BYTES)
            return fj_fail(err, FJ_ERR_FORMAT, "token %zu has %zu bytes, at most %d are supported", i, tokens[i].len,
                           FJ_MAX_TOKEN_BYTES);
        total += tokens[i].len + 1;
    }
    t->vocab_tokens = fj_arena_array(t->arena, n, sizeof *t->vocab_tokens);
    char *bytes = fj_arena_take(t->arena, total);
    if (!t->vocab_tokens || !bytes)
        return fj_fail(err, FJ_ERR_MEMORY, "no memory for a vocabulary of %zu tokens", n);
    for (size_t i = 0; i < n; i++) {
        if (!tokens[i].data)
            continue;
        memcpy(bytes + at, tokens[i].data, tokens[i].len);
        t->vocab_tokens[i] = (fj_text){ bytes + at, tokens[i].len };
        at += tokens[i].len + 1;
    }
    t->n_vocab = (int64_t)n;
    return fj_text_table_init(&t->vocab, t->vocab_tokens, n, t->arena, err);
}

/* Ids of added tokens: the vocabulary's own comes first, then the one asked for, then the next free one. */
static fj_status give_ids(fj_tokenizer *t, const fj_added_token *tokens, size_t n, fj_err *err)
{
    int64_t size = t->n_vocab;
    for (size_t i = 0; i < n; i++) {
        fj_added_token *a = &t->added[i];
        *a = tokens[i];
        if (a->text.len > FJ_MAX_TOKEN_BYTES || !fj_utf8_valid(a->text.data, a->text.len))
            return fj_fail(err, FJ_ERR_FORMAT, "added token %zu is not UTF-8, or above %d bytes", i,
                           FJ_MAX_TOKEN_BYTES);
        fj_status st = fj_keep_text(t, a->text, &a->text, err);
        if (st)
            return st;
        a->pattern = a->text;
        int64_t own = fj_text_table_find(&t->vocab, a->text);
        int64_t id = own >= 0 ? own : a->id >= 0 ? a->id : size;
        if (id >= FJ_MAX_TOKENS)
            return fj_fail(err, FJ_ERR_FORMAT, "added token %zu has id %lld, at most %d is supported", i, (long long)id,
                           FJ_MAX_TOKENS - 1);
        a->id = (int32_t)id;
        size = FJ_MAX(size, id + 1);
    }
    t->n_tokens = size;
    return FJ_OK;
}

fj_status fj_tokenizer_set_added(fj_tokenizer *t, const fj_added_token *tokens, size_t n, fj_err *err)
{
    t->added = fj_arena_array(t->arena, n, sizeof *t->added);
    t->n_added = n;
    if (!t->added)
        return fj_fail(err, FJ_ERR_MEMORY, "no memory for %zu added tokens", n);
    fj_status st = give_ids(t, tokens, n, err);
    if (st)
        return st;
    t->tokens = fj_arena_array(t->arena, (size_t)t->n_tokens, sizeof *t->tokens);
    t->is_special = fj_arena_take(t->arena, (size_t)t->n_tokens);
    if (!t->tokens || !t->is_special)
        return fj_fail(err, FJ_ERR_MEMORY, "no memory for a vocabulary of %lld tokens", (long long)t->n_tokens);
    if (t->n_vocab)
        memcpy(t->tokens, t->vocab_tokens, (size_t)t->n_vocab * sizeof *t->tokens);
    for (size_t i = 0; i < n; i++) {
        t->tokens[t->added[i].id] = t->added[i].text;
        t->is_special[t->added[i].id] = t->added[i].is_special;
    }
    return FJ_OK;
}

/* What the normalizer makes of a token: what is looked for in normalized text. */
static fj_status normalize(fj_tokenizer *t, fj_matcher *m, fj_passage *a, fj_passage *b, fj_cuts *spare, fj_text text,
                           fj_text *out, fj_err *err)
{
    fj_passage *now = a, *next = b;
    fj_passage_view(now, text, t->needs_origins);
    fj_status st = fj_run_steps(&t->normalizer, m, &now, &next, spare, err);
    if (!st && (now->failed || now->cuts.failed))
        st = fj_fail(err, FJ_ERR_MEMORY, "no memory for added tokens");
    return st ? st : fj_keep_text(t, (fj_text){ now->text, now->len }, out, err);
}

static fj_status normalize_patterns(fj_tokenizer *t, fj_err *err)
{
    fj_passage a = { 0 }, b = { 0 };
    fj_cuts spare = { 0 };
    fj_matcher *m = fj_matcher_new();
    fj_status st = m ? FJ_OK : fj_fail(err, FJ_ERR_MEMORY, "no memory for a tokenizer");
    for (size_t i = 0; !st && t->normalizer.n && i < t->n_added; i++)
        if (t->added[i].is_normalized && !t->is_spm) {
            st = normalize(t, m, &a, &b, &spare, t->added[i].text, &t->added[i].pattern, err);
            t->tokens[t->added[i].id] = t->added[i].pattern; /* so tokens and decoded text show it */
        }
    fj_matcher_free(m);
    fj_passage_free(&a);
    fj_passage_free(&b);
    free(spare.items);
    return st;
}

fj_status fj_tokenizer_finish(fj_tokenizer *t, fj_err *err)
{
    fj_status st = normalize_patterns(t, err);
    if (!st)
        st = fj_added_set_init(&t->raw, t->added, t->n_added, false, t->arena, err);
    if (!st)
        st = fj_added_set_init(&t->normalized, t->added, t->n_added, true, t->arena, err);
    return st;
}

int64_t fj_config_token(const fj_tokenizer *t, const fj_json *config, const char *key)
{
    const fj_json *v = fj_json_get(config, key);
    fj_text text = fj_json_text(fj_json_is_object(v) ? fj_json_get(v, "content") : v);
    return text.data ? fj_tokenizer_id(t, text) : -1;
}

/* ---- facts ----------------------------------------------------------------------------------------------------------------------------- */

int64_t fj_tokenizer_size(const fj_tokenizer *t)
{
    return t->n_tokens;
}

fj_text fj_tokenizer_token(const fj_tokenizer *t, int64_t id)
{
    return id >= 0 && id < t->n_tokens && t->tokens[id].data ? t->tokens[id] : (fj_text){ "", 0 };
}

int64_t fj_tokenizer_id(const fj_tokenizer *t, fj_text token)
{
    int64_t id = fj_text_table_find(&t->vocab, token);
    for (size_t i = 0; id < 0 && i < t->n_added; i++)
        if (t->added[i].text.len == token.len && !memcmp(t->added[i].text.data, token.data, token.len))
            id = t->added[i].id;
    return id;
}

bool fj_tokenizer_is_special(const fj_tokenizer *t, int64_t id)
{
    return id >= 0 && id < t->n_tokens && t->is_special[id];
}

bool fj_tokenizer_adds_bos(const fj_tokenizer *t)
{
    return t->post.n_before && t->post.before[0] == t->bos;
}

int64_t fj_tokenizer_bos(const fj_tokenizer *t)
{
    return t->bos;
}

int64_t fj_tokenizer_eos(const fj_tokenizer *t)
{
    return t->eos;
}

int64_t fj_tokenizer_pad(const fj_tokenizer *t)
{
    return t->pad;
}

int64_t fj_tokenizer_unk(const fj_tokenizer *t)
{
    return t->unk;
}

int64_t fj_tokenizer_eot(const fj_tokenizer *t)
{
    return t->eot;
}
