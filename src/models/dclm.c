/* SPDX-License-Identifier: Apache-2.0
 * DCLM (open_lm).  Source: open_lm, model.py, Block and Transformer; params "gain_only_lp_layer_norm", "swiglu_torch", "rotary".
 *   x = LN(h; attn_norm);  q, k, v = in_proj x;  q and k are normed over all heads at once;  h += out_proj attention
 *   g, u = w12 LN(h; ffn_norm);  h += w3 (silu(g) * u);  logits = output LN(h; output_norm)
 * Keys stand at the top or in params_args_dict. d_ff follows from d_model: 256 * ceil(floor(8 d / 3) / 256). */
#include <string.h>

#include "models/build.h"
#include "models/config.h"

#define LAYER "model.layers.{}."
static const fj_weight_row weights[] = {
    { &fj_role_token_embd, "model.tok_embeddings.weight", { FJ_DIM_VOCAB, FJ_DIM_MODEL } },
    { &fj_role_token_embd_norm, "model.post_embed_norm.weight", { FJ_DIM_MODEL }, .only_if = fj_if_second_norm },
    { &fj_role_output_norm, "model.norm.weight", { FJ_DIM_MODEL } },
    { &fj_role_output, "model.output.weight", { FJ_DIM_VOCAB, FJ_DIM_MODEL }, .flags = FJ_TIED_OUTPUT },
    { &fj_role_attn_norm, LAYER "attention_norm.weight", { FJ_DIM_MODEL } },
    { &fj_role_attn_qkv, LAYER "attention.in_proj.weight", { FJ_DIM_QKV, FJ_DIM_MODEL } },
    { &fj_role_attn_q_norm, LAYER "attention.q_norm.weight", { FJ_DIM_Q }, .only_if = fj_if_qk_norm },
    { &fj_role_attn_k_norm, LAYER "attention.k_norm.weight", { FJ_DIM_KV }, .only_if = fj_if_qk_norm },
    { &fj_role_attn_output, LAYER "attention.out_proj.weight", { FJ_DIM_MODEL, FJ_DIM_Q } },
    { &fj_role_ffn_norm, LAYER "ffn_norm.weight", { FJ_DIM_MODEL } },
    { &fj_role_ffn_up, LAYER "feed_forward.w12.weight", { FJ_DIM_2FF, FJ_DIM_MODEL } },
    { &fj_role_ffn_down, LAYER "feed_forward.w3.weight", { FJ_DIM_MODEL, FJ_DIM_FF } },
    { 0 },
};
#undef LAYER

static const char *const model_types[] = { "openlm", NULL };
static const char *const ignored[] = { "pos_embed.inv_freq", NULL };

/* Names that mean what is run here; any other would change the mathematics. */
static fj_status check_kinds(const fj_json *config, fj_hparams *hp, fj_err *err)
{
    const char *norm, *ffn, *position;
    fj_status st = fj_config_text(config, "norm_type|model_norm|params_args_dict.norm_type|params_args_dict.model_norm",
                                  "gain_only_lp_layer_norm", &norm, err);
    if (!st)
        st = fj_config_text(config, "ffn_type|params_args_dict.ffn_type", "swiglu_torch", &ffn, err);
    if (!st)
        st = fj_config_text(config, "positional_embedding_type|params_args_dict.positional_embedding_type", "rotary",
                            &position, err);
    if (st)
        return st;
    hp->is_layer_norm = strstr(norm, "rms_norm") == NULL;
    if (strcmp(norm, "gain_only_lp_layer_norm") && strcmp(norm, "gain_only_layer_norm") && hp->is_layer_norm)
        return fj_fail(err, FJ_ERR_FORMAT,
                       "config.json: norm_type '%s' is not known; there are gain_only_layer_norm, "
                       "gain_only_lp_layer_norm and rms_norm",
                       norm);
    if (strcmp(ffn, "swiglu_torch") && strcmp(ffn, "swiglu"))
        return fj_fail(err, FJ_ERR_FORMAT, "config.json: ffn_type '%s' is not known; there are swiglu and swiglu_torch",
                       ffn);
    if (strcmp(position, "rotary"))
        return fj_fail(err, FJ_ERR_FORMAT, "config.json: positional_embedding_type '%s' is not known; there is rotary",
                       position);
    return FJ_OK;
}

static fj_status hparams(const fj_json *config, fj_naming naming, fj_hparams *hp, fj_err *err)
{
    static const fj_config_names names = { .d_model = "dim|hidden_dim|params_args_dict.hidden_dim|params_args_dict.dim",
                                           .n_layers = "n_layers|params_args_dict.n_layers",
                                           .n_heads = "n_heads|params_args_dict.n_heads",
                                           .n_kv_heads = "",
                                           .d_head = "",
                                           .n_ctx = "seq_len|params_args_dict.seq_len",
                                           .d_ff = "",
                                           .ff_times = 4,
                                           .norm_eps = "norm_eps|params_args_dict.norm_eps",
                                           .norm_eps_is = 1e-5 };
    (void)naming;
    fj_status st = fj_config_core(config, &names, hp, err);
    if (!st)
        st = check_kinds(config, hp, err);
    if (!st)
        st = fj_config_bool(config, "apply_qk_norm|qk_norm|params_args_dict.apply_qk_norm|params_args_dict.qk_norm",
                            false, &hp->has_qk_norm, err);
    if (!st)
        st = fj_config_bool(config, "post_embed_norm|params_args_dict.post_embed_norm", false, &hp->has_second_norm,
                            err);
    hp->d_ff = (8 * hp->d_model / 3 + 255) / 256 * 256;
    hp->act = &fj_act_silu;
    return st ? st : fj_config_rope(config, 1, hp, err);
}

static fj_value *embed(fj_build *b)
{
    fj_value *x = fj_embed(b->g, b->ids, fj_build_need(b, &fj_role_token_embd, -1));
    return b->m->hp.has_second_norm ? fj_block_norm(b, x, &fj_role_token_embd_norm, -1) : x;
}

/* The norms of q and k go over all heads at once. */
static fj_value *attention(fj_build *b, fj_value *x, int layer)
{
    fj_value *p[3];
    fj_attention_shape s = fj_block_attention_shape(b, layer);
    fj_block_qkv(b, x, layer, p);
    if (b->m->hp.has_qk_norm) {
        p[0] = fj_block_norm(b, p[0], &fj_role_attn_q_norm, layer);
        p[1] = fj_block_norm(b, p[1], &fj_role_attn_k_norm, layer);
    }
    fj_block_rope(b, layer, p);
    return fj_block_attend(b, layer, p, &s);
}

static fj_value *block(fj_build *b, fj_value *x, int layer)
{
    x = fj_add(b->g, x, attention(b, fj_block_norm(b, x, &fj_role_attn_norm, layer), layer));
    return fj_add(b->g, x, fj_block_gated_mlp(b, fj_block_norm(b, x, &fj_role_ffn_norm, layer), layer));
}

const fj_family fj_family_dclm = {
    .name = "dclm",
    .model_types = model_types,
    .weights = weights,
    .ignored = ignored,
    .prefix = "model.",
    .hparams = hparams,
    .embed = embed,
    .block = block,
};
