/* SPDX-License-Identifier: Apache-2.0
 * Sources over safetensors: one file, or a folder with one file or several that an index names. What a file holds is read in
 * safetensors_header.c. */
#include <stdlib.h>
#include <string.h>

#include "formats/formats.h"
#include "formats/safetensors_internal.h"

enum { MAX_SHARDS = 4096, MAX_TENSORS = 1 << 20 };

typedef struct shard {
    fj_map *map;
    const unsigned char *data;
    size_t len;
    const char *name;
    fj_json *header;
} shard;

typedef struct safetensors {
    fj_source source;
    fj_arena *arena;
    shard *shards;
    size_t n_shards;
    uint32_t *shard_of; /* of each tensor */
    fj_index index;
} safetensors;

static const safetensors *self(const fj_source *s)
{
    return (const safetensors *)(const void *)s;
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

static const shard *shard_with(const fj_source *s, const fj_tensor *t)
{
    return &self(s)->shards[self(s)->shard_of[t - self(s)->index.tensors]];
}

static void will_need(const fj_source *s, const fj_tensor *t)
{
    const shard *h = shard_with(s, t);
    if (h->map)
        fj_map_will_need(h->map, (size_t)((const unsigned char *)t->data - h->data), t->bytes);
}

static void give_back(const fj_source *s, const fj_tensor *t)
{
    const shard *h = shard_with(s, t);
    if (h->map)
        fj_map_give_back(h->map, (size_t)((const unsigned char *)t->data - h->data), t->bytes);
}

static void close_source(fj_source *s)
{
    safetensors *x = (safetensors *)(void *)s;
    for (size_t i = 0; i < x->n_shards; i++) {
        fj_json_free(x->shards[i].header);
        fj_map_close(x->shards[i].map);
    }
    fj_json_free(x->source.config);
    fj_arena_free(x->arena);
}

static fj_status new_source(const char *path, size_t n_shards, fj_json *config, safetensors **out, fj_err *err)
{
    fj_arena *arena = fj_arena_new();
    safetensors *x = arena ? fj_arena_take(arena, sizeof *x) : NULL;
    if (x)
        x->shards = fj_arena_array(arena, n_shards, sizeof *x->shards);
    if (!x || !x->shards) {
        fj_arena_free(arena);
        return fj_fail(err, FJ_ERR_MEMORY, "no memory to open %s", path);
    }
    x->arena = arena;
    x->n_shards = n_shards;
    x->source = (fj_source){ .path = fj_arena_text(arena, path, strlen(path)),
                             .naming = FJ_NAMING_HF,
                             .count = count,
                             .at = at,
                             .find = find,
                             .will_need = will_need,
                             .give_back = give_back,
                             .close = close_source };
    x->source.config = config ? fj_json_share(config) : fj_json_new_object();
    *out = x;
    return x->source.path && x->source.config ? FJ_OK : fj_fail(err, FJ_ERR_MEMORY, "no memory to open %s", path);
}

static fj_status read_shards(safetensors *x, fj_err *err)
{
    size_t total = 0;
    fj_text *data = fj_arena_array(x->arena, x->n_shards, sizeof *data);
    fj_status st = data ? FJ_OK : fj_fail(err, FJ_ERR_MEMORY, "no memory to open %s", x->source.path);
    for (size_t i = 0; !st && i < x->n_shards; i++) {
        shard *h = &x->shards[i];
        st = fj_safetensors_header(h->data, h->len, h->name, &h->header, &data[i], err);
        total += fj_json_len(h->header);
    }
    if (!st && total > MAX_TENSORS)
        st = fj_fail(err, FJ_ERR_FORMAT, "%s: %zu tensors, at most %d are read", x->source.path, total, MAX_TENSORS);
    if (!st) {
        x->shard_of = fj_arena_array(x->arena, total, sizeof *x->shard_of);
        if (!x->shard_of || !fj_index_init(&x->index, x->arena, total))
            st = fj_fail(err, FJ_ERR_MEMORY, "no memory for a list of %zu tensors", total);
    }
    for (size_t i = 0; !st && i < x->n_shards; i++) {
        size_t first = x->index.n;
        st = fj_safetensors_tensors(x->shards[i].header, data[i], x->shards[i].name, &x->index, err);
        for (size_t t = first; t < x->index.n; t++)
            x->shard_of[t] = (uint32_t)i;
    }
    return st;
}

static fj_status map_shard(shard *h, const char *path, fj_arena *arena, fj_err *err)
{
    fj_status st = fj_map_open(path, &h->map, err);
    if (st == FJ_ERR_FAILED)
        return err->status = FJ_ERR_FORMAT; /* it is the model that is not there */
    if (st)
        return st;
    h->data = h->map->data;
    h->len = h->map->len;
    h->name = fj_arena_text(arena, path, strlen(path));
    return h->name ? FJ_OK : fj_fail(err, FJ_ERR_MEMORY, "no memory to open %s", path);
}

/* Reads what was mapped, when that went well; a failure frees x. */
static fj_status finish(safetensors *x, fj_status st, fj_source **out, fj_err *err)
{
    if (!st)
        st = read_shards(x, err);
    if (st)
        close_source(&x->source);
    else
        *out = &x->source;
    return st;
}

fj_status fj_safetensors_open_file(const char *path, fj_json *config, fj_source **out, fj_err *err)
{
    safetensors *x = NULL;
    fj_status st = new_source(path, 1, config, &x, err);
    if (!x)
        return st;
    if (!st)
        st = map_shard(&x->shards[0], path, x->arena, err);
    return finish(x, st, out, err);
}

fj_status fj_safetensors_open_bytes(const void *data, size_t len, fj_source **out, fj_err *err)
{
    safetensors *x = NULL;
    fj_status st = new_source("(memory)", 1, NULL, &x, err);
    if (!x)
        return st;
    x->shards[0] = (shard){ .data = data, .len = len, .name = "(memory)" };
    return finish(x, st, out, err);
}

/* ---- several files --------------------------------------------------------------------------------------------------------------- */

/* A name in the folder itself: an index must not lead anywhere else. */
static bool is_plain(const char *name)
{
    static const char suffix[] = ".safetensors";
    size_t n = strlen(name), k = sizeof suffix - 1;
    return n > k && !strcmp(name + n - k, suffix) && name[0] != '.' && !strpbrk(name, "/\\");
}

/* The files that the index names, each once, in order of appearance, as the names of a list of tensors without values. */
static fj_status list_shards(const fj_json *map, const char *path, fj_arena *arena, fj_index *files, fj_err *err)
{
    if (!fj_json_is_object(map) || !fj_json_len(map))
        return fj_fail(err, FJ_ERR_FORMAT, "%s: no weight_map", path);
    if (!fj_index_init(files, arena, MAX_SHARDS + 1))
        return fj_fail(err, FJ_ERR_MEMORY, "no memory to open %s", path);
    for (void *i = fj_json_first(map); i; i = fj_json_next(map, i)) {
        fj_tensor file = { .name = fj_json_string(fj_json_member(i), "") };
        if (!is_plain(file.name))
            return fj_fail(err, FJ_ERR_FORMAT, "%s: '%.100s' lies in '%.100s', which is no plain .safetensors name",
                           path, fj_json_key(i), file.name);
        (void)fj_index_add(files, &file); /* false: known already */
        if (files->n > MAX_SHARDS)
            return fj_fail(err, FJ_ERR_FORMAT, "%s: more than %d files", path, MAX_SHARDS);
    }
    return FJ_OK;
}

static fj_status map_shards(safetensors *x, const fj_index *files, const char *index_path, fj_err *err)
{
    for (size_t i = 0; i < files->n; i++) {
        char *path = fj_path_join(x->source.path, files->tensors[i].name);
        if (!path)
            return fj_fail(err, FJ_ERR_MEMORY, "no memory to open %s", x->source.path);
        fj_status st = FJ_OK;
        if (fj_path_exists(path)) {
            st = map_shard(&x->shards[i], path, x->arena, err);
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
static fj_status check_places(const safetensors *x, const fj_json *map, const fj_index *files, const char *path,
                              fj_err *err)
{
    for (void *i = fj_json_first(map); i; i = fj_json_next(map, i)) {
        const char *name = fj_json_key(i), *file = fj_json_string(fj_json_member(i), "");
        const fj_tensor *t = fj_index_find(&x->index, name);
        size_t wanted = (size_t)(fj_index_find(files, file) - files->tensors);
        if (t && x->shard_of[t - x->index.tensors] == wanted)
            continue;
        return fj_fail(err, FJ_ERR_FORMAT, "%s: '%.100s' should lie in '%s', which does not have it", path, name, file);
    }
    return FJ_OK;
}

static fj_status open_sharded(const char *folder, const char *index_path, fj_json *config, fj_source **out, fj_err *err)
{
    fj_json *index = NULL;
    fj_source *opened = NULL;
    safetensors *x = NULL;
    fj_index files = { 0 };
    fj_arena *arena = fj_arena_new();
    fj_status st = arena ? fj_json_load(index_path, &index, err)
                         : fj_fail(err, FJ_ERR_MEMORY, "no memory to open %s", folder);
    const fj_json *map = fj_json_get(index, "weight_map");
    if (!st)
        st = list_shards(map, index_path, arena, &files, err);
    if (!st)
        st = new_source(folder, files.n, config, &x, err);
    if (!st)
        st = map_shards(x, &files, index_path, err);
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

/* Neither model.safetensors nor its index. */
static fj_status no_weights(const char *folder, fj_err *err)
{
    static const char *const others[] = { "pytorch_model.bin", "pytorch_model.bin.index.json", "consolidated.00.pth" };
    (void)fj_fail(err, FJ_ERR_FORMAT, "%s: no model.safetensors and no model.safetensors.index.json", folder);
    (void)fj_hint(err, "a model folder has config.json and its weights as safetensors");
    for (size_t i = 0; i < FJ_LEN(others); i++) {
        char *path = fj_path_join(folder, others[i]);
        if (path && fj_path_exists(path))
            (void)fj_hint(err, "%s is PyTorch's form; this build reads safetensors", others[i]);
        free(path);
    }
    return err->status;
}

fj_status fj_safetensors_open_folder(const char *folder, fj_source **out, fj_err *err)
{
    char *config_path = fj_path_join(folder, "config.json"), *one = fj_path_join(folder, "model.safetensors");
    char *index = fj_path_join(folder, "model.safetensors.index.json");
    fj_json *config = NULL;
    fj_status st = FJ_OK;
    if (!config_path || !one || !index)
        st = fj_fail(err, FJ_ERR_MEMORY, "no memory to open %s", folder);
    else if (!fj_path_exists(config_path))
        st = fj_fail(err, FJ_ERR_FORMAT, "%s: no config.json", folder);
    else
        st = fj_json_load(config_path, &config, err);
    if (!st && !fj_json_is_object(config))
        st = fj_fail(err, FJ_ERR_FORMAT, "%s: not an object", config_path);
    if (!st && fj_path_exists(one))
        st = fj_safetensors_open_file(one, config, out, err);
    else if (!st && fj_path_exists(index))
        st = open_sharded(folder, index, config, out, err);
    else if (!st)
        st = no_weights(folder, err);
    fj_json_free(config);
    free(config_path);
    free(one);
    free(index);
    return st;
}
