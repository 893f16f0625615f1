/* SPDX-License-Identifier: Apache-2.0
 * Architectures of mixtures and of recurrent layers: DBRX, Grok, Jamba, Mamba. */
#include <math.h>
#include <stdio.h>

#include "formats/gguf_archs.h"

#define RMS_EPS  "attention.layer_norm_rms_epsilon"
#define NORM_EPS "attention.layer_norm_epsilon"
#define KV       "attention.head_count_kv"

/* clang-format off */
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
static const fj_gguf_key grok_sizes[] = {
    { "block_count", "num_hidden_layers", FJ_KEY_INT },
    { "context_length", "max_position_embeddings", FJ_KEY_INT, 2048 },
    { "embedding_length", "hidden_size", FJ_KEY_INT },
    { "feed_forward_length", "intermediate_size", FJ_KEY_INT },
    { "attention.head_count", "num_attention_heads", FJ_KEY_INT },
    { KV, "num_key_value_heads", FJ_KEY_INT },
    { "rope.freq_base", "rope_theta", FJ_KEY_REAL, 10000 },
    { RMS_EPS, "rms_norm_eps", FJ_KEY_REAL, 1e-5 },
    { "expert_count", "num_local_experts|num_experts", FJ_KEY_INT },
    { "expert_used_count", "num_experts_per_tok", FJ_KEY_INT },
    { "attn_logit_softcapping", "max_attn_value", FJ_KEY_REAL, 30 },
    { "attention.output_scale", "attn_output_multiplier", FJ_KEY_REAL, 0.08838834764831845 },
    { "embedding_scale", "embedding_multiplier_scale", FJ_KEY_REAL, 78.38367176906169 },
    { "logit_scale", "output_multiplier_scale", FJ_KEY_REAL, 0.5773502691896257 },
    { 0 },
};
static const fj_gguf_key mamba_sizes[] = {
    { "block_count", "num_hidden_layers|n_layer", FJ_KEY_INT },
    { "context_length", "max_position_embeddings", FJ_KEY_INT, 1 << 20 },
    { "embedding_length", "hidden_size|d_model", FJ_KEY_INT },
    { "ssm.conv_kernel", "conv_kernel", FJ_KEY_INT, 4 },
    { "ssm.inner_size", "intermediate_size|d_inner", FJ_KEY_INT },
    { "ssm.state_size", "state_size", FJ_KEY_INT, 16 },
    { "ssm.time_step_rank", "time_step_rank", FJ_KEY_INT, 0, FJ_KEY_OPTIONAL },
    { RMS_EPS, "layer_norm_epsilon", FJ_KEY_REAL, 1e-5 },
    { 0 },
};
static const fj_gguf_key jamba_sizes[] = {
    { "block_count", "num_hidden_layers", FJ_KEY_INT },
    { "context_length", "max_position_embeddings", FJ_KEY_INT, 2048 },
    { "embedding_length", "hidden_size", FJ_KEY_INT },
    { "feed_forward_length", "intermediate_size", FJ_KEY_LAYERS },
    { "attention.head_count", "num_attention_heads", FJ_KEY_LAYERS },
    { "ssm.conv_kernel", "mamba_d_conv", FJ_KEY_INT, 4 },
    { "ssm.state_size", "mamba_d_state", FJ_KEY_INT, 16 },
    { "ssm.time_step_rank", "mamba_dt_rank", FJ_KEY_INT, 0, FJ_KEY_OPTIONAL },
    { RMS_EPS, "rms_norm_eps", FJ_KEY_REAL, 1e-6 },
    { "expert_count", "num_experts", FJ_KEY_INT },
    { "expert_used_count", "num_experts_per_tok", FJ_KEY_INT },
    { 0 },
};
static const fj_gguf_presence mamba_parts[] = {
    { "blk.0.ssm_in.bias", "use_bias" }, { "blk.0.ssm_conv1d.bias", "use_conv_bias" }, { 0 },
};
/* clang-format on */

/* A rank that is derived ("auto") is written as the number that it is. */
static void write_rank(fj_gguf_writer *w, const fj_json *config, const char *arch, const char *key)
{
    int64_t d = fj_gguf_config_int(config, "hidden_size|d_model");
    fj_gguf_set_arch_key(w, arch, "ssm.time_step_rank", (double)fj_json_int(fj_json_find(config, key), (d + 15) / 16),
                         false);
}

static fj_status read_mamba(const fj_source *s, fj_json *config, fj_err *err)
{
    int64_t d = fj_gguf_config_int(config, "hidden_size"), inner = fj_gguf_config_int(config, "intermediate_size");
    (void)s;
    if (inner % d == 0 && !fj_json_set(config, "expand", fj_json_new_int(inner / d)))
        return fj_gguf_no_memory(err);
    return FJ_OK;
}

static fj_status write_mamba(fj_gguf_writer *w, const fj_json *config, fj_err *err)
{
    (void)err;
    write_rank(w, config, "mamba", "time_step_rank");
    return FJ_OK;
}

/* The period and the first of the layers that `has` says yes to; false where they do not come every so often. */
static bool rhythm(const fj_source *s, int64_t layers, bool (*has)(const fj_source *s, int64_t layer), int64_t *period,
                   int64_t *offset)
{
    int64_t first = -1, second = -1;
    for (int64_t i = 0; i < layers; i++)
        if (has(s, i)) {
            second = first >= 0 && second < 0 ? i : second;
            first = first < 0 ? i : first;
        }
    *offset = first;
    *period = second >= 0 ? second - first : layers;
    for (int64_t i = 0; i < layers; i++)
        if (has(s, i) != (first >= 0 && i % *period == first))
            return false;
    return first < *period;
}

static bool has_tensor(const fj_source *s, int64_t layer, const char *name)
{
    char text[64];
    (void)snprintf(text, sizeof text, "blk.%lld.%s", (long long)layer, name);
    return s->find(s, text) != NULL;
}

static bool has_attention(const fj_source *s, int64_t layer)
{
    return has_tensor(s, layer, "attn_q.weight");
}

static bool has_experts(const fj_source *s, int64_t layer)
{
    return has_tensor(s, layer, "ffn_gate_inp.weight");
}

static fj_status read_jamba(const fj_source *s, fj_json *config, fj_err *err)
{
    int64_t n = FJ_MIN(fj_gguf_config_int(config, "num_hidden_layers"), 65536),
            d = fj_gguf_config_int(config, "hidden_size");
    int64_t inner = fj_gguf_int(fj_gguf_arch_value(s, "ssm.inner_size"), 2 * d), period, offset, kv = 0;
    const fj_gguf_value *heads = fj_gguf_arch_value(s, KV);
    for (uint64_t i = 0; heads && heads->kind == FJ_GGUF_ARRAY && heads->element != FJ_GGUF_STRING && i < heads->count;
         i++)
        kv = FJ_MAX(kv, (int64_t)fmin(fmax(fj_gguf_number_at(heads, i), 0), 65536));
    if (heads && heads->kind != FJ_GGUF_ARRAY)
        kv = fj_gguf_int(heads, 0);
    bool is_regular = rhythm(s, n, has_attention, &period, &offset);
    bool ok = fj_json_set(config, "attn_layer_period", fj_json_new_int(period)) &&
              fj_json_set(config, "attn_layer_offset", fj_json_new_int(FJ_MAX(offset, 0)));
    is_regular = rhythm(s, n, has_experts, &period, &offset) && is_regular;
    ok = ok && fj_json_set(config, "expert_layer_period", fj_json_new_int(period)) &&
         fj_json_set(config, "expert_layer_offset", fj_json_new_int(FJ_MAX(offset, 0))) &&
         fj_json_set(config, "mamba_expand", fj_json_new_int(inner / d)) &&
         (!kv || fj_json_set(config, "num_key_value_heads", fj_json_new_int(kv)));
    for (int64_t i = 0; ok && i < n; i++) /* some layer is Mamba's */
        if (has_tensor(s, i, "ssm_in.weight")) {
            ok = fj_json_set(config, "mamba_proj_bias", fj_json_new_bool(has_tensor(s, i, "ssm_in.bias"))) &&
                 fj_json_set(config, "mamba_conv_bias", fj_json_new_bool(has_tensor(s, i, "ssm_conv1d.bias")));
            break;
        }
    if (!is_regular)
        return fj_fail(err, FJ_ERR_FORMAT, "%s: layers with attention or experts that do not come every so often",
                       s->path);
    return ok ? FJ_OK : fj_gguf_no_memory(err);
}

static fj_status write_jamba(fj_gguf_writer *w, const fj_json *config, fj_err *err)
{
    enum { MOST = 4096 };
    int32_t heads[MOST];
    int64_t n = fj_gguf_config_int(config, "num_hidden_layers"), d = fj_gguf_config_int(config, "hidden_size"),
            period = FJ_MAX(1, fj_json_int(fj_json_find(config, "attn_layer_period"), 8)),
            offset = fj_json_int(fj_json_find(config, "attn_layer_offset"), 4),
            kv = fj_json_int(fj_json_find(config, "num_key_value_heads|num_attention_heads"), 1);
    if (n > MOST)
        return fj_fail(err, FJ_ERR_FORMAT, "config.json: 'num_hidden_layers' is %lld, at most %d", (long long)n, MOST);
    for (int64_t i = 0; i < n; i++)
        heads[i] = i % period == offset ? (int32_t)kv : 0;
    fj_gguf_set_i32s(w, "jamba." KV, heads, (size_t)n);
    fj_gguf_set_arch_key(w, "jamba", "ssm.inner_size",
                         (double)(d * fj_json_int(fj_json_find(config, "mamba_expand"), 2)), false);
    write_rank(w, config, "jamba", "mamba_dt_rank");
    return FJ_OK;
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

const fj_gguf_arch fj_gguf_arch_dbrx = {
    .name = "dbrx",
    .model_types = { "dbrx" },
    .class = "DbrxForCausalLM",
    .sizes = dbrx_sizes,
    .write = write_dbrx,
};

const fj_gguf_arch fj_gguf_arch_grok = {
    .name = "grok",
    .model_types = { "grok", "grok-1" },
    .keeps_type = true,
    .class = "GrokForCausalLM",
    .sizes = grok_sizes,

    .d_head = "head_dim",
};

const fj_gguf_arch fj_gguf_arch_jamba = {
    .name = "jamba",
    .model_types = { "jamba" },
    .class = "JambaForCausalLM",
    .sizes = jamba_sizes,
    .has_no_rope = true,
    .read = read_jamba,
    .write = write_jamba,
};

const fj_gguf_arch fj_gguf_arch_mamba = {
    .name = "mamba",
    .model_types = { "mamba" },
    .class = "MambaForCausalLM",
    .sizes = mamba_sizes,
    .presences = mamba_parts,
    .has_no_rope = true,
    .read = read_mamba,
    .write = write_mamba,
};
