/* SPDX-License-Identifier: Apache-2.0
 * See hub_server.h. Faults, by the owner in the repository's name:
 *   plain      none
 *   bare       the listing has names only: hashes and sizes come from HEAD
 *   moved      a new name: all addresses redirect to those of `bare`
 *   token      401 without "Bearer secret"
 *   cut        each answer with a body ends after 100000 bytes, too soon
 *   cut-small  the same after 100 bytes, so that no try helps much
 *   norange    ranges are not known
 *   badrange   a range gets other bytes than asked for
 *   wrong      a byte of each large file is another one; wrong-small: of each small file
 *   short      Content-Length says less than the hub; long: more than comes
 *   slow       bodies trickle; stall: they stop in the middle, once for each file
 *   flaky      the first request for each address gets 500; busy: 429 with Retry-After: 1; down: always 503
 *   wait       429 with Retry-After: 100000
 *   gated, private, missing, norevision, noentry, disabled, badtoken: as the hub refuses
 *   html       no JSON; evil: names that lead out; huge: sizes beyond any disk; odd: a size below zero
 *   loop       a redirect to itself; leave: a redirect to file:/// */
#include "hub_server.h"

#include <arpa/inet.h>
#include <dirent.h>
#include <openssl/evp.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

enum { LARGE = 1024, CUT = 100000, MAX_REQUEST = 8192, MAX_SEEN = 4096 };

struct hub_server {
    char root[512];
    FILE *log;
    int listener[2], port[2];
    pthread_t acceptor[2];
    pthread_mutex_t mutex; /* guards what follows, and the log */
    pthread_cond_t idle;
    int running;
    bool is_stopping;
    char *seen[MAX_SEEN];
    int n_seen;
};

typedef struct connection {
    hub_server *server;
    int fd, which; /* which: 0 the hub, 1 where large files lie */
} connection;

typedef struct request {
    bool is_head;
    char path[2048], token[128], fault[64], folder[128], file[1024];
    long from; /* -1: no range */
} request;

static const char commit[] = "0123456789abcdef0123456789abcdef01234567";

static bool is(const request *r, const char *fault)
{
    return !strcmp(r->fault, fault);
}

static bool send_all(int fd, const char *data, size_t n)
{
    while (n) {
        ssize_t done = send(fd, data, n, MSG_NOSIGNAL);
        if (done <= 0)
            return false;
        data += done;
        n -= (size_t)done;
    }
    return true;
}

static void answer(int fd, int status, const char *headers, const char *body, size_t n, bool is_head)
{
    char head[2048];
    int len = snprintf(head, sizeof head, "HTTP/1.1 %d X\r\nConnection: close\r\nContent-Length: %zu\r\n%s\r\n", status,
                       n, headers);
    if (send_all(fd, head, (size_t)len) && !is_head)
        (void)send_all(fd, body, n);
}

static void refuse(int fd, int status, const char *code, const char *message)
{
    char headers[512];
    (void)snprintf(headers, sizeof headers, "X-Error-Code: %s\r\nX-Error-Message: %s\r\n", code, message);
    answer(fd, status, headers, "no\n", 3, false);
}

/* Whether this address is asked for the first time. */
static bool is_first(hub_server *s, const char *what)
{
    bool found = false;
    (void)pthread_mutex_lock(&s->mutex);
    for (int i = 0; i < s->n_seen && !found; i++)
        found = !strcmp(s->seen[i], what);
    if (!found && s->n_seen < MAX_SEEN)
        s->seen[s->n_seen++] = strdup(what);
    (void)pthread_mutex_unlock(&s->mutex);
    return !found;
}

static void rest(int ms)
{
    struct timespec t = { ms / 1000, ms % 1000 * 1000000L };
    (void)nanosleep(&t, NULL);
}

/* ---- files -------------------------------------------------------------------------------------------------------------------------- */

static char *read_file(const char *path, size_t *n)
{
    struct stat info;
    FILE *f = fopen(path, "rb");
    *n = 0;
    if (!f || fstat(fileno(f), &info) || !S_ISREG(info.st_mode)) {
        if (f)
            (void)fclose(f);
        return NULL;
    }
    char *data = malloc((size_t)info.st_size + 1);
    if (data)
        *n = fread(data, 1, (size_t)info.st_size, f);
    (void)fclose(f);
    return data;
}

static void hash_of(const char *data, size_t n, char hex[65])
{
    unsigned char digest[EVP_MAX_MD_SIZE];
    unsigned len = 0;
    char header[32];
    bool is_large = n >= LARGE;
    EVP_MD_CTX *c = EVP_MD_CTX_new();
    (void)EVP_DigestInit_ex(c, is_large ? EVP_sha256() : EVP_sha1(), NULL);
    if (!is_large)
        (void)EVP_DigestUpdate(c, header, (size_t)snprintf(header, sizeof header, "blob %zu", n) + 1);
    (void)EVP_DigestUpdate(c, data, n);
    (void)EVP_DigestFinal_ex(c, digest, &len);
    EVP_MD_CTX_free(c);
    for (unsigned i = 0; i < len; i++)
        (void)snprintf(hex + 2 * i, 3, "%02x", digest[i]);
}

static void append(char *out, size_t size, const char *text)
{
    size_t n = strlen(out);
    (void)snprintf(out + n, size - n, "%s", text);
}

static void list_file(const request *r, const char *path, const char *name, char *out, size_t size)
{
    char line[1600], hex[65] = "";
    size_t n;
    char *data = read_file(path, &n);
    if (!data)
        return;
    hash_of(data, n, hex);
    free(data);
    unsigned long long said = is(r, "huge") && n >= LARGE ? 60000000000000ull : n;
    if (is(r, "bare"))
        (void)snprintf(line, sizeof line, "%s{\"rfilename\":\"%s\"}", out[strlen(out) - 1] == '[' ? "" : ",", name);
    else if (n >= LARGE)
        (void)snprintf(line, sizeof line,
                       "%s{\"rfilename\":\"%s\",\"size\":%llu,\"blobId\":\"%s\",\"lfs\":{\"sha256\":\"%s\",\"size\":%"
                       "llu,\"pointerSize\":134}}",
                       out[strlen(out) - 1] == '[' ? "" : ",", name, said, commit, hex, said);
    else
        (void)snprintf(line, sizeof line, "%s{\"rfilename\":\"%s\",\"size\":%s%zu,\"blobId\":\"%s\"}",
                       out[strlen(out) - 1] == '[' ? "" : ",", name, is(r, "odd") ? "-7" : "", n, hex);
    append(out, size, line);
}

static int by_name(const void *a, const void *b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

static void list_folder(const request *r, const char *folder, const char *prefix, char *out, size_t size)
{
    char *names[256], path[2048], name[512];
    int n = 0;
    struct stat info;
    DIR *d = opendir(folder);
    for (struct dirent *e = d ? readdir(d) : NULL; e && n < 256; e = readdir(d))
        if (e->d_name[0] != '.')
            names[n++] = strdup(e->d_name);
    if (d)
        (void)closedir(d);
    qsort(names, (size_t)n, sizeof *names, by_name);
    for (int i = 0; i < n; i++) {
        (void)snprintf(path, sizeof path, "%s/%s", folder, names[i]);
        (void)snprintf(name, sizeof name, "%s%s", prefix, names[i]);
        if (!stat(path, &info) && S_ISDIR(info.st_mode)) {
            append(name, sizeof name, "/");
            list_folder(r, path, name, out, size);
        } else {
            list_file(r, path, name, out, size);
        }
        free(names[i]);
    }
}

/* ---- answers ------------------------------------------------------------------------------------------------------------------------ */

static void answer_listing(hub_server *s, int fd, const request *r)
{
    enum { SIZE = 1 << 20 };
    char *out = calloc(1, SIZE), folder[1024];
    (void)snprintf(out, SIZE, "{\"id\":\"%s/%s\",\"sha\":\"%s\",\"gated\":false,\"siblings\":[", r->fault, r->folder,
                   commit);
    (void)snprintf(folder, sizeof folder, "%s/%s", s->root, r->folder);
    list_folder(r, folder, "", out, SIZE);
    if (is(r, "evil"))
        append(
            out, SIZE,
            ",{\"rfilename\":\"../../../../evil\",\"size\":1,\"blobId\":\"e69de29bb2d1d6434b8b29ae775ad8c2e48c5391\"}");
    append(out, SIZE, "]}");
    if (is(r, "html"))
        (void)snprintf(out, SIZE, "<html>welcome</html>");
    answer(fd, 200, "Content-Type: application/json\r\n", out, strlen(out), r->is_head);
    free(out);
}

static void send_body(hub_server *s, int fd, const request *r, const char *data, size_t n)
{
    size_t step = is(r, "slow") ? n / 20 + 1 : n, most = is(r, "cut") ? CUT : is(r, "cut-small") ? 100 : n;
    bool stalls = is(r, "stall") && is_first(s, r->path);
    for (size_t at = 0; at < n && at < most; at += step) {
        size_t piece = n - at < step ? n - at : step;
        if (piece > most - at)
            piece = most - at;
        if (stalls)
            piece = n / 2;
        if (!send_all(fd, data + at, piece))
            return;
        if (stalls) {
            for (int i = 0; i < 30 && !s->is_stopping; i++)
                rest(100);
            return;
        }
        if (step < n)
            rest(20);
    }
}

static void answer_bytes(hub_server *s, int fd, const request *r, char *data, size_t n, const char *more)
{
    char headers[1024], head[2048];
    bool is_part = r->from > 0 && !is(r, "norange");
    size_t from = is_part ? (size_t)r->from : 0, said;
    if ((is(r, "wrong") && n >= LARGE) || (is(r, "wrong-small") && n && n < LARGE))
        data[n / 2] ^= 1;
    if (is_part && from >= n) {
        answer(fd, 416, "", "", 0, r->is_head);
        return;
    }
    headers[0] = '\0';
    if (is_part)
        (void)snprintf(headers, sizeof headers, "Content-Range: bytes %zu-%zu/%zu\r\n", from - is(r, "badrange"), n - 1,
                       n);
    said = n - from;
    if (is(r, "short") && n >= LARGE)
        said = said > 400 ? 400 : said;
    if (is(r, "long"))
        said += 5;
    int len = snprintf(head, sizeof head, "HTTP/1.1 %d X\r\nConnection: close\r\nContent-Length: %zu\r\n%s%s\r\n",
                       is_part ? 206 : 200, said, headers, more);
    if (send_all(fd, head, (size_t)len) && !r->is_head)
        send_body(s, fd, r, data + from, is(r, "short") && said < n - from ? said : n - from);
}

static void answer_file(hub_server *s, int fd, int which, const request *r)
{
    char path[2048], hex[65], headers[3000];
    size_t n;
    (void)snprintf(path, sizeof path, "%s/%s/%s", s->root, r->folder, r->file);
    char *data = read_file(path, &n);
    if (!data || is(r, "noentry")) {
        refuse(fd, 404, "EntryNotFound", "Entry not found");
        free(data);
        return;
    }
    hash_of(data, n, hex);
    if (which == 0 && n >= LARGE) {
        (void)snprintf(
            headers, sizeof headers,
            "X-Repo-Commit: %s\r\nETag: \"%s\"\r\nX-Linked-Etag: \"%s\"\r\nX-Linked-Size: %zu\r\nLocation: %s%d%s\r\n",
            commit, commit, hex, n, is(r, "leave") ? "file:///" : "http://127.0.0.1:", s->port[1], r->path);
        answer(fd, 302, headers, "", 0, r->is_head);
    } else {
        (void)snprintf(headers, sizeof headers, "X-Repo-Commit: %s\r\nETag: \"%s\"\r\n", commit, hex);
        answer_bytes(s, fd, r, data, n, headers);
    }
    free(data);
}

/* The faults that have nothing to do with files. True when the request was answered. */
static bool misbehave(hub_server *s, int fd, int which, const request *r)
{
    static const struct {
        const char *fault, *code, *message;
        int status;
    } refusals[] = { { "gated", "GatedRepo", "Access to this model is restricted", 403 },
                     { "private", "RepoNotFound", "Repository not found", 401 },
                     { "missing", "RepoNotFound", "Repository not found", 404 },
                     { "norevision", "RevisionNotFound", "Invalid rev id", 404 },
                     { "disabled", "", "Access to this resource is disabled.", 403 },
                     { "badtoken", "", "Invalid credentials in Authorization header", 401 },
                     { "down", "", "", 503 } };
    for (size_t i = 0; i < sizeof refusals / sizeof *refusals; i++)
        if (is(r, refusals[i].fault)) {
            refuse(fd, refusals[i].status, refusals[i].code, refusals[i].message);
            return true;
        }
    if (is(r, "token") && which == 0 && strcmp(r->token, "Bearer secret") != 0) {
        refuse(fd, 401, "RepoNotFound", "Repository not found");
        return true;
    }
    if (is(r, "wait") || ((is(r, "flaky") || is(r, "busy")) && is_first(s, r->path))) {
        answer(fd, is(r, "flaky") ? 500 : 429,
               is(r, "wait")   ? "Retry-After: 100000\r\n"
               : is(r, "busy") ? "Retry-After: 1\r\n"
                               : "",
               "", 0, r->is_head);
        return true;
    }
    return false;
}

/* ---- requests ----------------------------------------------------------------------------------------------------------------------- */

/* "/api/models/FAULT/FOLDER/revision/…" or "/FAULT/FOLDER/resolve/REVISION/FILE" in its parts; false for anything else. */
static bool split(request *r)
{
    const char *path = r->path;
    if (sscanf(path, "/api/models/%63[^/]/%127[^/]/revision/", r->fault, r->folder) == 2)
        return true;
    const char *at = strstr(path, "/resolve/"), *file = at ? strchr(at + strlen("/resolve/"), '/') : NULL;
    if (sscanf(path, "/%63[^/]/%127[^/]/resolve/", r->fault, r->folder) != 2 || !file)
        return false;
    (void)snprintf(r->file, sizeof r->file, "%s", file + 1);
    return !strstr(r->file, "..");
}

static void serve(hub_server *s, int fd, int which, const request *given)
{
    request r = *given;
    char headers[3000];
    if (which == 1 && r.token[0]) { /* a token that was for the hub alone */
        refuse(fd, 400, "", "a token came here");
        return;
    }
    if (!split(&r)) {
        refuse(fd, 404, "RepoNotFound", "Repository not found");
        return;
    }
    if (is(&r, "loop") || (is(&r, "moved") && which == 0)) {
        const char *at = strstr(r.path, "/moved/");
        if (at) /* a repository that has a new name */
            (void)snprintf(headers, sizeof headers, "Location: %.*s/bare/%s\r\n", (int)(at - r.path), r.path, at + 7);
        else
            (void)snprintf(headers, sizeof headers, "Location: %s\r\n", r.path);
        answer(fd, 307, headers, "", 0, r.is_head);
        return;
    }
    if (misbehave(s, fd, which, &r))
        return;
    if (r.file[0])
        answer_file(s, fd, which, &r);
    else
        answer_listing(s, fd, &r);
}

/* One header's value, "" without it. */
static void header_of(const char *text, const char *name, char *out, size_t size)
{
    size_t n = strlen(name);
    out[0] = '\0';
    for (const char *line = strstr(text, "\r\n"); line && line[2] != '\r'; line = strstr(line + 2, "\r\n")) {
        if (strncasecmp(line + 2, name, n) != 0)
            continue;
        const char *value = line + 2 + n + strspn(line + 2 + n, " ");
        (void)snprintf(out, size, "%.*s", (int)strcspn(value, "\r"), value);
        return;
    }
}

static bool read_request(int fd, request *r)
{
    char text[MAX_REQUEST + 1], method[16], range[64];
    size_t n = 0;
    text[0] = '\0';
    while (!strstr(text, "\r\n\r\n")) {
        ssize_t got = n < MAX_REQUEST ? recv(fd, text + n, MAX_REQUEST - n, 0) : -1;
        if (got <= 0)
            return false;
        n += (size_t)got;
        text[n] = '\0';
    }
    *r = (request){ .from = -1 };
    if (sscanf(text, "%15s %2047s", method, r->path) != 2)
        return false;
    r->is_head = !strcmp(method, "HEAD");
    header_of(text, "Authorization:", r->token, sizeof r->token);
    header_of(text, "Range:", range, sizeof range);
    if (!strncmp(range, "bytes=", 6))
        r->from = strtol(range + 6, NULL, 10);
    return true;
}

static void *run_connection(void *context)
{
    connection *c = context;
    hub_server *s = c->server;
    request r;
    if (read_request(c->fd, &r)) {
        (void)pthread_mutex_lock(&s->mutex);
        if (s->log) {
            (void)fprintf(s->log, "%d %s %s", c->which, r.is_head ? "HEAD" : "GET", r.path);
            (void)fprintf(s->log, r.from >= 0 ? " from %ld\n" : "\n", r.from);
            (void)fflush(s->log);
        }
        (void)pthread_mutex_unlock(&s->mutex);
        serve(s, c->fd, c->which, &r);
    }
    (void)shutdown(c->fd, SHUT_WR);
    (void)close(c->fd);
    free(c);
    (void)pthread_mutex_lock(&s->mutex);
    s->running--;
    (void)pthread_cond_signal(&s->idle);
    (void)pthread_mutex_unlock(&s->mutex);
    return NULL;
}

typedef struct acceptor_of {
    hub_server *server;
    int which;
} acceptor_of;

static void *accept_all(void *context)
{
    acceptor_of of = *(acceptor_of *)context;
    hub_server *s = of.server;
    free(context);
    for (;;) {
        pthread_t thread;
        int fd = accept(s->listener[of.which], NULL, NULL);
        if (fd < 0)
            return NULL;
        connection *c = malloc(sizeof *c);
        *c = (connection){ s, fd, of.which };
        (void)pthread_mutex_lock(&s->mutex);
        s->running++;
        (void)pthread_mutex_unlock(&s->mutex);
        if (pthread_create(&thread, NULL, run_connection, c))
            abort();
        (void)pthread_detach(thread);
    }
}

/* ---- start and stop ----------------------------------------------------------------------------------------------------------------- */

static bool listen_on(hub_server *s, int which)
{
    struct sockaddr_in address = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
    socklen_t len = sizeof address;
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    if (fd < 0 || bind(fd, (struct sockaddr *)&address, len) || listen(fd, 64) ||
        getsockname(fd, (struct sockaddr *)&address, &len))
        return false;
    s->listener[which] = fd;
    s->port[which] = ntohs(address.sin_port);
    acceptor_of *of = malloc(sizeof *of);
    *of = (acceptor_of){ s, which };
    return !pthread_create(&s->acceptor[which], NULL, accept_all, of);
}

hub_server *hub_server_start(const char *root, const char *log)
{
    hub_server *s = calloc(1, sizeof *s);
    (void)snprintf(s->root, sizeof s->root, "%s", root);
    s->log = log ? fopen(log, "w") : NULL;
    (void)pthread_mutex_init(&s->mutex, NULL);
    (void)pthread_cond_init(&s->idle, NULL);
    return listen_on(s, 0) && listen_on(s, 1) ? s : NULL;
}

int hub_server_port(const hub_server *s)
{
    return s->port[0];
}

void hub_server_stop(hub_server *s)
{
    if (!s)
        return;
    for (int i = 0; i < 2; i++) {
        (void)shutdown(s->listener[i], SHUT_RDWR);
        (void)pthread_join(s->acceptor[i], NULL);
        (void)close(s->listener[i]);
    }
    (void)pthread_mutex_lock(&s->mutex);
    s->is_stopping = true;
    while (s->running)
        (void)pthread_cond_wait(&s->idle, &s->mutex);
    (void)pthread_mutex_unlock(&s->mutex);
    for (int i = 0; i < s->n_seen; i++)
        free(s->seen[i]);
    if (s->log)
        (void)fclose(s->log);
    free(s);
}
