/* SPDX-License-Identifier: Apache-2.0
 * See log.h. A line is made first and written with one call, so lines of several threads do not mix. */
#include "base/log.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

struct fj_log {
    fj_level most;
};

fj_log *fj_log_new(fj_level most)
{
    fj_log *log = malloc(sizeof *log);
    if (log)
        log->most = most;
    return log;
}

void fj_log_free(fj_log *log)
{
    free(log);
}

bool fj_log_has(const fj_log *log, fj_level level)
{
    return log && level <= log->most;
}

static void __attribute__((format(printf, 2, 0))) say(const char *prefix, const char *format, va_list args)
{
    char line[4096];
    (void)vsnprintf(line, sizeof line, format, args);
    (void)fprintf(stderr, "%s%s\n", prefix, line);
}

void fj_warn(fj_log *log, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    if (fj_log_has(log, FJ_LOG_WARN))
        say("warning: ", format, args);
    va_end(args);
}

void fj_note(fj_log *log, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    if (fj_log_has(log, FJ_LOG_NOTE))
        say("", format, args);
    va_end(args);
}

void fj_debug(fj_log *log, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    if (fj_log_has(log, FJ_LOG_DEBUG))
        say("debug: ", format, args);
    va_end(args);
}
