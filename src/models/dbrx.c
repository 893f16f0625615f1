/* SPDX-License-Identifier: Apache-2.0
 * DBRX.  Source: transformers, modeling_dbrx.py, DbrxBlock.
 *   q, k, v = clamp(Wqkv LN(h; attn_norm));  h += attention;  h += experts(LN(h; attn_output_norm))      norms without bias
 * Of 16 experts 4 are chosen, their weights divided by their norm. The rows of all experts are one matrix; w2's are the transposed ones.
 * GGUF has the usual layout. */
#include "models/build.h"
#include "models/config.h"

#define LAYER "transformer.blocks.{}."
static const fj_weight_row weights[] = {
    { &fj_role_token_embd, "transformer.wte.weight", { FJ_DIM_VOCAB, FJ_DIM_MODEL } },
    { &fj_role_output_norm, "transformer.norm_f.weight", { FJ_DIM_MODEL } },
    { &fj_role_output, "lm_head.weight", { FJ_DIM_VOCAB, FJ_DIM_MODEL }, .flags = FJ_TIED_OUTPUT },
    { &fj_role_attn_norm, LAYER "norm_attn_norm.norm_1.weight", { FJ_DIM_MODEL } },
    { &fj_role_attn_qkv, LAYER "norm_attn_norm.attn.Wqkv.weight", { FJ_DIM_QKV, FJ_DIM_MODEL } },
    { &fj_role_attn_output, LAYER "norm_attn_norm.attn.out_proj.weight", { FJ_DIM_MODEL, FJ_DIM_Q } },
    { &fj_role_attn_output_norm, LAYER "norm_attn_norm.norm_2.weight", { FJ_DIM_MODEL } },
    { &fj_role_ffn_gate_inp, LAYER "ffn.router.layer.weight", { FJ_DIM_EXPERTS, FJ_DIM_MODEL } },
    { &fj_role_ffn_gate_exps,
      LAYER "ffn.experts.mlp.w1",
      { FJ_DIM_EXPERTS, FJ_DIM_FF, FJ_DIM_MODEL },
      .flags = FJ_HF_STACKED },
    { &fj_role_ffn_up_exps,
      LAYER "ffn.experts.mlp.v1",
      { FJ_DIM_EXPERTS, FJ_DIM_FF, FJ_DIM_MODEL },
      .flags = FJ_HF_STACKED },
    { &fj_role_ffn_down_exps,
      LAYER "ffn.experts.mlp.w2",
      { FJ_DIM_EXPERTS, FJ_DIM_MODEL, FJ_DIM_FF },
      .flags = FJ_HF_STACKED | FJ_HF_TRANSPOSED },
    { 0 },
};
#undef LAYER

static const char *const model_types[] = { "dbrx", NULL };
static const char *const ignored[] = { "rotary_emb.inv_freq", NULL };

static fj_status hparams(const fj_json *config, fj_naming naming, fj_hparams *hp, fj_err *err)
{
    static const fj_config_names names = { .d_model = "d_model|hidden_size",
                                           .n_layers = "n_layers|num_hidden_layers",
                                           .n_heads = "n_heads|num_attention_heads",
                                           .n_kv_heads = "attn_config.kv_n_heads",
                                           .d_head = "",
                                           .n_ctx = "max_seq_len|max_position_embeddings",
                                           .d_ff = "ffn_config.ffn_hidden_size",
                                           .norm_eps = "norm_eps",
                                           .norm_eps_is = 1e-5 };
    const fj_json *ffn = fj_json_get(config, "ffn_config");
    (void)naming;
    fj_status st = fj_config_core(config, &names, hp, err);
    if (!st)
        st = fj_config_activation(config, "ffn_config.ffn_act_fn.name", "silu", hp, err);
    if (!st)
        st = fj_config_experts(config, "ffn_config.moe_num_experts", "ffn_config.moe_top_k", hp, err);
    if (!st)
        st = fj_config_positive(config, "attn_config.clip_qkv", &hp->clip_qkv, err);
    if (!st)
        st = fj_config_real(config, "ffn_config.moe_normalize_expert_weights",
                            fj_json_get(ffn, "moe_normalize_expert_weights") ? 0 : 1, &hp->expert_norm, err);
    if (!st)
        st = fj_config_rope(config, 1, hp, err);
    if (!st)
        st = fj_config_real(config, "attn_config.rope_theta|rope_theta", 10000, &hp->rope_theta, err);
    if (!st && (!(hp->rope_theta > 0) || hp->expert_norm < 0))
        st = fj_fail(err, FJ_ERR_FORMAT, "config.json: rope_theta is %g, moe_normalize_expert_weights %g",
                     hp->rope_theta, hp->expert_norm);
    hp->is_layer_norm = true;
    return st;
}

static fj_value *block(fj_build *b, fj_value *x, int layer)
{
    x = fj_add(b->g, x, fj_block_attention(b, fj_block_norm(b, x, &fj_role_attn_norm, layer), layer));
    return fj_add(b->g, x, fj_block_experts(b, fj_block_norm(b, x, &fj_role_attn_output_norm, layer), layer));
}

const fj_family fj_family_dbrx = {
    .name = "dbrx",
    .model_types = model_types,
    .weights = weights,
    .ignored = ignored,
    .hparams = hparams,
    .block = block,
};
