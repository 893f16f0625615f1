/* SPDX-License-Identifier: Apache-2.0
 * All commands, in alphabetical order. */
#include "cli/commands.h"

const fj_command *const fj_commands[] = {
    &fj_command_probe_quant,
    &fj_command_version,
    NULL,
};
