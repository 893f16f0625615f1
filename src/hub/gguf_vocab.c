/* SPDX-License-Identifier: Apache-2.0
 * What a GGUF file says beyond its weights: the vocabulary and how to generate. Source: gguf-py, constants.py. */
#include <string.h>

#include "hub/hub_internal.h"

enum { MAX_TOKENS = 1 << 24 };
#define KEY(name) "tokenizer.ggml." name

/* An array of n texts or numbers; NULL when it is absent. Anything else of that key is an error. n 0: any number of them. */
static fj_status find_array(const fj_source *s, const char *key, bool is_text, uint64_t n, const fj_gguf_value **out,
                            fj_err *err)
{
    const fj_gguf_value *v = *out = fj_gguf_find(s, key);
    if (!v)
        return FJ_OK;
    if (v->kind != FJ_GGUF_ARRAY || (v->element == FJ_GGUF_STRING) != is_text)
        return fj_fail(err, FJ_ERR_FORMAT, "%s: '%s' is no array of %s", s->path, key, is_text ? "texts" : "numbers");
    if (n && v->count != n)
        return fj_fail(err, FJ_ERR_FORMAT, "%s: '%s' has %llu values, the vocabulary %llu tokens", s->path, key,
                       (unsigned long long)v->count, (unsigned long long)n);
    return FJ_OK;
}

static fj_status find_texts(const fj_source *s, const char *key, fj_arena *arena, const fj_text **out, size_t *n,
                            fj_err *err)
{
    const fj_gguf_value *v = NULL;
    size_t at = 0;
    fj_status st = find_array(s, key, true, 0, &v, err);
    *n = v ? v->count : 0;
    if (st || !v)
        return st;
    if (v->count > MAX_TOKENS)
        return fj_fail(err, FJ_ERR_FORMAT, "%s: '%s' has %llu texts, at most %d are read", s->path, key,
                       (unsigned long long)v->count, MAX_TOKENS);
    fj_text *list = fj_arena_array(arena, v->count, sizeof *list);
    if (!list)
        return fj_fail(err, FJ_ERR_MEMORY, "%s: no memory for its vocabulary", s->path);
    for (uint64_t i = 0; i < v->count && fj_gguf_next_string(v, &at, &list[i]); i++)
        ;
    *out = list;
    return FJ_OK;
}

static fj_status find_numbers(const fj_source *s, fj_arena *arena, fj_gguf_vocab *v, fj_err *err)
{
    const fj_gguf_value *scores = NULL, *types = NULL;
    float *f = NULL;
    int32_t *t = NULL;
    fj_status st = find_array(s, KEY("scores"), false, v->n_tokens, &scores, err);
    if (!st)
        st = find_array(s, KEY("token_type"), false, v->n_tokens, &types, err);
    if (st)
        return st;
    if (scores)
        f = fj_arena_array(arena, v->n_tokens, sizeof *f);
    if (types)
        t = fj_arena_array(arena, v->n_tokens, sizeof *t);
    if ((scores && !f) || (types && !t))
        return fj_fail(err, FJ_ERR_MEMORY, "%s: no memory for its vocabulary", s->path);
    for (uint64_t i = 0; f && i < v->n_tokens; i++)
        f[i] = (float)fj_gguf_number_at(scores, i);
    for (uint64_t i = 0; t && i < v->n_tokens; i++) {
        double type = fj_gguf_number_at(types, i);
        t[i] = type >= 1 && type <= 6 ? (int32_t)type : 1;
    }
    v->scores = f;
    v->types = t;
    return FJ_OK;
}

/* An id that the vocabulary has, else -1: files leave 0xffffffff and worse where there is none. */
static int64_t id_of(const fj_source *s, const char *key, size_t n_tokens)
{
    int64_t id = fj_gguf_int(fj_gguf_find(s, key), -1);
    return id >= 0 && (uint64_t)id < n_tokens ? id : -1;
}

static int flag_of(const fj_source *s, const char *key)
{
    const fj_gguf_value *v = fj_gguf_find(s, key);
    return v ? fj_gguf_int(v, 0) != 0 : -1;
}

static const char *text_of(const fj_source *s, const char *key, fj_arena *arena)
{
    fj_text t = fj_gguf_text(fj_gguf_find(s, key));
    return t.data ? fj_arena_text(arena, t.data, t.len) : NULL;
}

fj_status fj_gguf_vocab_of(const fj_source *s, fj_arena *arena, fj_gguf_vocab *out, fj_err *err)
{
    *out = (fj_gguf_vocab){ .model = text_of(s, KEY("model"), arena), .pre = text_of(s, KEY("pre"), arena) };
    fj_status st = find_texts(s, KEY("tokens"), arena, &out->tokens, &out->n_tokens, err);
    if (st || !out->n_tokens)
        return st;
    if (!out->model)
        return fj_fail(err, FJ_ERR_FORMAT, "%s: a vocabulary without '" KEY("model") "'", s->path);
    st = find_texts(s, KEY("merges"), arena, &out->merges, &out->n_merges, err);
    if (!st)
        st = find_numbers(s, arena, out, err);
    out->bos = id_of(s, KEY("bos_token_id"), out->n_tokens);
    out->eos = id_of(s, KEY("eos_token_id"), out->n_tokens);
    out->eot = id_of(s, KEY("eot_token_id"), out->n_tokens);
    out->unk = id_of(s, KEY("unknown_token_id"), out->n_tokens);
    out->pad = id_of(s, KEY("padding_token_id"), out->n_tokens);
    out->add_bos = flag_of(s, KEY("add_bos_token"));
    out->add_eos = flag_of(s, KEY("add_eos_token"));
    out->add_space_prefix = flag_of(s, KEY("add_space_prefix"));
    return st;
}

/* ---- generation ---------------------------------------------------------------------------------------------------------------- */

/* One id as a number, several as a list, as Hugging Face writes them. */
static bool set_ends(const fj_source *s, fj_json *generation)
{
    static const char *const keys[] = { KEY("eos_token_id"), KEY("eot_token_id"), KEY("eom_token_id") };
    int64_t ids[FJ_LEN(keys)];
    size_t n = 0;
    for (size_t i = 0; i < FJ_LEN(keys); i++) {
        int64_t id = fj_gguf_int(fj_gguf_find(s, keys[i]), -1);
        bool is_known = id < 0 || id > INT32_MAX;
        for (size_t k = 0; k < n; k++)
            is_known |= ids[k] == id;
        if (!is_known)
            ids[n++] = id;
    }
    if (n < 2)
        return !n || fj_json_set(generation, "eos_token_id", fj_json_new_int(ids[0]));
    fj_json *list = fj_json_new_array();
    bool ok = list != NULL;
    for (size_t i = 0; i < n; i++)
        ok = ok && fj_json_add(list, fj_json_new_int(ids[i]));
    return fj_json_set(generation, "eos_token_id", list) && ok;
}

/* llama.cpp's names and transformers'. */
static bool set_sampling(const fj_source *s, fj_json *generation)
{
    static const struct {
        const char *gguf, *hf;
    } reals[] = { { "general.sampling.temp", "temperature" },
                  { "general.sampling.top_p", "top_p" },
                  { "general.sampling.min_p", "min_p" },
                  { "general.sampling.penalty_repeat", "repetition_penalty" } };
    bool ok = true;
    for (size_t i = 0; ok && i < FJ_LEN(reals); i++) {
        const fj_gguf_value *v = fj_gguf_find(s, reals[i].gguf);
        if (v && v->kind != FJ_GGUF_STRING && v->kind != FJ_GGUF_ARRAY)
            ok = fj_json_set(generation, reals[i].hf, fj_json_new_real(fj_gguf_real(v, 0)));
    }
    int64_t top_k = fj_gguf_int(fj_gguf_find(s, "general.sampling.top_k"), -1);
    return ok && (top_k < 0 || fj_json_set(generation, "top_k", fj_json_new_int(top_k)));
}

fj_status fj_gguf_generation(const fj_source *s, fj_json **out, fj_err *err)
{
    fj_json *generation = fj_json_new_object();
    if (generation && set_ends(s, generation) && set_sampling(s, generation)) {
        *out = generation;
        return FJ_OK;
    }
    fj_json_free(generation);
    return fj_fail(err, FJ_ERR_MEMORY, "no memory to open %s", s->path);
}
