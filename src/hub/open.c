/* SPDX-License-Identifier: Apache-2.0
 * MODEL to bundle: a folder in Hugging Face form, or a GGUF file. */
#include <stdlib.h>
#include <string.h>

#include "base/arena.h"
#include "base/map.h"
#include "formats/formats.h"
#include "hub/hub.h"

enum { MAX_SMALL = 64 << 20, MAX_TOKENIZER = 512 << 20, MAX_TOKENS = 1 << 24 };

/* A file of the folder as text; *text stays empty when it is not there. */
static fj_status read_file(const char *folder, const char *name, size_t limit, fj_str *text, char **path, fj_err *err)
{
    *path = fj_path_join(folder, name);
    if (!*path)
        return fj_fail(err, FJ_ERR_MEMORY, "no memory to open %s", folder);
    return fj_path_exists(*path) ? fj_file_read(*path, limit, text, err) : FJ_OK;
}

static fj_status load_json(const char *folder, const char *name, fj_json **out, fj_err *err)
{
    char *path = fj_path_join(folder, name);
    fj_status st = FJ_OK;
    *out = NULL;
    if (!path)
        st = fj_fail(err, FJ_ERR_MEMORY, "no memory to open %s", folder);
    else if (fj_path_exists(path))
        st = fj_json_load(path, out, err);
    free(path);
    return st;
}

static fj_status keep_template(fj_bundle *b, fj_text text, fj_err *err)
{
    if (!text.data || b->chat_template)
        return FJ_OK;
    b->chat_template = strndup(text.data, text.len);
    return b->chat_template ? FJ_OK : fj_fail(err, FJ_ERR_MEMORY, "no memory for the chat template");
}

/* chat_template of tokenizer_config.json: a text, or a list of {name, template} of which "default" is taken. */
static fj_text template_of(const fj_json *config)
{
    const fj_json *v = fj_json_get(config, "chat_template");
    if (fj_json_is_string(v))
        return fj_json_text(v);
    for (size_t i = 0; i < fj_json_len(v); i++) {
        const fj_json *one = fj_json_at(v, i);
        if (fj_text_is(fj_json_text(fj_json_get(one, "name")), "default"))
            return fj_json_text(fj_json_get(one, "template"));
    }
    return (fj_text){ 0 };
}

static fj_status open_tokenizer(fj_bundle *b, const char *folder, const fj_json *config, fj_err *err)
{
    fj_str text = { 0 };
    char *path = NULL;
    fj_status st = read_file(folder, "tokenizer.json", MAX_TOKENIZER, &text, &path, err);
    if (!st && text.len) {
        st = fj_tokenizer_from_json(text.data, text.len, path, config, &b->tokenizer, err);
    } else if (!st) {
        free(path);
        st = read_file(folder, "tokenizer.model", MAX_TOKENIZER, &text, &path, err);
        if (!st && text.len)
            st = fj_tokenizer_from_spm(text.data, text.len, path, config, &b->tokenizer, err);
    }
    free(path);
    fj_str_free(&text);
    return st;
}

static fj_status open_folder(fj_bundle *b, int what, fj_err *err)
{
    fj_json *tokenizer_config = NULL;
    fj_str jinja = { 0 };
    char *path = NULL;
    fj_status st = FJ_OK;
    if (what & FJ_OPEN_WEIGHTS)
        st = fj_safetensors_open_folder(b->path, &b->source, err);
    if (!st && b->source)
        b->config = fj_json_share(b->source->config);
    else if (!st)
        st = load_json(b->path, "config.json", &b->config, err);
    if (!st)
        st = load_json(b->path, "generation_config.json", &b->generation, err);
    if (!st)
        st = load_json(b->path, "tokenizer_config.json", &tokenizer_config, err);
    if (!st && (what & FJ_OPEN_TOKENIZER))
        st = open_tokenizer(b, b->path, tokenizer_config, err);
    if (!st)
        st = read_file(b->path, "chat_template.jinja", MAX_SMALL, &jinja, &path, err);
    if (!st)
        st = keep_template(b, (fj_text){ jinja.data, jinja.len }, err);
    if (!st)
        st = keep_template(b, template_of(tokenizer_config), err);
    fj_json_free(tokenizer_config);
    fj_str_free(&jinja);
    free(path);
    return st;
}

/* ---- GGUF ------------------------------------------------------------------------------------------------------------------------ */

static int64_t id_of(const fj_source *s, const char *key, size_t n_tokens)
{
    int64_t id = fj_gguf_int(fj_gguf_find(s, key), -1);
    return id >= 0 && (uint64_t)id < n_tokens ? id : -1;
}

static int flag_of(const fj_source *s, const char *key)
{
    return (int)fj_gguf_int(fj_gguf_find(s, key), -1);
}

static fj_text *texts_of(fj_arena *arena, const fj_gguf_value *v)
{
    fj_text *list = fj_arena_array(arena, v->count, sizeof *list);
    size_t at = 0;
    for (uint64_t i = 0; list && i < v->count; i++)
        (void)fj_gguf_next_string(v, &at, &list[i]);
    return list;
}

static bool is_texts(const fj_gguf_value *v)
{
    return v && v->kind == FJ_GGUF_ARRAY && v->element == FJ_GGUF_STRING;
}

static bool is_numbers(const fj_gguf_value *v, uint64_t n)
{
    return v && v->kind == FJ_GGUF_ARRAY && v->element != FJ_GGUF_STRING && v->count == n;
}

static fj_status fill_vocab(const fj_source *s, fj_arena *arena, fj_gguf_vocab *v, fj_err *err)
{
    const fj_gguf_value *tokens = fj_gguf_find(s, "tokenizer.ggml.tokens"),
                        *merges = fj_gguf_find(s, "tokenizer.ggml.merges");
    const fj_gguf_value *scores = fj_gguf_find(s, "tokenizer.ggml.scores"),
                        *types = fj_gguf_find(s, "tokenizer.ggml.token_type");
    fj_text model = fj_gguf_text(fj_gguf_find(s, "tokenizer.ggml.model")),
            pre = fj_gguf_text(fj_gguf_find(s, "tokenizer.ggml.pre"));
    if (tokens->count > MAX_TOKENS)
        return fj_fail(err, FJ_ERR_FORMAT, "%s: a vocabulary of %llu tokens", s->path,
                       (unsigned long long)tokens->count);
    *v = (fj_gguf_vocab){ .model = fj_arena_text(arena, model.data, model.len), .n_tokens = tokens->count };
    v->pre = pre.data ? fj_arena_text(arena, pre.data, pre.len) : NULL;
    v->tokens = texts_of(arena, tokens);
    if (is_texts(merges)) {
        v->n_merges = merges->count;
        v->merges = texts_of(arena, merges);
    }
    float *f = is_numbers(scores, tokens->count) ? fj_arena_array(arena, tokens->count, sizeof *f) : NULL;
    int32_t *t = is_numbers(types, tokens->count) ? fj_arena_array(arena, tokens->count, sizeof *t) : NULL;
    for (uint64_t i = 0; i < tokens->count; i++) {
        if (f)
            f[i] = (float)fj_gguf_number_at(scores, i);
        if (t)
            t[i] = (int32_t)fj_gguf_number_at(types, i);
    }
    v->scores = f;
    v->types = t;
    v->bos = id_of(s, "tokenizer.ggml.bos_token_id", v->n_tokens);
    v->eos = id_of(s, "tokenizer.ggml.eos_token_id", v->n_tokens);
    v->eot = id_of(s, "tokenizer.ggml.eot_token_id", v->n_tokens);
    v->unk = id_of(s, "tokenizer.ggml.unknown_token_id", v->n_tokens);
    v->pad = id_of(s, "tokenizer.ggml.padding_token_id", v->n_tokens);
    v->add_bos = flag_of(s, "tokenizer.ggml.add_bos_token");
    v->add_eos = flag_of(s, "tokenizer.ggml.add_eos_token");
    v->add_space_prefix = flag_of(s, "tokenizer.ggml.add_space_prefix");
    return v->model && v->tokens && (!is_texts(merges) || v->merges)
               ? FJ_OK
               : fj_fail(err, FJ_ERR_MEMORY, "%s: no memory for its vocabulary", s->path);
}

static fj_status open_gguf_tokenizer(fj_bundle *b, fj_err *err)
{
    fj_gguf_vocab vocab;
    if (!is_texts(fj_gguf_find(b->source, "tokenizer.ggml.tokens")))
        return FJ_OK; /* a file without a vocabulary */
    fj_arena *arena = fj_arena_new();
    fj_status st = arena ? fill_vocab(b->source, arena, &vocab, err)
                         : fj_fail(err, FJ_ERR_MEMORY, "no memory for a vocabulary");
    if (!st)
        st = fj_tokenizer_from_gguf(&vocab, &b->tokenizer, err);
    fj_arena_free(arena);
    return st;
}

/* What ends an answer: the end of text and the end of a turn. */
static fj_status make_generation(fj_bundle *b, fj_err *err)
{
    static const char *const keys[] = { "tokenizer.ggml.eos_token_id", "tokenizer.ggml.eot_token_id",
                                        "tokenizer.ggml.eom_token_id" };
    fj_json *ids = fj_json_new_array();
    b->generation = fj_json_new_object();
    bool ok = ids && b->generation;
    for (size_t i = 0; ok && i < FJ_LEN(keys); i++) {
        int64_t id = fj_gguf_int(fj_gguf_find(b->source, keys[i]), -1);
        ok = id < 0 || fj_json_add(ids, fj_json_new_int(id));
    }
    ok = ok && fj_json_set(b->generation, "eos_token_id", ids);
    return ok ? FJ_OK : fj_fail(err, FJ_ERR_MEMORY, "no memory to open %s", b->path);
}

static fj_status open_gguf(fj_bundle *b, int what, fj_err *err)
{
    b->is_gguf = true;
    fj_status st = fj_gguf_open(b->path, &b->source, err);
    if (!st) {
        b->config = fj_json_share(b->source->config);
        st = make_generation(b, err);
    }
    if (!st && (what & FJ_OPEN_TOKENIZER))
        st = open_gguf_tokenizer(b, err);
    return st ? st : keep_template(b, fj_gguf_text(fj_gguf_find(b->source, "tokenizer.chat_template")), err);
}

fj_status fj_bundle_open(const char *model, int what, fj_bundle **out, fj_err *err)
{
    fj_bundle *b = calloc(1, sizeof *b);
    fj_status st = FJ_OK;
    if (!b || !(b->path = strdup(model)))
        st = fj_fail(err, FJ_ERR_MEMORY, "no memory to open %s", model);
    else if (!strncmp(model, "hf:", 3)) {
        st = fj_fail(err, FJ_ERR_USAGE, "'%s': this build opens folders and .gguf files, not names of the hub", model);
        (void)fj_hint(err, "download the model first and give its folder");
    } else if (!fj_path_exists(model)) {
        st = fj_fail(err, FJ_ERR_FORMAT, "no such file or folder: %s", model);
        (void)fj_hint(err, "MODEL is a folder with config.json and safetensors, or a .gguf file");
    } else if (fj_path_is_dir(model))
        st = open_folder(b, what, err);
    else
        st = open_gguf(b, what, err);
    if (st) {
        fj_bundle_close(b);
        return st;
    }
    *out = b;
    return FJ_OK;
}

void fj_bundle_close(fj_bundle *b)
{
    if (!b)
        return;
    fj_tokenizer_free(b->tokenizer);
    fj_json_free(b->config);
    fj_json_free(b->generation);
    if (b->source)
        b->source->close(b->source);
    free(b->chat_template);
    free(b->path);
    free(b);
}
