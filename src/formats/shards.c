/* SPDX-License-Identifier: Apache-2.0
 * See shards.h. */
#include "formats/shards.h"

#include <stdlib.h>
#include <string.h>

enum { MAX_SHARDS = 4096, MAX_TENSORS = 1 << 20 };

typedef struct shards {
    fj_source source;
    const fj_shard_kind *kind;
    fj_arena *arena;
    fj_shard *files;
    size_t n_files;
    uint32_t *file_of; /* of each tensor */
    fj_index index;
} shards;

static const shards *self(const fj_source *s)
{
    return (const shards *)(const void *)s;
}

static size_t count(const fj_source *s)
{
    return self(s)->index.n;
}

static const fj_tensor *at(const fj_source *s, size_t i)
{
    return &self(s)->index.tensors[i];
}

static const fj_tensor *find(const fj_source *s, const char *name)
{
    return fj_index_find(&self(s)->index, name);
}

/* The file that has tensor t of the list. */
static const fj_shard *file_with(const fj_source *s, const fj_tensor *t, size_t *number)
{
    size_t i = (size_t)(t - self(s)->index.tensors);
    const fj_shard *f = &self(s)->files[self(s)->file_of[i]];
    *number = i - f->first;
    return f;
}

/* The mapping that the bytes lie in, by their address: a tensor may be a part of one in the list. NULL for bytes of the caller's and for
 * private copies. */
static const fj_map *map_with(const fj_source *s, const void *bytes, size_t *offset)
{
    for (size_t i = 0; i < self(s)->n_files; i++) {
        const fj_shard *f = &self(s)->files[i];
        uintptr_t first = (uintptr_t)f->data, data = (uintptr_t)bytes;
        *offset = (size_t)(data - first);
        if (f->map && data >= first && data - first < f->len)
            return f->map;
    }
    return NULL;
}

static void tell(const fj_source *s, const fj_tensor *t, void (*what)(const fj_map *map, size_t offset, size_t len))
{
    size_t offset, number;
    fj_text bytes = { t->data, t->bytes };
    if (!t->data) {
        const fj_shard *f = file_with(s, t, &number);
        bytes = self(s)->kind->made_from(f, number);
    }
    const fj_map *map = map_with(s, bytes.data, &offset);
    if (map)
        what(map, offset, bytes.len);
}

static void will_need(const fj_source *s, const fj_tensor *t)
{
    tell(s, t, fj_map_will_need);
}

static void give_back(const fj_source *s, const fj_tensor *t)
{
    tell(s, t, fj_map_give_back);
}

static void rows(const fj_source *s, const fj_tensor *t, int64_t row0, int64_t n, void *out)
{
    size_t number;
    const fj_shard *f = file_with(s, t, &number);
    self(s)->kind->rows(f, number, t, row0, n, out);
}

static fj_row_form form(const fj_source *s, const fj_tensor *t)
{
    (void)s;
    (void)t;
    return (fj_row_form){ 0 };
}

static void close_source(fj_source *s)
{
    shards *x = (shards *)(void *)s;
    for (size_t i = 0; i < x->n_files; i++) {
        if (x->kind->release)
            x->kind->release(&x->files[i]);
        fj_map_close(x->files[i].map);
    }
    fj_json_free(x->source.config);
    fj_arena_free(x->arena);
}

static fj_status new_source(const fj_shard_kind *kind, const char *path, size_t n_files, fj_json *config, shards **out,
                            fj_err *err)
{
    fj_arena *arena = fj_arena_new();
    shards *x = arena ? fj_arena_take(arena, sizeof *x) : NULL;
    if (x)
        x->files = fj_arena_array(arena, n_files, sizeof *x->files);
    if (!x || !x->files) {
        fj_arena_free(arena);
        return fj_fail(err, FJ_ERR_MEMORY, "no memory to open %s", path);
    }
    x->kind = kind;
    x->arena = arena;
    x->n_files = n_files;
    for (size_t i = 0; i < n_files; i++)
        x->files[i] = (fj_shard){ .number = i, .n_files = n_files };
    x->source = (fj_source){ .path = fj_arena_text(arena, path, strlen(path)),
                             .naming = FJ_NAMING_HF,
                             .count = count,
                             .at = at,
                             .find = find,
                             .will_need = will_need,
                             .give_back = give_back,
                             .close = close_source };
    if (kind->rows) {
        x->source.rows = rows;
        x->source.form = form;
    }
    x->source.config = config ? fj_json_share(config) : fj_json_new_object();
    *out = x;
    return x->source.path && x->source.config ? FJ_OK : fj_fail(err, FJ_ERR_MEMORY, "no memory to open %s", path);
}

static fj_status read_files(shards *x, fj_err *err)
{
    size_t total = 0;
    fj_status st = FJ_OK;
    for (size_t i = 0; !st && i < x->n_files; i++) {
        st = x->kind->read(&x->files[i], x->arena, err);
        total += x->files[i].n_most;
    }
    if (!st && total > MAX_TENSORS)
        st = fj_fail(err, FJ_ERR_FORMAT, "%s: %zu tensors, at most %d are read", x->source.path, total, MAX_TENSORS);
    if (!st) {
        x->file_of = fj_arena_array(x->arena, total, sizeof *x->file_of);
        if (!x->file_of || !fj_index_init(&x->index, x->arena, total))
            st = fj_fail(err, FJ_ERR_MEMORY, "no memory for a list of %zu tensors", total);
    }
    for (size_t i = 0; !st && i < x->n_files; i++) {
        size_t first = x->files[i].first = x->index.n;
        st = x->kind->list(&x->files[i], x->arena, &x->index, err);
        for (size_t t = first; t < x->index.n; t++)
            x->file_of[t] = (uint32_t)i;
    }
    return st;
}

static fj_status map_file(fj_shard *f, const char *path, fj_arena *arena, fj_err *err)
{
    fj_status st = fj_map_open(path, &f->map, err);
    if (st == FJ_ERR_FAILED)
        return err->status = FJ_ERR_FORMAT; /* it is the model that is not there */
    if (st)
        return st;
    f->data = f->map->data;
    f->len = f->map->len;
    f->name = fj_arena_text(arena, path, strlen(path));
    return f->name ? FJ_OK : fj_fail(err, FJ_ERR_MEMORY, "no memory to open %s", path);
}

/* Reads what was mapped, when that went well; a failure frees x. */
static fj_status finish(shards *x, fj_status st, fj_source **out, fj_err *err)
{
    if (!st)
        st = read_files(x, err);
    if (st)
        close_source(&x->source);
    else
        *out = &x->source;
    return st;
}

fj_status fj_shards_open_file(const fj_shard_kind *kind, const char *path, fj_json *config, fj_source **out,
                              fj_err *err)
{
    shards *x = NULL;
    fj_status st = new_source(kind, path, 1, config, &x, err);
    if (!x)
        return st;
    if (!st)
        st = map_file(&x->files[0], path, x->arena, err);
    return finish(x, st, out, err);
}

fj_status fj_shards_open_bytes(const fj_shard_kind *kind, const void *data, size_t len, size_t number, size_t n_files,
                               fj_source **out, fj_err *err)
{
    shards *x = NULL;
    fj_status st = new_source(kind, "(memory)", 1, NULL, &x, err);
    if (!x)
        return st;
    x->files[0] = (fj_shard){ .data = data, .len = len, .name = "(memory)", .number = number, .n_files = n_files };
    return finish(x, st, out, err);
}

fj_status fj_shards_open_files(const fj_shard_kind *kind, const char *path, char *const *paths, size_t n,
                               fj_json *config, fj_source **out, fj_err *err)
{
    shards *x = NULL;
    fj_status st = new_source(kind, path, n, config, &x, err);
    if (!x)
        return st;
    for (size_t i = 0; !st && i < n; i++)
        st = map_file(&x->files[i], paths[i], x->arena, err);
    return finish(x, st, out, err);
}

/* ---- several files --------------------------------------------------------------------------------------------------------------- */

/* A name in the folder itself: an index must not lead anywhere else. */
static bool is_plain(const char *name, const char *suffix)
{
    size_t n = strlen(name), k = strlen(suffix);
    return n > k && !strcmp(name + n - k, suffix) && name[0] != '.' && !strpbrk(name, "/\\");
}

/* The files that the index names, each once, in order of appearance, as the names of a list of tensors without values. */
static fj_status list_files(const fj_shard_kind *kind, const fj_json *map, const char *path, fj_arena *arena,
                            fj_index *files, fj_err *err)
{
    if (!fj_json_is_object(map) || !fj_json_len(map))
        return fj_fail(err, FJ_ERR_FORMAT, "%s: no weight_map", path);
    if (!fj_index_init(files, arena, MAX_SHARDS + 1))
        return fj_fail(err, FJ_ERR_MEMORY, "no memory to open %s", path);
    for (void *i = fj_json_first(map); i; i = fj_json_next(map, i)) {
        fj_tensor file = { .name = fj_json_string(fj_json_member(i), "") };
        if (!is_plain(file.name, kind->suffix))
            return fj_fail(err, FJ_ERR_FORMAT, "%s: '%.100s' lies in '%.100s', which is no plain %s name", path,
                           fj_json_key(i), file.name, kind->suffix);
        (void)fj_index_add(files, &file); /* false: known already */
        if (files->n > MAX_SHARDS)
            return fj_fail(err, FJ_ERR_FORMAT, "%s: more than %d files", path, MAX_SHARDS);
    }
    return FJ_OK;
}

static fj_status map_files(shards *x, const fj_index *files, const char *index_path, fj_err *err)
{
    for (size_t i = 0; i < files->n; i++) {
        char *path = fj_path_join(x->source.path, files->tensors[i].name);
        if (!path)
            return fj_fail(err, FJ_ERR_MEMORY, "no memory to open %s", x->source.path);
        fj_status st = FJ_OK;
        if (fj_path_exists(path)) {
            st = map_file(&x->files[i], path, x->arena, err);
        } else {
            st = fj_fail(err, FJ_ERR_FORMAT, "%s: names '%s', file %zu of %zu, which is not there", index_path,
                         files->tensors[i].name, i + 1, files->n);
            (void)fj_hint(err, "the download is not complete; get all files of the model");
        }
        free(path);
        if (st)
            return st;
    }
    return FJ_OK;
}

/* Each tensor of the index must be in the file that the index says. (Files may hold more.) */
static fj_status check_places(const shards *x, const fj_json *map, const fj_index *files, const char *path, fj_err *err)
{
    for (void *i = fj_json_first(map); i; i = fj_json_next(map, i)) {
        const char *name = fj_json_key(i), *file = fj_json_string(fj_json_member(i), "");
        const fj_tensor *t = fj_index_find(&x->index, name);
        size_t wanted = (size_t)(fj_index_find(files, file) - files->tensors);
        if (t && x->file_of[t - x->index.tensors] == wanted)
            continue;
        return fj_fail(err, FJ_ERR_FORMAT, "%s: '%.100s' should lie in '%s', which does not have it", path, name, file);
    }
    return FJ_OK;
}

static fj_status open_sharded(const fj_shard_kind *kind, const char *folder, const char *index_path, fj_json *config,
                              fj_source **out, fj_err *err)
{
    fj_json *index = NULL;
    fj_source *opened = NULL;
    shards *x = NULL;
    fj_index files = { 0 };
    fj_arena *arena = fj_arena_new();
    fj_status st = arena ? fj_json_load(index_path, &index, err)
                         : fj_fail(err, FJ_ERR_MEMORY, "no memory to open %s", folder);
    const fj_json *map = fj_json_get(index, "weight_map");
    if (!st)
        st = list_files(kind, map, index_path, arena, &files, err);
    if (!st)
        st = new_source(kind, folder, files.n, config, &x, err);
    if (!st)
        st = map_files(x, &files, index_path, err);
    if (x)
        st = finish(x, st, &opened, err);
    if (!st)
        st = check_places(x, map, &files, index_path, err);
    if (!st)
        *out = opened;
    else if (opened)
        close_source(opened);
    fj_json_free(index);
    fj_arena_free(arena);
    return st;
}

fj_status fj_shards_open_folder(const fj_shard_kind *kind, const char *folder, fj_json *config, bool *found,
                                fj_source **out, fj_err *err)
{
    char *one = fj_path_join(folder, kind->one), *index = fj_path_join(folder, kind->index);
    fj_status st = FJ_OK;
    *found = true;
    if (!one || !index)
        st = fj_fail(err, FJ_ERR_MEMORY, "no memory to open %s", folder);
    else if (fj_path_exists(one))
        st = fj_shards_open_file(kind, one, config, out, err);
    else if (fj_path_exists(index))
        st = open_sharded(kind, folder, index, config, out, err);
    else
        *found = false;
    free(one);
    free(index);
    return st;
}
