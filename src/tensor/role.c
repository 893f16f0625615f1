/* SPDX-License-Identifier: Apache-2.0
 * The roles, with GGUF's names of them. */
#include "tensor/role.h"

const fj_role fj_role_token_embd = { "token_embd", "token_embd" };
const fj_role fj_role_token_embd_norm = { "token_embd_norm", "token_embd_norm", .is_f32 = true };
const fj_role fj_role_position_embd = { "position_embd", "position_embd" };
const fj_role fj_role_output_norm = { "output_norm", "output_norm", .is_f32 = true };
const fj_role fj_role_output = { "output", "output", .is_linear = true };
const fj_role fj_role_score = { "score", "cls.score", .is_linear = true };
const fj_role fj_role_rope_freqs = { "rope_freqs", "rope_freqs" };
const fj_role fj_role_rope_factors_long = { "rope_factors_long", "rope_factors_long" };
const fj_role fj_role_rope_factors_short = { "rope_factors_short", "rope_factors_short" };
const fj_role fj_role_attn_norm = { "attn_norm", "blk.{}.attn_norm", .in_layer = true, .is_f32 = true };
const fj_role fj_role_attn_norm_2 = { "attn_norm_2", "blk.{}.attn_norm_2", .in_layer = true, .is_f32 = true };
const fj_role fj_role_attn_qkv = { "attn_qkv", "blk.{}.attn_qkv", .in_layer = true, .is_linear = true };
const fj_role fj_role_attn_q = { "attn_q", "blk.{}.attn_q", .in_layer = true, .is_linear = true };
const fj_role fj_role_attn_k = { "attn_k", "blk.{}.attn_k", .in_layer = true, .is_linear = true };
const fj_role fj_role_attn_v = { "attn_v", "blk.{}.attn_v", .in_layer = true, .is_linear = true };
const fj_role fj_role_attn_q_norm = { "attn_q_norm", "blk.{}.attn_q_norm", .in_layer = true, .is_f32 = true };
const fj_role fj_role_attn_k_norm = { "attn_k_norm", "blk.{}.attn_k_norm", .in_layer = true, .is_f32 = true };
const fj_role fj_role_attn_output = { "attn_output", "blk.{}.attn_output", .in_layer = true, .is_linear = true };
const fj_role fj_role_post_attention_norm = { "post_attention_norm", "blk.{}.post_attention_norm", .in_layer = true,
                                              .is_f32 = true };
const fj_role fj_role_ffn_norm = { "ffn_norm", "blk.{}.ffn_norm", .in_layer = true, .is_f32 = true };
const fj_role fj_role_ffn_gate = { "ffn_gate", "blk.{}.ffn_gate", .in_layer = true, .is_linear = true };
const fj_role fj_role_ffn_up = { "ffn_up", "blk.{}.ffn_up", .in_layer = true, .is_linear = true };
const fj_role fj_role_ffn_down = { "ffn_down", "blk.{}.ffn_down", .in_layer = true, .is_linear = true };
const fj_role fj_role_post_ffw_norm = { "post_ffw_norm", "blk.{}.post_ffw_norm", .in_layer = true, .is_f32 = true };
const fj_role fj_role_ffn_gate_inp = { "ffn_gate_inp", "blk.{}.ffn_gate_inp", .in_layer = true };
const fj_role fj_role_ffn_gate_exps = { "ffn_gate_exps", "blk.{}.ffn_gate_exps", .in_layer = true, .is_linear = true };
const fj_role fj_role_ffn_up_exps = { "ffn_up_exps", "blk.{}.ffn_up_exps", .in_layer = true, .is_linear = true };
const fj_role fj_role_ffn_down_exps = { "ffn_down_exps", "blk.{}.ffn_down_exps", .in_layer = true, .is_linear = true };
const fj_role fj_role_attn_output_norm = { "attn_output_norm", "blk.{}.attn_output_norm", .in_layer = true,
                                           .is_f32 = true };
const fj_role fj_role_layer_output_norm = { "layer_output_norm", "blk.{}.layer_output_norm", .in_layer = true,
                                            .is_f32 = true };
const fj_role fj_role_attn_kv = { "attn_kv", "blk.{}.attn_kv", .in_layer = true, .is_linear = true };
const fj_role fj_role_attn_gate_inp = { "attn_gate_inp", "blk.{}.attn_gate_inp", .in_layer = true };
const fj_role fj_role_attn_in_exps = { "attn_in_exps", "blk.{}.attn_in_exps", .in_layer = true, .is_linear = true };
const fj_role fj_role_attn_out_exps = { "attn_out_exps", "blk.{}.attn_out_exps", .in_layer = true, .is_linear = true };
const fj_role fj_role_ffn_in_exps = { "ffn_in_exps", "blk.{}.ffn_in_exps", .in_layer = true, .is_linear = true };
const fj_role fj_role_ssm_in = { "ssm_in", "blk.{}.ssm_in", .in_layer = true, .is_linear = true };
const fj_role fj_role_ssm_conv1d = { "ssm_conv1d", "blk.{}.ssm_conv1d", .in_layer = true, .is_f32 = true };
const fj_role fj_role_ssm_x = { "ssm_x", "blk.{}.ssm_x", .in_layer = true, .is_linear = true };
const fj_role fj_role_ssm_dt = { "ssm_dt", "blk.{}.ssm_dt", .in_layer = true, .is_linear = true };
const fj_role fj_role_ssm_a = { "ssm_a", "blk.{}.ssm_a", .in_layer = true, .is_f32 = true, .is_bare = true };
const fj_role fj_role_ssm_d = { "ssm_d", "blk.{}.ssm_d", .in_layer = true, .is_f32 = true, .is_bare = true };
const fj_role fj_role_ssm_out = { "ssm_out", "blk.{}.ssm_out", .in_layer = true, .is_linear = true };
const fj_role fj_role_ssm_dt_norm = { "ssm_dt_norm", "blk.{}.ssm_dt_norm", .in_layer = true, .is_f32 = true };
const fj_role fj_role_ssm_b_norm = { "ssm_b_norm", "blk.{}.ssm_b_norm", .in_layer = true, .is_f32 = true };
const fj_role fj_role_ssm_c_norm = { "ssm_c_norm", "blk.{}.ssm_c_norm", .in_layer = true, .is_f32 = true };

const fj_role *const fj_roles[] = { &fj_role_token_embd,
                                    &fj_role_token_embd_norm,
                                    &fj_role_position_embd,
                                    &fj_role_output_norm,
                                    &fj_role_output,
                                    &fj_role_score,
                                    &fj_role_rope_freqs,
                                    &fj_role_rope_factors_long,
                                    &fj_role_rope_factors_short,
                                    &fj_role_attn_norm,
                                    &fj_role_attn_norm_2,
                                    &fj_role_attn_qkv,
                                    &fj_role_attn_q,
                                    &fj_role_attn_k,
                                    &fj_role_attn_v,
                                    &fj_role_attn_q_norm,
                                    &fj_role_attn_k_norm,
                                    &fj_role_attn_output,
                                    &fj_role_post_attention_norm,
                                    &fj_role_ffn_norm,
                                    &fj_role_ffn_gate,
                                    &fj_role_ffn_up,
                                    &fj_role_ffn_down,
                                    &fj_role_post_ffw_norm,
                                    &fj_role_ffn_gate_inp,
                                    &fj_role_ffn_gate_exps,
                                    &fj_role_ffn_up_exps,
                                    &fj_role_ffn_down_exps,
                                    &fj_role_attn_output_norm,
                                    &fj_role_layer_output_norm,
                                    &fj_role_attn_kv,
                                    &fj_role_attn_gate_inp,
                                    &fj_role_attn_in_exps,
                                    &fj_role_attn_out_exps,
                                    &fj_role_ffn_in_exps,
                                    &fj_role_ssm_in,
                                    &fj_role_ssm_conv1d,
                                    &fj_role_ssm_x,
                                    &fj_role_ssm_dt,
                                    &fj_role_ssm_a,
                                    &fj_role_ssm_d,
                                    &fj_role_ssm_out,
                                    &fj_role_ssm_dt_norm,
                                    &fj_role_ssm_b_norm,
                                    &fj_role_ssm_c_norm,
                                    NULL };
