/* SPDX-License-Identifier: Apache-2.0
 * safetensors: u64 length of the header, the header as a JSON object { name: {dtype, shape, data_offsets} }, the data.
 * Source: the format's description in the safetensors repository. Offsets count from the end of the header; tensors lie one behind
 * the other without holes. */
#include <stdlib.h>
#include <string.h>

#include "base/cursor.h"
#include "formats/formats.h"
#include "formats/index.h"

enum { MAX_HEADER = 100 << 20, MAX_SHARDS = 4096, MAX_TENSORS = 1 << 20 };

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

/* Length and text of the header; *data is what lies behind it. */
static fj_status read_header(shard *h, fj_text *data, fj_err *err)
{
    fj_cursor c = fj_cursor_over(h->data, h->len);
    uint64_t n = fj_cursor_u64(&c);
    if (h->len >= 7 && !memcmp(h->data, "version", 7)) {
        (void)fj_fail(err, FJ_ERR_FORMAT, "%s: a pointer of Git LFS, not the file itself", h->name);
        return fj_hint(err, "fetch the real file: git lfs pull, or download it again");
    }
    if (c.bad || n > MAX_HEADER || n > fj_cursor_left(&c)) {
        (void)fj_fail(err, FJ_ERR_FORMAT, "%s: not safetensors: a header of %llu bytes in a file of %zu", h->name,
                      (unsigned long long)n, h->len);
        return fj_hint(err, "the download may have been cut; get the file again");
    }
    fj_text text = fj_cursor_take(&c, n);
    *data = (fj_text){ (const char *)h->data + c.at, fj_cursor_left(&c) };
    fj_status st = fj_json_parse(text.data, text.len, h->name, true, &h->header, err);
    if (!st && !fj_json_is_object(h->header))
        st = fj_fail(err, FJ_ERR_FORMAT, "%s: the header is not an object", h->name);
    return st;
}

static fj_status read_shape(const shard *h, const char *name, const fj_json *dims, fj_shape *out, int64_t *n,
                            fj_err *err)
{
    size_t rank = fj_json_len(dims);
    if (!fj_json_is_array(dims) || rank > FJ_MAX_RANK)
        return fj_fail(err, FJ_ERR_FORMAT, "%s: '%s' has %zu dimensions, at most %d are read", h->name, name, rank,
                       FJ_MAX_RANK);
    *out = (fj_shape){ .rank = (int)rank };
    *n = 1;
    for (size_t i = 0; i < rank; i++) {
        out->dim[i] = fj_json_int(fj_json_at(dims, i), -1);
        if (out->dim[i] < 0 || __builtin_mul_overflow(*n, out->dim[i], n))
            return fj_fail(err, FJ_ERR_FORMAT, "%s: '%s' has a shape that is no shape", h->name, name);
    }
    return FJ_OK;
}

static fj_status read_tensor(const shard *h, const char *name, const fj_json *v, fj_text data, fj_tensor *out,
                             fj_err *err)
{
    const fj_json *offsets = fj_json_get(v, "data_offsets");
    const char *type = fj_json_string(fj_json_get(v, "dtype"), "");
    int64_t n = 0, first = fj_json_int(fj_json_at(offsets, 0), -1), end = fj_json_int(fj_json_at(offsets, 1), -1);
    size_t bytes = 0;
    *out = (fj_tensor){ .name = name, .dtype = fj_dtype_by_safetensors(type) };
    if (!out->dtype)
        return fj_fail(err, FJ_ERR_FORMAT, "%s: '%s' is of type '%s', which is not known", h->name, name, type);
    fj_status st = read_shape(h, name, fj_json_get(v, "shape"), &out->shape, &n, err);
    if (st)
        return st;
    if (first < 0 || end < first || (uint64_t)end > data.len) {
        (void)fj_fail(err, FJ_ERR_FORMAT, "%s: '%s' lies at %lld to %lld of %zu bytes", h->name, name, (long long)first,
                      (long long)end, data.len);
        return fj_hint(err, "the download may have been cut; get the file again");
    }
    if (!fj_dtype_bytes(out->dtype, n, &bytes) || bytes != (size_t)(end - first))
        return fj_fail(err, FJ_ERR_FORMAT, "%s: '%s' has %lld bytes, its shape and type need %zu", h->name, name,
                       (long long)(end - first), bytes);
    out->data = data.data + first;
    out->bytes = bytes;
    return FJ_OK;
}

static int by_address(const void *a, const void *b)
{
    const fj_tensor *x = *(const fj_tensor *const *)a, *y = *(const fj_tensor *const *)b;
    if (x->data != y->data)
        return (uintptr_t)x->data < (uintptr_t)y->data ? -1 : 1;
    return x->bytes < y->bytes ? -1 : x->bytes > y->bytes;
}

/* The specification: no holes, no overlap. */
static fj_status check_cover(const safetensors *x, size_t first, fj_text data, const shard *h, fj_err *err)
{
    size_t n = x->index.n - first, end = 0;
    const fj_tensor **order = malloc((n + 1) * sizeof(*order));
    fj_status st = order ? FJ_OK : fj_fail(err, FJ_ERR_MEMORY, "no memory to check %s", h->name);
    for (size_t i = 0; !st && i < n; i++)
        order[i] = &x->index.tensors[first + i];
    if (!st)
        qsort(order, n, sizeof(*order), by_address);
    for (size_t i = 0; !st && i < n; i++) {
        size_t start = (size_t)((const char *)order[i]->data - data.data);
        if (start != end)
            st = fj_fail(err, FJ_ERR_FORMAT, "%s: '%s' %s the tensor before it", h->name, order[i]->name,
                         start < end ? "overlaps" : "leaves a hole behind");
        end = start + order[i]->bytes;
    }
    if (!st && end != data.len)
        st = fj_fail(err, FJ_ERR_FORMAT, "%s: %zu bytes behind the last tensor", h->name, data.len - end);
    free(order);
    return st;
}

/* Tensors of shard i whose header has been read. */
static fj_status add_tensors(safetensors *x, size_t i, fj_text data, fj_err *err)
{
    const shard *h = &x->shards[i];
    size_t first = x->index.n;
    for (void *it = fj_json_first(h->header); it; it = fj_json_next(h->header, it)) {
        const char *name = fj_json_key(it);
        fj_tensor t;
        if (!strcmp(name, "__metadata__"))
            continue;
        fj_status st = read_tensor(h, name, fj_json_member(it), data, &t, err);
        if (st)
            return st;
        x->shard_of[x->index.n] = (uint32_t)i;
        if (!fj_index_add(&x->index, &t))
            return fj_fail(err, FJ_ERR_FORMAT, "%s: '%s' is in two files", h->name, name);
    }
    return check_cover(x, first, data, h, err);
}

static fj_status read_shards(safetensors *x, fj_err *err)
{
    size_t total = 0;
    fj_text *data = fj_arena_array(x->arena, x->n_shards, sizeof *data);
    fj_status st = data ? FJ_OK : fj_fail(err, FJ_ERR_MEMORY, "no memory to open %s", x->source.path);
    for (size_t i = 0; !st && i < x->n_shards; i++) {
        st = read_header(&x->shards[i], &data[i], err);
        total += st ? 0 : fj_json_len(x->shards[i].header);
    }
    if (!st && total > MAX_TENSORS)
        st = fj_fail(err, FJ_ERR_FORMAT, "%s: %zu tensors, at most %d are read", x->source.path, total, MAX_TENSORS);
    if (!st) {
        x->shard_of = fj_arena_array(x->arena, total, sizeof *x->shard_of);
        if (!x->shard_of || !fj_index_init(&x->index, x->arena, total))
            st = fj_fail(err, FJ_ERR_MEMORY, "no memory for a list of %zu tensors", total);
    }
    for (size_t i = 0; !st && i < x->n_shards; i++)
        st = add_tensors(x, i, data[i], err);
    return st;
}

static fj_status map_shard(shard *h, const char *path, fj_arena *arena, fj_err *err)
{
    fj_status st = fj_map_open(path, &h->map, err);
    if (st)
        return err->status = FJ_ERR_FORMAT;
    h->data = h->map->data;
    h->len = h->map->len;
    h->name = fj_arena_text(arena, path, strlen(path));
    return h->name ? FJ_OK : fj_fail(err, FJ_ERR_MEMORY, "no memory to open %s", path);
}

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

/* The files that the index names, each once, in order of appearance. */
static fj_status list_shards(const fj_json *index, const char *path, const char **names, size_t *n, fj_err *err)
{
    const fj_json *map = fj_json_get(index, "weight_map");
    *n = 0;
    if (!fj_json_len(map))
        return fj_fail(err, FJ_ERR_FORMAT, "%s: no weight_map", path);
    for (void *it = fj_json_first(map); it; it = fj_json_next(map, it)) {
        const char *name = fj_json_string(fj_json_member(it), "");
        size_t i = 0;
        if (!*name || strchr(name, '/') || name[0] == '.')
            return fj_fail(err, FJ_ERR_FORMAT, "%s: '%s' lies in '%s', which is no plain file name", path,
                           fj_json_key(it), name);
        while (i < *n && strcmp(names[i], name))
            i++;
        if (i < *n)
            continue;
        if (*n == MAX_SHARDS)
            return fj_fail(err, FJ_ERR_FORMAT, "%s: more than %d files", path, MAX_SHARDS);
        names[(*n)++] = name;
    }
    return FJ_OK;
}

static fj_status open_sharded(const char *folder, const char *index_path, fj_json *config, fj_source **out, fj_err *err)
{
    fj_json *index = NULL;
    safetensors *x = NULL;
    size_t n = 0;
    const char **names = calloc(MAX_SHARDS, sizeof *names);
    fj_status st = names ? fj_json_load(index_path, &index, err)
                         : fj_fail(err, FJ_ERR_MEMORY, "no memory to open %s", folder);
    if (!st)
        st = list_shards(index, index_path, names, &n, err);
    if (!st)
        st = new_source(folder, n, config, &x, err);
    for (size_t i = 0; !st && i < n; i++) {
        char *path = fj_path_join(folder, names[i]);
        st = path ? map_shard(&x->shards[i], path, x->arena, err)
                  : fj_fail(err, FJ_ERR_MEMORY, "no memory to open %s", folder);
        free(path);
    }
    if (x)
        st = finish(x, st, out, err);
    fj_json_free(index);
    free(names);
    return st;
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
    else if (!st) {
        st = fj_fail(err, FJ_ERR_FORMAT, "%s: no model.safetensors and no model.safetensors.index.json", folder);
        (void)fj_hint(err, "a model folder has config.json and its weights as safetensors");
    }
    fj_json_free(config);
    free(config_path);
    free(one);
    free(index);
    return st;
}
