/* SPDX-License-Identifier: Apache-2.0
 * See prompt_cache.h. */
#include "tasks/prompt_cache.h"

#include <stdio.h>
#include <string.h>

#include "base/cursor.h"
#include "base/hash.h"
#include "base/map.h"

enum { FORMAT = 1, VERSION_BYTES = 16, HASH_BYTES = 64 };

static const char magic[] = "FJPROMPT";

/* ---- writing -------------------------------------------------------------------------------------------------------------------------- */

typedef struct writer {
    FILE *file;
    fj_digest *digest;
} writer;

static void put(void *context, const void *piece, size_t len)
{
    writer *w = context;
    (void)fwrite(piece, 1, len, w->file); /* an error stays with the file: fj_out_commit says it */
    fj_digest_add(w->digest, piece, len);
}

static void put_u32(writer *w, uint32_t n)
{
    put(w, &n, sizeof n);
}

static void put_header(writer *w, const fj_session *s, const fj_session_identity *id)
{
    uint64_t bytes = fj_session_state_bytes(s, fj_session_length(s, 0));
    char version[VERSION_BYTES] = FORJA_VERSION;
    put(w, magic, strlen(magic));
    put_u32(w, FORMAT);
    put_u32(w, (uint32_t)id->k_type->gguf);
    put_u32(w, (uint32_t)id->v_type->gguf);
    put_u32(w, (uint32_t)fj_session_length(s, 0));
    put(w, &bytes, sizeof bytes);
    put(w, version, sizeof version);
    put(w, id->model, HASH_BYTES);
    put(w, id->arithmetic, HASH_BYTES);
}

fj_status fj_prompt_cache_write(const char *path, const fj_session *s, const int32_t *ids, fj_err *err)
{
    fj_session_identity id;
    fj_out out = { 0 };
    char hex[65];
    fj_status st = fj_session_identify(s, &id, err);
    if (!st)
        st = fj_out_open(path, &out, err);
    if (st)
        return st;
    writer w = { out.file, fj_sha256_new() };
    if (!w.digest) {
        fj_out_abort(&out);
        return fj_fail(err, FJ_ERR_MEMORY, "no memory to write %s", path);
    }
    put_header(&w, s, &id);
    put(&w, ids, (size_t)fj_session_length(s, 0) * sizeof *ids);
    fj_session_state_write(s, 0, put, &w);
    fj_digest_end(w.digest, hex);
    (void)fwrite(hex, 1, HASH_BYTES, out.file);
    return fj_out_commit(&out, err);
}

/* ---- reading -------------------------------------------------------------------------------------------------------------------------- */

typedef struct parsed {
    uint32_t format, k, v, n;
    uint64_t bytes;
    fj_text version, model, arithmetic, ids, state, hash;
} parsed;

static bool is_text(fj_text a, const char *b)
{
    return a.len == strnlen(b, a.len + 1) && !memcmp(a.data, b, a.len);
}

static fj_status foreign(const char *path, const char *what, fj_err *err)
{
    (void)fj_fail(err, FJ_ERR_FORMAT, "%s: this prompt cache was made %s", path, what);
    return fj_hint(err, "another --prompt-cache, or remove the file");
}

static fj_status check_maker(const char *path, const parsed *p, const fj_session_identity *id, fj_err *err)
{
    char what[96];
    const fj_dtype *k = fj_dtype_by_gguf(p->k), *v = fj_dtype_by_gguf(p->v);
    size_t len = strnlen(p->version.data, p->version.len);
    if (!is_text((fj_text){ p->version.data, len }, FORJA_VERSION))
        return foreign(path, "by another version of forja", err);
    if (!is_text(p->model, id->model))
        return foreign(path, "with another model, adapter or choice of experts", err);
    if (k != id->k_type || v != id->v_type) {
        (void)snprintf(what, sizeof what, "with a cache of %s and %s, this run's is of %s and %s", k ? k->name : "?",
                       v ? v->name : "?", id->k_type->name, id->v_type->name);
        return foreign(path, what, err);
    }
    if (!is_text(p->arithmetic, id->arithmetic))
        return foreign(path, "with other kernels, or for a context that longrope treats otherwise", err);
    return FJ_OK;
}

static fj_status parse(const char *path, const void *data, size_t len, const fj_session *s, parsed *p, fj_err *err)
{
    fj_session_identity id;
    fj_cursor c = fj_cursor_over(data, len);
    char hex[65];
    if (!is_text(fj_cursor_take(&c, strlen(magic)), magic))
        return fj_fail(err, FJ_ERR_FORMAT, "%s: this is no prompt cache of forja's", path);
    p->format = fj_cursor_u32(&c);
    if (p->format != FORMAT)
        return foreign(path, "by another version of forja", err);
    p->k = fj_cursor_u32(&c);
    p->v = fj_cursor_u32(&c);
    p->n = fj_cursor_u32(&c);
    p->bytes = fj_cursor_u64(&c);
    p->version = fj_cursor_take(&c, VERSION_BYTES);
    p->model = fj_cursor_take(&c, HASH_BYTES);
    p->arithmetic = fj_cursor_take(&c, HASH_BYTES);
    p->ids = fj_cursor_take(&c, (uint64_t)p->n * sizeof(int32_t));
    p->state = fj_cursor_take(&c, p->bytes);
    p->hash = fj_cursor_take(&c, HASH_BYTES);
    if (c.bad || fj_cursor_left(&c))
        return fj_fail(err, FJ_ERR_FORMAT, "%s: a prompt cache of %u tokens does not have %zu bytes", path, p->n, len);
    fj_status st = fj_session_identify(s, &id, err);
    if (!st)
        st = check_maker(path, p, &id, err);
    if (st)
        return st;
    fj_sha256_of(data, len - HASH_BYTES, hex);
    if (!is_text(p->hash, hex) || p->bytes != fj_session_state_bytes(s, p->n)) {
        (void)fj_fail(err, FJ_ERR_FORMAT, "%s: this prompt cache is broken: its bytes are not those that were written",
                      path);
        return fj_hint(err, "remove the file");
    }
    return FJ_OK;
}

fj_status fj_prompt_cache_read_bytes(const char *path, const void *data, size_t len, fj_session *s,
                                     const int32_t *prompt, int64_t n, int64_t *held, fj_err *err)
{
    parsed p = { 0 };
    int64_t same = 0;
    *held = 0;
    fj_status st = parse(path, data, len, s, &p, err);
    if (st)
        return st;
    while (same < FJ_MIN((int64_t)p.n, n) &&
           !memcmp(p.ids.data + same * (int64_t)sizeof *prompt, prompt + same, sizeof *prompt))
        same++;
    *held = fj_session_state_read(s, 0, p.state.data, p.n, same);
    return FJ_OK;
}

fj_status fj_prompt_cache_read(const char *path, fj_session *s, const int32_t *prompt, int64_t n, int64_t *held,
                               fj_err *err)
{
    fj_map *map = NULL;
    *held = 0;
    if (!fj_path_exists(path))
        return FJ_OK;
    fj_status st = fj_map_open(path, &map, err);
    if (!st)
        st = fj_prompt_cache_read_bytes(path, map->data, map->len, s, prompt, n, held, err);
    fj_map_close(map);
    return st;
}
