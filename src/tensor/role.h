/* SPDX-License-Identifier: Apache-2.0
 * What a weight is for. Roles are the only names of weights that code outside a family's table knows: GGUF names, LoRA
 * targets and quantization recipes are maps from roles. */
#ifndef FJ_TENSOR_ROLE_H
#define FJ_TENSOR_ROLE_H

#include <stdbool.h>
#include <stddef.h>

#include "tensor/tensor.h"

/* One role. Compared by address. {} in gguf is the layer's number. */
typedef struct fj_role {
    const char *name;      /* short, for messages and tables: "attn_q" */
    const char *gguf;      /* "blk.{}.attn_q"; ".weight" or ".bias" is added by the weight's row */
    bool        in_layer;
    bool        is_f32;    /* read as f32 numbers whatever its shape: norms of heads, convolutions */
    bool        is_bare;   /* its GGUF name has no ".weight" */
    bool        is_linear; /* a matrix applied as y = W x: what LoRA's "all" takes, when in a layer */
} fj_role;

extern const fj_role fj_role_token_embd, fj_role_token_embd_norm, fj_role_position_embd, fj_role_output_norm, fj_role_output,
    fj_role_score, fj_role_rope_freqs, fj_role_rope_factors_long, fj_role_rope_factors_short;
extern const fj_role fj_role_attn_norm, fj_role_attn_norm_2, fj_role_attn_qkv, fj_role_attn_q, fj_role_attn_k, fj_role_attn_v,
    fj_role_attn_q_norm, fj_role_attn_k_norm, fj_role_attn_output, fj_role_post_attention_norm;
extern const fj_role fj_role_ffn_norm, fj_role_ffn_gate, fj_role_ffn_up, fj_role_ffn_down, fj_role_post_ffw_norm;
extern const fj_role fj_role_ffn_gate_inp, fj_role_ffn_gate_exps, fj_role_ffn_up_exps, fj_role_ffn_down_exps, fj_role_attn_output_norm,
    fj_role_layer_output_norm, fj_role_attn_kv, fj_role_attn_gate_inp, fj_role_attn_in_exps, fj_role_attn_out_exps, fj_role_ffn_in_exps;
extern const fj_role fj_role_ssm_in, fj_role_ssm_conv1d, fj_role_ssm_x, fj_role_ssm_dt, fj_role_ssm_a, fj_role_ssm_d, fj_role_ssm_out,
    fj_role_ssm_dt_norm, fj_role_ssm_b_norm, fj_role_ssm_c_norm;

extern const fj_role *const fj_roles[]; /* all, NULL at the end */

#endif
