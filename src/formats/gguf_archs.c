/* SPDX-License-Identifier: Apache-2.0
 * The architectures that forja reads and writes. Source: llama.cpp, convert_hf_to_gguf.py, gguf-py's constants.py, and llama-model.cpp
 * for what a file does not say; transformers' configuration classes for what an absent key means. */
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "formats/gguf_archs.h"

#define RMS_EPS  "attention.layer_norm_rms_epsilon"
#define NORM_EPS "attention.layer_norm_epsilon"
#define WINDOW   "attention.sliding_window"
#define PATTERN  "attention.sliding_window_pattern"
#define KV       "attention.head_count_kv"

/* ---- keys -------------------------------------------------------------------------------------------------------------------- */

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
static const fj_gguf_key neox_sizes[] = {
    { "block_count", "num_hidden_layers", FJ_KEY_INT },
    { "context_length", "max_position_embeddings", FJ_KEY_INT, 2048 },
    { "embedding_length", "hidden_size", FJ_KEY_INT },
    { "feed_forward_length", "intermediate_size", FJ_KEY_INT },
    { "attention.head_count", "num_attention_heads", FJ_KEY_INT },
    { NORM_EPS, "layer_norm_eps", FJ_KEY_REAL, 1e-5 },
    { "rope.freq_base", "rotary_emb_base|rope_theta", FJ_KEY_REAL, 10000 },
    { "use_parallel_residual", "use_parallel_residual", FJ_KEY_BOOL, 1 },
    { 0 },
};
static const fj_gguf_key falcon_sizes[] = {
    { "block_count", "num_hidden_layers|n_layer", FJ_KEY_INT },
    { "context_length", "max_position_embeddings", FJ_KEY_INT, 2048 },
    { "embedding_length", "hidden_size", FJ_KEY_INT },
    { "attention.head_count", "num_attention_heads|n_head", FJ_KEY_INT },
    { NORM_EPS, "layer_norm_epsilon", FJ_KEY_REAL, 1e-5 },
    { "rope.freq_base", "rope_theta", FJ_KEY_REAL, 10000 },
    { 0 },
};
static const fj_gguf_key bloom_sizes[] = {
    { "block_count", "n_layer|num_hidden_layers", FJ_KEY_INT },
    { "context_length", "seq_length", FJ_KEY_INT, 2048 },
    { "embedding_length", "hidden_size|n_embed", FJ_KEY_INT },
    { "attention.head_count", "n_head|num_attention_heads", FJ_KEY_INT },
    { KV, "n_head|num_attention_heads", FJ_KEY_INT },
    { NORM_EPS, "layer_norm_epsilon", FJ_KEY_REAL, 1e-5 },
    { 0 },
};
static const fj_gguf_key gpt2_sizes[] = {
    { "block_count", "n_layer|num_hidden_layers", FJ_KEY_INT },
    { "context_length", "n_positions|max_position_embeddings|n_ctx", FJ_KEY_INT, 2048 },
    { "embedding_length", "n_embd|hidden_size", FJ_KEY_INT },
    { "attention.head_count", "n_head|num_attention_heads", FJ_KEY_INT },
    { NORM_EPS, "layer_norm_epsilon", FJ_KEY_REAL, 1e-5 },
    { 0 },
};
static const fj_gguf_key mpt_sizes[] = {
    { "block_count", "n_layers|num_hidden_layers", FJ_KEY_INT },
    { "context_length", "max_seq_len", FJ_KEY_INT, 2048 },
    { "embedding_length", "d_model|hidden_size", FJ_KEY_INT },
    { "attention.head_count", "n_heads|num_attention_heads", FJ_KEY_INT },
    { NORM_EPS, "layer_norm_epsilon", FJ_KEY_REAL, 1e-5 },
    { "attention.clamp_kqv", "attn_config.clip_qkv", FJ_KEY_REAL, 0, FJ_KEY_OPTIONAL },
    { "attention.scale", "attn_config.softmax_scale", FJ_KEY_REAL, 0, FJ_KEY_OPTIONAL },
    { 0 },
};
static const fj_gguf_key experts[] = {
    { "expert_count", "num_local_experts|num_experts", FJ_KEY_INT, 0, FJ_KEY_OPTIONAL },
    { "expert_used_count", "num_experts_per_tok", FJ_KEY_INT, 0, FJ_KEY_OPTIONAL },
    { 0 },
};
static const fj_gguf_key dbrx_sizes[] = {
    { "block_count", "n_layers|num_hidden_layers", FJ_KEY_INT },
    { "context_length", "max_seq_len|max_position_embeddings", FJ_KEY_INT, 2048 },
    { "embedding_length", "d_model|hidden_size", FJ_KEY_INT },
    { "feed_forward_length", "ffn_config.ffn_hidden_size", FJ_KEY_INT },
    { "attention.head_count", "n_heads|num_attention_heads", FJ_KEY_INT },
    { KV, "attn_config.kv_n_heads", FJ_KEY_INT },
    { "rope.freq_base", "attn_config.rope_theta|rope_theta", FJ_KEY_REAL, 10000 },
    { "attention.clamp_kqv", "attn_config.clip_qkv", FJ_KEY_REAL, 0, FJ_KEY_OPTIONAL },
    { "expert_count", "ffn_config.moe_num_experts", FJ_KEY_INT },
    { "expert_used_count", "ffn_config.moe_top_k", FJ_KEY_INT },
    { NORM_EPS, "norm_eps", FJ_KEY_REAL, 1e-5 },
    { 0 },
};
static const fj_gguf_key grok_own[] = {
    { RMS_EPS, "rms_norm_eps", FJ_KEY_REAL, 1e-5 },
    { "expert_count", "num_local_experts|num_experts", FJ_KEY_INT },
    { "expert_used_count", "num_experts_per_tok", FJ_KEY_INT },
    { "attn_logit_softcapping", "max_attn_value", FJ_KEY_REAL, 30 },
    { "attention.output_scale", "attn_output_multiplier", FJ_KEY_REAL, 0.08838834764831845 },
    { "embedding_scale", "embedding_multiplier_scale", FJ_KEY_REAL, 78.38367176906169 },
    { "logit_scale", "output_multiplier_scale", FJ_KEY_REAL, 0.5773502691896257 },
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
static const fj_gguf_presence neox_parts[] = { { "blk.0.attn_qkv.bias", "attention_bias" }, { 0 } };
static const fj_gguf_presence falcon_parts[] = {
    { "blk.0.attn_output.bias", "bias" }, { 0 },
};
/* clang-format on */

/* ---- what is special ----------------------------------------------------------------------------------------------------------- */

static fj_status no_memory(fj_err *err)
{
    return fj_fail(err, FJ_ERR_MEMORY, "no memory for a configuration");
}

static void set_key(fj_gguf_writer *w, const char *arch, const char *name, double value, bool is_real)
{
    char key[128];
    (void)snprintf(key, sizeof key, "%s.%s", arch, name);
    if (is_real)
        fj_gguf_set_f32(w, key, (float)value);
    else
        fj_gguf_set_u32(w, key, (uint32_t)value);
}

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
    return ok ? FJ_OK : no_memory(err);
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
    set_key(w, "llama", WINDOW, value, false);
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
    return fj_json_set(config, "query_pre_attn_scalar", fj_json_new_real(scalar)) ? FJ_OK : no_memory(err);
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
        set_key(w, arch, "attention.scale", 1 / sqrt(scalar), true);
}

/* Which layers have the window, where that is not the architecture's own rule. */
static fj_status read_pattern(const fj_source *s, fj_json *config, fj_err *err)
{
    const fj_gguf_value *v = fj_gguf_arch_value(s, PATTERN);
    if (!v)
        return FJ_OK;
    if (v->kind != FJ_GGUF_ARRAY)
        return fj_json_set(config, "sliding_window_pattern", fj_json_new_int(fj_gguf_int(v, -1))) ? FJ_OK
                                                                                                  : no_memory(err);
    fj_json *types = fj_json_new_array();
    bool ok = types != NULL;
    for (uint64_t i = 0; ok && v->element != FJ_GGUF_STRING && i < v->count && i < 65536; i++) {
        const char *type = fj_gguf_number_at(v, i) != 0 ? "sliding_attention" : "full_attention";
        ok = fj_json_add(types, fj_json_new_text(type, strlen(type)));
    }
    return fj_json_set(config, "layer_types", types) && ok ? FJ_OK : no_memory(err);
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
        set_key(w, arch, PATTERN, (double)period, false);
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
            return no_memory(err);
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
    set_key(w, "gemma2", "attn_logit_softcapping", fj_json_real(attn, attn ? 0 : 50), true);
    set_key(w, "gemma2", "final_logit_softcapping", fj_json_real(final, final ? 0 : 30), true);
    write_pattern(w, config, "gemma2", 2);
    write_scalar(w, config, "gemma2", 46);
    return FJ_OK;
}

static fj_status read_gemma3(const fj_source *s, fj_json *config, fj_err *err)
{
    fj_status st = read_pattern(s, config, err);
    if (!st && !fj_json_get(config, "rope_theta") && !fj_json_set(config, "rope_theta", fj_json_new_real(1e6)))
        st = no_memory(err);
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
    return ok ? FJ_OK : no_memory(err);
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
    set_key(w, "phi3", "rope.scaling.attn_factor", fj_json_real(fj_json_get(rope, "attention_factor"), usual), true);
    return FJ_OK;
}

/* The number of key heads says of which kind a falcon is; forja alone writes RW, with a norm before the MLP and alibi. */
static fj_status read_falcon(const fj_source *s, fj_json *config, fj_err *err)
{
    int64_t heads = fj_gguf_int(fj_gguf_arch_value(s, "attention.head_count"), 0),
            kv = fj_gguf_int(fj_gguf_arch_value(s, KV), 1), d = fj_gguf_config_int(config, "hidden_size"),
            ff = fj_gguf_int(fj_gguf_arch_value(s, "feed_forward_length"), 0);
    bool is_grouped = kv > 1 && kv != heads, has_two = s->find(s, "blk.0.attn_norm_2.weight") != NULL;
    bool has_alibi = fj_gguf_real(fj_gguf_arch_value(s, "attention.max_alibi_bias"), 0) > 0,
         is_sequential = s->find(s, "blk.0.ffn_norm.weight") != NULL, is_new = has_two || is_grouped;
    bool ok = fj_json_set(config, "new_decoder_architecture", fj_json_new_bool(is_new)) &&
              fj_json_set(config, "multi_query", fj_json_new_bool(kv == 1)) &&
              fj_json_set(config, "parallel_attn", fj_json_new_bool(!is_sequential)) &&
              fj_json_set(config, "alibi", fj_json_new_bool(has_alibi));
    if (is_new)
        ok = ok && fj_json_set(config, "num_kv_heads", fj_json_new_int(kv)) &&
             fj_json_set(config, "num_ln_in_parallel_attn", fj_json_new_int(has_two ? 2 : 1));
    if (ff && ff != 4 * d)
        ok = ok && fj_json_set(config, "ffn_hidden_size", fj_json_new_int(ff));
    return ok ? FJ_OK : no_memory(err);
}

static fj_status write_falcon(fj_gguf_writer *w, const fj_json *config, fj_err *err)
{
    (void)err;
    bool is_old_40b = !strcmp(fj_json_string(fj_json_get(config, "model_type"), ""), "RefinedWeb"),
         is_new = fj_json_bool(fj_json_get(config, "new_decoder_architecture"), is_old_40b),
         is_multi_query = fj_json_bool(fj_json_get(config, "multi_query"), true);
    int64_t d = fj_gguf_config_int(config, "hidden_size"),
            heads = fj_gguf_config_int(config, "num_attention_heads|n_head"),
            kv = is_new           ? fj_json_int(fj_json_find(config, "num_kv_heads|n_head_kv"), heads)
                 : is_multi_query ? 1
                                  : heads;
    set_key(w, "falcon", KV, (double)kv, false);
    set_key(w, "falcon", "feed_forward_length", (double)fj_json_int(fj_json_find(config, "ffn_hidden_size"), 4 * d),
            false);
    fj_gguf_set_text(w, "falcon.tensor_data_layout", "jploski", 7);
    if (fj_json_bool(fj_json_get(config, "alibi"), false))
        set_key(w, "falcon", "attention.max_alibi_bias", 8, true);
    return FJ_OK;
}

static fj_status write_ff(fj_gguf_writer *w, const char *arch, int64_t ff)
{
    set_key(w, arch, "feed_forward_length", (double)ff, false);
    return FJ_OK;
}

static fj_status read_ff(const fj_source *s, fj_json *config, const char *d_model, fj_err *err)
{
    int64_t ff = fj_gguf_int(fj_gguf_arch_value(s, "feed_forward_length"), 0);
    if (ff && ff != 4 * fj_gguf_config_int(config, d_model) && !fj_json_set(config, "n_inner", fj_json_new_int(ff)))
        return no_memory(err);
    return FJ_OK;
}

static fj_status read_bloom(const fj_source *s, fj_json *config, fj_err *err)
{
    return read_ff(s, config, "hidden_size", err);
}

static fj_status write_bloom(fj_gguf_writer *w, const fj_json *config, fj_err *err)
{
    int64_t d = fj_gguf_config_int(config, "hidden_size|n_embed");
    if (fj_json_bool(fj_json_get(config, "apply_residual_connection_post_layernorm"), false))
        return fj_fail(err, FJ_ERR_FORMAT,
                       "config.json: 'apply_residual_connection_post_layernorm' has no form in GGUF that forja writes");
    return write_ff(w, "bloom", fj_json_int(fj_json_find(config, "n_inner"), 4 * d));
}

static fj_status read_gpt2(const fj_source *s, fj_json *config, fj_err *err)
{
    const fj_gguf_value *scale = fj_gguf_arch_value(s, "attention.scale");
    if (scale && !fj_json_set(config, "scale_attn_weights", fj_json_new_bool(fj_gguf_real(scale, 0) != 1)))
        return no_memory(err);
    return read_ff(s, config, "n_embd", err);
}

static fj_status write_gpt2(fj_gguf_writer *w, const fj_json *config, fj_err *err)
{
    int64_t d = fj_gguf_config_int(config, "n_embd|hidden_size");
    if (fj_json_bool(fj_json_get(config, "scale_attn_by_inverse_layer_idx"), false))
        return fj_fail(err, FJ_ERR_FORMAT,
                       "config.json: 'scale_attn_by_inverse_layer_idx' has no form in GGUF that forja writes");
    if (!fj_json_bool(fj_json_get(config, "scale_attn_weights"), true))
        set_key(w, "gpt2", "attention.scale", 1, true);
    return write_ff(w, "gpt2", fj_json_int(fj_json_find(config, "n_inner"), 4 * d));
}

static fj_status read_mpt(const fj_source *s, fj_json *config, fj_err *err)
{
    double alibi = fj_gguf_plain(fj_gguf_real(fj_gguf_arch_value(s, "attention.max_alibi_bias"), 0)),
           scale = fj_gguf_real(fj_gguf_arch_value(s, "logit_scale"), 0);
    int64_t ff = fj_gguf_int(fj_gguf_arch_value(s, "feed_forward_length"), 0),
            d = fj_gguf_config_int(config, "d_model");
    bool ok = fj_gguf_config_set(config, "attn_config.alibi", fj_json_new_bool(alibi > 0)) &&
              fj_json_set(config, "no_bias", fj_json_new_bool(!s->find(s, "blk.0.attn_norm.bias")));
    if (alibi > 0)
        ok = ok && fj_gguf_config_set(config, "attn_config.alibi_bias_max", fj_json_new_real(alibi));
    if (scale > 0)
        ok = ok && fj_json_set(config, "logit_scale", fj_json_new_real(fj_gguf_plain(scale)));
    if (ff && ff % d == 0)
        ok = ok && fj_json_set(config, "expansion_ratio", fj_json_new_int(ff / d));
    return ok ? FJ_OK : no_memory(err);
}

static fj_status write_mpt(fj_gguf_writer *w, const fj_json *config, fj_err *err)
{
    (void)err;
    int64_t d = fj_gguf_config_int(config, "d_model|hidden_size");
    const fj_json *scale = fj_json_find(config, "logit_scale");
    if (fj_json_bool(fj_json_find(config, "attn_config.alibi"), false))
        set_key(w, "mpt", "attention.max_alibi_bias",
                fj_json_real(fj_json_find(config, "attn_config.alibi_bias_max"), 8), true);
    if (scale)
        set_key(w, "mpt", "logit_scale", fj_json_real(scale, 1 / sqrt((double)d)), true);
    return write_ff(w, "mpt", d * fj_json_int(fj_json_find(config, "expansion_ratio"), 4));
}

/* The weights of the chosen are divided by their sum there. */
static fj_status write_dbrx(fj_gguf_writer *w, const fj_json *config, fj_err *err)
{
    const fj_json *ffn = fj_json_get(config, "ffn_config"), *order = fj_json_get(ffn, "moe_normalize_expert_weights");
    (void)w;
    if (order && fj_json_real(order, 0) != 1)
        return fj_fail(
            err, FJ_ERR_FORMAT,
            "config.json: 'moe_normalize_expert_weights' other than 1 has no form in GGUF that forja writes");
    return FJ_OK;
}

/* ---- the table ------------------------------------------------------------------------------------------------------------------ */

static const fj_gguf_arch bloom = {
    .name = "bloom",
    .model_types = { "bloom" },
    .class = "BloomForCausalLM",
    .sizes = bloom_sizes,
    .has_no_rope = true,
    .read = read_bloom,
    .write = write_bloom,
};
static const fj_gguf_arch command_r = {
    .name = "command-r",
    .model_types = { "cohere" },
    .class = "CohereForCausalLM",
    .sizes = cohere_sizes,
    .presences = cohere_parts,
    .d_head = "head_dim",
};
static const fj_gguf_arch dbrx = {
    .name = "dbrx",
    .model_types = { "dbrx" },
    .class = "DbrxForCausalLM",
    .sizes = dbrx_sizes,
    .write = write_dbrx,
};
static const fj_gguf_arch grok = {
    .name = "grok",
    .model_types = { "grok", "grok-1" },
    .class = "GrokForCausalLM",
    .sizes = llama_sizes,
    .own = grok_own,
    .d_head = "head_dim",
};
static const fj_gguf_arch jetmoe = {
    .name = "jetmoe",
    .model_types = { "jetmoe" },
    .class = "JetMoEForCausalLM",
    .holds_config = true,
};
static const fj_gguf_arch falcon = {
    .name = "falcon",
    .model_types = { "falcon", "RefinedWebModel", "RefinedWeb" },
    .class = "FalconForCausalLM",
    .sizes = falcon_sizes,
    .presences = falcon_parts,
    .read = read_falcon,
    .write = write_falcon,
};
static const fj_gguf_arch gemma = {
    .name = "gemma",
    .model_types = { "gemma" },
    .class = "GemmaForCausalLM",
    .sizes = llama_sizes,
    .presences = attn_bias,
    .d_head = "head_dim",
    .d_head_is = 256,
};
static const fj_gguf_arch gemma2 = {
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
static const fj_gguf_arch gemma3 = {
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
static const fj_gguf_arch gpt2 = {
    .name = "gpt2",
    .model_types = { "gpt2" },
    .class = "GPT2LMHeadModel",
    .sizes = gpt2_sizes,
    .has_no_rope = true,
    .read = read_gpt2,
    .write = write_gpt2,
};
static const fj_gguf_arch gptneox = {
    .name = "gptneox",
    .model_types = { "gpt_neox" },
    .class = "GPTNeoXForCausalLM",
    .sizes = neox_sizes,
    .presences = neox_parts,
    .partial = "rotary_pct|partial_rotary_factor",
    .partial_is = 0.25,
};
static const fj_gguf_arch llama = {
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
static const fj_gguf_arch mpt = {
    .name = "mpt",
    .model_types = { "mpt" },
    .class = "MPTForCausalLM",
    .sizes = mpt_sizes,
    .has_no_rope = true,
    .read = read_mpt,
    .write = write_mpt,
};
static const fj_gguf_arch nemotron = {
    .name = "nemotron",
    .model_types = { "nemotron" },
    .class = "NemotronForCausalLM",
    .sizes = nemotron_sizes,
    .presences = nemotron_parts,
    .d_head = "head_dim",
    .partial = "partial_rotary_factor",
    .partial_is = 0.5,
};
static const fj_gguf_arch openlm = {
    .name = "openlm",
    .model_types = { "openlm" },
    .class = "OpenLMForCausalLM",
    .holds_config = true,
};
static const fj_gguf_arch phi2 = {
    .name = "phi2",
    .model_types = { "phi" },
    .class = "PhiForCausalLM",
    .sizes = layer_norm_sizes,
    .presences = phi_parts,
    .partial = "partial_rotary_factor",
    .partial_is = 0.5,
};
static const fj_gguf_arch phi3 = {
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
static const fj_gguf_arch phi3small = {
    .name = "phi3small",
    .model_types = { "phi3small" },
    .class = "Phi3SmallForCausalLM",
    .holds_config = true,
};
static const fj_gguf_arch qwen2 = {
    .name = "qwen2",
    .model_types = { "qwen2" },
    .class = "Qwen2ForCausalLM",
    .sizes = llama_sizes,
    .d_head = "head_dim",
};
static const fj_gguf_arch qwen3 = {
    .name = "qwen3",
    .model_types = { "qwen3" },
    .class = "Qwen3ForCausalLM",
    .sizes = llama_sizes,
    .presences = attn_bias,
    .d_head = "head_dim",
    .d_head_is = 128,
};

const fj_gguf_arch *const fj_gguf_archs[] = {
    &bloom, &command_r, &dbrx,     &falcon, &gemma, &gemma2, &gemma3,    &gpt2,  &gptneox, &grok, &jetmoe,
    &llama, &mpt,       &nemotron, &openlm, &phi2,  &phi3,   &phi3small, &qwen2, &qwen3,   NULL,
};
