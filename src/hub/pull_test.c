/* SPDX-License-Identifier: Apache-2.0
 * Fetching from the tests' hub (tests/hub_server.c). What takes tries after tries is in tests/e2e/pull.sh. */
#include <fcntl.h>
#include <stdio.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/map.h"
#include "hub/remote_internal.h"
#include "hub/test_env.h"
#include "tests/hub_server.h"

#define COMMIT "0123456789abcdef0123456789abcdef01234567"

enum { N_WEIGHTS = 300000 };

/* A hub with one repository for each fault, all of the same files, and an empty cache. */
typedef struct bench {
    hub_server *server;
    char weights[N_WEIGHTS], sha[65];
    char home[600], log[600];
    int cancel;
    double done, total;
    int lock_fd, n_shown;
} bench;

static void put(const char *folder, const char *name, const void *data, size_t n)
{
    fj_err err = { 0 };
    char path[1000];
    (void)snprintf(path, sizeof path, "%s/%s", folder, name);
    CHECK_OK(fj_file_write(path, data, n, &err));
}

static bench *open_bench(void)
{
    fj_err err = { 0 };
    char root[600], folder[700], port[64], words[2000];
    bench *b = calloc(1, sizeof *b);
    CHECK(b);
    clear_hub_env();
    (void)snprintf(root, sizeof root, "%s", test_temporary("hub"));
    (void)snprintf(b->home, sizeof b->home, "%s", test_temporary("hub-home"));
    (void)snprintf(b->log, sizeof b->log, "%s", test_temporary("hub-log"));
    CHECK_OK(fj_remove_tree(root, &err));
    CHECK_OK(fj_remove_tree(b->home, &err));
    (void)snprintf(folder, sizeof folder, "%s/model", root);
    CHECK_OK(fj_make_dirs(folder, &err));
    for (int i = 0; i < N_WEIGHTS; i++)
        b->weights[i] = (char)(i * 7 + i / 256);
    fj_sha256_of(b->weights, N_WEIGHTS, b->sha);
    memset(words, 'w', sizeof words);
    put(folder, "config.json", "{}", 2);
    put(folder, "vocab.txt", "", 0);
    put(folder, "tokenizer.json", words, sizeof words);
    put(folder, "model.safetensors", b->weights, N_WEIGHTS);
    put(folder, "README.md", "no\n", 3);
    b->server = hub_server_start(root, b->log);
    CHECK(b->server);
    (void)snprintf(port, sizeof port, "http://127.0.0.1:%d", hub_server_port(b->server));
    set_env("HF_ENDPOINT", port);
    set_env("HF_HOME", b->home);
    b->lock_fd = -1;
    return b;
}

static void close_bench(bench *b)
{
    hub_server_stop(b->server);
    clear_hub_env();
    free(b);
}

static void show(void *context, double done, double total)
{
    bench *b = context;
    b->done = done;
    b->total = total;
    CHECK(done <= total);
    if (b->lock_fd >= 0 && ++b->n_shown == 3) { /* the other process is done */
        (void)close(b->lock_fd);
        b->lock_fd = -1;
    }
}

static fj_status pull(bench *b, const char *model, fj_pulled *out, fj_err *err)
{
    fj_fetch how = { .cancel = &b->cancel, .progress = show, .context = b };
    return fj_pull(model, &how, out, err);
}

/* Of the weights' blob: "" or ".incomplete". */
static char *blob_path(const bench *b, const char *fault, const char *ending)
{
    static char path[1200];
    (void)snprintf(path, sizeof path, "%s/hub/models--%s--model/blobs/%s%s", b->home, fault, b->sha, ending);
    return path;
}

static bool log_has(const bench *b, const char *line)
{
    fj_err err = { 0 };
    fj_str text = { 0 };
    CHECK_OK(fj_file_read(b->log, 1 << 20, &text, &err));
    bool found = text.data && strstr(text.data, line);
    fj_str_free(&text);
    return found;
}

static void check_whole(bench *b, const char *fault)
{
    fj_err err = { 0 };
    fj_pulled p;
    fj_str text = { 0 };
    char model[64], path[1200];
    (void)snprintf(model, sizeof model, "hf:%s/model", fault);
    CHECK_OK(pull(b, model, &p, &err));
    CHECK_TEXT(p.commit, COMMIT);
    CHECK(p.n_files == 4 && p.bytes == N_WEIGHTS + 2002);
    (void)snprintf(path, sizeof path, "%s/hub/models--%s--model/snapshots/" COMMIT, b->home, fault);
    CHECK_TEXT(p.path, path);
    CHECK(b->done == b->total);
    (void)snprintf(path, sizeof path, "%.1000s/model.safetensors", p.path);
    CHECK_OK(fj_file_read(path, 1 << 20, &text, &err));
    CHECK(text.len == N_WEIGHTS && !memcmp(text.data, b->weights, N_WEIGHTS));
    fj_str_free(&text);
    fj_pulled_free(&p);
}

TEST(pull_fetches_what_is_needed_once)
{
    fj_err err = { 0 };
    fj_pulled p;
    fj_fetch how = { 0 };
    char *path = NULL;
    bench *b = open_bench();
    check_whole(b, "plain");
    CHECK(log_has(b, "1 GET /plain/model/resolve/" COMMIT "/model.safetensors") && !log_has(b, "README.md"));
    CHECK_OK(pull(b, "hf:plain/model", &p, &err));
    CHECK(p.fetched_bytes == 0 && p.n_files == 4);
    fj_pulled_free(&p);
    set_env("HF_HUB_OFFLINE", "1");
    CHECK_OK(pull(b, "hf:plain/model", &p, &err));
    CHECK(p.n_files == 4 && p.bytes == N_WEIGHTS + 2002 && !strcmp(p.commit, COMMIT));
    CHECK_OK(fj_model_fetch("hf:plain/model", &how, &path, &err));
    CHECK_TEXT(path, p.path);
    free(path);
    path = NULL;
    fj_pulled_free(&p);
    CHECK(fj_model_fetch("hf:bare/model", &how, &path, &err) == FJ_ERR_NETWORK && !path);
    CHECK(strstr(err.message, "hf:bare/model is not in the cache (") && strstr(err.hint, "HF_HUB_OFFLINE is set"));
    err = (fj_err){ 0 };
    CHECK(pull(b, "hf:bare/model", &p, &err) == FJ_ERR_NETWORK);
    CHECK(strstr(err.message, "hf:bare/model is not in the cache (") && strstr(err.hint, "HF_HUB_OFFLINE is set"));
    CHECK(!log_has(b, "/bare/"));
    close_bench(b);
}

TEST(pull_takes_hashes_from_heads_follows_new_names_and_sends_tokens_to_the_hub_alone)
{
    bench *b = open_bench();
    check_whole(b, "bare");
    CHECK(log_has(b, "0 HEAD /bare/model/resolve/" COMMIT "/config.json") && !log_has(b, "1 HEAD"));
    check_whole(b, "moved");
    set_env("HF_TOKEN", "secret"); /* the second port refuses requests that have one */
    check_whole(b, "token");
    close_bench(b);
}

TEST(pull_goes_on_where_a_connection_was_cut)
{
    bench *b = open_bench();
    check_whole(b, "cut");
    CHECK(log_has(b, "model.safetensors from 100000\n") && log_has(b, "model.safetensors from 200000\n"));
    check_whole(b, "flaky");
    check_whole(b, "long"); /* ends when the hub's size is reached */
    close_bench(b);
}

/* What an earlier run left: the first n bytes, right or wrong ones. */
static void leave_partial(const bench *b, const char *fault, size_t n, bool is_right)
{
    fj_err err = { 0 };
    char folder[1000], name[100];
    char *data = malloc(N_WEIGHTS + 10);
    CHECK(data);
    memset(data, 0, N_WEIGHTS + 10);
    memcpy(data, b->weights, is_right ? N_WEIGHTS : 0);
    (void)snprintf(folder, sizeof folder, "%s/hub/models--%s--model/blobs", b->home, fault);
    (void)snprintf(name, sizeof name, "%s.incomplete", b->sha);
    CHECK_OK(fj_make_dirs(folder, &err));
    put(folder, name, data, n);
    free(data);
}

TEST(pull_takes_up_what_an_earlier_run_left)
{
    fj_err err = { 0 };
    fj_pulled p;
    bench *b = open_bench();
    leave_partial(b, "plain", 123456, true);
    CHECK_OK(pull(b, "hf:plain/model", &p, &err));
    CHECK(p.fetched_bytes == N_WEIGHTS - 123456 + 2002);
    CHECK(log_has(b, "model.safetensors from 123456\n"));
    fj_pulled_free(&p);
    leave_partial(b, "norange", 123456, true); /* the server begins at the beginning */
    check_whole(b, "norange");
    leave_partial(b, "bare", N_WEIGHTS, true); /* whole, but for its name */
    check_whole(b, "bare");
    leave_partial(b, "flaky", N_WEIGHTS + 10, true); /* too long to be a part */
    check_whole(b, "flaky");
    leave_partial(b, "moved", 1000, false);
    CHECK(pull(b, "hf:moved/model", &p, &err) == FJ_ERR_NETWORK);
    CHECK(strstr(err.message, "model.safetensors: wrong content: SHA-256 is "));
    CHECK(!fj_path_exists(blob_path(b, "moved", ".incomplete")) && !fj_path_exists(blob_path(b, "moved", "")));
    check_whole(b, "moved");
    close_bench(b);
}

static void check_refused(bench *b, const char *fault, fj_status wanted, const char *message)
{
    fj_err err = { 0 };
    fj_pulled p;
    char model[64], path[1200];
    (void)snprintf(model, sizeof model, "hf:%s/model", fault);
    CHECK(pull(b, model, &p, &err) == wanted && err.status == wanted);
    if (strncmp(err.message, message, strlen(message)) != 0)
        CHECK_TEXT(err.message, message);
    CHECK(!p.path && !p.files);
    (void)snprintf(path, sizeof path, "%s/hub/models--%s--model/snapshots", b->home, fault);
    CHECK(!fj_path_exists(path));
}

/* The weights have no name. (Where another file is what is wrong, they may have come before it was seen.) */
static void check_unnamed(bench *b, const char *fault)
{
    CHECK(!fj_path_exists(blob_path(b, fault, "")));
}

TEST(pull_says_what_the_hub_means_by_a_refusal)
{
    bench *b = open_bench();
    check_refused(b, "gated", FJ_ERR_NETWORK, "hf:gated/model: a gated model, for those who accepted its terms");
    check_unnamed(b, "gated");
    check_refused(b, "private", FJ_ERR_NETWORK,
                  "hf:private/model: the hub has no such repository, or it is a private one");
    check_refused(b, "missing", FJ_ERR_NETWORK,
                  "hf:missing/model: the hub has no such repository, or it is a private one");
    check_refused(b, "token", FJ_ERR_NETWORK, "hf:token/model: the hub has no such repository, or it is a private one");
    check_refused(b, "norevision", FJ_ERR_NETWORK, "hf:norevision/model: the repository has no revision 'main'");
    check_refused(b, "noentry", FJ_ERR_NETWORK, "hf:noentry/model: the hub lists ");
    check_refused(b, "disabled", FJ_ERR_NETWORK,
                  "hf:disabled/model: the hub refuses it: Access to this resource is disabled.");
    check_refused(b, "wait", FJ_ERR_NETWORK, "hf:wait/model: the server answers 429 (http://127.0.0.1:");
    check_refused(b, "html", FJ_ERR_NETWORK, "hf:html/model: the hub's answer: not JSON: line 1");
    check_refused(b, "evil", FJ_ERR_NETWORK,
                  "hf:evil/model: the hub lists a file '../../../../evil', which is no name of a file");
    check_refused(b, "odd", FJ_ERR_NETWORK, "hf:odd/model: the hub says that README.md has -");
    check_refused(b, "loop", FJ_ERR_NETWORK, "hf:loop/model: more than 8 redirects");
    check_refused(b, "huge", FJ_ERR_MEMORY, "hf:huge/model: 120.0 TB are still to fetch, ");
    close_bench(b);
}

TEST(pull_gives_no_name_to_what_is_wrong)
{
    bench *b = open_bench();
    check_refused(b, "wrong-small", FJ_ERR_NETWORK, "config.json: wrong content: git's hash is ");
    leave_partial(b, "wrong", 100000, true);
    check_refused(b, "wrong", FJ_ERR_NETWORK, "");
    check_unnamed(b, "wrong");
    leave_partial(b, "badrange", 1000, true);
    check_refused(b, "badrange", FJ_ERR_NETWORK,
                  "model.safetensors: the server sends bytes from 999, asked for those from 1000");
    check_unnamed(b, "badrange");
    check_refused(b, "leave", FJ_ERR_NETWORK, "");
    close_bench(b);
}

TEST(pull_stops_when_asked_and_goes_on_later)
{
    fj_err err = { 0 };
    fj_pulled p;
    bench *b = open_bench();
    b->cancel = 1;
    CHECK(pull(b, "hf:slow/model", &p, &err) == FJ_ERR_CANCELLED);
    CHECK_TEXT(err.hint, "what was fetched is kept; the same command goes on with it");
    b->cancel = 0;
    check_whole(b, "slow");
    close_bench(b);
}

TEST(pull_waits_for_another_process_that_fetches_the_same)
{
    fj_err err = { 0 };
    char folder[1000], lock[1200];
    bench *b = open_bench();
    (void)snprintf(folder, sizeof folder, "%s/hub/.locks/models--plain--model", b->home);
    (void)snprintf(lock, sizeof lock, "%s/%s.lock", folder, b->sha);
    CHECK_OK(fj_make_dirs(folder, &err));
    b->lock_fd = open(lock, O_RDWR | O_CREAT, 0600);
    CHECK(b->lock_fd >= 0 && !flock(b->lock_fd, LOCK_EX));
    check_whole(b, "plain");
    CHECK(b->n_shown == 3 && b->lock_fd < 0);
    close_bench(b);
}
