/* SPDX-License-Identifier: Apache-2.0
 * Fetching a model: what its name means now, what is needed and not there, room for it, the files, and last their names in the cache. */
#define _GNU_SOURCE
#include <dirent.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/map.h"
#include "hub/remote_internal.h"

enum { AT_ONCE = 4, RETRY_MS = 250, MAX_LISTING = 64 << 20, MAX_INDEX = 256 << 20 };

static fj_status no_memory(const fj_hub_work *w, fj_err *err)
{
    return fj_fail(err, FJ_ERR_MEMORY, "no memory to fetch %.200s", w->ref.model);
}

/* ---- refusals ----------------------------------------------------------------------------------------------------------------------- */

/* 401 is what the hub says of all that somebody without a token may not see, also of what is not there. */
static fj_status refuse_access(const fj_hub_work *w, const fj_http_answer *a, fj_err *err)
{
    const char *model = w->ref.model;
    if (!strcmp(a->error_code, "GatedRepo")) {
        (void)fj_fail(err, FJ_ERR_NETWORK, "%.200s: a gated model, for those who accepted its terms", model);
        return w->env.token ? fj_hint(err, "accept them at %.150s/%s with the account of this token", w->env.endpoint,
                                      w->ref.repo)
                            : fj_hint(err, "accept them at %.150s/%s, then set HF_TOKEN", w->env.endpoint, w->ref.repo);
    }
    if (strcasestr(a->error_message, "invalid") && w->env.token) {
        (void)fj_fail(err, FJ_ERR_NETWORK, "%.200s: the hub does not know the token", model);
        return fj_hint(err, "HF_TOKEN (else the file token in HF_HOME) is wrong or has expired");
    }
    if (a->status == 403)
        return fj_fail(err, FJ_ERR_NETWORK, "%.200s: the hub refuses it: %s", model,
                       a->error_message[0] ? a->error_message : "403");
    (void)fj_fail(err, FJ_ERR_NETWORK, "%.200s: the hub has no such repository, or it is a private one", model);
    return fj_hint(err, "check the name; a private one takes the HF_TOKEN of somebody who may read it");
}

fj_status fj_hub_refused(const fj_hub_work *w, const char *name, const fj_http_answer *a, fj_err *err)
{
    if (!strcmp(a->error_code, "RevisionNotFound"))
        return fj_fail(err, FJ_ERR_NETWORK, "%.200s: the repository has no revision '%s'", w->ref.model,
                       w->ref.revision);
    if (name && (!strcmp(a->error_code, "EntryNotFound") || (a->status == 404 && !a->error_code[0])))
        return fj_fail(err, FJ_ERR_NETWORK, "%.200s: the hub lists %.200s and does not have it", w->ref.model, name);
    if (!strcmp(a->error_code, "RepoNotFound") || !strcmp(a->error_code, "GatedRepo") || a->status == 401 ||
        a->status == 403 || (a->status == 404 && !a->error_code[0]))
        return refuse_access(w, a, err);
    return fj_fail(err, FJ_ERR_NETWORK, "%.200s: the hub answers %ld%s%s", name ? name : w->ref.model, a->status,
                   a->error_message[0] ? ": " : "", a->error_message);
}

/* ---- what the repository holds ------------------------------------------------------------------------------------------------------ */

typedef struct answer_text {
    const fj_hub_work *work;
    fj_str text;
} answer_text;

static fj_status add_text(fj_http_job *job, const fj_http_answer *a, const void *data, size_t n, bool *is_enough,
                          fj_err *err)
{
    answer_text *t = job->context;
    (void)a;
    *is_enough = false;
    fj_str_add(&t->text, data, n);
    return t->text.failed ? fj_fail(err, FJ_ERR_NETWORK, "%.200s: the hub's answer is longer than %d bytes",
                                    t->work->ref.model, MAX_LISTING)
                          : FJ_OK;
}

static fj_status begin_text(fj_http_job *job, fj_http_step *step, fj_err *err)
{
    answer_text *t = job->context;
    (void)step;
    (void)err;
    fj_str_clear(&t->text);
    return FJ_OK;
}

static fj_status end_text(fj_http_job *job, const fj_http_answer *a, bool *again, fj_err *err)
{
    const answer_text *t = job->context;
    *again = false;
    return a->status == 200 ? FJ_OK : fj_hub_refused(t->work, NULL, a, err);
}

/* The repository at this revision: its commit, and names, sizes and hashes of its files. */
static fj_status list_files(fj_hub_work *w, fj_err *err)
{
    fj_str url = { 0 };
    answer_text t = { .work = w, .text = { .limit = MAX_LISTING } };
    fj_str_printf(&url, "%s/api/models/%s/revision/", w->env.endpoint, w->ref.repo);
    fj_url_escape(w->ref.revision, false, &url);
    fj_str_add_text(&url, "?blobs=true");
    fj_http_job job = {
        .name = w->ref.model, .url = url.data, .context = &t, .begin = begin_text, .body = add_text, .end = end_text
    };
    fj_status st = url.failed ? no_memory(w, err) : fj_http_run(w->http, &job, 1, 1, NULL, NULL, err);
    if (!st)
        st = fj_listing_parse(t.text.data ? t.text.data : "", t.text.len, w->ref.model, &w->listing, err);
    fj_str_free(&t.text);
    fj_str_free(&url);
    return st;
}

/* ---- hashes and sizes that the listing does not say --------------------------------------------------------------------------------- */

typedef struct head {
    const fj_hub_work *work;
    fj_hub_file *file;
    char *url;
} head;

static fj_status end_head(fj_http_job *job, const fj_http_answer *a, bool *again, fj_err *err)
{
    const head *h = job->context;
    const char *tag = a->linked_etag[0] ? a->linked_etag : a->etag;
    int64_t size = a->linked_size >= 0 ? a->linked_size : a->length;
    *again = false;
    if (a->status != 200 && (a->status < 300 || a->status > 399))
        return fj_hub_refused(h->work, h->file->name, a, err);
    tag += !strncmp(tag, "W/", 2) ? 2 : 0;
    tag += *tag == '"';
    fj_text hash = { tag, strcspn(tag, "\"") };
    if ((!fj_hub_is_hex(hash, 40) && !fj_hub_is_hex(hash, 64)) || size < 0 || size > (int64_t)1 << 46)
        return fj_fail(err, FJ_ERR_NETWORK, "%s: the hub gives no hash and size to check it by (ETag %.80s)",
                       h->file->name, tag);
    memcpy(h->file->etag, hash.data, hash.len);
    h->file->etag[hash.len] = '\0';
    h->file->size = size;
    return FJ_OK;
}

static bool is_unknown(const fj_hub_file *f)
{
    return f->is_wanted && (!f->etag[0] || f->size < 0);
}

static fj_status ask_heads(fj_hub_work *w, fj_err *err)
{
    fj_listing *l = &w->listing;
    size_t n = 0, k = 0;
    for (size_t i = 0; i < l->n; i++)
        n += is_unknown(&l->files[i]);
    head *heads = calloc(n + 1, sizeof *heads);
    fj_http_job *jobs = calloc(n + 1, sizeof *jobs);
    fj_status st = heads && jobs ? FJ_OK : no_memory(w, err);
    for (size_t i = 0; i < l->n && !st; i++) {
        fj_str url = { 0 };
        if (!is_unknown(&l->files[i]))
            continue;
        fj_str_printf(&url, "%s/%s/resolve/%s/", w->env.endpoint, w->ref.repo, l->commit);
        fj_url_escape(l->files[i].name, true, &url);
        st = url.failed ? no_memory(w, err) : FJ_OK;
        heads[k] = (head){ .work = w, .file = &l->files[i], .url = url.data };
        jobs[k] = (fj_http_job){
            .name = l->files[i].name, .url = url.data, .is_head = true, .context = &heads[k], .end = end_head
        };
        k++;
    }
    if (!st && n)
        st = fj_http_run(w->http, jobs, n, AT_ONCE, NULL, NULL, err);
    for (size_t i = 0; i < k; i++)
        free(heads[i].url);
    free(heads);
    free(jobs);
    return st;
}

/* ---- the files ---------------------------------------------------------------------------------------------------------------------- */

typedef struct fetch {
    const fj_hub_work *work;
    fj_blob *blobs;
    size_t n;
    double total;
} fetch;

static void watch(void *context)
{
    const fetch *f = context;
    const fj_fetch *how = f->work->how;
    double done = 0;
    for (size_t i = 0; i < f->n; i++)
        done += (double)f->blobs[i].at;
    if (how->progress)
        how->progress(how->context, done, f->total);
}

static fj_status check_room(const fj_hub_work *w, uint64_t left, fj_err *err)
{
    char wanted[24], there[24];
    uint64_t room = fj_disk_free(w->folder);
    if (left <= room)
        return FJ_OK;
    (void)fj_fail(err, FJ_ERR_MEMORY, "%.200s: %s are still to fetch, %.200s has %s free", w->ref.model,
                  fj_format_bytes(left, wanted), w->env.cache, fj_format_bytes(room, there));
    return fj_hint(err, "free some space, or set HF_HOME to a folder on another disk");
}

static fj_status make_folders(const fj_hub_work *w, fj_err *err)
{
    char *blobs = fj_path_join(w->folder, "blobs");
    fj_status st = blobs ? fj_make_dirs(blobs, err) : no_memory(w, err);
    if (!st)
        st = fj_make_dirs(w->locks, err);
    free(blobs);
    return st;
}

/* Fetches the wanted files that are not there, small ones first. *fetched grows by their bytes. */
static fj_status fetch_wanted(fj_hub_work *w, uint64_t *fetched, fj_err *err)
{
    fj_listing *l = &w->listing;
    uint64_t left = 0;
    fetch f = { .work = w, .blobs = calloc(l->n + 1, sizeof *f.blobs) };
    fj_http_job *jobs = calloc(l->n + 1, sizeof *jobs);
    fj_status st = f.blobs && jobs ? ask_heads(w, err) : no_memory(w, err);
    for (int late = 0; late < 2; late++)
        for (size_t i = 0; i < l->n && !st; i++) {
            const fj_hub_file *file = &l->files[i];
            if (!file->is_wanted || file->is_late != late)
                continue;
            fj_blob *b = &f.blobs[f.n];
            st = fj_blob_init(b, w, file, err);
            if (!st && b->at == (uint64_t)file->size && fj_path_exists(b->path)) {
                fj_blob_close(b);
                continue;
            }
            fj_blob_ask(b, &jobs[f.n++]);
            left += (uint64_t)file->size - b->at;
            f.total += (double)file->size;
        }
    if (!st)
        st = check_room(w, left, err);
    if (!st && f.n)
        st = make_folders(w, err);
    if (!st && f.n)
        st = fj_http_run(w->http, jobs, f.n, AT_ONCE, watch, &f, err);
    *fetched += st ? 0 : left;
    for (size_t i = 0; i < f.n; i++)
        fj_blob_close(&f.blobs[i]);
    free(f.blobs);
    free(jobs);
    return st;
}

/* The weights that the index names; it has been fetched. */
static fj_status read_index(fj_hub_work *w, fj_err *err)
{
    fj_str text = { 0 };
    char *path;
    if (asprintf(&path, "%s/blobs/%s", w->folder, fj_listing_find(&w->listing, w->listing.index)->etag) < 0)
        return no_memory(w, err);
    fj_status st = fj_file_read(path, MAX_INDEX, &text, err);
    if (!st)
        st = fj_listing_choose_shards(&w->listing, text.data, text.len, err);
    fj_str_free(&text);
    free(path);
    return st;
}

/* ---- names in the cache, and the result --------------------------------------------------------------------------------------------- */

static fj_status put_names(const fj_hub_work *w, fj_err *err)
{
    const fj_listing *l = &w->listing;
    fj_status st = FJ_OK;
    for (size_t i = 0; i < l->n && !st; i++)
        if (l->files[i].is_wanted)
            st = fj_cache_link(w->folder, l->commit, l->files[i].name, l->files[i].etag, err);
    if (!st && !w->ref.file[0] && !fj_listing_find(l, "tokenizer.json"))
        st = fj_cache_set_absent(w->folder, l->commit, "tokenizer.json", err);
    return st ? st : fj_cache_set_ref(w->folder, w->ref.revision, l->commit, err);
}

static fj_status report(const fj_hub_work *w, fj_pulled *out, fj_err *err)
{
    const fj_listing *l = &w->listing;
    memcpy(out->commit, l->commit, sizeof out->commit);
    out->files = calloc(l->n + 1, sizeof *out->files);
    if (!out->files || asprintf(&out->path, "%s/snapshots/%s%s%s", w->folder, l->commit, l->open ? "/" : "",
                                l->open ? l->open : "") < 0)
        return no_memory(w, err);
    for (size_t i = 0; i < l->n; i++) {
        if (!l->files[i].is_wanted)
            continue;
        out->files[out->n_files] = strdup(l->files[i].name);
        if (!out->files[out->n_files++])
            return no_memory(w, err);
        out->bytes += (uint64_t)l->files[i].size;
    }
    return FJ_OK;
}

static fj_status pull(fj_hub_work *w, fj_pulled *out, fj_err *err)
{
    fj_http_settings settings = { .origin = w->env.endpoint,
                                  .token = w->env.token,
                                  .stall_seconds = w->env.stall_seconds,
                                  .retry_ms = RETRY_MS,
                                  .cancel = w->how->cancel,
                                  .log = w->how->log };
    fj_status st = fj_http_open(&settings, &w->http, err);
    if (!st)
        st = list_files(w, err);
    if (!st)
        st = fj_listing_choose(&w->listing, &w->ref, w->how->log, err);
    if (!st && w->how->spares_weights && !w->ref.file[0])
        fj_listing_spare_weights(&w->listing);
    if (!st)
        st = fetch_wanted(w, &out->fetched_bytes, err);
    if (!st && w->listing.index) {
        st = read_index(w, err);
        if (!st)
            st = fetch_wanted(w, &out->fetched_bytes, err);
    }
    if (!st)
        st = put_names(w, err);
    if (!st && !w->ref.file[0] && !w->listing.has_weights)
        fj_warn(w->how->log, "%s has no weights that forja reads", w->ref.model);
    return st ? st : report(w, out, err);
}

/* ---- without the network ------------------------------------------------------------------------------------------------------------ */

static bool add_cached(const char *path, const char *name, fj_pulled *out)
{
    struct stat info;
    if (stat(path, &info) || S_ISDIR(info.st_mode))
        return true;
    out->bytes += (uint64_t)info.st_size;
    out->files[out->n_files] = strdup(name);
    return out->files[out->n_files++];
}

/* A snapshot as it lies on the disk: the file, or the files of its folder. */
static fj_status report_cached(const fj_hub_work *w, const char *path, fj_pulled *out, fj_err *err)
{
    struct dirent **list = NULL;
    int n = fj_path_is_dir(path) ? scandir(path, &list, NULL, alphasort) : 0;
    (void)snprintf(out->commit, sizeof out->commit, "%.40s", path + strlen(w->folder) + strlen("/snapshots/"));
    out->path = strdup(path);
    out->files = calloc((size_t)FJ_MAX(n, 0) + 1, sizeof *out->files);
    bool ok = out->path && out->files && n >= 0;
    if (ok && !list)
        ok = add_cached(path, strrchr(path, '/') + 1, out);
    for (int i = 0; i < n; i++) {
        char *file = fj_path_join(path, list[i]->d_name);
        ok = ok && file && add_cached(file, list[i]->d_name, out);
        free(file);
        free(list[i]);
    }
    free(list);
    return ok ? FJ_OK : no_memory(w, err);
}

static fj_status not_cached(const fj_hub_work *w, fj_err *err)
{
    (void)fj_fail(err, FJ_ERR_NETWORK, "%.200s is not in the cache (%.200s)", w->ref.model, w->folder);
    return w->env.is_offline ? fj_hint(err, "HF_HUB_OFFLINE is set; without it forja fetches the model")
                             : fj_hint(err, "forja pull %.200s fetches it", w->ref.model);
}

static fj_status open_work(const char *model, const fj_fetch *how, fj_hub_work *w, fj_err *err)
{
    *w = (fj_hub_work){ .how = how };
    fj_status st = fj_hub_ref_of(model, &w->ref, err);
    if (!st)
        st = fj_hub_env_open(&w->env, err);
    if (st)
        return st;
    w->folder = fj_cache_repo(&w->env, w->ref.repo);
    w->locks = fj_cache_locks(&w->env, w->ref.repo);
    return w->folder && w->locks ? FJ_OK : no_memory(w, err);
}

static void close_work(fj_hub_work *w)
{
    fj_http_close(w->http);
    fj_listing_free(&w->listing);
    fj_hub_env_close(&w->env);
    free(w->folder);
    free(w->locks);
}

fj_status fj_pull(const char *model, const fj_fetch *how, fj_pulled *out, fj_err *err)
{
    fj_hub_work w;
    fj_cached cached;
    char *path = NULL;
    *out = (fj_pulled){ 0 };
    fj_status st = open_work(model, how, &w, err);
    if (!st && w.env.is_offline) {
        st = fj_cache_find(&w.env, &w.ref, &cached, &path, err);
        if (!st)
            st = cached == FJ_CACHED_WHOLE ? report_cached(&w, path, out, err) : not_cached(&w, err);
    } else if (!st) {
        st = pull(&w, out, err);
    }
    if (st == FJ_ERR_CANCELLED)
        (void)fj_hint(err, "what was fetched is kept; the same command goes on with it");
    if (st)
        fj_pulled_free(out);
    free(path);
    close_work(&w);
    return st;
}

void fj_pulled_free(fj_pulled *p)
{
    for (size_t i = 0; i < p->n_files; i++)
        free(p->files[i]);
    free(p->files);
    free(p->path);
    *p = (fj_pulled){ 0 };
}

fj_status fj_cache_open(const char *model, fj_cached *cached, char **path, fj_err *err)
{
    static const fj_fetch alone = { 0 };
    fj_hub_work w;
    *cached = FJ_CACHED_NOT;
    *path = NULL;
    fj_status st = open_work(model, &alone, &w, err);
    if (!st)
        st = fj_cache_find(&w.env, &w.ref, cached, path, err);
    if (!st && !*cached)
        st = not_cached(&w, err);
    if (w.env.is_offline)
        *cached = FJ_CACHED_WHOLE;
    close_work(&w);
    return st;
}

fj_status fj_model_fetch(const char *model, const fj_fetch *how, char **path, fj_err *err)
{
    fj_pulled pulled;
    fj_err absent = { 0 };
    fj_cached cached;
    if (!fj_model_is_remote(model)) {
        *path = strdup(model);
        return *path ? FJ_OK : fj_fail(err, FJ_ERR_MEMORY, "no memory to open %s", model);
    }
    fj_status st = fj_cache_open(model, &cached, path, &absent);
    if (st == FJ_OK && cached >= (how->spares_weights ? FJ_CACHED_SMALL : FJ_CACHED_WHOLE))
        return FJ_OK;
    free(*path);
    *path = NULL;
    if (st && (st != FJ_ERR_NETWORK || cached == FJ_CACHED_WHOLE)) {
        *err = absent;
        return st;
    }
    fj_note(how->log, "%s is not in the cache: fetching it", model);
    st = fj_pull(model, how, &pulled, err);
    if (st)
        return st;
    *path = pulled.path;
    pulled.path = NULL;
    fj_pulled_free(&pulled);
    return FJ_OK;
}
