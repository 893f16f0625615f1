/* SPDX-License-Identifier: Apache-2.0
 * Between GGUF's keys and config.json's, both ways, for the architectures that forja knows. Source: llama.cpp, convert_hf_to_gguf.py
 * (LlamaModel) and gguf-py's constants.py for the keys; transformers' LlamaConfig for what an absent key means. */
#include <stdio.h>
#include <string.h>

#include "formats/gguf_internal.h"

typedef enum kind { INT, LAYERS, REAL } kind; /* LAYERS: a number, or one a layer */

typedef struct key {
    const char *gguf; /* behind "llama." */
    const char *hf;
    kind kind;
    double fallback; /* when config.json has none; 0: it must be there */
} key;

#define WINDOW "attention.sliding_window"

static const key llama_keys[] = {
    { "block_count", "num_hidden_layers", INT },
    { "context_length", "max_position_embeddings", INT, 2048 },
    { "embedding_length", "hidden_size", INT },
    { "feed_forward_length", "intermediate_size", LAYERS },
    { "attention.head_count", "num_attention_heads", LAYERS },
    { "attention.head_count_kv", "num_key_value_heads", LAYERS },
    { "attention.layer_norm_rms_epsilon", "rms_norm_eps", REAL, 1e-6 },
    { "rope.freq_base", "rope_theta", REAL, 10000 },
};

/* ---- reading --------------------------------------------------------------------------------------------------------------------- */

static const fj_gguf_value *llama_value(const fj_source *s, const char *name)
{
    char text[128];
    (void)snprintf(text, sizeof text, "llama.%s", name);
    return fj_gguf_find(s, text);
}

/* An f32 of the file as the shortest decimal that gives it back: 1e-5 rather than 9.99999975e-06. */
static double plain(double value)
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

static fj_status read_key(const fj_source *s, const key *k, fj_json *config, fj_err *err)
{
    const fj_gguf_value *v = llama_value(s, k->gguf);
    double number = 0;
    if (!v)
        return FJ_OK;
    bool is_array = v->kind == FJ_GGUF_ARRAY;
    if (v->kind == FJ_GGUF_STRING || (is_array && k->kind != LAYERS) ||
        (k->kind != REAL && (is_array ? v->element == FJ_GGUF_F32 || v->element == FJ_GGUF_F64 : is_real(v))))
        return fj_fail(err, FJ_ERR_FORMAT, "%s: 'llama.%s' is no %s", s->path, k->gguf,
                       k->kind == REAL ? "number" : "whole number");
    fj_status st = is_array ? same_in_all_layers(s, v, &number, err) : FJ_OK;
    if (st)
        return st;
    fj_json *value = k->kind == REAL ? fj_json_new_real(plain(fj_gguf_real(v, 0)))
                     : is_array      ? fj_json_new_int(number > -1e15 && number < 1e15 ? (int64_t)number : -1)
                                     : fj_json_new_int(fj_gguf_int(v, -1));
    return fj_json_set(config, k->hf, value) ? FJ_OK : fj_fail(err, FJ_ERR_MEMORY, "%s: no memory", s->path);
}

static bool set_real(fj_json *object, const char *name, const fj_gguf_value *v)
{
    return !v || fj_json_set(object, name, fj_json_new_real(plain(fj_gguf_real(v, 0))));
}

/* llama3's scaling is no key but the tensor rope_freqs.weight. */
static bool add_rope(const fj_source *s, fj_json *config)
{
    fj_text type = fj_gguf_text(llama_value(s, "rope.scaling.type"));
    const fj_gguf_value *factor = llama_value(s, "rope.scaling.factor"),
                        *original = llama_value(s, "rope.scaling.original_context_length");
    if (!factor)
        factor = llama_value(s, "rope.scale_linear"); /* of 2023 */
    if (!type.len && factor && fj_gguf_real(factor, 1) != 1)
        type = fj_text_of("linear");
    if (!type.len || fj_text_is(type, "none"))
        return true;
    fj_json *scaling = fj_json_new_object();
    bool ok = fj_json_set(scaling, "rope_type", fj_json_new_text(type.data, type.len)) &&
              set_real(scaling, "factor", factor) &&
              set_real(scaling, "attention_factor", llama_value(s, "rope.scaling.attn_factor")) &&
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
    return fj_gguf_int(llama_value(s, "vocab_size"), -1);
}

static fj_status add_heads(const fj_source *s, fj_json *config, fj_err *err)
{
    int64_t rotated = fj_gguf_int(llama_value(s, "rope.dimension_count"), 0);
    int64_t d = fj_gguf_int(llama_value(s, "attention.key_length"), rotated);
    int64_t d_value = fj_gguf_int(llama_value(s, "attention.value_length"), d);
    if (d_value != d)
        return fj_fail(err, FJ_ERR_FORMAT, "%s: keys of %lld values and values of %lld; llama has one length", s->path,
                       (long long)d, (long long)d_value);
    if (rotated && rotated != d)
        return fj_fail(err, FJ_ERR_FORMAT, "%s: rope turns %lld of a head's %lld values; llama turns all", s->path,
                       (long long)rotated, (long long)d);
    if (d && !fj_json_set(config, "head_dim", fj_json_new_int(d)))
        return fj_fail(err, FJ_ERR_MEMORY, "%s: no memory", s->path);
    return FJ_OK;
}

static bool add_id(const fj_source *s, fj_json *config, const char *gguf, const char *hf)
{
    int64_t id = fj_gguf_int(fj_gguf_find(s, gguf), -1);
    return id < 0 || fj_json_set(config, hf, fj_json_new_int(id));
}

/* A mixture of experts has the same architecture's name; so has mistral, which llama.cpp runs without its window. The key for the
 * window is of other architectures there: files that forja writes have it, so that they answer as the folder they were made from. */
static bool add_class(const fj_source *s, fj_json *config)
{
    int64_t experts = fj_gguf_int(llama_value(s, "expert_count"), 0),
            used = fj_gguf_int(llama_value(s, "expert_used_count"), 0), window = fj_gguf_int(llama_value(s, WINDOW), 0);
    const char *type = experts > 0 ? "mixtral"
                       : window    ? "mistral"
                                   : "llama",
               *name = experts > 0 ? "MixtralForCausalLM"
                       : window    ? "MistralForCausalLM"
                                   : "LlamaForCausalLM";
    fj_json *classes = fj_json_new_array();
    bool ok = fj_json_add(classes, fj_json_new_text(name, strlen(name)));
    ok = fj_json_set(config, "architectures", classes) && ok;
    ok = ok && fj_json_set(config, "model_type", fj_json_new_text(type, strlen(type)));
    ok = ok && (!window || fj_json_set(config, "sliding_window", fj_json_new_int(window)));
    if (experts > 0)
        ok = ok && fj_json_set(config, "num_local_experts", fj_json_new_int(experts)) &&
             fj_json_set(config, "num_experts_per_tok", fj_json_new_int(used));
    return ok;
}

static fj_status read_llama(const fj_source *s, fj_json *config, fj_err *err)
{
    int64_t vocab = vocab_size(s);
    bool ok = add_class(s, config);
    fj_status st = FJ_OK;
    for (size_t i = 0; !st && i < FJ_LEN(llama_keys); i++)
        st = read_key(s, &llama_keys[i], config, err);
    if (!st)
        st = add_heads(s, config, err);
    if (st)
        return st;
    ok = ok && (vocab < 0 || fj_json_set(config, "vocab_size", fj_json_new_int(vocab))) && add_rope(s, config) &&
         fj_json_set(config, "tie_word_embeddings", fj_json_new_bool(!s->find(s, "output.weight"))) &&
         fj_json_set(config, "attention_bias", fj_json_new_bool(s->find(s, "blk.0.attn_q.bias") != NULL)) &&
         fj_json_set(config, "mlp_bias", fj_json_new_bool(s->find(s, "blk.0.ffn_gate.bias") != NULL)) &&
         add_id(s, config, "tokenizer.ggml.bos_token_id", "bos_token_id") &&
         add_id(s, config, "tokenizer.ggml.eos_token_id", "eos_token_id") &&
         add_id(s, config, "tokenizer.ggml.padding_token_id", "pad_token_id");
    return ok ? FJ_OK : fj_fail(err, FJ_ERR_MEMORY, "%s: no memory for its configuration", s->path);
}

fj_status fj_gguf_read_config(const fj_source *s, fj_json **out, fj_err *err)
{
    fj_text arch = fj_gguf_text(fj_gguf_find(s, "general.architecture"));
    fj_json *config = fj_json_new_object();
    fj_status st = FJ_OK;
    if (!config || !fj_json_set(config, "gguf_arch", fj_json_new_text(arch.data, arch.len)))
        st = fj_fail(err, FJ_ERR_MEMORY, "%s: no memory for its configuration", s->path);
    if (!st && fj_text_is(arch, "llama"))
        st = read_llama(s, config, err);
    if (st) {
        fj_json_free(config);
        return st;
    }
    *out = config;
    return FJ_OK;
}

/* ---- writing --------------------------------------------------------------------------------------------------------------------- */

/* A value as config.json has it or means it when it does not: in its place, in rope_parameters, or by default. */
static double value_of(const fj_json *config, const fj_json *rope, const key *k)
{
    const fj_json *v = fj_json_get(config, k->hf);
    if (!fj_json_is_number(v))
        v = fj_json_get(rope, k->hf);
    if (!fj_json_is_number(v) && !strcmp(k->hf, "num_key_value_heads"))
        v = fj_json_get(config, "num_attention_heads");
    return fj_json_real(v, k->fallback);
}

static fj_status set_number(fj_gguf_writer *w, const char *gguf, const char *hf, double value, fj_err *err)
{
    char name[128];
    if (!(value >= 1 && value <= UINT32_MAX) || value != (double)(uint32_t)value)
        return fj_fail(err, FJ_ERR_FORMAT, "config.json: '%s' must be a whole number from 1, not %g", hf, value);
    (void)snprintf(name, sizeof name, "llama.%s", gguf);
    fj_gguf_set_u32(w, name, (uint32_t)value);
    return FJ_OK;
}

static fj_status set_keys(fj_gguf_writer *w, const fj_json *config, const fj_json *rope, fj_err *err)
{
    char name[128];
    for (size_t i = 0; i < FJ_LEN(llama_keys); i++) {
        const key *k = &llama_keys[i];
        double value = value_of(config, rope, k);
        if (k->kind != REAL) {
            fj_status st = set_number(w, k->gguf, k->hf, value, err);
            if (st)
                return st;
            continue;
        }
        if (!(value > 0))
            return fj_fail(err, FJ_ERR_FORMAT, "config.json: '%s' is %g", k->hf, value);
        (void)snprintf(name, sizeof name, "llama.%s", k->gguf);
        fj_gguf_set_f32(w, name, (float)value);
    }
    return set_number(w, "vocab_size", "vocab_size", fj_json_real(fj_json_get(config, "vocab_size"), 0), err);
}

static fj_status set_heads(fj_gguf_writer *w, const fj_json *config, fj_err *err)
{
    static const char *const names[] = { "attention.key_length", "attention.value_length", "rope.dimension_count" };
    int64_t heads = fj_json_int(fj_json_get(config, "num_attention_heads"), 1);
    double d = fj_json_real(fj_json_get(config, "head_dim"), 0);
    fj_status st = FJ_OK;
    if (d <= 0)
        d = (double)(fj_json_int(fj_json_get(config, "hidden_size"), 0) / FJ_MAX(heads, 1));
    for (size_t i = 0; !st && i < FJ_LEN(names); i++)
        st = set_number(w, names[i], "head_dim", d, err);
    return st;
}

static fj_status set_rope(fj_gguf_writer *w, const fj_json *rope, fj_err *err)
{
    const char *type = fj_json_string(fj_json_get(rope, "rope_type"),
                                      fj_json_string(fj_json_get(rope, "type"), "none"));
    if (!strcmp(type, "none") || !strcmp(type, "default") || !strcmp(type, "llama3"))
        return FJ_OK; /* the last is a tensor */
    if (strcmp(type, "linear"))
        return fj_fail(err, FJ_ERR_FORMAT, "config.json: rope scaling '%s' has no form in GGUF that forja writes",
                       type);
    fj_gguf_set_text(w, "llama.rope.scaling.type", type, strlen(type));
    fj_gguf_set_f32(w, "llama.rope.scaling.factor", (float)fj_json_real(fj_json_get(rope, "factor"), 1));
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

fj_status fj_gguf_set_config(fj_gguf_writer *w, const fj_json *config, fj_err *err)
{
    static const char *const bos[] = { "tokenizer.ggml.bos_token_id" }, *const pad[] = {
        "tokenizer.ggml.padding_token_id"
    };
    static const char *const eos[] = { "tokenizer.ggml.eos_token_id", "tokenizer.ggml.eot_token_id",
                                       "tokenizer.ggml.eom_token_id" };
    const char *type = fj_json_string(fj_json_get(config, "model_type"), "");
    const char *name = fj_json_string(fj_json_get(config, "_name_or_path"), "");
    const fj_json *rope = fj_json_get(config, "rope_parameters"), *window = fj_json_get(config, "sliding_window");
    if (strcmp(type, "llama") && strcmp(type, "mistral"))
        return fj_fail(err, FJ_ERR_FORMAT, "model_type '%s' has no GGUF architecture that forja writes", type);
    if (!fj_json_is_object(rope))
        rope = fj_json_get(config, "rope_scaling");
    fj_gguf_set_text(w, "general.architecture", "llama", 5);
    fj_gguf_set_text(w, "general.type", "model", 5);
    if (strrchr(name, '/'))
        name = strrchr(name, '/') + 1;
    if (*name)
        fj_gguf_set_text(w, "general.name", name, strlen(name));
    fj_status st = set_keys(w, config, rope, err);
    if (!st)
        st = set_heads(w, config, err);
    if (!st)
        st = set_rope(w, rope, err);
    if (!st && !strcmp(type, "mistral") && fj_json_real(window, window ? 0 : 4096) != 0)
        st = set_number(w, WINDOW, "sliding_window", fj_json_real(window, 4096), err);
    if (st)
        return st;
    set_ids(w, bos, FJ_LEN(bos), fj_json_get(config, "bos_token_id"));
    set_ids(w, eos, FJ_LEN(eos), fj_json_get(config, "eos_token_id"));
    set_ids(w, pad, FJ_LEN(pad), fj_json_get(config, "pad_token_id"));
    return FJ_OK;
}
