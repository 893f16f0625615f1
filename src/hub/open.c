/* SPDX-License-Identifier: Apache-2.0
 * MODEL to bundle: a folder in Hugging Face form, a GGUF file, or NeMo's archive; names of the hub stand for one of them. */
#include <stdlib.h>
#include <string.h>

#include "base/map.h"
#include "hub/hub_internal.h"

enum { MAX_TOKENIZER = 512 << 20 };

static fj_status from_json(const void *data, size_t len, const char *path, const fj_json *config, fj_tokenizer **out,
                           fj_err *err)
{
    return fj_tokenizer_from_json(data, len, path, config, out, err);
}

/* SentencePiece's, or tiktoken's (Llama 3). */
static fj_status from_model(const void *data, size_t len, const char *path, const fj_json *config, fj_tokenizer **out,
                            fj_err *err)
{
    return fj_is_tiktoken(data, len) ? fj_tokenizer_from_tiktoken(data, len, path, config, out, err)
                                     : fj_tokenizer_from_spm(data, len, path, config, out, err);
}

/* The first that is there. */
static const struct {
    const char *name;
    fj_status (*open)(const void *data, size_t len, const char *path, const fj_json *config, fj_tokenizer **out,
                      fj_err *err);
} tokenizer_files[] = {
    { "tokenizer.json", from_json },
    { "tokenizer.model", from_model },
    { "cl100k_base.tiktoken", fj_tokenizer_from_tiktoken },
    { "qwen.tiktoken", fj_tokenizer_from_tiktoken },
};

static fj_status open_tokenizer(fj_bundle *b, const fj_json *config, fj_err *err)
{
    fj_str text = { 0 };
    char *path = NULL;
    fj_status st = FJ_OK;
    for (size_t i = 0; !st && !path && i < FJ_LEN(tokenizer_files); i++) {
        st = fj_folder_read(b->path, tokenizer_files[i].name, MAX_TOKENIZER, &text, &path, err);
        if (!st && path)
            st = tokenizer_files[i].open(text.data, text.len, path, config, &b->tokenizer, err);
    }
    free(path);
    fj_str_free(&text);
    return st;
}

static fj_status open_folder(fj_bundle *b, int what, fj_err *err)
{
    fj_json *tokenizer_config = NULL;
    fj_status st = FJ_OK;
    if (what & FJ_OPEN_WEIGHTS) {
        st = fj_weights_open_folder(b->path, &b->source, err);
        if (st)
            return st == FJ_ERR_FORMAT ? fj_folder_advise(b->path, err) : st;
        b->config = fj_json_share(b->source->config);
    } else {
        st = fj_folder_json(b->path, "config.json", &b->config, err);
    }
    if (!st)
        st = fj_folder_json(b->path, "generation_config.json", &b->generation, err);
    if (!st)
        st = fj_folder_tokenizer_config(b->path, &tokenizer_config, err);
    if (!st && (what & FJ_OPEN_TOKENIZER))
        st = open_tokenizer(b, tokenizer_config, err);
    if (!st)
        st = fj_folder_template(b->path, tokenizer_config, &b->chat_template, err);
    fj_json_free(tokenizer_config);
    return st;
}

static fj_status open_gguf_tokenizer(fj_bundle *b, fj_err *err)
{
    fj_gguf_vocab vocab = { 0 };
    fj_arena *arena = fj_arena_new();
    fj_status st = arena ? fj_gguf_vocab_of(b->source, arena, &vocab, err)
                         : fj_fail(err, FJ_ERR_MEMORY, "no memory for a vocabulary");
    if (!st && vocab.n_tokens)
        st = fj_tokenizer_from_gguf(&vocab, &b->tokenizer, err);
    fj_arena_free(arena);
    return st;
}

static fj_status open_gguf(fj_bundle *b, int what, fj_err *err)
{
    b->is_gguf = true;
    fj_status st = fj_gguf_open(b->path, &b->source, err);
    if (st)
        return st;
    fj_text jinja = fj_gguf_text(fj_gguf_find(b->source, "tokenizer.chat_template"));
    b->config = fj_json_share(b->source->config);
    st = fj_gguf_generation(b->source, &b->generation, err);
    if (!st && (what & FJ_OPEN_TOKENIZER))
        st = open_gguf_tokenizer(b, err);
    if (!st && jinja.data)
        b->chat_template = strndup(jinja.data, jinja.len);
    if (!st && jinja.data && !b->chat_template)
        st = fj_fail(err, FJ_ERR_MEMORY, "no memory for the chat template");
    return st;
}

static fj_status open_nemo(fj_bundle *b, int what, fj_err *err)
{
    fj_json *config = NULL;
    fj_status st = fj_nemo_open(b->path, (what & FJ_OPEN_WEIGHTS) != 0, &b->source, err);
    if (st)
        return st;
    b->config = fj_json_share(b->source->config);
    fj_text file = fj_nemo_tokenizer(b->source);
    if ((what & FJ_OPEN_TOKENIZER) && file.len) {
        config = fj_json_new_object();
        if (!fj_json_set(config, "add_bos_token", fj_json_new_bool(false))) /* NeMo adds none */
            st = fj_fail(err, FJ_ERR_MEMORY, "no memory to open %s", b->path);
        if (!st)
            st = fj_tokenizer_from_spm(file.data, file.len, b->path, config, &b->tokenizer, err);
    }
    if (!(what & FJ_OPEN_WEIGHTS)) {
        b->source->close(b->source);
        b->source = NULL;
    }
    fj_json_free(config);
    return st;
}

fj_status fj_bundle_open(const char *model, int what, fj_bundle **out, fj_err *err)
{
    fj_bundle *b = calloc(1, sizeof *b);
    fj_status st = b ? fj_resolve(model, &b->path, err) : fj_fail(err, FJ_ERR_MEMORY, "no memory to open %s", model);
    if (!st)
        st = fj_is_nemo(b->path)       ? open_nemo(b, what, err)
             : fj_path_is_dir(b->path) ? open_folder(b, what, err)
                                       : open_gguf(b, what, err);
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
