/* SPDX-License-Identifier: Apache-2.0
 * Lines typed by people: editing, history, several lines as one. Over libedit (included by line.c alone). */
#ifndef FJ_CLI_LINE_H
#define FJ_CLI_LINE_H

#include "base/err.h"
#include "base/str.h"

typedef struct fj_lines fj_lines;

/* path: a file to keep lines in, made when needed; NULL: none. */
fj_status fj_lines_open(const char *path, fj_lines **out, fj_err *err);
void fj_lines_close(fj_lines *l); /* accepts NULL; writes the history */

typedef enum fj_line_end {
    FJ_LINE_DONE,
    FJ_LINE_CANCELLED, /* Ctrl-C */
    FJ_LINE_CLOSED,    /* Ctrl-D on an empty line, or the end of the input */
} fj_line_end;

/* One message: a line; or several, each ended by a backslash but the last; or what stands between """ and """. *out is replaced. */
fj_line_end fj_lines_read(fj_lines *l, const char *prompt, fj_str *out);

/* A path for free() in the user's state folder (XDG_STATE_HOME, else ~/.local/state): forja/<name>. NULL without a home. */
char *fj_state_path(const char *name);

#endif
