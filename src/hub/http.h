/* SPDX-License-Identifier: Apache-2.0
 * Requests over HTTP, several at once, tried again when it may help. Over libcurl (included by http.c alone). Redirects are followed here
 * and not by libcurl: the token goes to the origin it was given for and nowhere else, and nothing leads from https to http. */
#ifndef FJ_HUB_HTTP_H
#define FJ_HUB_HTTP_H

#include "base/err.h"
#include "base/log.h"
#include "base/str.h"

typedef struct fj_http fj_http;

typedef struct fj_http_settings {
    const char *origin; /* "https://host[:port]…": the token is for it alone; other origins may be http only if it is */
    const char *token;  /* NULL: none */
    int stall_seconds;  /* a connection that gives no byte for so long is cut */
    int retry_ms;       /* the first wait before trying again; it doubles */
    const int *cancel;  /* read atomically; NULL: cannot be cancelled */
    fj_log *log;
} fj_http_settings;

/* Text lives for the call only. Numbers are -1 where the answer does not say. */
typedef struct fj_http_answer {
    long status;
    char etag[160], linked_etag[160], commit[64], error_code[64], error_message[256]; /* "" where not said; of any hop for the first three */
    int64_t linked_size, length; /* X-Linked-Size, Content-Length */
    int64_t from;                /* first byte of a 206 */
} fj_http_answer;

typedef enum fj_http_step { FJ_HTTP_GO, FJ_HTTP_LATER, FJ_HTTP_DONE } fj_http_step;

/* One request. The caller sets what stands first and keeps it until fj_http_run returns. */
typedef struct fj_http_job fj_http_job;
struct fj_http_job {
    const char *name; /* for messages */
    const char *url;
    bool is_head; /* of a redirect to another origin the redirect is the answer */
    void *context;
    /* Before each try: may set `from`, ask to come back a little later, or say that nothing is to do. May be NULL. */
    fj_status (*begin)(fj_http_job *job, fj_http_step *step, fj_err *err);
    /* Bytes of an answer 200 or 206, in order. *is_enough stops the request as if it had ended. */
    fj_status (*body)(fj_http_job *job, const fj_http_answer *a, const void *data, size_t n, bool *is_enough, fj_err *err);
    /* The answer is complete, whatever its status, but for those that are tried again. *again: it does not do; begin
     * once more, a little later. */
    fj_status (*end)(fj_http_job *job, const fj_http_answer *a, bool *again, fj_err *err);
    uint64_t from; /* first byte wanted; 0: all */

    struct fj_http_run *run; /* the rest is internal */
    void *easy;
    char *at; /* where redirects led; NULL: url */
    fj_http_answer answer;
    double due; /* when the next try may begin */
    uint64_t got;
    int tries, hops;
    bool is_done, is_enough;
};

fj_status fj_http_open(const fj_http_settings *settings, fj_http **out, fj_err *err); /* settings are copied, texts borrowed */
void fj_http_close(fj_http *h);                                                       /* accepts NULL */

/* Runs all jobs, at most at_once at a time. watch (may be NULL) is called about ten times a second. The first failure stops all and is
 * returned: FJ_ERR_NETWORK after the last try, FJ_ERR_CANCELLED, or what a callback gave. */
fj_status fj_http_run(fj_http *h, fj_http_job *jobs, size_t n, int at_once, void (*watch)(void *context), void *context, fj_err *err);

/* Whether a request at `from` may be sent on to `to`: http or https, and never from https to http. */
bool fj_http_may_follow(const char *from, const char *to);
bool fj_http_same_origin(const char *a, const char *b); /* scheme, host and port */

#endif
