/* SPDX-License-Identifier: Apache-2.0
 * The hub's environment and its cache on this disk (the layout: remote_internal.h). Nothing here touches the network.
 * Source: huggingface_hub, constants.py and file_download.py. */
#define _GNU_SOURCE
#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <unistd.h>

#include "base/map.h"
#include "formats/formats.h"
#include "hub/remote_internal.h"

enum { MAX_TOKEN = 4096, STALL_SECONDS = 10 };

static fj_status no_memory(fj_err *err)
{
    return fj_fail(err, FJ_ERR_MEMORY, "no memory for the cache's paths");
}

/* ---- the environment ---------------------------------------------------------------------------------------------------------------- */

/* A variable that is set and not empty, of "A|B" the first. */
static const char *setting(const char *names)
{
    char name[64];
    while (*names) {
        size_t n = strcspn(names, "|");
        (void)snprintf(name, sizeof name, "%.*s", (int)n, names);
        const char *value = getenv(name);
        if (value && *value)
            return value;
        names += n + (names[n] == '|');
    }
    return NULL;
}

static bool is_true(const char *value)
{
    return value &&
           (!strcmp(value, "1") || !strcasecmp(value, "on") || !strcasecmp(value, "yes") || !strcasecmp(value, "true"));
}

/* A path of the environment, "~/" being the home; for free(). */
static char *expand(const char *path)
{
    const char *home = setting("HOME");
    return path[0] == '~' && path[1] == '/' && home ? fj_path_join(home, path + 2) : strdup(path);
}

/* HF_HOME, else huggingface in the user's cache, for free(). NULL where nothing says where that is, or without memory. */
static char *find_home(void)
{
    const char *own = setting("HF_HOME"), *xdg = setting("XDG_CACHE_HOME"), *home = setting("HOME");
    if (own)
        return expand(own);
    if (xdg)
        return fj_path_join(xdg, "huggingface");
    return home ? fj_path_join(home, ".cache/huggingface") : NULL;
}

/* A token goes into a header: nothing but what tokens are made of. */
static fj_status take_token(const char *text, size_t len, const char *from, char **out, fj_err *err)
{
    while (len && strchr(" \t\r\n", text[len - 1]))
        len--;
    while (len && strchr(" \t\r\n", *text)) {
        text++;
        len--;
    }
    for (size_t i = 0; i < len; i++)
        if (text[i] <= 0x20 || text[i] >= 0x7f)
            return fj_fail(err, FJ_ERR_USAGE, "%s holds characters that no token has", from);
    if (!len)
        return FJ_OK;
    *out = strndup(text, len);
    return *out ? FJ_OK : no_memory(err);
}

static fj_status find_token(const char *home, char **out, fj_err *err)
{
    const char *value = setting("HF_TOKEN|HUGGING_FACE_HUB_TOKEN"), *file = setting("HF_TOKEN_PATH");
    if (value)
        return take_token(value, strlen(value), "HF_TOKEN", out, err);
    fj_str text = { 0 };
    char *path = file ? expand(file) : home ? fj_path_join(home, "token") : NULL;
    fj_status st = path || (!file && !home) ? FJ_OK : no_memory(err);
    if (path && fj_path_exists(path)) {
        st = fj_file_read(path, MAX_TOKEN, &text, err);
        if (!st)
            st = take_token(text.data ? text.data : "", text.len, path, out, err);
    }
    fj_str_free(&text);
    free(path);
    return st;
}

static fj_status find_endpoint(char **out, fj_err *err)
{
    const char *value = setting("HF_ENDPOINT");
    if (!value)
        value = "https://huggingface.co";
    size_t n = strlen(value);
    while (n && value[n - 1] == '/')
        n--;
    *out = strndup(value, n);
    if (!*out)
        return no_memory(err);
    return fj_http_may_follow(*out, *out)
               ? FJ_OK
               : fj_fail(err, FJ_ERR_USAGE, "HF_ENDPOINT: '%.200s' is no http(s):// address", value);
}

fj_status fj_hub_env_open(fj_hub_env *out, fj_err *err)
{
    const char *cache = setting("HF_HUB_CACHE|HUGGINGFACE_HUB_CACHE"), *stall = setting("HF_HUB_DOWNLOAD_TIMEOUT");
    int64_t seconds;
    *out = (fj_hub_env){ .is_offline = is_true(setting("HF_HUB_OFFLINE|TRANSFORMERS_OFFLINE")),
                         .stall_seconds = STALL_SECONDS };
    char *home = find_home();
    if (cache || home)
        out->cache = cache ? expand(cache) : fj_path_join(home, "hub");
    fj_status st = out->cache
                       ? find_token(home, &out->token, err)
                       : fj_fail(err, FJ_ERR_USAGE, "no place for the hub's models: HF_HOME and HOME are not set");
    free(home);
    if (!st)
        st = find_endpoint(&out->endpoint, err);
    if (!st && stall && (!fj_text_i64(fj_text_of(stall), &seconds) || seconds < 1 || seconds > 3600))
        st = fj_fail(err, FJ_ERR_USAGE, "HF_HUB_DOWNLOAD_TIMEOUT: '%.40s' is not a number of seconds from 1 to 3600",
                     stall);
    if (!st && stall)
        out->stall_seconds = (int)seconds;
    if (st)
        fj_hub_env_close(out);
    return st;
}

void fj_hub_env_close(fj_hub_env *env)
{
    free(env->cache);
    free(env->endpoint);
    free(env->token);
    *env = (fj_hub_env){ 0 };
}

/* ---- places ------------------------------------------------------------------------------------------------------------------------- */

/* CACHE[/between]/models--org--name */
static char *repo_place(const fj_hub_env *env, const char *between, const char *repo)
{
    char *path;
    const char *slash = strchr(repo, '/');
    int n = slash ? (int)(slash - repo) : (int)strlen(repo);
    return asprintf(&path, "%s%s/models--%.*s%s%s", env->cache, between, n, repo, slash ? "--" : "",
                    slash ? slash + 1 : "") < 0
               ? NULL
               : path;
}

char *fj_cache_repo(const fj_hub_env *env, const char *repo)
{
    return repo_place(env, "", repo);
}

char *fj_cache_locks(const fj_hub_env *env, const char *repo)
{
    return repo_place(env, "/.locks", repo);
}

/* name NULL: the folder itself. */
static char *place(const char *repo_folder, const char *kind, const char *commit, const char *name)
{
    char *path;
    return asprintf(&path, "%s/%s/%s%s%s", repo_folder, kind, commit, name ? "/" : "", name ? name : "") < 0 ? NULL
                                                                                                             : path;
}

/* Whether the snapshot has a file that can be read. */
static bool has(const char *snapshot, const char *name)
{
    char *path = fj_path_join(snapshot, name);
    bool found = path && fj_path_exists(path) && !fj_path_is_dir(path);
    free(path);
    return found;
}

/* ---- what is there ------------------------------------------------------------------------------------------------------------------ */

static bool has_all_parts(const char *snapshot, const char *name)
{
    int part, n = fj_gguf_parts(name, &part);
    bool found = true;
    for (int i = 1; found && i <= n; i++) {
        char *other = fj_gguf_part_name(name, i);
        found = other && has(snapshot, other);
        free(other);
    }
    return found;
}

/* Whether all files that an index names are there. */
static bool has_shards(const char *snapshot, const char *index)
{
    fj_err err = { 0 };
    fj_json *v = NULL;
    char *path = fj_path_join(snapshot, index);
    bool whole = path && fj_path_exists(path) && fj_json_load(path, &v, &err) == FJ_OK;
    const fj_json *map = fj_json_get(v, "weight_map");
    const char *last = "";
    whole = whole && fj_json_len(map) > 0;
    for (void *i = fj_json_first(map); i && whole; i = fj_json_next(map, i)) {
        const char *name = fj_json_string(fj_json_member(i), "");
        if (strcmp(name, last) != 0)
            whole = fj_hub_is_safe_path(fj_text_of(name)) && has(snapshot, name);
        last = name;
    }
    fj_json_free(v);
    free(path);
    return whole;
}

static bool has_adapter(const char *snapshot)
{
    return has(snapshot, "adapter_config.json") &&
           (has(snapshot, "adapter_model.safetensors") || has(snapshot, "adapter_model.bin"));
}

static bool has_weights(const char *snapshot)
{
    return has(snapshot, "model.safetensors") || has_shards(snapshot, "model.safetensors.index.json") ||
           has(snapshot, "pytorch_model.bin") || has_shards(snapshot, "pytorch_model.bin.index.json") ||
           (has(snapshot, "quantize_config.json") && fj_weights_in_folder(snapshot));
}

/* The snapshot's one GGUF file, for free(), when there is just one model among them; and whether there is a tokenizer's file. */
static char *look_around(const char *snapshot, bool *has_tokenizer)
{
    const struct dirent *e;
    DIR *d = opendir(snapshot);
    char *only = NULL;
    int n = 0;
    *has_tokenizer = false;
    while (d && (e = readdir(d))) {
        *has_tokenizer |= fj_hub_is_tokenizer(e->d_name);
        if (!fj_hub_is_gguf_model(e->d_name) || n++)
            continue;
        only = fj_path_join(snapshot, e->d_name);
        if (!has_all_parts(snapshot, e->d_name))
            n++;
    }
    if (d)
        (void)closedir(d);
    if (n == 1)
        return only;
    free(only);
    return NULL;
}

/* The commit that a revision meant when it was last looked up; false when it never was. */
static bool find_commit(const char *repo_folder, const char *revision, char commit[FJ_COMMIT_LEN + 1])
{
    fj_err err = { 0 };
    fj_str text = { 0 };
    char *path = place(repo_folder, "refs", revision, NULL);
    bool found = fj_hub_is_hex(fj_text_of(revision), FJ_COMMIT_LEN);
    if (found)
        memcpy(commit, revision, FJ_COMMIT_LEN);
    else if (path && fj_path_exists(path) && fj_file_read(path, 1 << 10, &text, &err) == FJ_OK &&
             text.len >= FJ_COMMIT_LEN) {
        found = fj_hub_is_hex((fj_text){ text.data, FJ_COMMIT_LEN }, FJ_COMMIT_LEN);
        memcpy(commit, text.data, FJ_COMMIT_LEN);
    }
    commit[FJ_COMMIT_LEN] = '\0';
    fj_str_free(&text);
    free(path);
    return found;
}

static fj_cached look_at(const fj_hub_ref *ref, const char *repo_folder, const char *commit, char **path)
{
    char *snapshot = place(repo_folder, "snapshots", commit, NULL),
         *absent = place(repo_folder, ".no_exist", commit, "tokenizer.json");
    bool has_tokenizer = false;
    fj_cached cached = FJ_CACHED_NOT;
    if (!snapshot || !absent || !fj_path_is_dir(snapshot)) {
        free(snapshot);
    } else if (ref->file[0]) {
        cached = has_all_parts(snapshot, ref->file) ? FJ_CACHED_WHOLE : FJ_CACHED_NOT;
        *path = cached ? fj_path_join(snapshot, ref->file) : NULL;
        free(snapshot);
    } else {
        char *gguf = look_around(snapshot, &has_tokenizer);
        bool is_folder = has_weights(snapshot);
        has_tokenizer |= fj_path_exists(absent);
        cached = has(snapshot, "config.json") && has_tokenizer ? FJ_CACHED_SMALL : FJ_CACHED_PART;
        if (is_folder ? cached == FJ_CACHED_SMALL : gguf || has_adapter(snapshot))
            cached = FJ_CACHED_WHOLE;
        *path = !is_folder && gguf ? gguf : snapshot;
        free(*path == gguf ? snapshot : gguf);
    }
    free(absent);
    return cached;
}

fj_status fj_cache_find(const fj_hub_env *env, const fj_hub_ref *ref, fj_cached *cached, char **path, fj_err *err)
{
    char commit[FJ_COMMIT_LEN + 1], *folder = fj_cache_repo(env, ref->repo);
    *cached = FJ_CACHED_NOT;
    *path = NULL;
    if (!folder)
        return no_memory(err);
    if (find_commit(folder, ref->revision, commit))
        *cached = look_at(ref, folder, commit, path);
    free(folder);
    return *cached && !*path ? no_memory(err) : FJ_OK;
}

/* ---- what is put there -------------------------------------------------------------------------------------------------------------- */

static fj_status make_parent(const char *path, fj_err *err)
{
    const char *slash = strrchr(path, '/');
    char *folder = strndup(path, (size_t)(slash - path));
    fj_status st = folder ? fj_make_dirs(folder, err) : no_memory(err);
    free(folder);
    return st;
}

/* A link under a name of its own first: what was there is replaced in one step. */
static fj_status put_link(const char *target, const char *path, fj_err *err)
{
    char *fresh;
    if (asprintf(&fresh, "%s.%ld.part", path, (long)getpid()) < 0)
        return no_memory(err);
    fj_status st = FJ_OK;
    (void)unlink(fresh);
    if (symlink(target, fresh) || rename(fresh, path)) {
        st = fj_fail(err, errno == ENOSPC || errno == EDQUOT ? FJ_ERR_MEMORY : FJ_ERR_FAILED,
                     "cannot make the link %s: %s", path, strerror(errno));
        (void)unlink(fresh);
    }
    free(fresh);
    return st;
}

fj_status fj_cache_link(const char *repo_folder, const char *commit, const char *name, const char *etag, fj_err *err)
{
    fj_str target = { 0 };
    char *path = place(repo_folder, "snapshots", commit, name);
    fj_status st = path ? make_parent(path, err) : no_memory(err);
    fj_str_add_text(&target, "../../");
    for (const char *p = name; *p; p++)
        if (*p == '/')
            fj_str_add_text(&target, "../");
    fj_str_printf(&target, "blobs/%s", etag);
    if (!st && target.failed)
        st = no_memory(err);
    if (!st && !fj_path_exists(path)) /* exists: follows links, so one that leads nowhere is made anew */
        st = put_link(target.data, path, err);
    fj_str_free(&target);
    free(path);
    return st;
}

fj_status fj_cache_set_ref(const char *repo_folder, const char *revision, const char *commit, fj_err *err)
{
    char known[FJ_COMMIT_LEN + 1];
    if (find_commit(repo_folder, revision, known) && (!strcmp(known, commit) || !strcmp(known, revision)))
        return FJ_OK;
    char *path = place(repo_folder, "refs", revision, NULL);
    fj_status st = path ? make_parent(path, err) : no_memory(err);
    if (!st)
        st = fj_file_write(path, commit, FJ_COMMIT_LEN, err);
    free(path);
    return st;
}

fj_status fj_cache_set_absent(const char *repo_folder, const char *commit, const char *name, fj_err *err)
{
    char *path = place(repo_folder, ".no_exist", commit, name);
    fj_status st = path ? make_parent(path, err) : no_memory(err);
    if (!st && !fj_path_exists(path))
        st = fj_file_write(path, "", 0, err);
    free(path);
    return st;
}
