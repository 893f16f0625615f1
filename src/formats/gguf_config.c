/* SPDX-License-Identifier: Apache-2.0
 * From GGUF's keys to config.json's, for the architectures of gguf_archs.c. gguf_config_write.c goes the other way. */
#include <stdio.h>
#include <string.h>

#include "formats/gguf_archs.h"
#include "formats/gguf_internal.h"

enum { MOST_NAME = 128 };

const fj_gguf_value *fj_gguf_arch_value(const fj_source *s, const char *name)
{
    char text[MOST_NAME];
    fj_text arch = fj_gguf_text(fj_gguf_find(s, "general.architecture"));
    (void)snprintf(text, sizeof text, "%.*s.%s", (int)FJ_MIN(arch.len, (size_t)64), arch.data, name);
    return fj_gguf_find(s, text);
}

double fj_gguf_plain(double value)
{
    char text[32];
    double back = 0;
    for (int digits = 6; digits <= 9; digits++) {
        (void)snprintf(text, sizeof text, "%.*g", digits, value);
        if (fj_text_f64(fj_text_of(text), &back) && (float)back == (float)value)
            return back;
    }
    return value;
}

/* Only one level deep: attn_config, rope_parameters. */
bool fj_gguf_config_set(fj_json *config, const char *name, fj_json *value)
{
    size_t first = strcspn(name, "|"), dot = strcspn(name, ".");
    char key[MOST_NAME], outer[MOST_NAME];
    (void)snprintf(key, sizeof key, "%.*s", (int)first, name);
    if (dot >= first)
        return fj_json_set(config, key, value);
    (void)snprintf(outer, sizeof outer, "%.*s", (int)dot, name);
    if (!fj_json_is_object(fj_json_get(config, outer)) && !fj_json_set(config, outer, fj_json_new_object())) {
        fj_json_free(value);
        return false;
    }
    return fj_json_set(fj_json_get(config, outer), key + dot + 1, value);
}

int64_t fj_gguf_config_int(const fj_json *config, const char *names)
{
    return FJ_MAX(1, fj_json_int(fj_json_find(config, names), 1));
}

static bool is_real(const fj_gguf_value *v)
{
    return v->kind == FJ_GGUF_F32 || v->kind == FJ_GGUF_F64;
}

/* A number for all layers from one of each. Those that differ are no model of this architecture that forja knows. */
static fj_status same_in_all_layers(const fj_source *s, const fj_gguf_value *v, double *out, fj_err *err)
{
    *out = fj_gguf_number_at(v, 0);
    if (v->element == FJ_GGUF_STRING || !v->count)
        return fj_fail(err, FJ_ERR_FORMAT, "%s: '%.*s' is no number for each layer", s->path, (int)v->key.len,
                       v->key.data);
    for (uint64_t i = 1; i < v->count; i++)
        if (!(fj_gguf_number_at(v, i) == *out))
            return fj_fail(err, FJ_ERR_FORMAT,
                           "%s: '%.*s' is %g in layer 0 and %g in layer %llu; models whose layers differ are not read",
                           s->path, (int)v->key.len, v->key.data, *out, fj_gguf_number_at(v, i), (unsigned long long)i);
    return FJ_OK;
}

/* Whether the value is of a kind that the key may have. */
static bool fits(const fj_gguf_value *v, fj_gguf_key_kind kind)
{
    bool is_array = v->kind == FJ_GGUF_ARRAY;
    if (v->kind == FJ_GGUF_STRING || (is_array && kind != FJ_KEY_LAYERS))
        return false;
    return kind == FJ_KEY_REAL || !(is_array ? v->element == FJ_GGUF_F32 || v->element == FJ_GGUF_F64 : is_real(v));
}

static fj_status read_key(const fj_source *s, const fj_gguf_key *k, fj_json *config, fj_err *err)
{
    const fj_gguf_value *v = fj_gguf_arch_value(s, k->gguf);
    double number = 0;
    if (!v)
        return FJ_OK;
    bool is_array = v->kind == FJ_GGUF_ARRAY;
    if (!fits(v, k->kind))
        return fj_fail(err, FJ_ERR_FORMAT, "%s: '%.*s' is no %s", s->path, (int)v->key.len, v->key.data,
                       k->kind == FJ_KEY_REAL ? "number" : "whole number");
    fj_status st = is_array ? same_in_all_layers(s, v, &number, err) : FJ_OK;
    if (st)
        return st;
    fj_json *value = k->kind == FJ_KEY_REAL   ? fj_json_new_real(fj_gguf_plain(fj_gguf_real(v, 0)))
                     : k->kind == FJ_KEY_BOOL ? fj_json_new_bool(fj_gguf_int(v, 0) != 0)
                     : is_array               ? fj_json_new_int(number > -1e15 && number < 1e15 ? (int64_t)number : -1)
                                              : fj_json_new_int(fj_gguf_int(v, -1));
    return fj_gguf_config_set(config, k->hf, value) ? FJ_OK : fj_fail(err, FJ_ERR_MEMORY, "%s: no memory", s->path);
}

static bool set_real(fj_json *object, const char *name, const fj_gguf_value *v)
{
    return !v || fj_json_set(object, name, fj_json_new_real(fj_gguf_plain(fj_gguf_real(v, 0))));
}

/* llama3's scaling is no key but the tensor rope_freqs.weight. */
static bool add_rope(const fj_source *s, fj_json *config)
{
    fj_text type = fj_gguf_text(fj_gguf_arch_value(s, "rope.scaling.type"));
    const fj_gguf_value *factor = fj_gguf_arch_value(s, "rope.scaling.factor"),
                        *original = fj_gguf_arch_value(s, "rope.scaling.original_context_length");
    if (!factor)
        factor = fj_gguf_arch_value(s, "rope.scale_linear"); /* of 2023 */
    if (!type.len && factor && fj_gguf_real(factor, 1) != 1)
        type = fj_text_of("linear");
    if (!type.len || fj_text_is(type, "none"))
        return true;
    fj_json *scaling = fj_json_new_object();
    bool ok = fj_json_set(scaling, "rope_type", fj_json_new_text(type.data, type.len)) &&
              set_real(scaling, "factor", factor) &&
              set_real(scaling, "attention_factor", fj_gguf_arch_value(s, "rope.scaling.attn_factor")) &&
              (!original ||
               fj_json_set(scaling, "original_max_position_embeddings", fj_json_new_int(fj_gguf_int(original, -1))));
    return fj_json_set(config, "rope_scaling", scaling) && ok;
}

static int64_t vocab_size(const fj_source *s)
{
    const fj_tensor *t = s->find(s, "token_embd.weight");
    const fj_gguf_value *tokens = fj_gguf_find(s, "tokenizer.ggml.tokens");
    if (t && t->shape.rank == 2)
        return t->shape.dim[0];
    if (tokens && tokens->kind == FJ_GGUF_ARRAY)
        return tokens->count <= INT64_MAX ? (int64_t)tokens->count : -1;
    return fj_gguf_int(fj_gguf_arch_value(s, "vocab_size"), -1);
}

static fj_status set_number(const fj_source *s, fj_json *config, const char *name, fj_json *value, fj_err *err)
{
    return fj_gguf_config_set(config, name, value) ? FJ_OK : fj_fail(err, FJ_ERR_MEMORY, "%s: no memory", s->path);
}

/* Old files of llama have the head's size as the rotated width alone. */
static fj_status add_heads(const fj_source *s, const fj_gguf_arch *arch, fj_json *config, fj_err *err)
{
    int64_t rotated = fj_gguf_int(fj_gguf_arch_value(s, "rope.dimension_count"), 0);
    int64_t heads = fj_gguf_int(fj_gguf_arch_value(s, "attention.head_count"), 0),
            width = fj_gguf_int(fj_gguf_arch_value(s, "embedding_length"), 0), usual = heads > 0 ? width / heads : 0;
    int64_t d = fj_gguf_int(fj_gguf_arch_value(s, "attention.key_length"), arch->partial ? usual : rotated);
    int64_t d_value = fj_gguf_int(fj_gguf_arch_value(s, "attention.value_length"), d);
    if (d_value != d)
        return fj_fail(err, FJ_ERR_FORMAT, "%s: keys of %lld values and values of %lld; %s has one length", s->path,
                       (long long)d, (long long)d_value, arch->name);
    if (rotated && rotated != d && !arch->partial && d)
        return fj_fail(err, FJ_ERR_FORMAT, "%s: rope turns %lld of a head's %lld values; %s turns all", s->path,
                       (long long)rotated, (long long)d, arch->name);
    fj_status st = FJ_OK;
    if (!d && arch->d_head_is)
        d = usual;
    if (d && arch->d_head)
        st = set_number(s, config, arch->d_head, fj_json_new_int(d), err);
    if (!st && arch->partial && rotated && d)
        st = set_number(s, config, arch->partial, fj_json_new_real((double)rotated / (double)d), err);
    return st;
}

static bool add_id(const fj_source *s, fj_json *config, const char *gguf, const char *hf)
{
    int64_t id = fj_gguf_int(fj_gguf_find(s, gguf), -1);
    return id < 0 || fj_json_set(config, hf, fj_json_new_int(id));
}

/* A model that classifies has scores in place of its head; its labels are a list. */
static bool add_labels(const fj_source *s, fj_json *config)
{
    const fj_gguf_value *labels = fj_gguf_arch_value(s, "classifier.output_labels");
    const fj_tensor *score = s->find(s, "cls.score.weight");
    fj_json *names = fj_json_new_object();
    bool ok = names && score && score->shape.rank == 2;
    fj_text label;
    size_t at = 0;
    for (int i = 0; ok && labels && fj_gguf_next_string(labels, &at, &label); i++) {
        char number[16];
        (void)snprintf(number, sizeof number, "%d", i);
        ok = fj_json_set(names, number, fj_json_new_text(label.data, label.len));
    }
    if (!ok || !labels) {
        fj_json_free(names);
        return !score || score->shape.rank != 2 ||
               fj_json_set(config, "num_labels", fj_json_new_int(score->shape.dim[0]));
    }
    return fj_json_set(config, "id2label", names);
}

/* The first, or of those that differ in names alone the one that the file says. */
static const char *type_of(const fj_source *s, const fj_gguf_arch *arch)
{
    fj_text exact = fj_gguf_text(fj_gguf_find(s, "forja.exact.model_type"));
    for (size_t i = 0; arch->keeps_type && i < FJ_LEN(arch->model_types) && arch->model_types[i]; i++)
        if (fj_text_is(exact, arch->model_types[i]))
            return arch->model_types[i];
    return arch->model_types[0];
}

static bool add_class(const fj_source *s, const fj_gguf_arch *arch, fj_json *config)
{
    char name[MOST_NAME];
    const char *type = type_of(s, arch);
    fj_json *classes = fj_json_new_array();
    bool scores = s->find(s, "cls.score.weight") != NULL;
    size_t stem = strlen(arch->class) - (scores && strstr(arch->class, "ForCausalLM") ? strlen("ForCausalLM") : 0);
    (void)snprintf(name, sizeof name, "%.*s%s", (int)stem, arch->class, scores ? "ForSequenceClassification" : "");
    bool ok = fj_json_add(classes, fj_json_new_text(name, strlen(name)));
    ok = fj_json_set(config, "architectures", classes) && ok;
    return ok && fj_json_set(config, "model_type", fj_json_new_text(type, strlen(type)));
}

static fj_status read_keys(const fj_source *s, const fj_gguf_key *keys, fj_json *config, fj_err *err)
{
    fj_status st = FJ_OK;
    for (const fj_gguf_key *k = keys; !st && k && k->gguf; k++)
        st = read_key(s, k, config, err);
    return st;
}

static fj_status read_arch(const fj_source *s, const fj_gguf_arch *arch, fj_json *config, fj_err *err)
{
    int64_t vocab = vocab_size(s);
    bool ok = add_class(s, arch, config);
    fj_status st = read_keys(s, arch->sizes, config, err);
    if (!st)
        st = read_keys(s, arch->own, config, err);
    if (!st && !arch->has_no_rope)
        st = add_heads(s, arch, config, err);
    if (st)
        return st;
    ok = ok && (vocab < 0 || fj_json_set(config, "vocab_size", fj_json_new_int(vocab))) &&
         (arch->has_no_rope || add_rope(s, config)) &&
         fj_json_set(config, "tie_word_embeddings",
                     fj_json_new_bool(!s->find(s, "output.weight") && !s->find(s, "cls.score.weight")));
    for (const fj_gguf_presence *p = arch->presences; p && p->tensor; p++)
        ok = ok && fj_json_set(config, p->hf, fj_json_new_bool(s->find(s, p->tensor) != NULL));
    ok = ok && add_labels(s, config) && add_id(s, config, "tokenizer.ggml.bos_token_id", "bos_token_id") &&
         add_id(s, config, "tokenizer.ggml.eos_token_id", "eos_token_id") &&
         add_id(s, config, "tokenizer.ggml.padding_token_id", "pad_token_id");
    if (!ok)
        return fj_fail(err, FJ_ERR_MEMORY, "%s: no memory for its configuration", s->path);
    return arch->read ? arch->read(s, config, err) : FJ_OK;
}

/* The whole of config.json, as forja writes it for families that llama.cpp does not know. */
static fj_status read_whole(const fj_source *s, fj_json *config, fj_err *err)
{
    fj_text text = fj_gguf_text(fj_gguf_arch_value(s, "config_json"));
    fj_json *whole = NULL;
    bool ok = true;
    fj_status st = fj_json_parse(text.data ? text.data : "", text.len, s->path, false, &whole, err);
    for (void *i = st ? NULL : fj_json_first(whole); i; i = fj_json_next(whole, i))
        ok = ok && fj_json_set(config, fj_json_key(i), fj_json_share(fj_json_member(i)));
    fj_json_free(whole);
    return st || ok ? st : fj_fail(err, FJ_ERR_MEMORY, "%s: no memory for its configuration", s->path);
}

fj_status fj_gguf_read_config(const fj_source *s, fj_json **out, fj_err *err)
{
    fj_text name = fj_gguf_text(fj_gguf_find(s, "general.architecture"));
    fj_json *config = fj_json_new_object();
    fj_status st = FJ_OK;
    if (!config || !fj_json_set(config, "gguf_arch", fj_json_new_text(name.data, name.len)))
        st = fj_fail(err, FJ_ERR_MEMORY, "%s: no memory for its configuration", s->path);
    for (const fj_gguf_arch *const *a = fj_gguf_archs; !st && *a; a++)
        if (fj_text_is(name, (*a)->name))
            st = (*a)->holds_config ? read_whole(s, config, err) : read_arch(s, *a, config, err);
    if (!st && fj_gguf_int(fj_gguf_find(s, "forja.exact.no_prefix"), 0) &&
        !fj_json_set(config, "gguf_no_prefix", fj_json_new_bool(true)))
        st = fj_fail(err, FJ_ERR_MEMORY, "%s: no memory for its configuration", s->path);
    if (st) {
        fj_json_free(config);
        return st;
    }
    *out = config;
    return FJ_OK;
}
