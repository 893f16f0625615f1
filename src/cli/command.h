/* SPDX-License-Identifier: Apache-2.0
 * Commands: one file each, described by one constant. A command's option table is read by the parser and the help. */
#ifndef FJ_CLI_COMMAND_H
#define FJ_CLI_COMMAND_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "base/log.h"
#include "base/option.h"
#include "base/str.h"
#include "base/thread.h"
#include "kernels/kernels.h"

/* Options that every command has; the first member of every settings struct. */
typedef struct fj_common {
    int64_t threads, seed;
    bool json, quiet, verbose, help;
    const char *isa;
} fj_common;

typedef struct fj_runtime {
    fj_pool *pool;
    fj_kernels kernels;
    fj_log *log;
    int *
        cancel; /* set by Ctrl-C, atomically: the command stops soon; a second Ctrl-C ends the process. A command that goes on
                        * (the chat, after an answer was stopped) sets it back to 0 */
} fj_runtime;

typedef struct fj_call fj_call;

/* A table that several commands share, for a struct inside their settings. */
typedef struct fj_option_group {
    const char *title; /* of its part of the help; NULL ends a list of groups */
    const fj_option *options;
    size_t offset; /* of its struct in the command's settings */
} fj_option_group;

typedef struct fj_command {
    const char *name;    /* "run", "probe logits" */
    const char *summary; /* one line */
    const char *about;   /* more, for its own help; may be NULL */
    const fj_option *options;
    const fj_option_group *groups; /* further tables; may be NULL */
    size_t settings_size;
    fj_status (*run)(const fj_call *call, fj_err *err);
    void (*list)(fj_str *out); /* appends what its help lists besides options (types, names); may be NULL */
    bool spares_weights; /* configuration and tokenizer of a model of the hub are enough */
    bool keeps_names; /* MODEL as it was written; else names of the hub are paths, fetched, before run() */
} fj_command;

/* One run of a command. */
struct fj_call {
    const fj_command *command;
    fj_runtime *rt;
    const void *settings;
    const bool *given; /* by position in options, then the groups', then the common ones */
};

/* Whether the user wrote the option (rather than its fallback standing in). */
bool fj_call_given(const fj_call *call, const char *option);

extern const fj_command *const fj_commands[]; /* in alphabetical order, NULL at the end */
extern const fj_option fj_common_options[];

/* Fills settings (settings_size bytes) and given (fj_options_count) from the arguments, argv[0] being the command's name. Text lives in
 * the arena. FJ_ERR_USAGE names the option and the nearest known. With --help, missing positionals are fine. */
fj_status fj_options_parse(const fj_command *command, int argc, const char **argv, fj_arena *arena, void *settings,
                           bool *given, fj_err *err);
size_t fj_options_count(const fj_command *command);

/* Appends the page of help. width: columns of the terminal. */
void fj_help_all(int width, fj_str *out);
void fj_help_command(const fj_command *command, int width, fj_str *out);

/* The whole program. Returns the exit code. */
int fj_cli_main(int argc, char **argv);

#endif
