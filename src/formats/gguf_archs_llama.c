/* SPDX-License-Identifier: Apache-2.0
 * Architectures of llama's order: llama itself with mistral and mixtral, Command-R, Gemma, Nemotron, Phi, Qwen. */
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "formats/gguf_archs.h"

#define RMS_EPS  "attention.layer_norm_rms_epsilon"
#define NORM_EPS "attention.layer_norm_epsilon"
#define KV       "attention.head_count_kv"
#define WINDOW   "attention.sliding_window"
#define PATTERN  "attention.sliding_window_pattern"

/* clang-format off */
static const fj_gguf_key llama_sizes[] = {
    { "block_count", "num_hidden_layers", FJ_KEY_INT },
    { "context_length", "max_position_embeddings", FJ_KEY_INT, 2048 },
    { "embedding_length", "hidden_size", FJ_KEY_INT },
    { "feed_forward_length", "intermediate_size", FJ_KEY_LAYERS },
    { "attention.head_count", "num_attention_heads", FJ_KEY_LAYERS },
    { KV, "num_key_value_heads", FJ_KEY_LAYERS },
    { RMS_EPS, "rms_norm_eps", FJ_KEY_REAL, 1e-6 },
    { "rope.freq_base", "rope_theta", FJ_KEY_REAL, 10000 },
    { 0 },
};
static const fj_gguf_key layer_norm_sizes[] = {
    { "block_count", "num_hidden_layers", FJ_KEY_INT },
    { "context_length", "max_position_embeddings", FJ_KEY_INT, 2048 },
    { "embedding_length", "hidden_size", FJ_KEY_INT },
    { "feed_forward_length", "intermediate_size", FJ_KEY_INT },
    { "attention.head_count", "num_attention_heads", FJ_KEY_INT },
    { KV, "num_key_value_heads", FJ_KEY_INT },
    { NORM_EPS, "layer_norm_eps", FJ_KEY_REAL, 1e-5 },
    { "rope.freq_base", "rope_theta", FJ_KEY_REAL, 10000 },
    { 0 },
};
static const fj_gguf_key nemotron_sizes[] = {
    { "block_count", "num_hidden_layers", FJ_KEY_INT },
    { "context_length", "max_position_embeddings", FJ_KEY_INT, 4096 },
    { "embedding_length", "hidden_size", FJ_KEY_INT },
    { "feed_forward_length", "intermediate_size", FJ_KEY_INT },
    { "attention.head_count", "num_attention_heads", FJ_KEY_INT },
    { KV, "num_key_value_heads", FJ_KEY_INT },
    { NORM_EPS, "norm_eps|layer_norm_eps", FJ_KEY_REAL, 1e-5 },
    { "rope.freq_base", "rope_theta", FJ_KEY_REAL, 10000 },
    { 0 },
};
static const fj_gguf_key cohere_sizes[] = {
    { "block_count", "num_hidden_layers", FJ_KEY_INT },
    { "context_length", "model_max_length|max_position_embeddings", FJ_KEY_INT, 8192 },
    { "embedding_length", "hidden_size", FJ_KEY_INT },
    { "feed_forward_length", "intermediate_size", FJ_KEY_INT },
    { "attention.head_count", "num_attention_heads", FJ_KEY_INT },
    { KV, "num_key_value_heads", FJ_KEY_INT },
    { NORM_EPS, "layer_norm_eps", FJ_KEY_REAL, 1e-5 },
    { "rope.freq_base", "rope_theta", FJ_KEY_REAL, 10000 },
    { "logit_scale", "logit_scale", FJ_KEY_REAL, 0.0625 },
    { 0 },
};
static const fj_gguf_key experts[] = {
    { "expert_count", "num_local_experts|num_experts", FJ_KEY_INT, 0, FJ_KEY_OPTIONAL },
    { "expert_used_count", "num_experts_per_tok", FJ_KEY_INT, 0, FJ_KEY_OPTIONAL },
    { 0 },
};
static const fj_gguf_key phi3_own[] = {
    { WINDOW, "sliding_window", FJ_KEY_INT, 0, FJ_KEY_OPTIONAL },
    { "rope.scaling.original_context_length", "original_max_position_embeddings", FJ_KEY_INT, 0, FJ_KEY_OPTIONAL },
    { 0 },
};
static const fj_gguf_key gemma2_own[] = {
    { WINDOW, "sliding_window", FJ_KEY_INT, 4096 },
    { 0 },
};
static const fj_gguf_key gemma3_own[] = {
    { "rope.freq_base", "rope_theta|rope_parameters.full_attention.rope_theta", FJ_KEY_REAL, 1e6 },
    { WINDOW, "sliding_window", FJ_KEY_INT, 4096 },
    { "rope.freq_base_swa", "rope_local_base_freq|rope_parameters.sliding_attention.rope_theta", FJ_KEY_REAL, 10000 },
    { 0 },
};
static const fj_gguf_presence llama_parts[] = { { "blk.0.attn_q.bias", "attention_bias" }, { "blk.0.ffn_gate.bias", "mlp_bias" }, { 0 } };
static const fj_gguf_presence attn_bias[] = { { "blk.0.attn_q.bias", "attention_bias" }, { 0 } };
static const fj_gguf_presence nemotron_parts[] = { { "blk.0.attn_q.bias", "attention_bias" }, { "blk.0.ffn_up.bias", "mlp_bias" }, { 0 } };
static const fj_gguf_presence cohere_parts[] = { { "blk.0.attn_q.bias", "attention_bias" }, { "blk.0.attn_q_norm.weight", "use_qk_norm" }, { 0 } };
static const fj_gguf_presence phi_parts[] = { { "blk.0.attn_q_norm.weight", "qk_layernorm" }, { 0 } };
/* clang-format on */

/* The same architecture's name is of mistral, which llama.cpp runs without its window, and of mixtures of experts. The key for the
 * window is of other architectures there: files that forja writes have it, so that they answer as the folder they were made from. */
static fj_status read_llama(const fj_source *s, fj_json *config, fj_err *err)
{
    bool has_experts = fj_gguf_int(fj_gguf_arch_value(s, "expert_count"), 0) > 0;
    int64_t window = fj_gguf_int(fj_gguf_arch_value(s, WINDOW), 0);
    if (!has_experts && !window)
        return FJ_OK;
    const char *type = has_experts ? "mixtral" : "mistral",
               *class = has_experts ? "MixtralForCausalLM" : "MistralForCausalLM";
    fj_json *classes = fj_json_new_array();
    bool ok = fj_json_add(classes, fj_json_new_text(class, strlen(class)));
    ok = fj_json_set(config, "architectures", classes) && ok;
    ok = ok && fj_json_set(config, "model_type", fj_json_new_text(type, strlen(type))) &&
         fj_json_set(config, "sliding_window", window ? fj_json_new_int(window) : fj_json_new_null());
    return ok ? FJ_OK : fj_gguf_no_memory(err);
}

static fj_status write_llama(fj_gguf_writer *w, const fj_json *config, fj_err *err)
{
    const fj_json *window = fj_json_get(config, "sliding_window");
    bool is_mistral = !strcmp(fj_json_string(fj_json_get(config, "model_type"), ""), "mistral");
    double value = is_mistral ? fj_json_real(window, window ? 0 : 4096) : fj_json_real(window, 0);
    bool is_known = is_mistral || !strcmp(fj_json_string(fj_json_get(config, "model_type"), ""), "mixtral");
    if (!is_known || value == 0)
        return FJ_OK;
    if (!(value >= 1 && value <= UINT32_MAX) || value != (double)(uint32_t)value)
        return fj_fail(err, FJ_ERR_FORMAT, "config.json: 'sliding_window' must be a whole number from 1, not %g",
                       value);
    fj_gguf_set_arch_key(w, "llama", WINDOW, value, false);
    return FJ_OK;
}

/* A file does not say how scores are scaled: by the head's size, but by d_model / heads in the 27B models. */
static fj_status read_scalar(const fj_source *s, fj_json *config, int64_t layers_of_27b, fj_err *err)
{
    const fj_gguf_value *scale = fj_gguf_arch_value(s, "attention.scale");
    double scalar = (double)fj_gguf_config_int(config, "head_dim");
    if (fj_gguf_config_int(config, "num_hidden_layers") == layers_of_27b)
        scalar = (double)fj_gguf_config_int(config, "hidden_size") /
                 (double)fj_gguf_config_int(config, "num_attention_heads");
    if (scale)
        scalar = fj_gguf_plain(1 / pow(fj_gguf_real(scale, 1), 2));
    bool is_whole = scalar == floor(scalar) && fabs(scalar) < 1e9; /* transformers takes nothing else */
    fj_json *value = is_whole ? fj_json_new_int((int64_t)scalar) : fj_json_new_real(scalar);
    return fj_json_set(config, "query_pre_attn_scalar", value) ? FJ_OK : fj_gguf_no_memory(err);
}

static void write_scalar(fj_gguf_writer *w, const fj_json *config, const char *arch, int64_t layers_of_27b)
{
    double heads = (double)fj_gguf_config_int(config, "num_attention_heads"),
           d = fj_json_real(fj_json_find(config, "head_dim"), 256),
           scalar = fj_json_real(fj_json_find(config, "query_pre_attn_scalar"), 256);
    double usual = fj_gguf_config_int(config, "num_hidden_layers") == layers_of_27b
                       ? (double)fj_gguf_config_int(config, "hidden_size") / heads
                       : d;
    if (scalar != usual && scalar > 0)
        fj_gguf_set_arch_key(w, arch, "attention.scale", 1 / sqrt(scalar), true);
}

/* Which layers have the window, where that is not the architecture's own rule. */
static fj_status read_pattern(const fj_source *s, fj_json *config, fj_err *err)
{
    const fj_gguf_value *v = fj_gguf_arch_value(s, PATTERN);
    if (!v)
        return FJ_OK;
    if (v->kind != FJ_GGUF_ARRAY)
        return fj_json_set(config, "sliding_window_pattern", fj_json_new_int(fj_gguf_int(v, -1)))
                   ? FJ_OK
                   : fj_gguf_no_memory(err);
    fj_json *types = fj_json_new_array();
    bool ok = types != NULL;
    for (uint64_t i = 0; ok && v->element != FJ_GGUF_STRING && i < v->count && i < 65536; i++) {
        const char *type = fj_gguf_number_at(v, i) != 0 ? "sliding_attention" : "full_attention";
        ok = fj_json_add(types, fj_json_new_text(type, strlen(type)));
    }
    return fj_json_set(config, "layer_types", types) && ok ? FJ_OK : fj_gguf_no_memory(err);
}

static void write_pattern(fj_gguf_writer *w, const fj_json *config, const char *arch, int64_t usual)
{
    enum { MOST = 4096 };
    int32_t list[MOST];
    char key[128];
    const fj_json *types = fj_json_find(config, "layer_types");
    int64_t n = (int64_t)fj_json_len(types),
            period = fj_json_int(fj_json_find(config, "sliding_window_pattern|_sliding_window_pattern"), usual);
    if (!types && period != usual)
        fj_gguf_set_arch_key(w, arch, PATTERN, (double)period, false);
    bool is_usual = true;
    for (int64_t i = 0; i < n && i < MOST; i++) {
        list[i] = !strcmp(fj_json_string(fj_json_at(types, (size_t)i), ""), "sliding_attention");
        is_usual = is_usual && list[i] == ((i + 1) % usual != 0);
    }
    (void)snprintf(key, sizeof key, "%s.%s", arch, PATTERN);
    if (!is_usual && n <= MOST)
        fj_gguf_set_i32s(w, key, list, (size_t)n);
}

/* A cap that config.json sets to null is 0 in a file, and one that a file does not have is the architecture's. */
static fj_status read_caps(const fj_source *s, fj_json *config, fj_err *err)
{
    static const struct {
        const char *name;
        double usual;
    } caps[] = { { "attn_logit_softcapping", 50 }, { "final_logit_softcapping", 30 } };
    for (size_t i = 0; i < FJ_LEN(caps); i++) {
        double value = fj_gguf_plain(fj_gguf_real(fj_gguf_arch_value(s, caps[i].name), caps[i].usual));
        if (!fj_json_set(config, caps[i].name, value == 0 ? fj_json_new_null() : fj_json_new_real(value)))
            return fj_gguf_no_memory(err);
    }
    return FJ_OK;
}

static fj_status read_gemma2(const fj_source *s, fj_json *config, fj_err *err)
{
    fj_status st = read_caps(s, config, err);
    if (!st)
        st = read_pattern(s, config, err);
    return st ? st : read_scalar(s, config, 46, err);
}

static fj_status write_gemma2(fj_gguf_writer *w, const fj_json *config, fj_err *err)
{
    (void)err;
    const fj_json *attn = fj_json_get(config, "attn_logit_softcapping"),
                  *final = fj_json_get(config, "final_logit_softcapping");
    fj_gguf_set_arch_key(w, "gemma2", "attn_logit_softcapping", fj_json_real(attn, attn ? 0 : 50), true);
    fj_gguf_set_arch_key(w, "gemma2", "final_logit_softcapping", fj_json_real(final, final ? 0 : 30), true);
    write_pattern(w, config, "gemma2", 2);
    write_scalar(w, config, "gemma2", 46);
    return FJ_OK;
}

static fj_status read_gemma3(const fj_source *s, fj_json *config, fj_err *err)
{
    fj_status st = read_pattern(s, config, err);
    if (!st && !fj_json_get(config, "rope_theta") && !fj_json_set(config, "rope_theta", fj_json_new_real(1e6)))
        st = fj_gguf_no_memory(err);
    return st ? st : read_scalar(s, config, 62, err);
}

static fj_status write_gemma3(fj_gguf_writer *w, const fj_json *config, fj_err *err)
{
    (void)err;
    write_pattern(w, config, "gemma3", 6);
    write_scalar(w, config, "gemma3", 62);
    return FJ_OK;
}

/* The factors of longrope are tensors. */
static fj_json *numbers_of(const fj_source *s, const char *name)
{
    const fj_tensor *t = s->find(s, name);
    fj_json *list = fj_json_new_array();
    bool ok = list && t && t->dtype == &fj_f32 && t->shape.rank == 1;
    for (int64_t i = 0; ok && i < t->shape.dim[0]; i++) {
        float x;
        memcpy(&x, (const char *)t->data + (size_t)i * sizeof x, sizeof x);
        ok = fj_json_add(list, fj_json_new_real(fj_gguf_plain(x)));
    }
    if (ok)
        return list;
    fj_json_free(list);
    return NULL;
}

static fj_status read_phi3(const fj_source *s, fj_json *config, fj_err *err)
{
    if (!s->find(s, "rope_factors_long.weight"))
        return FJ_OK;
    fj_json *rope = fj_json_new_object(), *far = numbers_of(s, "rope_factors_long.weight"),
            *near = numbers_of(s, "rope_factors_short.weight");
    const fj_gguf_value *factor = fj_gguf_arch_value(s, "rope.scaling.attn_factor");
    bool is_whole = far && near;
    bool ok = fj_json_set(rope, "type", fj_json_new_text("longrope", 8));
    ok = fj_json_set(rope, "short_factor", near) && ok;
    ok = fj_json_set(rope, "long_factor", far) && ok;
    if (factor)
        ok = ok && fj_json_set(rope, "attention_factor", fj_json_new_real(fj_gguf_plain(fj_gguf_real(factor, 1))));
    ok = fj_json_set(config, "rope_scaling", rope) && ok;
    if (!is_whole)
        return fj_fail(err, FJ_ERR_FORMAT, "%s: 'rope_factors_long' and 'rope_factors_short' must be f32 vectors",
                       s->path);
    return ok ? FJ_OK : fj_gguf_no_memory(err);
}

static fj_status write_phi3(fj_gguf_writer *w, const fj_json *config, fj_err *err)
{
    (void)err;
    const fj_json *rope = fj_json_find(config, "rope_parameters|rope_scaling");
    double original = fj_json_real(
               fj_json_find(config, "rope_scaling.original_max_position_embeddings|original_max_position_embeddings"),
               0),
           times = (double)fj_gguf_config_int(config, "max_position_embeddings") / original;
    if (!fj_json_get(rope, "long_factor") || !(original > 1))
        return FJ_OK;
    double usual = times > 1 ? sqrt(1 + log(times) / log(original)) : 1;
    fj_gguf_set_arch_key(w, "phi3", "rope.scaling.attn_factor",
                         fj_json_real(fj_json_get(rope, "attention_factor"), usual), true);
    return FJ_OK;
}

/* No known file of Qwen has its window switched on; forja writes one that has so that it answers as its folder. */
static fj_status read_qwen(const fj_source *s, fj_json *config, fj_err *err)
{
    int64_t window = fj_gguf_int(fj_gguf_arch_value(s, WINDOW), 0);
    if (!window)
        return FJ_OK;
    if (!fj_json_set(config, "use_sliding_window", fj_json_new_bool(true)) ||
        !fj_json_set(config, "sliding_window", fj_json_new_int(window)))
        return fj_gguf_no_memory(err);
    return read_pattern(s, config, err);
}

static fj_status write_qwen(fj_gguf_writer *w, const fj_json *config, const char *arch, fj_err *err)
{
    enum { MOST = 4096 };
    int32_t list[MOST];
    char key[128];
    const fj_json *types = fj_json_find(config, "layer_types"), *window = fj_json_get(config, "sliding_window");
    int64_t n = fj_gguf_config_int(config, "num_hidden_layers"),
            full = fj_json_int(fj_json_find(config, "max_window_layers"), 28),
            value = fj_json_int(window, window ? 0 : 4096);
    if (!fj_json_bool(fj_json_get(config, "use_sliding_window"), false) || value < 1)
        return FJ_OK;
    if (n > MOST || value > UINT32_MAX)
        return fj_fail(err, FJ_ERR_FORMAT, "config.json: a window of %lld in %lld layers", (long long)value,
                       (long long)n);
    for (int64_t i = 0; i < n; i++)
        list[i] = types ? !strcmp(fj_json_string(fj_json_at(types, (size_t)i), ""), "sliding_attention") : i >= full;
    (void)snprintf(key, sizeof key, "%s.%s", arch, PATTERN);
    fj_gguf_set_arch_key(w, arch, WINDOW, (double)value, false);
    fj_gguf_set_i32s(w, key, list, (size_t)n);
    return FJ_OK;
}

static fj_status write_qwen2(fj_gguf_writer *w, const fj_json *config, fj_err *err)
{
    return write_qwen(w, config, "qwen2", err);
}

static fj_status write_qwen3(fj_gguf_writer *w, const fj_json *config, fj_err *err)
{
    return write_qwen(w, config, "qwen3", err);
}

const fj_gguf_arch fj_gguf_arch_command_r = {
    .name = "command-r",
    .model_types = { "cohere" },
    .class = "CohereForCausalLM",
    .sizes = cohere_sizes,
    .presences = cohere_parts,
    .d_head = "head_dim",
};

const fj_gguf_arch fj_gguf_arch_gemma = {
    .name = "gemma",
    .model_types = { "gemma" },
    .class = "GemmaForCausalLM",
    .sizes = llama_sizes,
    .presences = attn_bias,
    .d_head = "head_dim",
    .d_head_is = 256,
};

const fj_gguf_arch fj_gguf_arch_gemma2 = {
    .name = "gemma2",
    .model_types = { "gemma2" },
    .class = "Gemma2ForCausalLM",
    .sizes = llama_sizes,
    .own = gemma2_own,
    .presences = attn_bias,
    .d_head = "head_dim",
    .d_head_is = 256,
    .read = read_gemma2,
    .write = write_gemma2,
};

const fj_gguf_arch fj_gguf_arch_gemma3 = {
    .name = "gemma3",
    .model_types = { "gemma3_text" },
    .class = "Gemma3ForCausalLM",
    .sizes = llama_sizes,
    .own = gemma3_own,
    .presences = attn_bias,
    .d_head = "head_dim",
    .d_head_is = 256,
    .read = read_gemma3,
    .write = write_gemma3,
};

const fj_gguf_arch fj_gguf_arch_llama = {
    .name = "llama",
    .model_types = { "llama", "mistral", "mixtral" },
    .class = "LlamaForCausalLM",
    .sizes = llama_sizes,
    .own = experts,
    .presences = llama_parts,
    .d_head = "head_dim",
    .read = read_llama,
    .write = write_llama,
};

const fj_gguf_arch fj_gguf_arch_nemotron = {
    .name = "nemotron",
    .model_types = { "nemotron" },
    .class = "NemotronForCausalLM",
    .sizes = nemotron_sizes,
    .presences = nemotron_parts,
    .d_head = "head_dim",
    .partial = "partial_rotary_factor",
    .partial_is = 0.5,
};

const fj_gguf_arch fj_gguf_arch_phi2 = {
    .name = "phi2",
    .model_types = { "phi" },
    .class = "PhiForCausalLM",
    .sizes = layer_norm_sizes,
    .presences = phi_parts,
    .partial = "partial_rotary_factor",
    .partial_is = 0.5,
};

const fj_gguf_arch fj_gguf_arch_phi3 = {
    .name = "phi3",
    .model_types = { "phi3" },
    .class = "Phi3ForCausalLM",
    .sizes = llama_sizes,
    .own = phi3_own,
    .partial = "partial_rotary_factor",
    .partial_is = 1,
    .read = read_phi3,
    .write = write_phi3,
};

const fj_gguf_arch fj_gguf_arch_qwen2 = {
    .name = "qwen2",
    .model_types = { "qwen2" },
    .class = "Qwen2ForCausalLM",
    .sizes = llama_sizes,
    .d_head = "head_dim",
    .read = read_qwen,
    .write = write_qwen2,
};

const fj_gguf_arch fj_gguf_arch_qwen3 = {
    .name = "qwen3",
    .model_types = { "qwen3" },
    .class = "Qwen3ForCausalLM",
    .sizes = llama_sizes,
    .presences = attn_bias,
    .d_head = "head_dim",
    .d_head_is = 128,
    .read = read_qwen,
    .write = write_qwen3,
};
