/* SPDX-License-Identifier: Apache-2.0
 * Tables of settings: what a setting is called, where it lies, what it may be. One table feeds the command line, the help, and what
 * reads the same settings from elsewhere (a server's JSON, a configuration). */
#ifndef FJ_BASE_OPTION_H
#define FJ_BASE_OPTION_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/arena.h"
#include "base/err.h"

typedef enum fj_option_kind {
    FJ_OPT_ARG,  /* positional; const char *; must be given unless it has a fallback ("" becomes NULL) */
    FJ_OPT_REST, /* all further positionals; fj_list */
    FJ_OPT_TEXT, /* const char *; NULL when not given and without fallback */
    FJ_OPT_INT,  /* int64_t; FJ_NOT_GIVEN likewise */
    FJ_OPT_REAL, /* double; NaN likewise */
    FJ_OPT_BOOL, /* bool, given as true or false */
    FJ_OPT_FLAG, /* bool, true when written */
    FJ_OPT_LIST, /* may be repeated; fj_list */
} fj_option_kind;

#define FJ_NOT_GIVEN INT64_MIN

typedef struct fj_list {
    const char **items;
    size_t n;
} fj_list;

typedef struct fj_option {
    const char *name;  /* long name, or the positional's name in capitals; NULL ends a table */
    const char *value; /* what the help calls its value */
    fj_option_kind kind;
    size_t offset;        /* in the settings */
    const char *fallback; /* as typed; NULL for none */
    const char *help;
    double least, most;  /* of numbers; both 0: any */
    char letter;         /* short name, 0 for none */
    const char *choices; /* of texts: "hf|gguf"; NULL: any text */
    const char *alias;   /* another name, with one dash or two: "ctk"; NULL: none */
} fj_option;

/* Sets the option's place in settings from text, checked. label: what messages call it ("--temp", "temp"). text is borrowed for the
 * settings' life; lists grow in the arena. FJ_ERR_USAGE says what was wanted. */
fj_status fj_option_set(const fj_option *option, const char *label, const char *text, fj_arena *arena, void *settings,
                        fj_err *err);

/* Every option of a table to its fallback, or to "not given". A fallback that is not valid is our own mistake (assert). */
void fj_options_reset(const fj_option *table, fj_arena *arena, void *settings);

/* "true", "yes", "on" / "false", "no", "off", any case: false when text is neither. */
bool fj_text_bool(const char *text, bool *out);

#endif
