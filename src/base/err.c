/* SPDX-License-Identifier: Apache-2.0
 * See err.h. */
#include "base/err.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Prints into text, and makes one line of it: names from files may hold anything, also what moves a terminal's cursor. */
static void __attribute__((format(printf, 3, 0))) print(char *text, size_t size, const char *format, va_list args)
{
    (void)vsnprintf(text, size, format, args);
    for (char *p = text; *p; p++)
        if ((unsigned char)*p < 0x20 || *p == 0x7f)
            *p = *p == '\n' || *p == '\t' ? ' ' : '?';
}

fj_status fj_fail(fj_err *err, fj_status st, const char *format, ...)
{
    char text[sizeof err->message]; /* an argument may be the old message */
    va_list args;
    va_start(args, format);
    print(text, sizeof text, format, args);
    va_end(args);
    err->status = st;
    err->hint[0] = '\0';
    memcpy(err->message, text, sizeof text);
    return st;
}

fj_status fj_hint(fj_err *err, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    print(err->hint, sizeof err->hint, format, args);
    va_end(args);
    return err->status;
}

fj_status fj_prefix(fj_err *err, const char *format, ...)
{
    char text[sizeof err->message];
    va_list args;
    va_start(args, format);
    print(text, sizeof text / 2, format, args);
    va_end(args);
    size_t n = strlen(text), left = sizeof text - n - 3; /* of the old message; ": " and NUL are the rest */
    size_t kept = FJ_MIN(strlen(err->message), left);
    memcpy(text + n, ": ", 2);
    memcpy(text + n + 2, err->message, kept);
    text[n + 2 + kept] = '\0';
    memcpy(err->message, text, n + 3 + kept);
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
