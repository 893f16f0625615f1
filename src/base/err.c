/* SPDX-License-Identifier: Apache-2.0
 * See err.h. */
#include "base/err.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

fj_status fj_fail(fj_err *err, fj_status st, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    err->status = st;
    err->hint[0] = '\0';
    (void)vsnprintf(err->message, sizeof err->message, format, args);
    va_end(args);
    return st;
}

fj_status fj_hint(fj_err *err, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    (void)vsnprintf(err->hint, sizeof err->hint, format, args);
    va_end(args);
    return err->status;
}

fj_status fj_prefix(fj_err *err, const char *format, ...)
{
    char text[sizeof err->message], old[sizeof err->message];
    va_list args;
    va_start(args, format);
    (void)vsnprintf(text, sizeof text, format, args);
    va_end(args);
    memcpy(old, err->message, sizeof old);
    size_t n = strlen(text);
    (void)snprintf(err->message, sizeof err->message, "%.*s: %.*s", (int)FJ_MIN(n, 300), text, (int)sizeof old - 320,
                   old);
    return err->status;
}

int fj_exit_code(fj_status st)
{
    switch (st) {
    case FJ_OK: return 0;
    case FJ_ERR_FAILED:
    case FJ_ERR_DATA: return 1;
    case FJ_ERR_USAGE:
    case FJ_ERR_ARG: return 2;
    case FJ_ERR_FORMAT:
    case FJ_ERR_SHAPE: return 3;
    case FJ_ERR_MEMORY: return 4;
    case FJ_ERR_NETWORK: return 5;
    case FJ_ERR_CHECK: return 6;
    case FJ_ERR_CANCELLED: return 130;
    }
    return 1;
}

_Noreturn void fj_assert_failed(const char *expression, const char *file, int line)
{
    (void)fprintf(stderr, "forja: error: internal: '%s' is false at %s:%d\n", expression, file, line);
    (void)fprintf(stderr, "hint: this is a mistake in forja; please report it with the command that led here\n");
    abort();
}
