/* SPDX-License-Identifier: Apache-2.0
 * The commands' descriptors, and what several commands share. */
#ifndef FJ_CLI_COMMANDS_H
#define FJ_CLI_COMMANDS_H

#include "cli/command.h"
#include "hub/hub.h"
#include "models/session.h"
#include "tasks/opened.h"

extern const fj_command fj_command_bench;
extern const fj_command fj_command_classify;
extern const fj_command fj_command_doctor;
extern const fj_command fj_command_eval;
extern const fj_command fj_command_export;
extern const fj_command fj_command_imatrix;
extern const fj_command fj_command_inspect_routing;
extern const fj_command fj_command_models;
extern const fj_command fj_command_plan;
extern const fj_command fj_command_probe_grads;
extern const fj_command fj_command_probe_hidden;
extern const fj_command fj_command_probe_logits;
extern const fj_command fj_command_probe_quant;
extern const fj_command fj_command_pull;
extern const fj_command fj_command_quantize;
extern const fj_command fj_command_report_quant;
extern const fj_command fj_command_run;
extern const fj_command fj_command_tokenize;
extern const fj_command fj_command_train;
extern const fj_command fj_command_version;

/* --n-experts-used and --experts, a group of several commands. */
typedef struct fj_expert_settings {
    int64_t     n_used; /* 0: the model's own */
    const char *spec;
} fj_expert_settings;
extern const fj_option fj_expert_options[];

/* Before the model's graphs are made. FJ_ERR_USAGE: see fj_model_choose_experts. */
fj_status fj_choose_experts(const fj_expert_settings *s, fj_model *m, fj_err *err);

/* --cache-type-k and --cache-type-v, a group of several commands. */
typedef struct fj_cache_settings {
    const char *k, *v;
} fj_cache_settings;
extern const fj_option fj_cache_options[];

/* The types that were asked for; NULL: the session's own choice. */
const fj_dtype *fj_cache_type(const char *name);

/* "1,2,-3" to ids, in an arena. FJ_ERR_USAGE names what is no number. */
struct fj_arena;
fj_status fj_parse_ids(const char *text, struct fj_arena *arena, int32_t **ids, int64_t *n, fj_err *err);

/* A list of ids as JSON; NULL without memory. */
fj_json *fj_json_of_ids(const int32_t *ids, size_t n);

/* The path of a MODEL, for free(): of the hub's models the place in the cache, where they are fetched to if need be, with a bar. */
fj_status fj_call_fetch(const fj_call *call, const char *model, char **path, fj_err *err);

/* Sees to it that the base model of a run's YAML is on the disk, so that fj_train_run_open finds it. */
fj_status fj_call_fetch_base(const fj_call *call, const char *file, const fj_list *overrides, fj_err *err);

/* Prints a JSON value on stdout with a newline, and frees it. NULL is FJ_ERR_MEMORY. */
fj_status fj_print_json(fj_json *value, int indent, fj_err *err);

#endif
