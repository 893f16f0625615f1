/* SPDX-License-Identifier: Apache-2.0
 * Things people look at: errors, colours, bars, tables, spark lines. */
#ifndef FJ_CLI_PRINT_H
#define FJ_CLI_PRINT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "base/str.h"

/* "forja: error: what" on one line of stderr, whatever the names of files hold, then "hint: ...". Returns the exit code. */
int fj_print_error(const fj_err *err);

/* Whether the stream (1 or 2) wants colours: a terminal, no NO_COLOR, TERM not dumb; or CLICOLOR_FORCE. */
bool fj_wants_color(int fd);
bool fj_is_terminal(int fd);
int fj_terminal_width(int fd); /* columns; 80 where nobody says */

/* The escape sequence of a style when on, else "". */
typedef enum fj_style {
    FJ_STYLE_NONE,
    FJ_STYLE_BOLD,
    FJ_STYLE_DIM,
    FJ_STYLE_RED,
    FJ_STYLE_GREEN,
    FJ_STYLE_YELLOW,
    FJ_STYLE_CYAN
} fj_style;
const char *fj_style_code(fj_style style, bool on);

/* "####......" of `width` cells for a share from 0 to 1; out holds width + 1 bytes. */
char *fj_bar(double share, int width, char *out);

/* "1:05" or "1:02:03"; "?" when not finite. */
char *fj_format_seconds(double seconds, char out[32]);

/* "▁▂▅█": values as heights, the last `width` cells, each the mean of what falls into it. Values that are not finite show as blanks. */
void fj_spark(const double *values, size_t n, int width, fj_str *out);

/* A line on stderr that shows how far something is, with rate and time left: redrawn in place on a terminal (at most ten times a second),
 * else one line for each tenth. Zero-initialize with its title, unit and total. */
typedef struct fj_progress {
    const char *title, *unit; /* "layers", or "B" for bytes */
    double total;
    bool is_quiet;         /* shows nothing */
    double started, drawn; /* internal */
    int tenths;
} fj_progress;
void fj_progress_show(fj_progress *p, double done, const char *note); /* note: behind the bar; may be NULL */
void fj_progress_end(fj_progress *p);                                 /* clears the line of a terminal */

/* A table with aligned columns: cells are added row by row, then printed. */
typedef struct fj_table {
    const char *const *titles; /* of the columns; NULL at the end */
    const char *align;         /* 'l' or 'r' for each column */
    fj_str cells;              /* each ends with NUL */
} fj_table;
void fj_table_add(fj_table *t, const char *format, ...) __attribute__((format(printf, 2, 3)));
void fj_table_print(const fj_table *t, bool color, fj_str *out);
void fj_table_free(fj_table *t);

#endif
