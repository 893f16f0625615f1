/* SPDX-License-Identifier: Apache-2.0
 * What fetching is made of: names, the cache's layout, what a repository holds, one file on its way. The layout is that of
 * huggingface_hub, so that Python's tools and forja share files:
 *
 *   CACHE/models--org--name/refs/main              the commit that a branch or tag stood at
 *                           snapshots/COMMIT/FILE  -> ../../blobs/ETAG
 *                           blobs/ETAG             named by SHA-256 (large files) or as git does (small ones)
 *                           blobs/ETAG.incomplete  on its way
 *                           .no_exist/COMMIT/FILE  known not to be there
 *   CACHE/.locks/models--org--name/ETAG.lock       held by the process that fetches
 *
 * Source: huggingface_hub, file_download.py (_hf_hub_download_to_cache_dir). */
#ifndef FJ_HUB_REMOTE_INTERNAL_H
#define FJ_HUB_REMOTE_INTERNAL_H

#include "base/arena.h"
#include "base/hash.h"
#include "base/json.h"
#include "hub/http.h"
#include "hub/hub.h"

/* ---- name.c ------------------------------------------------------------------------------------------------------- */

enum { FJ_MAX_FILE_NAME = 1023, FJ_COMMIT_LEN = 40 };

typedef struct fj_hub_ref {
    const char *model;      /* as the user wrote it, for messages; borrowed */
    char repo[200];         /* "org/name", or "name" as the oldest are called */
    char revision[256];     /* branch, tag or commit; "main" when not given */
    char file[FJ_MAX_FILE_NAME + 1]; /* "" for the model as a whole */
} fj_hub_ref;

/* "hf:org/name[@revision][:file]" in its parts. Other kinds of names that mean a repository belong here, too. FJ_ERR_USAGE. */
fj_status fj_hub_ref_of(const char *model, fj_hub_ref *out, fj_err *err);

/* A relative path that stays where it is put: no empty part, no "." or "..", nothing unprintable, no backslash. */
bool fj_hub_is_safe_path(fj_text path);

/* 40 digits of a commit, or the 40 or 64 of a file's hash. */
bool fj_hub_is_hex(fj_text text, size_t digits);

/* Appends text with everything but letters, digits and "-._~" as %XX; '/' stays where wanted. */
void fj_url_escape(const char *text, bool keeps_slash, fj_str *out);

/* ---- cache.c ------------------------------------------------------------------------------------------------------ */

/* What the environment says: HF_HOME, HF_HUB_CACHE, HF_ENDPOINT, HF_TOKEN, HF_HUB_OFFLINE ... */
typedef struct fj_hub_env {
    char *cache, *endpoint, *token; /* token NULL: none */
    bool is_offline;
    int stall_seconds; /* HF_HUB_DOWNLOAD_TIMEOUT */
} fj_hub_env;

fj_status fj_hub_env_open(fj_hub_env *out, fj_err *err); /* FJ_ERR_USAGE: a value that cannot be */
void fj_hub_env_close(fj_hub_env *env);                  /* accepts a zeroed one */

/* CACHE/models--org--name, and CACHE/.locks/models--org--name. NULL without memory; for free(). */
char *fj_cache_repo(const fj_hub_env *env, const char *repo);
char *fj_cache_locks(const fj_hub_env *env, const char *repo);

typedef enum fj_cached {
    FJ_CACHED_NOT,
    FJ_CACHED_PART,  /* there is such a snapshot; what is needed may be missing */
    FJ_CACHED_SMALL, /* configuration and tokenizer are there */
    FJ_CACHED_WHOLE, /* all that forja needs of it */
} fj_cached;

/* Looks a model up without the network. *path, for free(): the snapshot's folder or the file; NULL for FJ_CACHED_NOT. */
fj_status fj_cache_find(const fj_hub_env *env, const fj_hub_ref *ref, fj_cached *cached, char **path, fj_err *err);

/* The snapshot's entry `name`: a link to the blob. What is there and can be read is left as it is. */
fj_status fj_cache_link(const char *repo_folder, const char *commit, const char *name, const char *etag, fj_err *err);

/* What revision means now, when it is not the commit itself. */
fj_status fj_cache_set_ref(const char *repo_folder, const char *revision, const char *commit, fj_err *err);

/* Remembers that the commit has no file `name`. */
fj_status fj_cache_set_absent(const char *repo_folder, const char *commit, const char *name, fj_err *err);

/* ---- listing.c ---------------------------------------------------------------------------------------------------- */

typedef struct fj_hub_file {
    const char *name;
    char etag[65];  /* "" when the listing does not say */
    int64_t size;   /* -1 likewise */
    bool is_wanted, is_late; /* late: weights that an index names, or that are fetched after the small files */
} fj_hub_file;

typedef struct fj_listing {
    fj_arena *arena;
    char commit[FJ_COMMIT_LEN + 1];
    fj_hub_file *files; /* in the hub's order */
    size_t n;
    const char *index;  /* the file that says which shards there are; NULL without */
    const char *open;   /* the file that is the model (GGUF); NULL: the folder is */
    bool has_tokenizer, has_weights;
} fj_listing;

/* The hub's answer to /api/models/REPO/revision/REV. where: for messages. FJ_ERR_NETWORK for anything but such an answer, and for
 * names of files that would lead out of their folder. */
fj_status fj_listing_parse(const char *text, size_t len, const char *where, fj_listing *out, fj_err *err);
void fj_listing_free(fj_listing *l); /* accepts a zeroed one */

/* Marks the files that ref needs: the one named (all its parts), or of a model the small files and one kind of weights. Says what there
 * is to choose from when ref does not say enough. */
fj_status fj_listing_choose(fj_listing *l, const fj_hub_ref *ref, fj_log *log, fj_err *err);

/* Of a folder's files the weights are not wanted after all, nor their index. */
void fj_listing_spare_weights(fj_listing *l);

/* Marks what the index (its whole text) names. */
fj_status fj_listing_choose_shards(fj_listing *l, const char *text, size_t len, fj_err *err);

const fj_hub_file *fj_listing_find(const fj_listing *l, const char *name); /* NULL when it is not there */

/* Whether a file of this name is a model in GGUF, of several parts the first; not a projector of images. */
bool fj_hub_is_gguf_model(const char *name);

/* Whether a file of this name is one of those that tokenizers are read from. */
bool fj_hub_is_tokenizer(const char *name);

/* ---- blob.c ------------------------------------------------------------------------------------------------------- */

/* What a fetch is made of. */
typedef struct fj_hub_work {
    fj_hub_env env;
    fj_hub_ref ref;
    const fj_fetch *how;
    char *folder, *locks; /* of the repository */
    fj_http *http;
    fj_listing listing;
} fj_hub_work;

/* One file on its way into blobs/. */
typedef struct fj_blob {
    const fj_hub_work *work;
    const fj_hub_file *file;
    char *url, *path, *partial, *lock; /* owned */
    int fd, lock_fd;
    fj_digest *digest; /* of the first `at` bytes, once the file is open */
    uint64_t at;       /* bytes that are there, in the partial or the finished file */
    int n_waits;       /* tries for the lock */
    bool was_reset;
} fj_blob;

/* For a file whose etag and size are known. */
fj_status fj_blob_init(fj_blob *b, const fj_hub_work *work, const fj_hub_file *file, fj_err *err);
void fj_blob_close(fj_blob *b); /* what was fetched stays on the disk */

/* Makes the request that fetches the blob, or finds that another process has fetched it. */
void fj_blob_ask(fj_blob *b, fj_http_job *job);

/* ---- pull.c ------------------------------------------------------------------------------------------------------- */

/* What the hub means by an answer that is not the thing asked for. name: a file of the model, or NULL. */
fj_status fj_hub_refused(const fj_hub_work *work, const char *name, const fj_http_answer *a, fj_err *err);

/* Where MODEL, a name of the hub, lies in the cache; for free(). *cached is FJ_CACHED_WHOLE also when nothing may be fetched, even if nothing is there.
 * FJ_ERR_NETWORK when nothing is, FJ_ERR_USAGE for the name or the environment. */
fj_status fj_cache_open(const char *model, fj_cached *cached, char **path, fj_err *err);

#endif
