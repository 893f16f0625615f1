/* SPDX-License-Identifier: Apache-2.0
 * From config.json's keys to GGUF's, for the architectures of gguf_archs.c. */
#include <stdio.h>
#include <string.h>

#include "base/str.h"
#include "formats/gguf_archs.h"

enum { MOST_NAME = 128, MOST_TYPES = 128 };

typedef struct written {
    fj_gguf_writer *w;
    const fj_gguf_arch *arch;
    const fj_json *config, *rope;
} written;

static const char *name_of(const written *x, const char *name, char out[MOST_NAME])
{
    (void)snprintf(out, MOST_NAME, "%s.%s", x->arch->name, name);
    return out;
}

/* Names of the number of heads: what an absent number of key heads means. */
static const char *heads_of(const fj_gguf_arch *arch)
{
    for (const fj_gguf_key *k = arch->sizes; k->gguf; k++)
        if (!strcmp(k->gguf, "attention.head_count"))
            return k->hf;
    return "num_attention_heads";
}

/* A value as config.json has it or means it when it does not: in its place, in rope_parameters, or by default. */
static const fj_json *find(const written *x, const fj_gguf_key *k)
{
    const fj_json *v = fj_json_find(x->config, k->hf);
    if (!v)
        v = fj_json_find(x->rope, k->hf);
    if (!v && !strcmp(k->gguf, "attention.head_count_kv"))
        v = fj_json_find(x->config, heads_of(x->arch));
    return v;
}

static fj_status set_number(const written *x, const char *gguf, const char *hf, double value, fj_err *err)
{
    char name[MOST_NAME];
    if (!(value >= 1 && value <= UINT32_MAX) || value != (double)(uint32_t)value)
        return fj_fail(err, FJ_ERR_FORMAT, "config.json: '%.*s' must be a whole number from 1, not %g",
                       (int)strcspn(hf, "|"), hf, value);
    fj_gguf_set_u32(x->w, name_of(x, gguf, name), (uint32_t)value);
    return FJ_OK;
}

static fj_status set_key(const written *x, const fj_gguf_key *k, fj_err *err)
{
    char name[MOST_NAME];
    const fj_json *v = find(x, k);
    double value = fj_json_real(v, k->fallback);
    if (!fj_json_is_number(v) && !fj_json_is_bool(v) && (k->flags & FJ_KEY_OPTIONAL))
        return FJ_OK;
    if (k->kind == FJ_KEY_BOOL)
        fj_gguf_set_bool(x->w, name_of(x, k->gguf, name), fj_json_bool(v, k->fallback != 0));
    else if (k->kind != FJ_KEY_REAL)
        return set_number(x, k->gguf, k->hf, value, err);
    else if (!(value > 0))
        return fj_fail(err, FJ_ERR_FORMAT, "config.json: '%.*s' is %g", (int)strcspn(k->hf, "|"), k->hf, value);
    else
        fj_gguf_set_f32(x->w, name_of(x, k->gguf, name), (float)value);
    return FJ_OK;
}

static fj_status set_keys(const written *x, const fj_gguf_key *keys, fj_err *err)
{
    fj_status st = FJ_OK;
    for (const fj_gguf_key *k = keys; !st && k && k->gguf; k++)
        st = set_key(x, k, err);
    return st;
}

/* The size of heads where it is the architecture's to say, and how much of one rope turns. */
static fj_status set_heads(const written *x, fj_err *err)
{
    const fj_gguf_arch *arch = x->arch;
    int64_t heads = fj_gguf_config_int(x->config, heads_of(arch));
    double d = arch->d_head ? fj_json_real(fj_json_find(x->config, arch->d_head), (double)arch->d_head_is) : 0;
    double share = arch->partial_is > 0 ? arch->partial_is : 1;
    fj_status st = FJ_OK;
    if (d <= 0)
        d = (double)(fj_json_int(fj_json_find(x->config, "hidden_size|d_model|n_embd"), 0) / heads);
    if (arch->partial) {
        share = fj_json_real(fj_json_find(x->config, arch->partial), share);
        share = fj_json_real(fj_json_find(x->rope, "partial_rotary_factor"), share);
    }
    if (arch->d_head)
        st = set_number(x, "attention.key_length", arch->d_head, d, err);
    if (!st && arch->d_head)
        st = set_number(x, "attention.value_length", arch->d_head, d, err);
    return st ? st : set_number(x, "rope.dimension_count", "head_dim", (double)(int64_t)(d * share + 1e-9 * d), err);
}

/* llama3's scaling and longrope's factors are tensors. */
static fj_status set_rope(const written *x, fj_err *err)
{
    char name[MOST_NAME];
    const char *type = fj_json_string(fj_json_find(x->rope, "rope_type|type"), "none");
    if (!strcmp(type, "none") || !strcmp(type, "default") || !strcmp(type, "llama3") ||
        fj_json_get(x->rope, "long_factor"))
        return FJ_OK;
    if (strcmp(type, "linear"))
        return fj_fail(err, FJ_ERR_FORMAT, "config.json: rope scaling '%s' has no form in GGUF that forja writes",
                       type);
    fj_gguf_set_text(x->w, name_of(x, "rope.scaling.type", name), type, strlen(type));
    fj_gguf_set_f32(x->w, name_of(x, "rope.scaling.factor", name),
                    (float)fj_json_real(fj_json_get(x->rope, "factor"), 1));
    return FJ_OK;
}

/* One id or several: GGUF has the end of a text, of a turn and of a message. */
static void set_ids(fj_gguf_writer *w, const char *const *keys, size_t n, const fj_json *v)
{
    for (size_t i = 0; i < n; i++) {
        int64_t id = fj_json_int(fj_json_is_array(v) ? fj_json_at(v, i) : i ? NULL : v, -1);
        if (id >= 0 && id <= UINT32_MAX)
            fj_gguf_set_u32(w, keys[i], (uint32_t)id);
    }
}

static void set_all_ids(const written *x)
{
    static const char *const bos[] = { "tokenizer.ggml.bos_token_id" }, *const pad[] = {
        "tokenizer.ggml.padding_token_id"
    };
    static const char *const eos[] = { "tokenizer.ggml.eos_token_id", "tokenizer.ggml.eot_token_id",
                                       "tokenizer.ggml.eom_token_id" };
    set_ids(x->w, bos, FJ_LEN(bos), fj_json_get(x->config, "bos_token_id"));
    set_ids(x->w, eos, FJ_LEN(eos), fj_json_get(x->config, "eos_token_id"));
    set_ids(x->w, pad, FJ_LEN(pad), fj_json_get(x->config, "pad_token_id"));
}

/* Of a model that classifies. */
static void set_labels(const written *x)
{
    char name[MOST_NAME], number[16];
    fj_text labels[MOST_TYPES];
    size_t n = 0;
    const fj_json *names = fj_json_get(x->config, "id2label");
    const char *class = fj_json_string(fj_json_at(fj_json_get(x->config, "architectures"), 0), "");
    if (!strstr(class, "ForSequenceClassification"))
        return;
    for (; n < MOST_TYPES; n++) {
        (void)snprintf(number, sizeof number, "%zu", n);
        labels[n] = fj_json_text(fj_json_get(names, number));
        if (!labels[n].data)
            break;
    }
    if (n)
        fj_gguf_set_texts(x->w, name_of(x, "classifier.output_labels", name), labels, n);
}

static void set_general(const written *x)
{
    const char *name = fj_json_string(fj_json_get(x->config, "_name_or_path"), "");
    fj_gguf_set_text(x->w, "general.architecture", x->arch->name, strlen(x->arch->name));
    fj_gguf_set_text(x->w, "general.type", "model", 5);
    if (x->arch->keeps_type) {
        const char *type = fj_json_string(fj_json_get(x->config, "model_type"), "");
        fj_gguf_set_text(x->w, "forja.exact.model_type", type, strlen(type));
    }
    if (strrchr(name, '/'))
        name = strrchr(name, '/') + 1;
    if (*name)
        fj_gguf_set_text(x->w, "general.name", name, strlen(name));
}

static fj_status set_arch(const written *x, fj_err *err)
{
    fj_status st = set_keys(x, x->arch->sizes, err);
    if (!st)
        st = set_number(x, "vocab_size", "vocab_size", fj_json_real(fj_json_get(x->config, "vocab_size"), 0), err);
    if (!st)
        st = set_keys(x, x->arch->own, err);
    if (!st && !x->arch->has_no_rope)
        st = set_heads(x, err);
    if (!st && !x->arch->has_no_rope)
        st = set_rope(x, err);
    if (!st && x->arch->write)
        st = x->arch->write(x->w, x->config, err);
    set_labels(x);
    return st;
}

static fj_status set_whole(const written *x, fj_err *err)
{
    char name[MOST_NAME];
    fj_str text = { 0 };
    bool ok = fj_json_write(x->config, 0, 17, &text);
    if (ok)
        fj_gguf_set_text(x->w, name_of(x, "config_json", name), text.data, text.len);
    fj_str_free(&text);
    return ok ? FJ_OK : fj_fail(err, FJ_ERR_MEMORY, "no memory for a configuration");
}

static const fj_gguf_arch *arch_of(const char *type, fj_err *err)
{
    const char *known[MOST_TYPES];
    size_t n = 0;
    for (const fj_gguf_arch *const *a = fj_gguf_archs; *a; a++)
        for (int i = 0; i < 4 && (*a)->model_types[i]; i++) {
            if (!strcmp(type, (*a)->model_types[i]))
                return *a;
            if (n < MOST_TYPES)
                known[n++] = (*a)->model_types[i];
        }
    const char *nearest = fj_nearest(type, known, n);
    (void)fj_fail(err, FJ_ERR_FORMAT, "model_type '%s' has no GGUF architecture that forja writes", type);
    if (nearest)
        (void)fj_hint(err, "the nearest known is '%s'", nearest);
    return NULL;
}

fj_status fj_gguf_set_config(fj_gguf_writer *w, const fj_json *config, fj_err *err)
{
    written x = { .w = w, .config = config, .rope = fj_json_find(config, "rope_parameters|rope_scaling") };
    const fj_json *full = fj_json_get(x.rope, "full_attention");
    x.rope = full ? full : x.rope;
    x.arch = arch_of(fj_json_string(fj_json_get(config, "model_type"), ""), err);
    if (!x.arch)
        return err->status;
    set_general(&x);
    fj_status st = x.arch->holds_config ? set_whole(&x, err) : set_arch(&x, err);
    if (!st)
        set_all_ids(&x);
    return st;
}
