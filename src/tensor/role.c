/* SPDX-License-Identifier: Apache-2.0
 * The roles, with GGUF's names of them. */
#include "tensor/role.h"

const fj_role fj_role_token_embd = { "token_embd", "token_embd" };
const fj_role fj_role_output_norm = { "output_norm", "output_norm" };
const fj_role fj_role_output = { "output", "output", .is_linear = true };
const fj_role fj_role_rope_freqs = { "rope_freqs", "rope_freqs" };
const fj_role fj_role_attn_norm = { "attn_norm", "blk.{}.attn_norm", .in_layer = true };
const fj_role fj_role_attn_q = { "attn_q", "blk.{}.attn_q", .in_layer = true, .is_linear = true };
const fj_role fj_role_attn_k = { "attn_k", "blk.{}.attn_k", .in_layer = true, .is_linear = true };
const fj_role fj_role_attn_v = { "attn_v", "blk.{}.attn_v", .in_layer = true, .is_linear = true };
const fj_role fj_role_attn_output = { "attn_output", "blk.{}.attn_output", .in_layer = true, .is_linear = true };
const fj_role fj_role_ffn_norm = { "ffn_norm", "blk.{}.ffn_norm", .in_layer = true };
const fj_role fj_role_ffn_gate = { "ffn_gate", "blk.{}.ffn_gate", .in_layer = true, .is_linear = true };
const fj_role fj_role_ffn_up = { "ffn_up", "blk.{}.ffn_up", .in_layer = true, .is_linear = true };
const fj_role fj_role_ffn_down = { "ffn_down", "blk.{}.ffn_down", .in_layer = true, .is_linear = true };

const fj_role *const fj_roles[] = { &fj_role_token_embd,  &fj_role_output_norm,
                                    &fj_role_output,      &fj_role_rope_freqs,
                                    &fj_role_attn_norm,   &fj_role_attn_q,
                                    &fj_role_attn_k,      &fj_role_attn_v,
                                    &fj_role_attn_output, &fj_role_ffn_norm,
                                    &fj_role_ffn_gate,    &fj_role_ffn_up,
                                    &fj_role_ffn_down,    NULL };
