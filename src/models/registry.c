/* SPDX-License-Identifier: Apache-2.0
 * All families, how a configuration names its own, and what their tables are written with. */
#include <string.h>

#include "base/str.h"
#include "models/family.h"

const fj_family *const fj_families[] = {
    &fj_family_bloom, &fj_family_cohere,     &fj_family_dbrx,   &fj_family_dclm,     &fj_family_falcon,
    &fj_family_gemma, &fj_family_gemma2,     &fj_family_gemma3, &fj_family_gpt2,     &fj_family_gpt_neox,
    &fj_family_grok,  &fj_family_grok_hpcai, &fj_family_jamba,  &fj_family_jetmoe,   &fj_family_llama,
    &fj_family_mamba, &fj_family_mixtral,    &fj_family_mpt,    &fj_family_nemotron, &fj_family_phi,
    &fj_family_phi3,  &fj_family_phi3small,  &fj_family_qwen2,  &fj_family_qwen3,    NULL,
};

enum { MAX_NAMES = 128 };

static fj_status unknown(const char *what, const char *wanted, fj_err *err)
{
    const char *names[MAX_NAMES], *nearest;
    size_t n = 0;
    fj_str known = { 0 };
    for (const fj_family *const *f = fj_families; *f; f++)
        for (const char *const *t = (*f)->model_types; *t && n < MAX_NAMES; t++) {
            fj_str_printf(&known, "%s%s", n ? ", " : "", *t);
            names[n++] = *t;
        }
    nearest = fj_nearest(wanted, names, n);
    (void)fj_fail(err, FJ_ERR_FORMAT, "%s '%s' is not a model family that forja knows", what, wanted);
    if (nearest)
        (void)fj_hint(err, "the nearest known is '%s'", nearest);
    else
        (void)fj_hint(err, "forja runs these: %s", known.data ? known.data : "none");
    fj_str_free(&known);
    return err->status;
}

fj_status fj_family_of(const fj_json *config, const fj_family **out, fj_err *err)
{
    const char *type = fj_json_string(fj_json_get(config, "model_type"), NULL);
    const char *arch = fj_json_string(fj_json_get(config, "gguf_arch"), NULL);
    for (const fj_family *const *f = fj_families; type && *f; f++)
        for (const char *const *t = (*f)->model_types; *t; t++)
            if (!strcmp(type, *t)) {
                *out = *f;
                return FJ_OK;
            }
    if (!type && arch)
        return unknown("architecture", arch, err);
    return type ? unknown("model_type", type, err) : fj_fail(err, FJ_ERR_FORMAT, "config.json has no model_type");
}

int64_t fj_dim_size(const fj_hparams *hp, fj_dim dim)
{
    switch (dim) {
    case FJ_DIM_VOCAB: return hp->n_vocab;
    case FJ_DIM_MODEL: return hp->d_model;
    case FJ_DIM_FF: return hp->d_ff;
    case FJ_DIM_2FF: return 2 * hp->d_ff;
    case FJ_DIM_Q: return hp->n_heads * hp->d_head;
    case FJ_DIM_KV: return hp->n_kv_heads * hp->d_head;
    case FJ_DIM_QKV: return (hp->n_heads + 2 * hp->n_kv_heads) * hp->d_head;
    case FJ_DIM_HEAD: return hp->d_head;
    case FJ_DIM_HEADS: return hp->n_heads;
    case FJ_DIM_KV_HEADS: return hp->n_kv_heads;
    case FJ_DIM_CTX: return hp->n_ctx;
    case FJ_DIM_HALF_ROPE: return hp->d_rope / 2;
    case FJ_DIM_LABELS: return hp->n_labels;
    case FJ_DIM_EXPERTS: return hp->n_experts;
    case FJ_DIM_INNER: return hp->d_inner;
    case FJ_DIM_2INNER: return 2 * hp->d_inner;
    case FJ_DIM_STATE: return hp->d_state;
    case FJ_DIM_CONV: return hp->d_conv;
    case FJ_DIM_DT: return hp->d_dt;
    case FJ_DIM_SCAN: return hp->d_dt + 2 * hp->d_state;
    case FJ_DIM_2KV: return 2 * hp->n_kv_heads * hp->d_head;
    case FJ_DIM_NONE: break;
    }
    return 0;
}

bool fj_if_attn_bias(const fj_hparams *hp)
{
    return hp->has_attn_bias;
}

bool fj_if_mlp_bias(const fj_hparams *hp)
{
    return hp->has_mlp_bias;
}

bool fj_if_norm_bias(const fj_hparams *hp)
{
    return hp->has_norm_bias;
}

bool fj_if_qk_norm(const fj_hparams *hp)
{
    return hp->has_qk_norm;
}

bool fj_if_fused_qkv(const fj_hparams *hp)
{
    return hp->has_fused_qkv;
}

bool fj_if_split_qkv(const fj_hparams *hp)
{
    return !hp->has_fused_qkv;
}

bool fj_if_sequential(const fj_hparams *hp)
{
    return !hp->is_parallel;
}

bool fj_if_second_norm(const fj_hparams *hp)
{
    return hp->has_second_norm;
}

bool fj_if_one_norm(const fj_hparams *hp)
{
    return !hp->has_second_norm;
}

bool fj_if_rope(const fj_hparams *hp)
{
    return hp->d_rope > 0;
}

bool fj_if_no_alibi(const fj_hparams *hp)
{
    return !(hp->alibi > 0);
}

bool fj_if_ssm_bias(const fj_hparams *hp)
{
    return hp->has_ssm_bias;
}

bool fj_if_conv_bias(const fj_hparams *hp)
{
    return hp->has_conv_bias;
}
