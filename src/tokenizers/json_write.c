/* SPDX-License-Identifier: Apache-2.0
 * tokenizer.json and tokenizer_config.json from a tokenizer: the parts as they were opened, the model and the added tokens as they are
 * now. Source: tokenizers, tokenizer/serialization.rs, processors/template.rs; transformers, tokenization_utils_base.py. */
#include <stdlib.h>
#include <string.h>

#include "base/utf8.h"
#include "tokenizers/parts.h"

fj_json *fj_text_json(fj_text text)
{
    return text.data ? fj_json_new_text(text.data, text.len) : fj_json_new_null();
}

fj_json *fj_vocab_json(const fj_tokenizer *t)
{
    fj_json *vocab = fj_json_new_object();
    bool ok = vocab != NULL;
    for (int64_t i = 0; ok && i < t->n_vocab; i++) {
        fj_text token = t->vocab_tokens[i];
        if (token.data && fj_text_table_find(&t->vocab, token) == i)
            ok = fj_json_set(vocab, token.data, fj_json_new_int(i));
    }
    if (ok)
        return vocab;
    fj_json_free(vocab);
    return NULL;
}

/* ---- added tokens -------------------------------------------------------------------------------------------------------------------- */

static fj_json *added_token(const fj_added_token *a)
{
    fj_json *v = fj_json_new_object();
    bool ok = fj_json_set(v, "id", fj_json_new_int(a->id)) && fj_json_set(v, "content", fj_text_json(a->text)) &&
              fj_json_set(v, "single_word", fj_json_new_bool(a->is_single_word)) &&
              fj_json_set(v, "lstrip", fj_json_new_bool(a->strips_left)) &&
              fj_json_set(v, "rstrip", fj_json_new_bool(a->strips_right)) &&
              fj_json_set(v, "normalized", fj_json_new_bool(a->is_normalized)) &&
              fj_json_set(v, "special", fj_json_new_bool(a->is_special));
    if (ok)
        return v;
    fj_json_free(v);
    return NULL;
}

static int by_id(const void *a, const void *b)
{
    const fj_added_token *x = *(const fj_added_token *const *)a, *y = *(const fj_added_token *const *)b;
    if (x->id != y->id)
        return x->id < y->id ? -1 : 1;
    return (x > y) - (x < y);
}

/* By id, as the library wants them: it gives ids to those that are not in the vocabulary as they come. */
static fj_json *added_tokens(const fj_tokenizer *t)
{
    const fj_added_token **sorted = calloc(t->n_added + 1, sizeof *sorted);
    fj_json *list = fj_json_new_array();
    bool ok = sorted && list;
    for (size_t i = 0; ok && i < t->n_added; i++)
        sorted[i] = &t->added[i];
    if (ok && t->n_added)
        qsort(sorted, t->n_added, sizeof *sorted, by_id);
    for (size_t i = 0; ok && i < t->n_added; i++)
        ok = fj_json_add(list, added_token(sorted[i]));
    free(sorted);
    if (ok)
        return list;
    fj_json_free(list);
    return NULL;
}

/* ---- the ids around ------------------------------------------------------------------------------------------------------------------- */

/* {"Sequence": {"id": "A", "type_id": 0}} and the like. */
static bool add_item(fj_json *list, const char *kind, fj_text id, int type)
{
    fj_json *item = fj_json_new_object(), *inner = fj_json_new_object();
    bool ok = fj_json_set(inner, "id", fj_text_json(id)) && fj_json_set(inner, "type_id", fj_json_new_int(type));
    ok = fj_json_set(item, kind, inner) && ok;
    return fj_json_add(list, item) && ok;
}

static bool add_ids(const fj_tokenizer *t, fj_json *list, const int32_t *ids, size_t n, int type)
{
    bool ok = true;
    for (size_t i = 0; i < n; i++)
        ok = ok && add_item(list, "SpecialToken", t->tokens[ids[i]], type);
    return ok;
}

static bool add_specials(const fj_tokenizer *t, fj_json *specials, const int32_t *ids, size_t n)
{
    bool ok = true;
    for (size_t i = 0; ok && i < n; i++) {
        fj_json *v = fj_json_new_object(), *list = fj_json_new_array(), *texts = fj_json_new_array();
        fj_text text = t->tokens[ids[i]];
        ok = fj_json_add(list, fj_json_new_int(ids[i])) && fj_json_add(texts, fj_text_json(text)) &&
             fj_json_set(v, "id", fj_text_json(text));
        ok = fj_json_set(v, "ids", list) && ok;
        ok = fj_json_set(v, "tokens", texts) && ok;
        ok = fj_json_set(specials, text.data, v) && ok;
    }
    return ok;
}

/* The second text of a pair is closed as the first where there is a closing token, else begun as it. */
static fj_json *around(const fj_tokenizer *t)
{
    const fj_post *p = &t->post;
    fj_json *v = fj_json_new_object(), *single = fj_json_new_array(), *pair = fj_json_new_array(),
            *specials = fj_json_new_object();
    bool ok = fj_json_set(v, "type", fj_text_json(fj_text_of("TemplateProcessing")));
    ok = fj_json_set(v, "single", single) && ok;
    ok = fj_json_set(v, "pair", pair) && ok;
    ok = fj_json_set(v, "special_tokens", specials) && ok;
    for (int i = 0; ok && i < 2; i++)
        ok = add_ids(t, i ? pair : single, p->before, p->n_before, 0) &&
             add_item(i ? pair : single, "Sequence", fj_text_of("A"), 0) &&
             add_ids(t, i ? pair : single, p->after, p->n_after, 0);
    ok = ok && add_ids(t, pair, p->before, p->n_after ? 0 : p->n_before, 1) &&
         add_item(pair, "Sequence", fj_text_of("B"), 1) && add_ids(t, pair, p->after, p->n_after, 1) &&
         add_specials(t, specials, p->before, p->n_before) && add_specials(t, specials, p->after, p->n_after);
    if (ok)
        return v;
    fj_json_free(v);
    return NULL;
}

/* ---- the whole ------------------------------------------------------------------------------------------------------------------------ */

/* Parts of one kind: null, the one, or a Sequence. */
static fj_json *part(const fj_tokenizer *t, const char *what, const char *members)
{
    fj_json *list = fj_json_get(t->pipeline, what);
    if (fj_json_len(list) < 2)
        return list ? fj_json_share(fj_json_at(list, 0)) : fj_json_new_null();
    fj_json *v = fj_json_new_object();
    if (fj_json_set(v, "type", fj_text_json(fj_text_of("Sequence"))) && fj_json_set(v, members, fj_json_share(list)))
        return v;
    fj_json_free(v);
    return NULL;
}

/* What no JSON can hold: bytes that are no text, and keys with a NUL. */
static fj_status check(const fj_tokenizer *t, fj_err *err)
{
    if (t->unwritable) {
        (void)fj_fail(err, FJ_ERR_FORMAT, "%s: tokenizer.json has no word for %s", t->name, t->unwritable);
        return fj_hint(err, "keep its tokenizer.model");
    }
    for (int64_t i = 0; i < t->n_vocab; i++) {
        fj_text token = t->vocab_tokens[i];
        if (!fj_utf8_valid(token.data, token.len) || (token.len && memchr(token.data, 0, token.len)))
            return fj_fail(err, FJ_ERR_FORMAT,
                           "%s: token %lld is not UTF-8 or holds a NUL: tokenizer.json cannot hold it", t->name,
                           (long long)i);
    }
    return FJ_OK;
}

fj_status fj_tokenizer_to_json(const fj_tokenizer *t, fj_json **out, fj_err *err)
{
    bool has_post = fj_json_get(t->pipeline, "post_processor");
    fj_status st = check(t, err);
    if (st)
        return st;
    fj_json *file = fj_json_new_object(), *model = fj_json_new_object();
    bool ok = fj_json_set(model, "type", fj_text_json(fj_text_of(t->kind->name)));
    ok = ok && fj_json_set(file, "version", fj_text_json(fj_text_of("1.0"))) &&
         fj_json_set(file, "truncation", fj_json_new_null()) && fj_json_set(file, "padding", fj_json_new_null()) &&
         fj_json_set(file, "added_tokens", added_tokens(t)) &&
         fj_json_set(file, "normalizer", part(t, "normalizer", "normalizers")) &&
         fj_json_set(file, "pre_tokenizer", part(t, "pre_tokenizer", "pretokenizers")) &&
         fj_json_set(file, "post_processor", has_post ? part(t, "post_processor", "processors") : around(t)) &&
         fj_json_set(file, "decoder", part(t, "decoder", "decoders"));
    ok = fj_json_set(file, "model", model) && ok;
    if (!ok)
        st = fj_fail(err, FJ_ERR_MEMORY, "no memory for tokenizer.json");
    else
        st = t->kind->write(t, model, err);
    if (st)
        fj_json_free(file);
    else
        *out = file;
    return st;
}

static bool set_token(const fj_tokenizer *t, fj_json *config, const char *key, int64_t id)
{
    return id < 0 || fj_json_set(config, key, fj_text_json(t->tokens[id]));
}

/* BERT's names for the same tokens; models of one text have no token types. */
static bool set_kind(const fj_tokenizer *t, fj_json *config)
{
    bool has_types = t->kind == &fj_model_word_piece;
    fj_json *names = fj_json_new_array();
    bool ok = fj_json_set(config, "model_input_names", names) &&
              fj_json_add(names, fj_text_json(fj_text_of("input_ids"))) &&
              fj_json_add(names, fj_text_json(fj_text_of("attention_mask")));
    if (!has_types)
        return ok;
    return ok && fj_json_add(names, fj_text_json(fj_text_of("token_type_ids"))) &&
           set_token(t, config, "cls_token", t->bos) && set_token(t, config, "sep_token", t->eos) &&
           set_token(t, config, "mask_token", fj_tokenizer_id(t, fj_text_of("[MASK]")));
}

/* transformers warns of any large vocabulary that does not say fix_mistral_regex (_patch_mistral_regex). */
fj_status fj_tokenizer_config(const fj_tokenizer *t, const char *chat_template, fj_json **out, fj_err *err)
{
    bool adds_eos = t->post.n_after && t->post.after[0] == t->eos;
    fj_json *config = fj_json_new_object();
    bool ok = fj_json_set(config, "tokenizer_class", fj_text_json(fj_text_of("PreTrainedTokenizerFast"))) &&
              set_token(t, config, "bos_token", t->bos) && set_token(t, config, "eos_token", t->eos) &&
              set_token(t, config, "unk_token", t->unk) && set_token(t, config, "pad_token", t->pad) &&
              fj_json_set(config, "add_bos_token", fj_json_new_bool(fj_tokenizer_adds_bos(t))) &&
              fj_json_set(config, "add_eos_token", fj_json_new_bool(adds_eos)) &&
              fj_json_set(config, "clean_up_tokenization_spaces", fj_json_new_bool(false)) &&
              fj_json_set(config, "fix_mistral_regex", fj_json_new_bool(false)) && set_kind(t, config) &&
              (!chat_template || fj_json_set(config, "chat_template", fj_text_json(fj_text_of(chat_template))));
    if (ok) {
        *out = config;
        return FJ_OK;
    }
    fj_json_free(config);
    return fj_fail(err, FJ_ERR_MEMORY, "no memory for tokenizer_config.json");
}
