/* SPDX-License-Identifier: Apache-2.0
 * Results and errors. Every function that can fail returns fj_status and fills one fj_err, where the cause is known. */
#ifndef FJ_BASE_ERR_H
#define FJ_BASE_ERR_H

typedef enum [[nodiscard]] fj_status {
    FJ_OK = 0,
    FJ_ERR_FAILED,    /* the operation failed: disk, system call, numbers not finite    exit code 1 */
    FJ_ERR_DATA,      /* a data file or a row of it is broken                           exit code 1 */
    FJ_ERR_USAGE,     /* wrong option, key or value                                     exit code 2 */
    FJ_ERR_ARG,       /* a caller's argument is out of range                            exit code 2 */
    FJ_ERR_FORMAT,    /* a model or file is not understood                              exit code 3 */
    FJ_ERR_SHAPE,     /* shapes disagree                                                exit code 3 */
    FJ_ERR_MEMORY,    /* not enough memory or disk                                      exit code 4 */
    FJ_ERR_NETWORK,   /* network or hub                                                 exit code 5 */
    FJ_ERR_CHECK,     /* a check failed                                                 exit code 6 */
    FJ_ERR_CANCELLED, /* the user interrupted                                           exit code 130 */
} fj_status;

/* What went wrong (what, where, got and wanted, in lower case without a full stop) and what to do about it.
 * hint is empty when there is nothing to advise. Callers zero it: fj_err err = { 0 }. */
typedef struct fj_err {
    fj_status status;
    char      message[768];
    char      hint[384];
} fj_err;

/* Fills err->status and err->message (printf style; the text is cut to fit) and returns st. A later call overwrites. */
fj_status fj_fail(fj_err *err, fj_status st, const char *format, ...) __attribute__((format(printf, 3, 4)));

/* Sets the hint of an error that was just filled. Returns err->status, so that a failing function can end with it. */
fj_status fj_hint(fj_err *err, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* Puts "prefix: " in front of the message: for a caller that knows the file or row. Returns err->status. */
fj_status fj_prefix(fj_err *err, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* The process's exit code for a status (INTERFACE: 0 to 6, 130). */
int fj_exit_code(fj_status st);

/* We are wrong, not the world: prints expression and place, then aborts. On in release. A bad file must never reach one. */
#define fj_assert(x) ((x) ? (void)0 : fj_assert_failed(#x, __FILE__, __LINE__))
_Noreturn void fj_assert_failed(const char *expression, const char *file, int line);

#define FJ_LEN(array) (sizeof(array) / sizeof((array)[0]))
#define FJ_MIN(a, b)  ((a) < (b) ? (a) : (b))
#define FJ_MAX(a, b)  ((a) > (b) ? (a) : (b))

#endif
