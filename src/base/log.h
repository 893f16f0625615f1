/* SPDX-License-Identifier: Apache-2.0
 * Messages for people, on stderr. A log is passed down from main; NULL is a log that says nothing. Thread-safe. */
#ifndef FJ_BASE_LOG_H
#define FJ_BASE_LOG_H

#include <stdbool.h>

typedef enum fj_level { FJ_LOG_ERROR, FJ_LOG_WARN, FJ_LOG_NOTE, FJ_LOG_DEBUG } fj_level;

typedef struct fj_log fj_log;

fj_log *fj_log_new(fj_level most); /* prints up to this level: -q WARN, default NOTE, -v DEBUG */
void    fj_log_free(fj_log *log);

/* One line. Prefixes "warning: " and "debug: " are added for those levels; NOTE has none. */
void fj_warn(fj_log *log, const char *format, ...) __attribute__((format(printf, 2, 3)));
void fj_note(fj_log *log, const char *format, ...) __attribute__((format(printf, 2, 3)));
void fj_debug(fj_log *log, const char *format, ...) __attribute__((format(printf, 2, 3)));
bool fj_log_has(const fj_log *log, fj_level level);

#endif
