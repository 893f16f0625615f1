/* SPDX-License-Identifier: Apache-2.0
 * Gemma.  Source: transformers, modeling_gemma.py, GemmaDecoderLayer.
 *   h = embed[t] * sqrt(D);  norms weigh 1 + w;  the MLP is gated by the tanh form of gelu;  head_dim is its own; tied
 * Old configurations say hidden_act "gelu" and mean the tanh form. GGUF files have the 1 added to the norms. */
#include "models/gemma.h"

#include <math.h>
#include <string.h>

#include "models/build.h"
#include "models/config.h"

#define LAYER "model.layers.{}."
static const fj_weight_row weights[] = {
    { &fj_role_token_embd, "model.embed_tokens.weight", { FJ_DIM_VOCAB, FJ_DIM_MODEL } },
    { &fj_role_output_norm, "model.norm.weight", { FJ_DIM_MODEL }, .gguf_rewrite = &fj_rewrite_plus_one },
    { &fj_role_output, "lm_head.weight", { FJ_DIM_VOCAB, FJ_DIM_MODEL }, .flags = FJ_TIED_OUTPUT },
    { &fj_role_attn_norm, LAYER "input_layernorm.weight", { FJ_DIM_MODEL }, .gguf_rewrite = &fj_rewrite_plus_one },
    { &fj_role_attn_q, LAYER "self_attn.q_proj.weight", { FJ_DIM_Q, FJ_DIM_MODEL } },
    { &fj_role_attn_q, LAYER "self_attn.q_proj.bias", { FJ_DIM_Q }, .is_bias = true, .only_if = fj_if_attn_bias },
    { &fj_role_attn_k, LAYER "self_attn.k_proj.weight", { FJ_DIM_KV, FJ_DIM_MODEL } },
    { &fj_role_attn_k, LAYER "self_attn.k_proj.bias", { FJ_DIM_KV }, .is_bias = true, .only_if = fj_if_attn_bias },
    { &fj_role_attn_v, LAYER "self_attn.v_proj.weight", { FJ_DIM_KV, FJ_DIM_MODEL } },
    { &fj_role_attn_v, LAYER "self_attn.v_proj.bias", { FJ_DIM_KV }, .is_bias = true, .only_if = fj_if_attn_bias },
    { &fj_role_attn_output, LAYER "self_attn.o_proj.weight", { FJ_DIM_MODEL, FJ_DIM_Q } },
    { &fj_role_attn_output,
      LAYER "self_attn.o_proj.bias",
      { FJ_DIM_MODEL },
      .is_bias = true,
      .only_if = fj_if_attn_bias },
    { &fj_role_ffn_norm,
      LAYER "post_attention_layernorm.weight",
      { FJ_DIM_MODEL },
      .gguf_rewrite = &fj_rewrite_plus_one },
    { &fj_role_ffn_gate, LAYER "mlp.gate_proj.weight", { FJ_DIM_FF, FJ_DIM_MODEL } },
    { &fj_role_ffn_up, LAYER "mlp.up_proj.weight", { FJ_DIM_FF, FJ_DIM_MODEL } },
    { &fj_role_ffn_down, LAYER "mlp.down_proj.weight", { FJ_DIM_MODEL, FJ_DIM_FF } },
    { 0 },
};
#undef LAYER

static const char *const model_types[] = { "gemma", NULL };
static const char *const ignored[] = { "rotary_emb.inv_freq", NULL };

fj_status fj_gemma_hparams(const fj_json *config, fj_naming naming, fj_hparams *hp, fj_err *err)
{
    static const fj_config_names names = { .d_head_is = 256 };
    const char *act = "";
    fj_status st = fj_config_core(config, &names, hp, err);
    if (!st)
        st = fj_config_text(config, "hidden_activation|hidden_act", "gelu", &act, err);
    if (!st && !strcmp(act, "gelu"))
        hp->act = &fj_act_gelu_tanh;
    else if (!st)
        st = fj_config_activation(config, "hidden_activation|hidden_act", "gelu", hp, err);
    if (!st)
        st = fj_config_bool(config, "attention_bias", false, &hp->has_attn_bias, err);
    hp->embd_scale = sqrt((double)hp->d_model);
    hp->norm_offset = naming == FJ_NAMING_HF;
    return st ? st : fj_config_rope(config, 1, hp, err);
}

static fj_value *block(fj_build *b, fj_value *x, int layer)
{
    fj_value *h = fj_block_norm(b, x, &fj_role_attn_norm, layer);
    x = fj_add(b->g, x, fj_block_attention(b, h, layer));
    h = fj_block_norm(b, x, &fj_role_ffn_norm, layer);
    return fj_add(b->g, x, fj_block_gated_mlp(b, h, layer));
}

const fj_family fj_family_gemma = {
    .name = "gemma",
    .model_types = model_types,
    .weights = weights,
    .ignored = ignored,
    .is_tied = true,
    .hparams = fj_gemma_hparams,
    .block = block,
};
