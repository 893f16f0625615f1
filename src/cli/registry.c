/* SPDX-License-Identifier: Apache-2.0
 * All commands, in alphabetical order, one a line. */
#include "cli/commands.h"

/* clang-format off */
const fj_command *const fj_commands[] = {
    &fj_command_bench,
    &fj_command_classify,
    &fj_command_doctor,
    &fj_command_eval,
    &fj_command_export,
    &fj_command_imatrix,
    &fj_command_inspect_routing,
    &fj_command_models,
    &fj_command_plan,
    &fj_command_probe_grads,
    &fj_command_probe_hidden,
    &fj_command_probe_logits,
    &fj_command_probe_quant,
    &fj_command_pull,
    &fj_command_quantize,
    &fj_command_report_quant,
    &fj_command_run,
    &fj_command_tokenize,
    &fj_command_train,
    &fj_command_version,
    NULL,
};
