/* SPDX-License-Identifier: Apache-2.0
 * See http.h. Source for what is tried again and for how long is waited: huggingface_hub, utils/_http.py (http_backoff). */
#include "hub/http.h"

#include <curl/curl.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/hash.h"

enum {
    MAX_TRIES = 5,       /* without progress */
    PROGRESS = 64 << 10, /* bytes that make a try one that helped */
    MAX_HOPS = 8,        /* redirects in a row */
    MAX_WAIT_MS = 30000, /* of our own choice */
    MAX_ASKED_S = 300,   /* Retry-After: the hub counts requests in windows of five minutes */
    LATER_MS = 500,
    POLL_MS = 100,
};

struct fj_http {
    CURLM *multi;
    fj_http_settings s;
    struct curl_slist *headers;
};

typedef struct fj_http_run {
    fj_http *http;
    fj_http_job *jobs;
    size_t n, left;
    int active, at_once;
    fj_err *err; /* filled where a callback fails */
    fj_status status;
} run;

/* ---- origins ------------------------------------------------------------------------------------------------------------------------ */

/* "https://host:port" in lower case; "" when the text is no URL of http or https. */
static void origin_of(const char *url, char out[300])
{
    char *scheme = NULL, *host = NULL, *port = NULL;
    CURLU *u = curl_url();
    out[0] = '\0';
    if (u && !curl_url_set(u, CURLUPART_URL, url, 0) && !curl_url_get(u, CURLUPART_SCHEME, &scheme, 0) &&
        !curl_url_get(u, CURLUPART_HOST, &host, 0) && !curl_url_get(u, CURLUPART_PORT, &port, CURLU_DEFAULT_PORT) &&
        (!strcasecmp(scheme, "http") || !strcasecmp(scheme, "https")) && strlen(host) < 260)
        (void)snprintf(out, 300, "%.8s://%s:%.8s", scheme, host, port);
    for (char *p = out; *p; p++)
        if (*p >= 'A' && *p <= 'Z')
            *p = (char)(*p + ('a' - 'A'));
    curl_free(scheme);
    curl_free(host);
    curl_free(port);
    curl_url_cleanup(u);
}

bool fj_http_same_origin(const char *a, const char *b)
{
    char x[300], y[300];
    origin_of(a, x);
    origin_of(b, y);
    return x[0] && !strcmp(x, y);
}

bool fj_http_may_follow(const char *from, const char *to)
{
    char x[300], y[300];
    origin_of(from, x);
    origin_of(to, y);
    return x[0] && y[0] && (!strncmp(y, "https:", 6) || !strncmp(x, "http:", 5));
}

/* ---- answers ------------------------------------------------------------------------------------------------------------------------ */

/* A header's text, printable and cut to fit; what was there stays where the header is not. */
static void read_header(CURL *easy, const char *name, char *out, size_t size)
{
    struct curl_header *h = NULL;
    if (curl_easy_header(easy, name, 0, CURLH_HEADER, -1, &h) != CURLHE_OK)
        return;
    (void)snprintf(out, size, "%s", h->value);
    for (char *p = out; *p; p++)
        if ((unsigned char)*p < 0x20 || *p == 0x7f)
            *p = ' ';
}

static int64_t read_number(CURL *easy, const char *name, int64_t fallback)
{
    char text[32] = "";
    int64_t value;
    read_header(easy, name, text, sizeof text);
    return fj_text_i64(fj_text_of(text), &value) && value >= 0 ? value : fallback;
}

/* "bytes 100-199/200" */
static int64_t read_range(CURL *easy)
{
    char text[96] = "";
    int64_t from;
    read_header(easy, "Content-Range", text, sizeof text);
    const char *first = text + strspn(text, "bytes "), *end = strchr(first, '-');
    return end && fj_text_i64((fj_text){ first, (size_t)(end - first) }, &from) && from >= 0 ? from : -1;
}

static void read_answer(fj_http_job *job)
{
    fj_http_answer *a = &job->answer;
    if (a->status)
        return;
    CURL *easy = job->easy;
    (void)curl_easy_getinfo(easy, CURLINFO_RESPONSE_CODE, &a->status);
    read_header(easy, "ETag", a->etag, sizeof a->etag);
    read_header(easy, "X-Linked-Etag", a->linked_etag, sizeof a->linked_etag);
    read_header(easy, "X-Repo-Commit", a->commit, sizeof a->commit);
    read_header(easy, "X-Error-Code", a->error_code, sizeof a->error_code);
    read_header(easy, "X-Error-Message", a->error_message, sizeof a->error_message);
    a->linked_size = read_number(easy, "X-Linked-Size", a->linked_size);
    a->length = read_number(easy, "Content-Length", -1);
    a->from = read_range(easy);
}

/* libcurl's callback for bytes. Answers other than 200 and 206 have bodies that nobody reads. */
static size_t on_body(char *data, size_t size, size_t n, void *context)
{
    fj_http_job *job = context;
    run *r = job->run;
    n *= size;
    read_answer(job);
    if (job->answer.status != 200 && job->answer.status != 206)
        return n;
    job->got += n;
    if (r->status || job->is_enough)
        return CURL_WRITEFUNC_ERROR;
    r->status = job->body ? job->body(job, &job->answer, data, n, &job->is_enough, r->err) : FJ_OK;
    return r->status || job->is_enough ? CURL_WRITEFUNC_ERROR : n;
}

/* ---- one try ------------------------------------------------------------------------------------------------------------------------ */

static bool set_up(run *r, fj_http_job *job, CURL *easy)
{
    const fj_http_settings *s = &r->http->s;
    const char *url = job->at ? job->at : job->url;
    char origin[300], range[32];
    origin_of(s->origin, origin);
    bool is_plain = !strncmp(origin, "http:", 5);
    (void)snprintf(range, sizeof range, "%llu-", (unsigned long long)job->from);
    bool ok = !curl_easy_setopt(easy, CURLOPT_URL, url) && !curl_easy_setopt(easy, CURLOPT_PRIVATE, job) &&
              !curl_easy_setopt(easy, CURLOPT_PROTOCOLS_STR, is_plain ? "http,https" : "https") &&
              !curl_easy_setopt(easy, CURLOPT_HTTPHEADER, r->http->headers) &&
              !curl_easy_setopt(easy, CURLOPT_USERAGENT, "forja/" FORJA_VERSION) &&
              !curl_easy_setopt(easy, CURLOPT_NOSIGNAL, 1L) &&
              !curl_easy_setopt(easy, CURLOPT_NOBODY, (long)job->is_head) &&
              !curl_easy_setopt(easy, CURLOPT_WRITEFUNCTION, on_body) &&
              !curl_easy_setopt(easy, CURLOPT_WRITEDATA, job) &&
              !curl_easy_setopt(easy, CURLOPT_CONNECTTIMEOUT, (long)FJ_MAX(s->stall_seconds, 1)) &&
              !curl_easy_setopt(easy, CURLOPT_LOW_SPEED_LIMIT, 1L) &&
              !curl_easy_setopt(easy, CURLOPT_LOW_SPEED_TIME, (long)FJ_MAX(s->stall_seconds, 1));
    if (ok && job->from)
        ok = !curl_easy_setopt(easy, CURLOPT_RANGE, range);
    if (ok && s->token && fj_http_same_origin(s->origin, url))
        ok = !curl_easy_setopt(easy, CURLOPT_HTTPAUTH, CURLAUTH_BEARER) &&
             !curl_easy_setopt(easy, CURLOPT_XOAUTH2_BEARER, s->token);
    /* where a company's proxy opens https: the names that Python's tools and OpenSSL look at */
    static const char *const bundles[] = { "SSL_CERT_FILE", "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE" };
    for (size_t i = 0; i < FJ_LEN(bundles) && ok; i++) {
        const char *file = getenv(bundles[i]);
        if (file && *file) {
            ok = !curl_easy_setopt(easy, CURLOPT_CAINFO, file);
            break;
        }
    }
    return ok;
}

/* From begin() or a redirect to a request under way. */
static fj_status start(run *r, fj_http_job *job, bool is_hop)
{
    fj_http_step step = FJ_HTTP_GO;
    if (!is_hop) {
        free(job->at);
        job->at = NULL;
        job->hops = 0;
        fj_status st = job->begin ? job->begin(job, &step, r->err) : FJ_OK;
        if (st)
            return st;
        job->answer = (fj_http_answer){ .linked_size = -1, .length = -1, .from = -1 };
    }
    if (step != FJ_HTTP_GO) {
        job->is_done = step == FJ_HTTP_DONE;
        r->left -= job->is_done;
        job->due = fj_seconds() + LATER_MS / 1e3;
        return FJ_OK;
    }
    job->answer.status = 0;
    job->got = 0;
    job->is_enough = false;
    job->easy = curl_easy_init();
    if (!job->easy || !set_up(r, job, job->easy) || curl_multi_add_handle(r->http->multi, job->easy)) {
        curl_easy_cleanup(job->easy);
        job->easy = NULL;
        return fj_fail(r->err, FJ_ERR_MEMORY, "no memory to ask for %s", job->name);
    }
    r->active++;
    return FJ_OK;
}

static void stop(run *r, fj_http_job *job)
{
    if (!job->easy)
        return;
    (void)curl_multi_remove_handle(r->http->multi, job->easy);
    curl_easy_cleanup(job->easy);
    job->easy = NULL;
    r->active--;
}

/* ---- what became of it -------------------------------------------------------------------------------------------------------------- */

static bool is_worth_another_try(long status)
{
    return status == 408 || status == 429 || status == 500 || status == 502 || status == 503 || status == 504;
}

/* Waits twice as long each time, and not the same for all who were cut off together; or as long as the server asks. */
static fj_status try_again(run *r, fj_http_job *job, const char *why, int64_t asked_s)
{
    const fj_http_settings *s = &r->http->s;
    char host[300];
    origin_of(job->at ? job->at : job->url, host);
    job->tries = job->got >= PROGRESS ? 1 : job->tries + 1;
    if (job->tries >= MAX_TRIES || asked_s > MAX_ASKED_S) {
        (void)fj_fail(r->err, FJ_ERR_NETWORK, "%s: %s (%s, %d tries)", job->name, why, host, job->tries);
        if (asked_s > MAX_ASKED_S)
            return fj_hint(r->err, "the server asks to wait %lld s: try again then; HF_TOKEN raises the limit",
                           (long long)asked_s);
        return fj_hint(r->err, "check the connection and try again: what was fetched is kept");
    }
    struct {
        double now;
        long process;
        void *job;
    } here = { fj_seconds(), (long)getpid(), job };
    double wait = FJ_MIN((double)s->retry_ms * (1 << (job->tries - 1)), (double)MAX_WAIT_MS) / 1e3;
    wait *= 0.75 + 0.5 * (double)(fj_hash64(&here, sizeof here, 0) % 1024) / 1024;
    if (asked_s >= 0)
        wait = (double)asked_s;
    job->due = here.now + wait;
    if (wait >= 2)
        fj_note(s->log, "%s: %s; again in %.0f s", job->name, why, wait);
    else
        fj_debug(s->log, "%s: %s; again in %.2f s", job->name, why, wait);
    return FJ_OK;
}

static fj_status follow(run *r, fj_http_job *job, bool *is_answer)
{
    const char *to = NULL, *from = job->at ? job->at : job->url;
    (void)curl_easy_getinfo(job->easy, CURLINFO_REDIRECT_URL, &to);
    *is_answer = false;
    if (!to)
        return fj_fail(r->err, FJ_ERR_NETWORK, "%s: the server redirects to nowhere", job->name);
    if (job->is_head && !fj_http_same_origin(from, to)) {
        *is_answer = true;
        return FJ_OK;
    }
    if (!fj_http_may_follow(from, to))
        return fj_fail(r->err, FJ_ERR_NETWORK, "%s: the server redirects to %.200s, which is not followed", job->name,
                       to);
    if (++job->hops > MAX_HOPS)
        return fj_fail(r->err, FJ_ERR_NETWORK, "%s: more than %d redirects", job->name, MAX_HOPS);
    char *copy = strdup(to);
    if (!copy)
        return fj_fail(r->err, FJ_ERR_MEMORY, "no memory to ask for %s", job->name);
    free(job->at);
    job->at = copy;
    stop(r, job);
    return start(r, job, true);
}

static fj_status finish(run *r, fj_http_job *job, CURLcode code)
{
    bool is_answer = true, again = false;
    int64_t asked;
    if (r->status)
        return r->status;
    read_answer(job);
    long status = job->answer.status;
    if (status == 301 || status == 302 || status == 303 || status == 307 || status == 308) {
        fj_status st = follow(r, job, &is_answer);
        if (st || !is_answer)
            return st;
    } else if (code == CURLE_UNSUPPORTED_PROTOCOL || code == CURLE_URL_MALFORMAT) {
        return fj_fail(r->err, FJ_ERR_NETWORK, "%s: %s", job->name, curl_easy_strerror(code));
    } else if (code == CURLE_PEER_FAILED_VERIFICATION || code == CURLE_SSL_CACERT_BADFILE) {
        (void)fj_fail(r->err, FJ_ERR_NETWORK, "%s: %s", job->name, curl_easy_strerror(code));
        return fj_hint(r->err,
                       "the server's certificate is not trusted here; SSL_CERT_FILE names a file of authorities");
    } else if ((code && !job->is_enough) || is_worth_another_try(status)) {
        char why[64];
        (void)snprintf(why, sizeof why, "the server answers %ld", status);
        asked = is_worth_another_try(status) ? read_number(job->easy, "Retry-After", -1) : -1;
        stop(r, job);
        return try_again(r, job, is_worth_another_try(status) ? why : curl_easy_strerror(code), asked);
    }
    stop(r, job);
    fj_status st = job->end(job, &job->answer, &again, r->err);
    if (!st && again)
        return try_again(r, job, "the answer is not whole", -1);
    job->is_done = !st;
    r->left -= job->is_done;
    return st;
}

static fj_status read_messages(run *r)
{
    int queued;
    fj_status st = FJ_OK;
    const CURLMsg *m;
    while (!st && (m = curl_multi_info_read(r->http->multi, &queued))) {
        fj_http_job *job = NULL;
        CURLcode code = m->data.result; /* m dies with its handle */
        (void)curl_easy_getinfo(m->easy_handle, CURLINFO_PRIVATE, (char **)&job);
        st = finish(r, job, code);
    }
    return st;
}

static fj_status start_due(run *r)
{
    double now = fj_seconds();
    for (size_t i = 0; i < r->n && r->active < r->at_once; i++) {
        fj_http_job *job = &r->jobs[i];
        if (job->is_done || job->easy || job->due > now)
            continue;
        fj_status st = start(r, job, false);
        if (st)
            return st;
    }
    return FJ_OK;
}

fj_status fj_http_run(fj_http *h, fj_http_job *jobs, size_t n, int at_once, void (*watch)(void *context), void *context,
                      fj_err *err)
{
    run r = { .http = h, .jobs = jobs, .n = n, .left = n, .at_once = at_once, .err = err };
    fj_status st = FJ_OK;
    int running;
    for (size_t i = 0; i < n; i++)
        jobs[i].run = &r;
    while (!st && r.left) {
        st = start_due(&r);
        if (!st && curl_multi_perform(h->multi, &running))
            st = fj_fail(err, FJ_ERR_FAILED, "libcurl has no memory");
        if (!st)
            st = r.status ? r.status : read_messages(&r);
        if (!st && h->s.cancel && __atomic_load_n(h->s.cancel, __ATOMIC_RELAXED))
            st = fj_fail(err, FJ_ERR_CANCELLED, "interrupted");
        if (watch)
            watch(context);
        if (!st && r.left)
            (void)curl_multi_poll(h->multi, NULL, 0, POLL_MS, NULL);
    }
    for (size_t i = 0; i < n; i++) {
        stop(&r, &jobs[i]);
        free(jobs[i].at);
        jobs[i].at = NULL;
    }
    return st;
}

fj_status fj_http_open(const fj_http_settings *settings, fj_http **out, fj_err *err)
{
    fj_http *h = calloc(1, sizeof *h);
    if (h && !curl_global_init(CURL_GLOBAL_DEFAULT)) {
        h->s = *settings;
        h->multi = curl_multi_init();
        h->headers = curl_slist_append(NULL, "Accept-Encoding: identity");
        if (h->multi && h->headers) {
            *out = h;
            return FJ_OK;
        }
        fj_http_close(h);
        return fj_fail(err, FJ_ERR_MEMORY, "no memory for libcurl");
    }
    free(h);
    return fj_fail(err, FJ_ERR_FAILED, "libcurl does not start");
}

void fj_http_close(fj_http *h)
{
    if (!h)
        return;
    if (h->multi)
        (void)curl_multi_cleanup(h->multi);
    curl_slist_free_all(h->headers);
    curl_global_cleanup();
    free(h);
}
