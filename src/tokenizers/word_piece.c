/* SPDX-License-Identifier: Apache-2.0
 * WordPiece: a word is its longest prefix that is a token, then the longest one of the rest with "##" before it, and so on; a word that
 * does not come out is unknown as a whole. Source: Schuster and Nakajima 2012; tokenizers, models/wordpiece. */
#include <stdlib.h>
#include <string.h>

#include "tokenizers/parts.h"

enum { MAX_PREFIX = 64, MAX_WORD = 1 << 16 };

typedef struct word_piece {
    fj_text prefix; /* before all but a word's first token */
    int64_t unk, max_characters;
    size_t longest; /* bytes of the longest token */
} word_piece;

typedef struct work {
    char *text; /* prefix, then the word's rest: MAX_PREFIX + MAX_WORD bytes */
} work;

static size_t count_characters(fj_text text)
{
    size_t n = 0;
    for (size_t i = 0; i < text.len; i++)
        n += ((unsigned char)text.data[i] & 0xc0) != 0x80;
    return n;
}

/* Length in bytes of the longest token that text[at …] begins with; 0 when there is none. */
static size_t longest(const fj_tokenizer *t, const word_piece *m, work *w, fj_text word, size_t at, int64_t *id)
{
    size_t prefix = at ? m->prefix.len : 0;
    memcpy(w->text, m->prefix.data, prefix);
    size_t len = FJ_MIN(word.len - at, m->longest);
    memcpy(w->text + prefix, word.data + at, len);
    for (; len; len--) {
        if (at + len < word.len && ((unsigned char)word.data[at + len] & 0xc0) == 0x80)
            continue; /* inside a character */
        *id = fj_text_table_find(&t->vocab, (fj_text){ w->text, prefix + len });
        if (*id >= 0)
            return len;
    }
    return 0;
}

static fj_status encode(const fj_tokenizer *t, void *memory, fj_text word, fj_ids *out, fj_err *err)
{
    const word_piece *m = t->model;
    size_t first = out->n, len = 1;
    bool is_known = word.len <= MAX_WORD && (int64_t)count_characters(word) <= m->max_characters;
    for (size_t at = 0; is_known && at < word.len; at += len) {
        int64_t id = -1;
        len = longest(t, m, memory, word, at, &id);
        is_known = len > 0;
        if (is_known)
            fj_ids_add(out, (int32_t)id, (uint32_t)len);
    }
    if (is_known)
        return FJ_OK;
    out->n = first;
    if (m->unk < 0)
        return fj_fail(err, FJ_ERR_DATA, "a word that the vocabulary does not spell, and no token for the unknown");
    fj_ids_add(out, (int32_t)m->unk, (uint32_t)word.len);
    return FJ_OK;
}

static void work_free(void *memory)
{
    work *w = memory;
    if (w)
        free(w->text);
    free(w);
}

static void *work_new(const fj_tokenizer *t)
{
    work *w = calloc(1, sizeof *w);
    (void)t;
    if (w)
        w->text = malloc(MAX_PREFIX + MAX_WORD);
    if (w && w->text)
        return w;
    work_free(w);
    return NULL;
}

fj_status fj_word_piece_init(fj_tokenizer *t, fj_text prefix, int64_t unk, int64_t max_characters, fj_err *err)
{
    word_piece m = { .unk = unk, .max_characters = max_characters };
    if (prefix.len > MAX_PREFIX)
        return fj_fail(err, FJ_ERR_FORMAT, "model WordPiece: a prefix of %zu bytes, at most %d are supported",
                       prefix.len, MAX_PREFIX);
    for (int64_t i = 0; i < t->n_vocab; i++)
        m.longest = FJ_MAX(m.longest, t->vocab_tokens[i].len);
    m.longest = FJ_MIN(m.longest, (size_t)MAX_WORD);
    fj_status st = fj_keep_text(t, prefix, &m.prefix, err);
    t->kind = &fj_model_word_piece;
    t->model = st ? NULL : fj_keep(t, &m, sizeof m, err);
    return t->model ? FJ_OK : err->status;
}

static fj_status open_model(fj_tokenizer *t, const fj_json *spec, fj_err *err)
{
    fj_text prefix = fj_json_text(fj_json_get(spec, "continuing_subword_prefix"));
    fj_text unk = fj_json_text(fj_json_get(spec, "unk_token"));
    int64_t id = fj_text_table_find(&t->vocab, unk.data ? unk : fj_text_of("[UNK]"));
    return fj_word_piece_init(t, prefix.data ? prefix : fj_text_of("##"), id,
                              fj_json_int(fj_json_get(spec, "max_input_chars_per_word"), 100), err);
}

static fj_status write_model(const fj_tokenizer *t, fj_json *out, fj_err *err)
{
    const word_piece *m = t->model;
    fj_text unk = m->unk >= 0 ? t->vocab_tokens[m->unk] : fj_text_of(""); /* one that the vocabulary lacks */
    if (m->unk < 0 && fj_text_table_find(&t->vocab, unk) >= 0)
        return fj_fail(err, FJ_ERR_FORMAT, "model WordPiece: an empty token, and no token for the unknown");
    bool ok = fj_json_set(out, "unk_token", fj_text_json(unk)) &&
              fj_json_set(out, "continuing_subword_prefix", fj_text_json(m->prefix)) &&
              fj_json_set(out, "max_input_chars_per_word", fj_json_new_int(FJ_MIN(m->max_characters, MAX_WORD))) &&
              fj_json_set(out, "vocab", fj_vocab_json(t));
    return ok ? FJ_OK : fj_fail(err, FJ_ERR_MEMORY, "no memory for a vocabulary");
}

const fj_token_model fj_model_word_piece = { .name = "WordPiece",
                                             .open = open_model,
                                             .work_new = work_new,
                                             .work_free = work_free,
                                             .encode = encode,
                                             .write = write_model };
