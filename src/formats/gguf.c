/* SPDX-License-Identifier: Apache-2.0
 * GGUF, versions 2 and 3, little-endian. Source: the GGUF specification (ggml repository, docs/gguf.md).
 *
 *   "GGUF" | u32 version | u64 tensors | u64 entries | metadata (gguf_meta.c) | list of tensors | padding | data
 *   tensor: text name, u32 rank, u64 dimensions (fastest first), u32 type, u64 offset in the data (a multiple of the alignment)
 *
 * Every count is bounded by the bytes that would have to back it. A model may lie in several such files (gguf_parts.c). */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "formats/gguf_internal.h"
#include "formats/recognize.h"

enum { MAX_ALIGNMENT = 1 << 20, MAX_PARTS = 4096, LEAST_TENSOR = 8 + 4 + 4 + 8 };

static const fj_gguf *self(const fj_source *s)
{
    return (const fj_gguf *)(const void *)s;
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

/* The mapped file that the bytes lie in: a tensor may be a part of one in the list, or a copy; then NULL. */
static const fj_map *map_with(const fj_source *s, const fj_tensor *t, size_t *offset)
{
    const fj_gguf *x = self(s);
    for (size_t i = 0; i <= x->n_rest; i++) {
        const fj_map *map = i ? x->rest[i - 1]->map : x->map;
        uintptr_t data = (uintptr_t)t->data, first = map ? (uintptr_t)map->data : 0;
        *offset = (size_t)(data - first);
        if (map && data >= first && data - first < map->len)
            return map;
    }
    return NULL;
}

static void will_need(const fj_source *s, const fj_tensor *t)
{
    size_t offset;
    const fj_map *map = map_with(s, t, &offset);
    if (map)
        fj_map_will_need(map, offset, t->bytes);
}

static void give_back(const fj_source *s, const fj_tensor *t)
{
    size_t offset;
    const fj_map *map = map_with(s, t, &offset);
    if (map)
        fj_map_give_back(map, offset, t->bytes);
}

static void close_source(fj_source *s)
{
    fj_gguf *x = (fj_gguf *)(void *)s;
    for (size_t i = 0; i < x->n_rest; i++)
        close_source(&x->rest[i]->source);
    fj_json_free(x->source.config);
    fj_map_close(x->map);
    fj_arena_free(x->arena);
}

/* ---- the list of tensors --------------------------------------------------------------------------------------------------------- */

static fj_status cut(const fj_gguf *x, size_t number, uint64_t n, fj_err *err)
{
    (void)fj_fail(err, FJ_ERR_FORMAT, "%s: the file ends in its list of tensors, at %zu of %" PRIu64, x->source.path,
                  number + 1, n);
    return fj_hint(err, FJ_GGUF_GET_AGAIN);
}

static fj_status read_name(const fj_gguf *x, fj_text name, size_t number, fj_tensor *t, fj_err *err)
{
    if (!name.len || memchr(name.data, 0, name.len))
        return fj_fail(err, FJ_ERR_FORMAT, "%s: the name of tensor %zu %s", x->source.path, number + 1,
                       name.len ? "holds a NUL byte" : "is empty");
    t->name = fj_arena_text(x->arena, name.data, name.len);
    return t->name ? FJ_OK : fj_fail(err, FJ_ERR_MEMORY, "%s: no memory for its list of tensors", x->source.path);
}

static fj_status read_shape(const fj_gguf *x, fj_cursor *c, fj_tensor *t, int64_t *n, fj_err *err)
{
    uint32_t rank = fj_cursor_u32(c);
    if (rank > FJ_MAX_RANK)
        return fj_fail(err, FJ_ERR_FORMAT, "%s: '%.100s' has %" PRIu32 " dimensions, at most %d are read",
                       x->source.path, t->name, rank, FJ_MAX_RANK);
    t->shape.rank = (int)rank;
    *n = 1;
    for (uint32_t i = 0; i < rank && !c->bad; i++) {
        uint64_t d = fj_cursor_u64(c);
        t->shape.dim[rank - 1 - i] = (int64_t)d;
        if (!c->bad && d == 0)
            return fj_fail(err, FJ_ERR_FORMAT, "%s: '%.100s' has a dimension of 0", x->source.path, t->name);
        if (d > INT64_MAX || __builtin_mul_overflow(*n, (int64_t)d, n))
            return fj_fail(err, FJ_ERR_FORMAT, "%s: '%.100s' has more values than can be counted", x->source.path,
                           t->name);
    }
    return FJ_OK;
}

static fj_status read_type(const fj_gguf *x, uint32_t type, int64_t n, fj_tensor *t, fj_err *err)
{
    t->dtype = fj_dtype_by_gguf(type);
    if (!t->dtype)
        return fj_fail(err, FJ_ERR_FORMAT, "%s: '%.100s' is of type %" PRIu32 " (%s)", x->source.path, t->name, type,
                       fj_gguf_type_note(type));
    if (fj_shape_cols(&t->shape) % t->dtype->block_len)
        return fj_fail(err, FJ_ERR_FORMAT, "%s: '%.100s' has rows of %lld values, %s comes in blocks of %d",
                       x->source.path, t->name, (long long)fj_shape_cols(&t->shape), t->dtype->name,
                       t->dtype->block_len);
    if (!fj_dtype_bytes(t->dtype, n, &t->bytes))
        return fj_fail(err, FJ_ERR_FORMAT, "%s: '%.100s' has more bytes than can be counted", x->source.path, t->name);
    return FJ_OK;
}

static fj_status read_tensor(fj_gguf *x, fj_cursor *c, size_t number, uint64_t of, uint64_t *offset, fj_err *err)
{
    fj_tensor t = { 0 };
    int64_t n = 1;
    fj_text name = fj_cursor_take(c, fj_cursor_u64(c));
    if (c->bad)
        return cut(x, number, of, err);
    fj_status st = read_name(x, name, number, &t, err);
    if (!st)
        st = read_shape(x, c, &t, &n, err);
    uint32_t type = fj_cursor_u32(c);
    *offset = fj_cursor_u64(c);
    if (!st && c->bad)
        return cut(x, number, of, err);
    if (!st)
        st = read_type(x, type, n, &t, err);
    if (!st && !fj_index_add(&x->index, &t))
        st = fj_fail(err, FJ_ERR_FORMAT, "%s: '%.100s' is there twice", x->source.path, t.name);
    return st;
}

static fj_status place(const fj_gguf *x, fj_tensor *t, size_t start, uint64_t offset, uint64_t alignment, fj_err *err)
{
    size_t room = x->len > start ? x->len - start : 0;
    if (offset % alignment)
        return fj_fail(err, FJ_ERR_FORMAT, "%s: '%.100s' lies at %" PRIu64 ", no multiple of %" PRIu64, x->source.path,
                       t->name, offset, alignment);
    if (offset > room || t->bytes > room - offset) {
        (void)fj_fail(err, FJ_ERR_FORMAT, "%s: '%.100s' needs %zu bytes at %" PRIu64 ", the file's data has %zu",
                      x->source.path, t->name, t->bytes, offset, room);
        return fj_hint(err, FJ_GGUF_GET_AGAIN);
    }
    t->data = x->bytes + start + offset;
    return FJ_OK;
}

static int by_address(const void *a, const void *b)
{
    const fj_tensor *x = *(const fj_tensor *const *)a, *y = *(const fj_tensor *const *)b;
    return ((uintptr_t)x->data > (uintptr_t)y->data) - ((uintptr_t)x->data < (uintptr_t)y->data);
}

/* Holes are allowed, as padding of any size; a byte belongs to one tensor only. */
static fj_status check_overlap(const fj_gguf *x, fj_err *err)
{
    size_t n = x->index.n;
    const fj_tensor **order = fj_arena_array(x->arena, n, sizeof(*order));
    if (!order)
        return fj_fail(err, FJ_ERR_MEMORY, "%s: no memory for its list of tensors", x->source.path);
    for (size_t i = 0; i < n; i++)
        order[i] = &x->index.tensors[i];
    qsort(order, n, sizeof(*order), by_address);
    for (size_t i = 1; i < n; i++)
        if ((const char *)order[i]->data < (const char *)order[i - 1]->data + order[i - 1]->bytes)
            return fj_fail(err, FJ_ERR_FORMAT, "%s: '%.100s' and '%.100s' overlap", x->source.path, order[i - 1]->name,
                           order[i]->name);
    return FJ_OK;
}

static fj_status read_alignment(const fj_gguf *x, size_t *out, fj_err *err)
{
    const fj_gguf_value *v = fj_gguf_find(&x->source, "general.alignment");
    int64_t alignment = fj_gguf_int(v, v ? -1 : 32);
    if (alignment < 1 || alignment > MAX_ALIGNMENT || (alignment & (alignment - 1)))
        return fj_fail(err, FJ_ERR_FORMAT, "%s: 'general.alignment' is no power of 2 up to %d", x->source.path,
                       MAX_ALIGNMENT);
    *out = (size_t)alignment;
    return FJ_OK;
}

static fj_status read_tensors(fj_gguf *x, fj_cursor *c, uint64_t n, fj_err *err)
{
    size_t alignment = 0;
    if (n > fj_cursor_left(c) / LEAST_TENSOR)
        return cut(x, fj_cursor_left(c) / LEAST_TENSOR, n, err);
    if (n > FJ_GGUF_MAX_TENSORS)
        return fj_fail(err, FJ_ERR_FORMAT, "%s: %" PRIu64 " tensors, at most %d are read", x->source.path, n,
                       FJ_GGUF_MAX_TENSORS);
    uint64_t *offsets = fj_arena_array(x->arena, n, sizeof *offsets);
    if (!offsets || !fj_index_init(&x->index, x->arena, n))
        return fj_fail(err, FJ_ERR_MEMORY, "%s: no memory for a list of %" PRIu64 " tensors", x->source.path, n);
    fj_status st = read_alignment(x, &alignment, err);
    for (size_t i = 0; !st && i < n; i++)
        st = read_tensor(x, c, i, n, &offsets[i], err);
    size_t start = st ? 0 : (c->at + alignment - 1) / alignment * alignment;
    for (size_t i = 0; !st && i < n; i++)
        st = place(x, &x->index.tensors[i], start, offsets[i], alignment, err);
    return st ? st : check_overlap(x, err);
}

/* ---- the file -------------------------------------------------------------------------------------------------------------------- */

static fj_status check_version(const fj_gguf *x, uint32_t version, fj_err *err)
{
    if (version == 2 || version == 3)
        return FJ_OK;
    bool is_big_endian = version && version < UINT32_MAX && !(version & 0xffff);
    (void)fj_fail(err, FJ_ERR_FORMAT, "%s: GGUF version %" PRIu32 "%s, versions 2 and 3 are read", x->source.path,
                  is_big_endian ? __builtin_bswap32(version) : version,
                  is_big_endian ? " for big-endian machines" : "");
    return fj_hint(err, "convert the model again with a current program");
}

static fj_status read_all(fj_gguf *x, fj_err *err)
{
    fj_cursor c = fj_cursor_over(x->bytes, x->len);
    if (!fj_text_is(fj_cursor_take(&c, 4), "GGUF"))
        return fj_wrong_file(x->source.path, x->bytes, x->len, "GGUF", err);
    uint32_t version = fj_cursor_u32(&c);
    uint64_t n_tensors = fj_cursor_u64(&c), n_values = fj_cursor_u64(&c);
    fj_status st = check_version(x, version, err);
    if (!st && c.bad) {
        (void)fj_fail(err, FJ_ERR_FORMAT, "%s: the file ends in its header, at %zu bytes", x->source.path, x->len);
        return fj_hint(err, FJ_GGUF_GET_AGAIN);
    }
    if (!st)
        st = fj_gguf_read_metadata(x, &c, n_values, err);
    return st ? st : read_tensors(x, &c, n_tensors, err);
}

/* One file, its configuration not yet translated. */
static fj_status open_part(const char *path, fj_map *map, const void *data, size_t len, fj_gguf **out, fj_err *err)
{
    fj_arena *arena = fj_arena_new();
    fj_gguf *x = arena ? fj_arena_take(arena, sizeof *x) : NULL;
    if (!x) {
        fj_arena_free(arena);
        fj_map_close(map);
        return fj_fail(err, FJ_ERR_MEMORY, "no memory to open %s", path);
    }
    *x = (fj_gguf){ .arena = arena, .map = map, .bytes = data, .len = len };
    x->source = (fj_source){ .path = fj_arena_text(arena, path, strlen(path)),
                             .naming = FJ_NAMING_GGUF,
                             .count = count,
                             .at = at,
                             .find = find,
                             .will_need = will_need,
                             .give_back = give_back,
                             .close = close_source };
    fj_status st = x->source.path ? read_all(x, err) : fj_fail(err, FJ_ERR_MEMORY, "no memory to open %s", path);
    if (st)
        close_source(&x->source);
    else
        *out = x;
    return st;
}

static fj_status open_file(const char *path, fj_gguf **out, fj_err *err)
{
    fj_map *map = NULL;
    fj_status st = fj_map_open(path, &map, err);
    if (st)
        return err->status = st == FJ_ERR_FAILED ? FJ_ERR_FORMAT : st; /* it is the model that is not there */
    return open_part(path, map, map->data, map->len, out, err);
}

/* The model of these parts; they are closed on any failure, NULL for those that could not be opened. */
static fj_status finish(fj_gguf **parts, size_t n, fj_status st, fj_source **out, fj_err *err)
{
    bool is_joined = false;
    if (!st) {
        st = fj_gguf_join(parts, n, err);
        is_joined = !st;
    }
    if (!st)
        st = fj_gguf_read_config(&parts[0]->source, &parts[0]->source.config, err);
    if (!st)
        *out = &parts[0]->source;
    for (size_t i = 0; st && i < (is_joined ? 1 : n); i++)
        if (parts[i])
            close_source(&parts[i]->source);
    return st;
}

/* The parts lie beside the one that was given, any of them. */
static fj_status open_others(const char *path, fj_gguf **parts, int given, int n, fj_err *err)
{
    fj_status st = FJ_OK;
    for (int i = 1; !st && i <= n; i++) {
        char *name = i == given ? NULL : fj_gguf_part_name(path, i);
        if (i == given)
            continue;
        if (!name) {
            st = fj_fail(err, FJ_ERR_MEMORY, "no memory to open %s", path);
        } else if (fj_path_exists(name)) {
            st = open_file(name, &parts[i - 1], err);
        } else {
            st = fj_fail(err, FJ_ERR_FORMAT, "%s: part %d of %d of the model is not there", name, i, n);
            (void)fj_hint(err, "the download is not complete; get all files of the model");
        }
        free(name);
    }
    return st;
}

static fj_status open_parts(const char *path, fj_gguf *one, fj_source **out, fj_err *err)
{
    int given, n = fj_gguf_parts(path, &given);
    int64_t wanted = fj_gguf_says_parts(one);
    fj_gguf **parts = n <= MAX_PARTS ? calloc((size_t)n, sizeof *parts) : NULL;
    fj_status st = FJ_OK;
    if (n > MAX_PARTS || wanted != n) {
        st = fj_fail(err, FJ_ERR_FORMAT, "%s: part of a model in %lld files, its name says %d", path, (long long)wanted,
                     n);
        (void)fj_hint(err, "give parts the names that they had, NAME-00001-of-00003.gguf, and keep them in one folder");
    } else if (!parts) {
        st = fj_fail(err, FJ_ERR_MEMORY, "no memory to open %s", path);
    }
    if (st) {
        free(parts);
        close_source(&one->source);
        return st;
    }
    parts[given - 1] = one;
    st = finish(parts, (size_t)n, open_others(path, parts, given, n, err), out, err);
    free(parts);
    return st;
}

fj_status fj_gguf_open(const char *path, fj_source **out, fj_err *err)
{
    fj_gguf *one = NULL;
    fj_status st = open_file(path, &one, err);
    if (st)
        return st;
    return fj_gguf_says_parts(one) > 1 ? open_parts(path, one, out, err) : finish(&one, 1, FJ_OK, out, err);
}

fj_status fj_gguf_open_parts(const fj_text *parts, size_t n, fj_source **out, fj_err *err)
{
    fj_gguf **opened = calloc(n, sizeof *opened);
    fj_status st = opened ? FJ_OK : fj_fail(err, FJ_ERR_MEMORY, "no memory to open (memory)");
    if (st)
        return st;
    for (size_t i = 0; !st && i < n; i++)
        st = open_part("(memory)", NULL, parts[i].data, parts[i].len, &opened[i], err);
    st = finish(opened, n, st, out, err);
    free(opened);
    return st;
}

fj_status fj_gguf_open_bytes(const void *data, size_t len, fj_source **out, fj_err *err)
{
    return fj_gguf_open_parts(&(fj_text){ data, len }, 1, out, err);
}
