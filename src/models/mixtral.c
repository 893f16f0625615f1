/* SPDX-License-Identifier: Apache-2.0
 * Mixtral, and mixtures merged like it.  Source: transformers, modeling_mixtral.py, MixtralDecoderLayer.
 * Mistral with experts for MLPs: the K best of softmax(router x) over all, their weights made to sum to 1 again. w1 is the gate, w3 up,
 * w2 down. GGUF's architecture is llama's, so q and k are permuted there; its experts are one tensor, or one each in files of 2023. */
#include "models/build.h"
#include "models/config.h"

#define LAYER "model.layers.{}."
static const fj_weight_row weights[] = {
    { &fj_role_token_embd, "model.embed_tokens.weight", { FJ_DIM_VOCAB, FJ_DIM_MODEL } },
    { &fj_role_output_norm, "model.norm.weight", { FJ_DIM_MODEL } },
    { &fj_role_output, "lm_head.weight", { FJ_DIM_VOCAB, FJ_DIM_MODEL }, .flags = FJ_TIED_OUTPUT },
    { &fj_role_attn_norm, LAYER "input_layernorm.weight", { FJ_DIM_MODEL } },
    { &fj_role_attn_q,
      LAYER "self_attn.q_proj.weight",
      { FJ_DIM_Q, FJ_DIM_MODEL },
      .gguf_rewrite = &fj_rewrite_rope_pairs },
    { &fj_role_attn_k,
      LAYER "self_attn.k_proj.weight",
      { FJ_DIM_KV, FJ_DIM_MODEL },
      .gguf_rewrite = &fj_rewrite_rope_pairs },
    { &fj_role_attn_v, LAYER "self_attn.v_proj.weight", { FJ_DIM_KV, FJ_DIM_MODEL } },
    { &fj_role_attn_output, LAYER "self_attn.o_proj.weight", { FJ_DIM_MODEL, FJ_DIM_Q } },
    { &fj_role_ffn_norm, LAYER "post_attention_layernorm.weight", { FJ_DIM_MODEL } },
    { &fj_role_ffn_gate_inp, LAYER "block_sparse_moe.gate.weight", { FJ_DIM_EXPERTS, FJ_DIM_MODEL } },
    { &fj_role_ffn_gate_exps,
      LAYER "block_sparse_moe.experts.{e}.w1.weight",
      { FJ_DIM_EXPERTS, FJ_DIM_FF, FJ_DIM_MODEL } },
    { &fj_role_ffn_down_exps,
      LAYER "block_sparse_moe.experts.{e}.w2.weight",
      { FJ_DIM_EXPERTS, FJ_DIM_MODEL, FJ_DIM_FF } },
    { &fj_role_ffn_up_exps,
      LAYER "block_sparse_moe.experts.{e}.w3.weight",
      { FJ_DIM_EXPERTS, FJ_DIM_FF, FJ_DIM_MODEL } },
    { 0 },
};
#undef LAYER

static const char *const model_types[] = { "mixtral", NULL };
static const char *const ignored[] = { "rotary_emb.inv_freq", NULL };

static fj_status hparams(const fj_json *config, fj_naming naming, fj_hparams *hp, fj_err *err)
{
    static const fj_config_names names = { .norm_eps_is = 1e-5 };
    fj_status st = fj_config_core(config, &names, hp, err);
    if (!st)
        st = fj_config_activation(config, "hidden_act", "silu", hp, err);
    if (!st)
        st = fj_config_experts(config, "num_local_experts|num_experts", "num_experts_per_tok", hp, err);
    if (!st)
        st = fj_config_window(config, 0, hp, err);
    if (!st)
        st = fj_config_rope(config, 1, hp, err);
    hp->expert_norm = 1;
    hp->rope_half = naming == FJ_NAMING_HF;
    return st;
}

static fj_value *block(fj_build *b, fj_value *x, int layer)
{
    fj_value *h = fj_block_norm(b, x, &fj_role_attn_norm, layer);
    x = fj_add(b->g, x, fj_block_attention(b, h, layer));
    h = fj_block_norm(b, x, &fj_role_ffn_norm, layer);
    return fj_add(b->g, x, fj_block_experts(b, h, layer));
}

const fj_family fj_family_mixtral = {
    .name = "mixtral",
    .model_types = model_types,
    .weights = weights,
    .ignored = ignored,
    .hparams = hparams,
    .block = block,
};
