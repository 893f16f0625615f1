/* SPDX-License-Identifier: Apache-2.0
 * All operations, in alphabetical order. */
#include "ops/op.h"

/* clang-format off */
const fj_op *const fj_ops[] = {
    &fj_op_activation,
    &fj_op_adamw,
    &fj_op_add,
    &fj_op_attention,
    &fj_op_attention_cached,
    &fj_op_balance_loss,
    &fj_op_cache_store,
    &fj_op_clamp,
    &fj_op_combine,
    &fj_op_dropout,
    &fj_op_embed,
    &fj_op_expert_linear,
    &fj_op_expert_load,
    &fj_op_gated,
    &fj_op_gather_rows,
    &fj_op_grad_norm,
    &fj_op_head_loss,
    &fj_op_layer_norm,
    &fj_op_linear,
    &fj_op_lora_add,
    &fj_op_mul,
    &fj_op_rms_norm,
    &fj_op_rope,
    &fj_op_rope_table,
    &fj_op_route,
    &fj_op_scale,
    &fj_op_select_rows,
    &fj_op_softcap,
    &fj_op_split,
    &fj_op_swiglu,
    NULL,
};
