/* SPDX-License-Identifier: Apache-2.0
 * GPT-2.  Source: transformers, modeling_gpt2.py, GPT2Block.
 *   h = wte[t] + wpe[position];  h += attention(LN(h; attn_norm));  h += down(gelu(up LN(h; ffn_norm)))     biases everywhere, tied
 * Its matrices are stored (in, out); the hub's files have names without the prefix. */
#include "models/build.h"
#include "models/config.h"

#define LAYER "transformer.h.{}."
static const fj_weight_row weights[] = {
    { &fj_role_token_embd, "transformer.wte.weight", { FJ_DIM_VOCAB, FJ_DIM_MODEL } },
    { &fj_role_position_embd, "transformer.wpe.weight", { FJ_DIM_CTX, FJ_DIM_MODEL } },
    { &fj_role_output_norm, "transformer.ln_f.weight", { FJ_DIM_MODEL } },
    { &fj_role_output_norm, "transformer.ln_f.bias", { FJ_DIM_MODEL }, .is_bias = true },
    { &fj_role_output, "lm_head.weight", { FJ_DIM_VOCAB, FJ_DIM_MODEL }, .flags = FJ_TIED_OUTPUT },
    { &fj_role_attn_norm, LAYER "ln_1.weight", { FJ_DIM_MODEL } },
    { &fj_role_attn_norm, LAYER "ln_1.bias", { FJ_DIM_MODEL }, .is_bias = true },
    { &fj_role_attn_qkv, LAYER "attn.c_attn.weight", { FJ_DIM_QKV, FJ_DIM_MODEL }, .flags = FJ_HF_TRANSPOSED },
    { &fj_role_attn_qkv, LAYER "attn.c_attn.bias", { FJ_DIM_QKV }, .is_bias = true },
    { &fj_role_attn_output, LAYER "attn.c_proj.weight", { FJ_DIM_MODEL, FJ_DIM_Q }, .flags = FJ_HF_TRANSPOSED },
    { &fj_role_attn_output, LAYER "attn.c_proj.bias", { FJ_DIM_MODEL }, .is_bias = true },
    { &fj_role_ffn_norm, LAYER "ln_2.weight", { FJ_DIM_MODEL } },
    { &fj_role_ffn_norm, LAYER "ln_2.bias", { FJ_DIM_MODEL }, .is_bias = true },
    { &fj_role_ffn_up, LAYER "mlp.c_fc.weight", { FJ_DIM_FF, FJ_DIM_MODEL }, .flags = FJ_HF_TRANSPOSED },
    { &fj_role_ffn_up, LAYER "mlp.c_fc.bias", { FJ_DIM_FF }, .is_bias = true },
    { &fj_role_ffn_down, LAYER "mlp.c_proj.weight", { FJ_DIM_MODEL, FJ_DIM_FF }, .flags = FJ_HF_TRANSPOSED },
    { &fj_role_ffn_down, LAYER "mlp.c_proj.bias", { FJ_DIM_MODEL }, .is_bias = true },
    { 0 },
};
#undef LAYER

static const char *const model_types[] = { "gpt2", NULL };
static const char *const ignored[] = { "attn.bias", "attn.masked_bias", NULL };

static fj_status hparams(const fj_json *config, fj_naming naming, fj_hparams *hp, fj_err *err)
{
    static const fj_config_names names = { .d_model = "n_embd|hidden_size",
                                           .n_layers = "n_layer|num_hidden_layers",
                                           .n_heads = "n_head|num_attention_heads",
                                           .n_kv_heads = "",
                                           .d_head = "",
                                           .n_ctx = "n_positions|max_position_embeddings|n_ctx",
                                           .d_ff = "n_inner",
                                           .ff_times = 4,
                                           .norm_eps = "layer_norm_epsilon",
                                           .norm_eps_is = 1e-5 };
    bool is_scaled = true;
    (void)naming;
    fj_status st = fj_config_core(config, &names, hp, err);
    if (!st)
        st = fj_config_activation(config, "activation_function", "gelu_new", hp, err);
    if (!st)
        st = fj_config_bool(config, "scale_attn_weights", true, &is_scaled, err);
    if (!st)
        st = fj_config_bool(config, "scale_attn_by_inverse_layer_idx", false, &hp->scale_by_layer, err);
    hp->attn_scale = is_scaled ? 0 : 1;
    hp->is_layer_norm = true;
    return st;
}

static fj_value *embed(fj_build *b)
{
    fj_value *x = fj_embed(b->g, b->ids, fj_build_need(b, &fj_role_token_embd, -1));
    return fj_add(b->g, x, fj_embed(b->g, b->pos, fj_build_need(b, &fj_role_position_embd, -1)));
}

static fj_value *block(fj_build *b, fj_value *x, int layer)
{
    fj_value *h = fj_block_norm(b, x, &fj_role_attn_norm, layer);
    x = fj_add(b->g, x, fj_block_attention(b, h, layer));
    h = fj_block_norm(b, x, &fj_role_ffn_norm, layer);
    return fj_add(b->g, x, fj_block_mlp(b, h, layer));
}

const fj_family fj_family_gpt2 = {
    .name = "gpt2",
    .model_types = model_types,
    .weights = weights,
    .ignored = ignored,
    .prefix = "transformer.",
    .is_tied = true,
    .hparams = hparams,
    .embed = embed,
    .block = block,
};
