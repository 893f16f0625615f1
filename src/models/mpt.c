/* SPDX-License-Identifier: Apache-2.0
 * MPT.  Source: transformers, modeling_mpt.py, MptBlock; no_bias false and positions as in the original repository (llm-foundry).
 *   h += attention(LN(h; attn_norm));  h += down(gelu(up LN(h; ffn_norm)))     alibi, q, k and v may be clipped, tied
 * Without alibi there are learned positions. */
#include <math.h>
#include <string.h>

#include "models/build.h"
#include "models/config.h"

#define LAYER "transformer.blocks.{}."
static const fj_weight_row weights[] = {
    { &fj_role_token_embd, "transformer.wte.weight", { FJ_DIM_VOCAB, FJ_DIM_MODEL } },
    { &fj_role_position_embd, "transformer.wpe.weight", { FJ_DIM_CTX, FJ_DIM_MODEL }, .only_if = fj_if_no_alibi },
    { &fj_role_output_norm, "transformer.norm_f.weight", { FJ_DIM_MODEL } },
    { &fj_role_output_norm, "transformer.norm_f.bias", { FJ_DIM_MODEL }, .is_bias = true, .only_if = fj_if_norm_bias },
    { &fj_role_output, "lm_head.weight", { FJ_DIM_VOCAB, FJ_DIM_MODEL }, .flags = FJ_TIED_OUTPUT },
    { &fj_role_attn_norm, LAYER "norm_1.weight", { FJ_DIM_MODEL } },
    { &fj_role_attn_norm, LAYER "norm_1.bias", { FJ_DIM_MODEL }, .is_bias = true, .only_if = fj_if_norm_bias },
    { &fj_role_attn_qkv, LAYER "attn.Wqkv.weight", { FJ_DIM_QKV, FJ_DIM_MODEL } },
    { &fj_role_attn_qkv, LAYER "attn.Wqkv.bias", { FJ_DIM_QKV }, .is_bias = true, .only_if = fj_if_attn_bias },
    { &fj_role_attn_output, LAYER "attn.out_proj.weight", { FJ_DIM_MODEL, FJ_DIM_Q } },
    { &fj_role_attn_output, LAYER "attn.out_proj.bias", { FJ_DIM_MODEL }, .is_bias = true, .only_if = fj_if_attn_bias },
    { &fj_role_ffn_norm, LAYER "norm_2.weight", { FJ_DIM_MODEL } },
    { &fj_role_ffn_norm, LAYER "norm_2.bias", { FJ_DIM_MODEL }, .is_bias = true, .only_if = fj_if_norm_bias },
    { &fj_role_ffn_up, LAYER "ffn.up_proj.weight", { FJ_DIM_FF, FJ_DIM_MODEL } },
    { &fj_role_ffn_up, LAYER "ffn.up_proj.bias", { FJ_DIM_FF }, .is_bias = true, .only_if = fj_if_mlp_bias },
    { &fj_role_ffn_down, LAYER "ffn.down_proj.weight", { FJ_DIM_MODEL, FJ_DIM_FF } },
    { &fj_role_ffn_down, LAYER "ffn.down_proj.bias", { FJ_DIM_MODEL }, .is_bias = true, .only_if = fj_if_mlp_bias },
    { 0 },
};
#undef LAYER

static const char *const model_types[] = { "mpt", NULL };
static const char *const ignored[] = { NULL };

static fj_status read_attention(const fj_json *config, fj_hparams *hp, fj_err *err)
{
    bool has_alibi = false, has_norms = false;
    double most = 8;
    const char *type = "";
    fj_status st = fj_config_bool(config, "attn_config.alibi", false, &has_alibi, err);
    if (!st)
        st = fj_config_real(config, "attn_config.alibi_bias_max", 8, &most, err);
    if (!st)
        st = fj_config_positive(config, "attn_config.clip_qkv", &hp->clip_qkv, err);
    if (!st)
        st = fj_config_positive(config, "attn_config.softmax_scale", &hp->attn_scale, err);
    if (!st)
        st = fj_config_bool(config, "attn_config.qk_ln", false, &has_norms, err);
    if (!st)
        st = fj_config_text(config, "attn_config.attn_type", "multihead_attention", &type, err);
    if (!st && (has_norms || strcmp(type, "multihead_attention")))
        st = fj_fail(err, FJ_ERR_FORMAT, "config.json: attn_config says %s, forja runs mpt with multihead_attention",
                     has_norms ? "qk_ln" : type);
    hp->alibi = has_alibi ? most : 0;
    return st;
}

/* null, a number, or 1/sqrt(d_model) by name. */
static fj_status read_logit_scale(const fj_json *config, fj_hparams *hp, fj_err *err)
{
    const fj_json *v = fj_json_find(config, "logit_scale");
    if (fj_json_is_string(v) && !strcmp(fj_json_string(v, ""), "inv_sqrt_d_model")) {
        hp->logit_scale = 1 / sqrt((double)hp->d_model);
        return FJ_OK;
    }
    return fj_config_real(config, "logit_scale", 0, &hp->logit_scale, err);
}

static fj_status hparams(const fj_json *config, fj_naming naming, fj_hparams *hp, fj_err *err)
{
    static const fj_config_names names = { .d_model = "d_model|hidden_size",
                                           .n_layers = "n_layers|num_hidden_layers",
                                           .n_heads = "n_heads|num_attention_heads",
                                           .n_kv_heads = "",
                                           .d_head = "",
                                           .n_ctx = "max_seq_len",
                                           .d_ff = "",
                                           .ff_times = 4,
                                           .norm_eps = "layer_norm_epsilon",
                                           .norm_eps_is = 1e-5 };
    int64_t times = 4;
    bool no_bias = true;
    (void)naming;
    fj_status st = fj_config_core(config, &names, hp, err);
    if (!st)
        st = fj_config_count(config, "expansion_ratio", 4, 64, &times, err);
    if (!st)
        st = fj_config_bool(config, "no_bias", true, &no_bias, err);
    if (!st)
        st = read_attention(config, hp, err);
    if (!st)
        st = read_logit_scale(config, hp, err);
    hp->d_ff = times * hp->d_model;
    hp->act = &fj_act_gelu;
    hp->is_layer_norm = true;
    hp->has_attn_bias = hp->has_mlp_bias = hp->has_norm_bias = !no_bias;
    return st;
}

static fj_value *embed(fj_build *b)
{
    fj_value *x = fj_embed(b->g, b->ids, fj_build_need(b, &fj_role_token_embd, -1));
    if (b->m->hp.alibi > 0)
        return x;
    return fj_add(b->g, x, fj_embed(b->g, b->pos, fj_build_need(b, &fj_role_position_embd, -1)));
}

static fj_value *block(fj_build *b, fj_value *x, int layer)
{
    fj_value *h = fj_block_norm(b, x, &fj_role_attn_norm, layer);
    x = fj_add(b->g, x, fj_block_attention(b, h, layer));
    h = fj_block_norm(b, x, &fj_role_ffn_norm, layer);
    return fj_add(b->g, x, fj_block_mlp(b, h, layer));
}

const fj_family fj_family_mpt = {
    .name = "mpt",
    .model_types = model_types,
    .weights = weights,
    .ignored = ignored,
    .is_tied = true,
    .hparams = hparams,
    .embed = embed,
    .block = block,
};
