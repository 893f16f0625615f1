/* SPDX-License-Identifier: Apache-2.0
 * What forja run's files share. */
#ifndef FJ_CLI_RUN_H
#define FJ_CLI_RUN_H

#include "cli/commands.h"
#include "tasks/chat.h"
#include "tasks/generate.h"
#include "tasks/sample.h"

typedef struct fj_run_settings {
    fj_common common;
    const char *model, *prompt, *file, *system, *ids, *adapter, *template_name, *template_file, *max_memory, *prompt_cache;
    int64_t n_predict, n_ctx, n_keep;
    bool chat, ignore_eos, no_repack, prompt_cache_ro, context_shift;
    fj_list stop;
    fj_sample_settings sample;
    fj_expert_settings experts;
    fj_cache_settings cache;
    fj_draft_settings draft;
} fj_run_settings;

/* A model ready to answer. */
typedef struct fj_runner {
    const fj_call *call;
    const fj_run_settings *s;
    fj_opened opened;
    fj_draft *draft; /* NULL: none was asked for */
    char *draft_path;
    fj_session *session;
    fj_generator *generator;
    fj_sampler *sampler;
    char *template_text; /* given by the user; NULL: the model's own */
    uint64_t seed;
} fj_runner;

/* Session, sampler and generator for a context of n_ctx positions (0: as the session chooses), of which `length` will be used (0: all). */
fj_status fj_run_open_session(fj_runner *r, int64_t n_ctx, int64_t length, fj_err *err);

/* How an answer is generated, as the options say; that it may write the prompt cache is left to the caller. */
fj_generate_settings fj_run_generate_settings(const fj_runner *r);

/* The conversation at the terminal. */
fj_status fj_run_chat(fj_runner *r, fj_err *err);

#endif
