/* SPDX-License-Identifier: Apache-2.0
 * tokenizer.json of Hugging Face tokenizers. Source: tokenizers, tokenizer/serialization.rs. */
#include <stdlib.h>
#include <string.h>

#include "tokenizers/tokenizer_internal.h"
#include "tokenizers/parts.h"

/* The vocabulary as an object {token: id}: texts by id. */
static fj_status read_vocab_object(fj_tokenizer *t, const fj_json *vocab, fj_err *err)
{
    int64_t n = 0;
    for (void *i = fj_json_first(vocab); i; i = fj_json_next(vocab, i)) {
        int64_t id = fj_json_int(fj_json_member(i), -1);
        if (id < 0 || id >= FJ_MAX_TOKENS)
            return fj_fail(err, FJ_ERR_FORMAT, "token '%.100s' has an id that is no number from 0 to %d",
                           fj_json_key(i), FJ_MAX_TOKENS - 1);
        n = FJ_MAX(n, id + 1);
    }
    fj_text *texts = calloc((size_t)n + 1, sizeof *texts);
    if (!texts)
        return fj_fail(err, FJ_ERR_MEMORY, "no memory for a vocabulary of %lld tokens", (long long)n);
    for (void *i = fj_json_first(vocab); i; i = fj_json_next(vocab, i))
        texts[fj_json_int(fj_json_member(i), 0)] = fj_text_of(fj_json_key(i));
    fj_status st = fj_tokenizer_set_vocab(t, texts, (size_t)n, err);
    free(texts);
    return st;
}

/* The vocabulary as a list of pairs [token, score] (Unigram). */
static fj_status read_vocab_list(fj_tokenizer *t, const fj_json *vocab, fj_err *err)
{
    size_t n = fj_json_len(vocab);
    fj_status st = FJ_OK;
    if (n > FJ_MAX_TOKENS)
        return fj_fail(err, FJ_ERR_FORMAT, "a vocabulary of %zu tokens, at most %d are supported", n, FJ_MAX_TOKENS);
    fj_text *texts = calloc(n + 1, sizeof *texts);
    if (!texts)
        return fj_fail(err, FJ_ERR_MEMORY, "no memory for a vocabulary of %zu tokens", n);
    for (size_t i = 0; !st && i < n; i++) {
        texts[i] = fj_json_text(fj_json_at(fj_json_at(vocab, i), 0));
        if (!texts[i].data)
            st = fj_fail(err, FJ_ERR_FORMAT, "token %zu of the vocabulary is no pair of text and score", i);
    }
    if (!st)
        st = fj_tokenizer_set_vocab(t, texts, n, err);
    free(texts);
    return st;
}

static fj_status read_added(fj_tokenizer *t, const fj_json *list, fj_err *err)
{
    size_t n = fj_json_len(list), count = 0;
    fj_status st = FJ_OK;
    if (n > FJ_MAX_TOKENS)
        return fj_fail(err, FJ_ERR_FORMAT, "%zu added tokens, at most %d are supported", n, FJ_MAX_TOKENS);
    fj_added_token *added = calloc(n + 1, sizeof *added);
    if (!added)
        return fj_fail(err, FJ_ERR_MEMORY, "no memory for %zu added tokens", n);
    for (size_t i = 0; !st && i < n; i++) {
        const fj_json *v = fj_json_at(list, i);
        fj_text text = fj_json_text(fj_json_get(v, "content"));
        int64_t id = fj_json_int(fj_json_get(v, "id"), -1);
        if (!text.data || id < 0 || id >= FJ_MAX_TOKENS)
            st = fj_fail(err, FJ_ERR_FORMAT, "added token %zu has no content, or no id from 0 to %d", i,
                         FJ_MAX_TOKENS - 1);
        if (st || !text.len)
            continue;
        bool is_special = fj_json_bool(fj_json_get(v, "special"), false);
        added[count++] = (fj_added_token){ .text = text,
                                           .id = (int32_t)id,
                                           .is_special = is_special,
                                           .is_single_word = fj_json_bool(fj_json_get(v, "single_word"), false),
                                           .strips_left = fj_json_bool(fj_json_get(v, "lstrip"), false),
                                           .strips_right = fj_json_bool(fj_json_get(v, "rstrip"), false),
                                           .is_normalized = fj_json_bool(fj_json_get(v, "normalized"), !is_special) };
    }
    if (!st)
        st = fj_tokenizer_set_added(t, added, count, err);
    free(added);
    return st;
}

static fj_status read_pipeline(fj_tokenizer *t, const fj_json *file, fj_err *err)
{
    fj_status st = fj_open_part(t, fj_normalizers, "normalizer", fj_json_get(file, "normalizer"), &t->normalizer, err);
    if (!st)
        st = fj_open_part(t, fj_pre_tokenizers, "pre_tokenizer", fj_json_get(file, "pre_tokenizer"), &t->pre_tokenizer,
                          err);
    if (!st)
        st = fj_open_part(t, fj_post_processors, "post_processor", fj_json_get(file, "post_processor"), NULL, err);
    if (!st)
        st = fj_open_part(t, fj_decoders, "decoder", fj_json_get(file, "decoder"), &t->decoder, err);
    if (!st && !t->decoder.n)
        st = fj_add_space_join(&t->decoder, err);
    return st;
}

/* Old files do not name their model: what it holds tells. */
static const char *kind_of(const fj_json *model)
{
    const char *type = fj_json_string(fj_json_get(model, "type"), NULL);
    if (type)
        return type;
    if (fj_json_get(model, "merges"))
        return "BPE";
    return fj_json_is_array(fj_json_get(model, "vocab")) ? "Unigram" : "WordPiece";
}

static fj_status read_model(fj_tokenizer *t, const fj_json *model, fj_err *err)
{
    const char *type = kind_of(model);
    for (size_t i = 0; fj_token_models[i]; i++)
        if (!strcmp(fj_token_models[i]->name, type))
            return fj_token_models[i]->open(t, model, err);
    (void)fj_fail(err, FJ_ERR_FORMAT, "tokenizer model '%.100s' is not supported", type);
    fj_str names = { 0 };
    for (size_t i = 0; fj_token_models[i]; i++)
        fj_str_printf(&names, "%s%s", i ? ", " : "", fj_token_models[i]->name);
    (void)fj_hint(err, "known: %s", names.data ? names.data : "");
    fj_str_free(&names);
    return err->status;
}

static fj_status read_all(fj_tokenizer *t, const fj_json *file, const fj_json *config, fj_err *err)
{
    const fj_json *model = fj_json_get(file, "model"), *vocab = fj_json_get(model, "vocab");
    if (!fj_json_is_object(model) || (!fj_json_is_object(vocab) && !fj_json_is_array(vocab)))
        return fj_fail(err, FJ_ERR_FORMAT, "no \"model\" with a \"vocab\"");
    fj_status st = fj_json_is_object(vocab) ? read_vocab_object(t, vocab, err) : read_vocab_list(t, vocab, err);
    if (!st)
        st = read_added(t, fj_json_get(file, "added_tokens"), err);
    if (!st)
        st = read_pipeline(t, file, err);
    if (!st)
        st = read_model(t, model, err);
    if (!st)
        st = fj_tokenizer_finish(t, err);
    if (st)
        return st;
    fj_text unk = fj_json_text(fj_json_get(model, "unk_token"));
    t->bos = fj_config_token(t, config, "bos_token");
    t->eos = fj_config_token(t, config, "eos_token");
    t->pad = fj_config_token(t, config, "pad_token");
    t->unk = fj_config_token(t, config, "unk_token");
    if (t->unk < 0 && unk.data)
        t->unk = fj_tokenizer_id(t, unk);
    return FJ_OK;
}

fj_status fj_tokenizer_from_json(const char *text, size_t len, const char *name, const fj_json *config,
                                 fj_tokenizer **out, fj_err *err)
{
    fj_json *file = NULL;
    fj_tokenizer *t = NULL;
    fj_status st = fj_json_parse(text, len, name, false, &file, err);
    if (st)
        return st;
    st = fj_tokenizer_new(name, &t, err);
    if (!st) {
        st = read_all(t, file, config, err);
        if (st)
            (void)fj_prefix(err, "%s", name);
    }
    fj_json_free(file);
    if (st) {
        fj_tokenizer_free(t);
        return st;
    }
    *out = t;
    return FJ_OK;
}
