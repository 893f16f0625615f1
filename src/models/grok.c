/* SPDX-License-Identifier: Apache-2.0
 * Grok-1.  Source: the JAX release (xai-org/grok-1, model.py, DecoderLayer); names of the two conversions to Hugging Face's form.
 *   h = embed[t] * embedding_multiplier_scale
 *   h += RMS(attention(RMS(h; attn_norm)); attn_output_norm), scores 30 tanh(q.k * attn_output_multiplier / 30)
 *   h += RMS(experts(RMS(h; ffn_norm)); layer_output_norm), the two best of softmax(router x), weights as they are
 *   logits = output_multiplier_scale * embed^T RMS(h; output_norm) */
#include <string.h>

#include "models/build.h"
#include "models/config.h"

#define LAYER "transformer.decoder_layer.{}."
static const fj_weight_row weights[] = {
    { &fj_role_token_embd, "transformer.in_out_embed.weight", { FJ_DIM_VOCAB, FJ_DIM_MODEL } },
    { &fj_role_output_norm, "transformer.rms_norm.weight", { FJ_DIM_MODEL } },
    { &fj_role_output, "lm_head.weight", { FJ_DIM_VOCAB, FJ_DIM_MODEL }, .flags = FJ_TIED_OUTPUT },
    { &fj_role_attn_norm, LAYER "rms_norm.weight", { FJ_DIM_MODEL } },
    { &fj_role_attn_q, LAYER "multi_head_attention.query.weight", { FJ_DIM_Q, FJ_DIM_MODEL } },
    { &fj_role_attn_k, LAYER "multi_head_attention.key.weight", { FJ_DIM_KV, FJ_DIM_MODEL } },
    { &fj_role_attn_v, LAYER "multi_head_attention.value.weight", { FJ_DIM_KV, FJ_DIM_MODEL } },
    { &fj_role_attn_output, LAYER "multi_head_attention.linear.weight", { FJ_DIM_MODEL, FJ_DIM_Q } },
    { &fj_role_attn_output_norm, LAYER "rms_norm_1.weight", { FJ_DIM_MODEL } },
    { &fj_role_ffn_norm, LAYER "rms_norm_2.weight", { FJ_DIM_MODEL } },
    { &fj_role_layer_output_norm, LAYER "rms_norm_3.weight", { FJ_DIM_MODEL } },
    { &fj_role_ffn_gate_inp, LAYER "router.weight", { FJ_DIM_EXPERTS, FJ_DIM_MODEL } },
    { &fj_role_ffn_gate_exps, LAYER "moe.{e}.linear.weight", { FJ_DIM_EXPERTS, FJ_DIM_FF, FJ_DIM_MODEL } },
    { &fj_role_ffn_down_exps, LAYER "moe.{e}.linear_1.weight", { FJ_DIM_EXPERTS, FJ_DIM_MODEL, FJ_DIM_FF } },
    { &fj_role_ffn_up_exps, LAYER "moe.{e}.linear_v.weight", { FJ_DIM_EXPERTS, FJ_DIM_FF, FJ_DIM_MODEL } },
    { 0 },
};
#undef LAYER

/* The conversion of hpcai-tech. */
#define LAYER "model.layers.{}."
static const fj_weight_row hpcai_weights[] = {
    { &fj_role_token_embd, "model.embed_tokens.weight", { FJ_DIM_VOCAB, FJ_DIM_MODEL } },
    { &fj_role_output_norm, "model.norm.scale", { FJ_DIM_MODEL } },
    { &fj_role_output, "lm_head.weight", { FJ_DIM_VOCAB, FJ_DIM_MODEL }, .flags = FJ_TIED_OUTPUT },
    { &fj_role_attn_norm, LAYER "pre_attn_norm.scale", { FJ_DIM_MODEL } },
    { &fj_role_attn_q, LAYER "attn.q_proj.weight", { FJ_DIM_Q, FJ_DIM_MODEL } },
    { &fj_role_attn_k, LAYER "attn.k_proj.weight", { FJ_DIM_KV, FJ_DIM_MODEL } },
    { &fj_role_attn_v, LAYER "attn.v_proj.weight", { FJ_DIM_KV, FJ_DIM_MODEL } },
    { &fj_role_attn_output, LAYER "attn.o_proj.weight", { FJ_DIM_MODEL, FJ_DIM_Q } },
    { &fj_role_attn_output_norm, LAYER "post_attn_norm.scale", { FJ_DIM_MODEL } },
    { &fj_role_ffn_norm, LAYER "pre_moe_norm.scale", { FJ_DIM_MODEL } },
    { &fj_role_layer_output_norm, LAYER "post_moe_norm.scale", { FJ_DIM_MODEL } },
    { &fj_role_ffn_gate_inp, LAYER "moe_block.gate.weight", { FJ_DIM_EXPERTS, FJ_DIM_MODEL } },
    { &fj_role_ffn_gate_exps,
      LAYER "moe_block.experts.{e}.linear.weight",
      { FJ_DIM_EXPERTS, FJ_DIM_FF, FJ_DIM_MODEL } },
    { &fj_role_ffn_down_exps,
      LAYER "moe_block.experts.{e}.linear_1.weight",
      { FJ_DIM_EXPERTS, FJ_DIM_MODEL, FJ_DIM_FF } },
    { &fj_role_ffn_up_exps,
      LAYER "moe_block.experts.{e}.linear_v.weight",
      { FJ_DIM_EXPERTS, FJ_DIM_FF, FJ_DIM_MODEL } },
    { 0 },
};
#undef LAYER

static const char *const model_types[] = { "grok", NULL };
static const char *const hpcai_model_types[] = { "grok-1", NULL };
static const char *const ignored[] = { "rotary_emb.inv_freq", NULL };

static fj_status hparams(const fj_json *config, fj_naming naming, fj_hparams *hp, fj_err *err)
{
    static const fj_config_names names = { .norm_eps_is = 1e-5 };
    const char *act = "";
    (void)naming;
    fj_status st = fj_config_core(config, &names, hp, err);
    if (!st)
        st = fj_config_text(config, "hidden_act", "gelu", &act, err);
    if (!st && !strcmp(act, "gelu")) /* JAX's gelu is the tanh form */
        hp->act = &fj_act_gelu_tanh;
    else if (!st)
        st = fj_config_activation(config, "hidden_act", "gelu", hp, err);
    if (!st)
        st = fj_config_experts(config, "num_local_experts|num_experts", "num_experts_per_tok", hp, err);
    if (!st)
        st = fj_config_real(config, "attn_output_multiplier", 0.08838834764831845, &hp->attn_scale, err);
    if (!st)
        st = fj_config_real(config, "max_attn_value", 30, &hp->attn_softcap, err);
    if (!st)
        st = fj_config_real(config, "embedding_multiplier_scale", 78.38367176906169, &hp->embd_scale, err);
    if (!st)
        st = fj_config_real(config, "output_multiplier_scale", 0.5773502691896257, &hp->logit_scale, err);
    return st ? st : fj_config_rope(config, 1, hp, err);
}

static fj_value *block(fj_build *b, fj_value *x, int layer)
{
    fj_value *h = fj_block_attention(b, fj_block_norm(b, x, &fj_role_attn_norm, layer), layer);
    x = fj_add(b->g, x, fj_block_norm(b, h, &fj_role_attn_output_norm, layer));
    h = fj_block_experts(b, fj_block_norm(b, x, &fj_role_ffn_norm, layer), layer);
    return fj_add(b->g, x, fj_block_norm(b, h, &fj_role_layer_output_norm, layer));
}

const fj_family fj_family_grok = {
    .name = "grok",
    .model_types = model_types,
    .weights = weights,
    .ignored = ignored,
    .is_tied = true,
    .hparams = hparams,
    .block = block,
};

const fj_family fj_family_grok_hpcai = {
    .name = "grok_hpcai",
    .model_types = hpcai_model_types,
    .weights = hpcai_weights,
    .ignored = ignored,
    .is_tied = true,
    .hparams = hparams,
    .block = block,
};
