/* SPDX-License-Identifier: Apache-2.0
 * Phi-3 mini and medium, short and long.  Source: transformers, modeling_phi3.py, Phi3DecoderLayer.
 * llama with q, k, v in one matrix and gate, up in another. */
#include "models/build.h"
#include "models/config.h"

#define LAYER "model.layers.{}."
static const fj_weight_row weights[] = {
    { &fj_role_token_embd, "model.embed_tokens.weight", { FJ_DIM_VOCAB, FJ_DIM_MODEL } },
    { &fj_role_output_norm, "model.norm.weight", { FJ_DIM_MODEL } },
    { &fj_role_output, "lm_head.weight", { FJ_DIM_VOCAB, FJ_DIM_MODEL }, .flags = FJ_TIED_OUTPUT },
    { &fj_role_rope_factors_long, NULL, { FJ_DIM_HALF_ROPE }, .flags = FJ_GGUF_ONLY },
    { &fj_role_rope_factors_short, NULL, { FJ_DIM_HALF_ROPE }, .flags = FJ_GGUF_ONLY },
    { &fj_role_attn_norm, LAYER "input_layernorm.weight", { FJ_DIM_MODEL } },
    { &fj_role_attn_qkv, LAYER "self_attn.qkv_proj.weight", { FJ_DIM_QKV, FJ_DIM_MODEL } },
    { &fj_role_attn_output, LAYER "self_attn.o_proj.weight", { FJ_DIM_MODEL, FJ_DIM_Q } },
    { &fj_role_ffn_norm, LAYER "post_attention_layernorm.weight", { FJ_DIM_MODEL } },
    { &fj_role_ffn_up, LAYER "mlp.gate_up_proj.weight", { FJ_DIM_2FF, FJ_DIM_MODEL } },
    { &fj_role_ffn_down, LAYER "mlp.down_proj.weight", { FJ_DIM_MODEL, FJ_DIM_FF } },
    { 0 },
};
#undef LAYER

static const char *const model_types[] = { "phi3", NULL };
static const char *const ignored[] = { "rotary_emb.inv_freq", "model.vision_embed_tokens.", NULL };

static fj_status hparams(const fj_json *config, fj_naming naming, fj_hparams *hp, fj_err *err)
{
    static const fj_config_names names = { .norm_eps_is = 1e-5 };
    (void)naming;
    fj_status st = fj_config_core(config, &names, hp, err);
    if (!st)
        st = fj_config_activation(config, "hidden_act", "silu", hp, err);
    if (!st)
        st = fj_config_window(config, 0, hp, err);
    return st ? st : fj_config_rope(config, 1, hp, err);
}

static fj_value *block(fj_build *b, fj_value *x, int layer)
{
    fj_value *h = fj_block_norm(b, x, &fj_role_attn_norm, layer);
    x = fj_add(b->g, x, fj_block_attention(b, h, layer));
    h = fj_block_norm(b, x, &fj_role_ffn_norm, layer);
    return fj_add(b->g, x, fj_block_gated_mlp(b, h, layer));
}

const fj_family fj_family_phi3 = {
    .name = "phi3",
    .model_types = model_types,
    .weights = weights,
    .ignored = ignored,
    .hparams = hparams,
    .block = block,
};
