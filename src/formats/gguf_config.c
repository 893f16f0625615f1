/* SPDX-License-Identifier: Apache-2.0
 * Between GGUF's keys and config.json's, for the architectures that forja knows. Source: reference sheet of decoders, 0.2 and 0.3;
 * llama.cpp's converter. */
#include <stdio.h>
#include <string.h>

#include "formats/gguf_internal.h"

typedef enum kind { INT, REAL, TEXT } kind;

typedef struct key {
    const char *gguf; /* behind "llama." */
    const char *hf;
    kind kind;
} key;

static const key llama_keys[] = {
    { "block_count", "num_hidden_layers", INT },
    { "context_length", "max_position_embeddings", INT },
    { "embedding_length", "hidden_size", INT },
    { "feed_forward_length", "intermediate_size", INT },
    { "attention.head_count", "num_attention_heads", INT },
    { "attention.head_count_kv", "num_key_value_heads", INT },
    { "attention.layer_norm_rms_epsilon", "rms_norm_eps", REAL },
    { "rope.freq_base", "rope_theta", REAL },
};

static const fj_gguf_value *arch_value(const fj_source *s, const char *arch, const char *name)
{
    char text[128];
    (void)snprintf(text, sizeof text, "%s.%s", arch, name);
    return fj_gguf_find(s, text);
}

/* An f32 of the file as the shortest decimal that gives it back: 1e-5 rather than 9.99999975e-06. */
static double plain(double value)
{
    char text[32];
    double back = 0;
    (void)snprintf(text, sizeof text, "%.7g", value);
    if (fj_text_f64(fj_text_of(text), &back) && (float)back == (float)value)
        return back;
    return value;
}

static bool copy_keys(const fj_source *s, const char *arch, fj_json *config)
{
    bool ok = true;
    for (size_t i = 0; ok && i < FJ_LEN(llama_keys); i++) {
        const fj_gguf_value *v = arch_value(s, arch, llama_keys[i].gguf);
        if (!v)
            continue;
        if (v->kind == FJ_GGUF_ARRAY) { /* per layer: the same in all layers of this architecture */
            ok = fj_json_set(config, llama_keys[i].hf, fj_json_new_int((int64_t)fj_gguf_number_at(v, 0)));
            continue;
        }
        ok = fj_json_set(config, llama_keys[i].hf,
                         llama_keys[i].kind == INT ? fj_json_new_int(fj_gguf_int(v, -1))
                                                   : fj_json_new_real(plain(fj_gguf_real(v, 0))));
    }
    return ok;
}

static bool add_rope(const fj_source *s, const char *arch, fj_json *config)
{
    fj_text type = fj_gguf_text(arch_value(s, arch, "rope.scaling.type"));
    double factor = fj_gguf_real(arch_value(s, arch, "rope.scaling.factor"),
                                 fj_gguf_real(arch_value(s, arch, "rope.scale_linear"), 0));
    if (!type.len && factor > 0 && factor != 1)
        type = fj_text_of("linear");
    if (!type.len || fj_text_is(type, "none"))
        return true;
    fj_json *scaling = fj_json_new_object();
    return scaling && fj_json_set(scaling, "rope_type", fj_json_new_text(type.data, type.len)) &&
           fj_json_set(scaling, "factor", fj_json_new_real(plain(factor))) &&
           fj_json_set(config, "rope_scaling", scaling);
}

static int64_t vocab_size(const fj_source *s, const char *arch)
{
    const fj_tensor *t = s->find(s, "token_embd.weight");
    const fj_gguf_value *tokens = fj_gguf_find(s, "tokenizer.ggml.tokens");
    if (t && t->shape.rank == 2)
        return t->shape.dim[0];
    if (tokens && tokens->kind == FJ_GGUF_ARRAY)
        return (int64_t)tokens->count;
    return fj_gguf_int(arch_value(s, arch, "vocab_size"), -1);
}

static bool add_derived(const fj_source *s, const char *arch, fj_json *config)
{
    int64_t d = fj_gguf_int(arch_value(s, arch, "attention.key_length"),
                            fj_gguf_int(arch_value(s, arch, "rope.dimension_count"), 0));
    int64_t vocab = vocab_size(s, arch);
    static const char *const ids[] = { "bos", "eos" };
    bool ok = fj_json_set(config, "tie_word_embeddings", fj_json_new_bool(!s->find(s, "output.weight")));
    if (ok && d > 0)
        ok = fj_json_set(config, "head_dim", fj_json_new_int(d));
    if (ok && vocab > 0)
        ok = fj_json_set(config, "vocab_size", fj_json_new_int(vocab));
    for (size_t i = 0; ok && i < FJ_LEN(ids); i++) {
        char name[64];
        (void)snprintf(name, sizeof name, "tokenizer.ggml.%s_token_id", ids[i]);
        int64_t id = fj_gguf_int(fj_gguf_find(s, name), -1);
        (void)snprintf(name, sizeof name, "%s_token_id", ids[i]);
        ok = id < 0 || fj_json_set(config, name, fj_json_new_int(id));
    }
    return ok && fj_json_set(config, "attention_bias", fj_json_new_bool(s->find(s, "blk.0.attn_q.bias") != NULL)) &&
           fj_json_set(config, "mlp_bias", fj_json_new_bool(s->find(s, "blk.0.ffn_gate.bias") != NULL));
}

fj_status fj_gguf_read_config(const fj_source *s, fj_json **out, fj_err *err)
{
    fj_text arch = fj_gguf_text(fj_gguf_find(s, "general.architecture"));
    fj_json *config = fj_json_new_object();
    bool ok = config && fj_json_set(config, "gguf_arch", fj_json_new_text(arch.data, arch.len));
    if (ok && fj_text_is(arch, "llama")) {
        fj_json *classes = fj_json_new_array();
        ok = classes && fj_json_add(classes, fj_json_new_text("LlamaForCausalLM", 16)) &&
             fj_json_set(config, "architectures", classes) &&
             fj_json_set(config, "model_type", fj_json_new_text("llama", 5)) && copy_keys(s, "llama", config) &&
             add_rope(s, "llama", config) && add_derived(s, "llama", config);
    }
    if (!ok) {
        fj_json_free(config);
        return fj_fail(err, FJ_ERR_MEMORY, "%s: no memory for its configuration", s->path);
    }
    *out = config;
    return FJ_OK;
}

/* ---- writing --------------------------------------------------------------------------------------------------------------------- */

static bool has_arch_llama(const char *type)
{
    return !strcmp(type, "llama") || !strcmp(type, "mistral");
}

fj_status fj_gguf_set_config(fj_gguf_writer *w, const fj_json *config, fj_err *err)
{
    const char *type = fj_json_string(fj_json_get(config, "model_type"), "");
    char name[128];
    if (!has_arch_llama(type))
        return fj_fail(err, FJ_ERR_FORMAT, "model_type '%s' has no GGUF architecture that forja writes", type);
    fj_gguf_set_text(w, "general.architecture", "llama", 5);
    const fj_json *rope = fj_json_get(config, "rope_parameters");
    if (!fj_json_is_object(rope))
        rope = fj_json_get(config, "rope_scaling");
    for (size_t i = 0; i < FJ_LEN(llama_keys); i++) {
        const fj_json *v = fj_json_get(config, llama_keys[i].hf);
        if (!v && !strcmp(llama_keys[i].hf, "rope_theta"))
            v = fj_json_get(rope, "rope_theta");
        if (!v && !strcmp(llama_keys[i].hf, "num_key_value_heads"))
            v = fj_json_get(config, "num_attention_heads");
        if (!fj_json_is_number(v))
            continue;
        (void)snprintf(name, sizeof name, "llama.%s", llama_keys[i].gguf);
        if (llama_keys[i].kind == INT)
            fj_gguf_set_u32(w, name, (uint32_t)fj_json_int(v, 0));
        else
            fj_gguf_set_f32(w, name, (float)fj_json_real(v, 0));
    }
    int64_t heads = fj_json_int(fj_json_get(config, "num_attention_heads"), 0),
            d = fj_json_int(fj_json_get(config, "head_dim"), 0);
    if (d <= 0 && heads > 0)
        d = fj_json_int(fj_json_get(config, "hidden_size"), 0) / heads;
    fj_gguf_set_u32(w, "llama.attention.key_length", (uint32_t)d);
    fj_gguf_set_u32(w, "llama.attention.value_length", (uint32_t)d);
    fj_gguf_set_u32(w, "llama.rope.dimension_count", (uint32_t)d);
    fj_gguf_set_u32(w, "llama.vocab_size", (uint32_t)fj_json_int(fj_json_get(config, "vocab_size"), 0));
    const char *scaling = fj_json_string(fj_json_get(rope, "rope_type"), fj_json_string(fj_json_get(rope, "type"), ""));
    if (!strcmp(scaling, "linear")) {
        fj_gguf_set_text(w, "llama.rope.scaling.type", "linear", 6);
        fj_gguf_set_f32(w, "llama.rope.scaling.factor", (float)fj_json_real(fj_json_get(rope, "factor"), 1));
    }
    return FJ_OK;
}
