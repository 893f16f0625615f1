/* SPDX-License-Identifier: Apache-2.0
 * Architectures of GPT's order: Bloom, Falcon, GPT-2, GPT-NeoX, MPT; and those that only forja writes, with config.json whole. */
#include <math.h>
#include <string.h>

#include "formats/gguf_archs.h"

#define NORM_EPS "attention.layer_norm_epsilon"
#define KV       "attention.head_count_kv"

/* clang-format off */
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
static const fj_gguf_presence neox_parts[] = { { "blk.0.attn_qkv.bias", "attention_bias" }, { 0 } };
static const fj_gguf_presence falcon_parts[] = {
    { "blk.0.attn_output.bias", "bias" }, { 0 },
};
/* clang-format on */

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
    return ok ? FJ_OK : fj_gguf_no_memory(err);
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
    fj_gguf_set_arch_key(w, "falcon", KV, (double)kv, false);
    fj_gguf_set_arch_key(w, "falcon", "feed_forward_length",
                         (double)fj_json_int(fj_json_find(config, "ffn_hidden_size"), 4 * d), false);
    fj_gguf_set_text(w, "falcon.tensor_data_layout", "jploski", 7);
    if (fj_json_bool(fj_json_get(config, "alibi"), false))
        fj_gguf_set_arch_key(w, "falcon", "attention.max_alibi_bias", 8, true);
    return FJ_OK;
}

static fj_status write_ff(fj_gguf_writer *w, const char *arch, int64_t ff)
{
    fj_gguf_set_arch_key(w, arch, "feed_forward_length", (double)ff, false);
    return FJ_OK;
}

static fj_status read_ff(const fj_source *s, fj_json *config, const char *d_model, fj_err *err)
{
    int64_t ff = fj_gguf_int(fj_gguf_arch_value(s, "feed_forward_length"), 0);
    if (ff && ff != 4 * fj_gguf_config_int(config, d_model) && !fj_json_set(config, "n_inner", fj_json_new_int(ff)))
        return fj_gguf_no_memory(err);
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
        return fj_gguf_no_memory(err);
    return read_ff(s, config, "n_embd", err);
}

static fj_status write_gpt2(fj_gguf_writer *w, const fj_json *config, fj_err *err)
{
    int64_t d = fj_gguf_config_int(config, "n_embd|hidden_size");
    if (fj_json_bool(fj_json_get(config, "scale_attn_by_inverse_layer_idx"), false))
        return fj_fail(err, FJ_ERR_FORMAT,
                       "config.json: 'scale_attn_by_inverse_layer_idx' has no form in GGUF that forja writes");
    if (!fj_json_bool(fj_json_get(config, "scale_attn_weights"), true))
        fj_gguf_set_arch_key(w, "gpt2", "attention.scale", 1, true);
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
    return ok ? FJ_OK : fj_gguf_no_memory(err);
}

static fj_status write_mpt(fj_gguf_writer *w, const fj_json *config, fj_err *err)
{
    (void)err;
    int64_t d = fj_gguf_config_int(config, "d_model|hidden_size");
    const fj_json *scale = fj_json_find(config, "logit_scale");
    if (fj_json_bool(fj_json_find(config, "attn_config.alibi"), false))
        fj_gguf_set_arch_key(w, "mpt", "attention.max_alibi_bias",
                             fj_json_real(fj_json_find(config, "attn_config.alibi_bias_max"), 8), true);
    if (scale)
        fj_gguf_set_arch_key(w, "mpt", "logit_scale", fj_json_real(scale, 1 / sqrt((double)d)), true);
    return write_ff(w, "mpt", d * fj_json_int(fj_json_find(config, "expansion_ratio"), 4));
}

const fj_gguf_arch fj_gguf_arch_bloom = {
    .name = "bloom",
    .model_types = { "bloom" },
    .class = "BloomForCausalLM",
    .sizes = bloom_sizes,
    .has_no_rope = true,
    .read = read_bloom,
    .write = write_bloom,
};

const fj_gguf_arch fj_gguf_arch_falcon = {
    .name = "falcon",
    .model_types = { "falcon", "RefinedWebModel", "RefinedWeb" },
    .class = "FalconForCausalLM",
    .sizes = falcon_sizes,
    .presences = falcon_parts,
    .read = read_falcon,
    .write = write_falcon,
};

const fj_gguf_arch fj_gguf_arch_gpt2 = {
    .name = "gpt2",
    .model_types = { "gpt2" },
    .class = "GPT2LMHeadModel",
    .sizes = gpt2_sizes,
    .has_no_rope = true,
    .read = read_gpt2,
    .write = write_gpt2,
};

const fj_gguf_arch fj_gguf_arch_gptneox = {
    .name = "gptneox",
    .model_types = { "gpt_neox" },
    .class = "GPTNeoXForCausalLM",
    .sizes = neox_sizes,
    .presences = neox_parts,
    .partial = "rotary_pct|partial_rotary_factor",
    .partial_is = 0.25,
};

const fj_gguf_arch fj_gguf_arch_mpt = {
    .name = "mpt",
    .model_types = { "mpt" },
    .class = "MPTForCausalLM",
    .sizes = mpt_sizes,
    .has_no_rope = true,
    .read = read_mpt,
    .write = write_mpt,
};

const fj_gguf_arch fj_gguf_arch_openlm = {
    .name = "openlm",
    .model_types = { "openlm" },
    .class = "OpenLMForCausalLM",
    .holds_config = true,
};

const fj_gguf_arch fj_gguf_arch_phi3small = {
    .name = "phi3small",
    .model_types = { "phi3small" },
    .class = "Phi3SmallForCausalLM",
    .holds_config = true,
};

const fj_gguf_arch fj_gguf_arch_jetmoe = {
    .name = "jetmoe",
    .model_types = { "jetmoe" },
    .class = "JetMoEForCausalLM",
    .holds_config = true,
};
