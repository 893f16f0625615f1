/* SPDX-License-Identifier: Apache-2.0
 * The commands' descriptors, and what several commands share. */
#ifndef FJ_CLI_COMMANDS_H
#define FJ_CLI_COMMANDS_H

#include "cli/command.h"
#include "hub/hub.h"
#include "models/session.h"

extern const fj_command fj_command_bench, fj_command_doctor, fj_command_export, fj_command_plan, fj_command_probe_grads,
    fj_command_probe_hidden, fj_command_probe_logits, fj_command_probe_quant, fj_command_quantize, fj_command_run,
    fj_command_tokenize, fj_command_train, fj_command_version;

/* A model opened for use: bundle, model, and the adapter if one was asked for. */
typedef struct fj_opened {
    fj_bundle *bundle;
    fj_model *model;
    fj_adapter *adapter;
} fj_opened;
fj_status fj_opened_open(const char *model, const char *adapter, int what, fj_opened *out,
                         fj_err *err); /* adapter may be NULL */
void fj_opened_close(fj_opened *o);    /* accepts a zeroed one */

/* Reads a PEFT folder for a model. */
fj_status fj_adapter_open_folder(const fj_model *m, const char *folder, fj_adapter **out, fj_err *err);

/* "1,2,-3" to ids, in an arena. FJ_ERR_USAGE names what is no number. */
struct fj_arena;
fj_status fj_parse_ids(const char *text, struct fj_arena *arena, int32_t **ids, int64_t *n, fj_err *err);

/* A list of ids as JSON; NULL without memory. */
fj_json *fj_json_of_ids(const int32_t *ids, size_t n);

/* Prints a JSON value on stdout with a newline, and frees it. NULL is FJ_ERR_MEMORY. */
fj_status fj_print_json(fj_json *value, int indent, fj_err *err);

#endif
