/* SPDX-License-Identifier: Apache-2.0
 * One file on its way into the cache: locked against other processes, gone on with where it was cut, checked, then given its name.
 * Source: huggingface_hub, file_download.py (_download_to_tmp_and_move, http_get); the locks are those of its filelock (flock). */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/map.h"
#include "hub/remote_internal.h"

enum { PIECE = 1 << 20, NOTED_WAIT = 8 };

static fj_status disk_failed(const fj_blob *b, const char *path, fj_err *err)
{
    int error = errno;
    bool is_full = error == ENOSPC || error == EDQUOT || error == EFBIG;
    (void)fj_fail(err, is_full ? FJ_ERR_MEMORY : FJ_ERR_FAILED, "%s: cannot write %s: %s", b->file->name, path,
                  strerror(error));
    return is_full ? fj_hint(err, "free some space and go on, or set HF_HOME to a folder on another disk")
                   : err->status;
}

fj_status fj_blob_init(fj_blob *b, const fj_hub_work *work, const fj_hub_file *file, fj_err *err)
{
    struct stat info;
    fj_str name = { 0 };
    *b = (fj_blob){ .work = work, .file = file, .fd = -1, .lock_fd = -1 };
    fj_url_escape(file->name, true, &name);
    bool ok = !name.failed &&
              asprintf(&b->url, "%s/%s/resolve/%s/%s", work->env.endpoint, work->ref.repo, work->listing.commit,
                       name.data) >= 0 &&
              asprintf(&b->path, "%s/blobs/%s", work->folder, file->etag) >= 0 &&
              asprintf(&b->partial, "%s.incomplete", b->path) >= 0 &&
              asprintf(&b->lock, "%s/%s.lock", work->locks, file->etag) >= 0;
    fj_str_free(&name);
    if (!ok)
        return fj_fail(err, FJ_ERR_MEMORY, "no memory to fetch %s", file->name);
    if (fj_path_exists(b->path))
        b->at = (uint64_t)file->size;
    else if (!lstat(b->partial, &info) && S_ISREG(info.st_mode) && info.st_size <= file->size)
        b->at = (uint64_t)info.st_size;
    return FJ_OK;
}

static void release(fj_blob *b)
{
    if (b->fd >= 0)
        (void)close(b->fd);
    if (b->lock_fd >= 0)
        (void)close(b->lock_fd);
    b->fd = b->lock_fd = -1;
    if (b->digest) {
        char unused[65];
        fj_digest_end(b->digest, unused);
    }
    b->digest = NULL;
}

void fj_blob_close(fj_blob *b)
{
    release(b);
    free(b->url);
    free(b->path);
    free(b->partial);
    free(b->lock);
}

/* ---- the partial file --------------------------------------------------------------------------------------------------------------- */

static fj_status new_digest(fj_blob *b, fj_err *err)
{
    if (b->digest) {
        char unused[65];
        fj_digest_end(b->digest, unused);
    }
    b->digest = strlen(b->file->etag) == 64 ? fj_sha256_new() : fj_git_blob_new((uint64_t)b->file->size);
    return b->digest ? FJ_OK : fj_fail(err, FJ_ERR_MEMORY, "no memory to check %s", b->file->name);
}

/* Back to nothing: what is there is no beginning of the file. */
static fj_status reset(fj_blob *b, fj_err *err)
{
    b->at = 0;
    if (ftruncate(b->fd, 0) || lseek(b->fd, 0, SEEK_SET))
        return disk_failed(b, b->partial, err);
    return new_digest(b, err);
}

/* What an earlier run left counts, once it is hashed. */
static fj_status take_up(fj_blob *b, fj_err *err)
{
    const int *cancel = b->work->how->cancel;
    fj_status st = new_digest(b, err);
    char *piece = malloc(PIECE);
    b->at = 0;
    if (!st && !piece)
        st = fj_fail(err, FJ_ERR_MEMORY, "no memory to check %s", b->file->name);
    for (ssize_t n = 1; !st && n > 0; b->at += (uint64_t)FJ_MAX(n, 0)) {
        n = read(b->fd, piece, PIECE);
        if (n < 0)
            st = disk_failed(b, b->partial, err);
        else
            fj_digest_add(b->digest, piece, (size_t)n);
        if (!st && cancel && __atomic_load_n(cancel, __ATOMIC_RELAXED))
            st = fj_fail(err, FJ_ERR_CANCELLED, "interrupted");
    }
    free(piece);
    return !st && b->at > (uint64_t)b->file->size ? reset(b, err) : st;
}

/* The hash is right or the file goes. */
static fj_status commit(fj_blob *b, fj_err *err)
{
    char hex[65];
    const char *kind = strlen(b->file->etag) == 64 ? "SHA-256" : "git's hash";
    fj_digest_end(b->digest, hex);
    b->digest = NULL;
    if (strcmp(hex, b->file->etag) != 0) {
        (void)unlink(b->partial);
        release(b);
        (void)fj_fail(err, FJ_ERR_NETWORK, "%s: wrong content: %s is %.16s…, the hub says %.16s…", b->file->name, kind,
                      hex, b->file->etag);
        return fj_hint(err, "it was removed; try again, and if it stays so, a proxy or the hub itself is at fault");
    }
    if (fsync(b->fd) || rename(b->partial, b->path))
        return disk_failed(b, b->path, err);
    release(b);
    return FJ_OK;
}

/* ---- the request -------------------------------------------------------------------------------------------------------------------- */

/* Whether the lock is ours. Where the file system has no locks, nobody waits: then a hash may turn out wrong, no more. */
static bool is_locked(fj_blob *b)
{
    if (b->lock_fd < 0)
        b->lock_fd = open(b->lock, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0664);
    return b->lock_fd < 0 || !flock(b->lock_fd, LOCK_EX | LOCK_NB) || errno != EWOULDBLOCK;
}

static fj_status begin(fj_http_job *job, fj_http_step *step, fj_err *err)
{
    fj_blob *b = job->context;
    fj_status st = FJ_OK;
    *step = FJ_HTTP_LATER;
    if (b->fd < 0 && !is_locked(b)) {
        if (++b->n_waits == NOTED_WAIT) /* not for files of the same bytes in one repository */
            fj_note(b->work->how->log, "%s: another process fetches it, waiting", job->name);
        return FJ_OK;
    }
    *step = FJ_HTTP_DONE;
    if (b->fd < 0 && fj_path_exists(b->path)) {
        b->at = (uint64_t)b->file->size;
        release(b);
        return FJ_OK;
    }
    if (b->fd < 0) {
        b->fd = open(b->partial, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0666);
        st = b->fd < 0 ? disk_failed(b, b->partial, err) : take_up(b, err);
    }
    if (st || b->at == (uint64_t)b->file->size)
        return st ? st : commit(b, err);
    *step = FJ_HTTP_GO;
    job->from = b->at;
    return FJ_OK;
}

static fj_status write_all(fj_blob *b, const char *data, size_t n, fj_err *err)
{
    while (n) {
        ssize_t done = write(b->fd, data, n);
        if (done < 0 && errno == EINTR)
            continue;
        if (done < 0)
            return disk_failed(b, b->partial, err);
        fj_digest_add(b->digest, data, (size_t)done);
        b->at += (uint64_t)done;
        data += done;
        n -= (size_t)done;
    }
    return FJ_OK;
}

static fj_status body(fj_http_job *job, const fj_http_answer *a, const void *data, size_t n, bool *is_enough,
                      fj_err *err)
{
    fj_blob *b = job->context;
    uint64_t left;
    fj_status st = FJ_OK;
    if (job->from && a->status == 200) { /* a server that knows no ranges begins at the beginning */
        job->from = 0;
        st = reset(b, err);
    } else if (a->status == 206 && a->from != (int64_t)job->from) {
        st = fj_fail(err, FJ_ERR_NETWORK, "%s: the server sends bytes from %" PRId64 ", asked for those from %" PRIu64,
                     job->name, a->from, job->from);
    }
    left = (uint64_t)b->file->size - b->at;
    if (!st)
        st = write_all(b, data, FJ_MIN(n, left), err);
    *is_enough = b->at == (uint64_t)b->file->size;
    return st;
}

static fj_status end(fj_http_job *job, const fj_http_answer *a, bool *again, fj_err *err)
{
    fj_blob *b = job->context;
    if (a->status == 416 && job->from && !b->was_reset) {
        b->was_reset = *again = true;
        return reset(b, err);
    }
    if (a->status != 200 && a->status != 206)
        return fj_hub_refused(b->work, b->file->name, a, err);
    *again = b->at < (uint64_t)b->file->size;
    return *again ? FJ_OK : commit(b, err);
}

void fj_blob_ask(fj_blob *b, fj_http_job *job)
{
    *job = (fj_http_job){
        .name = b->file->name, .url = b->url, .context = b, .begin = begin, .body = body, .end = end
    };
}
