/* SPDX-License-Identifier: Apache-2.0
 * GGUF, versions 2 and 3, little-endian: magic, version, counts, metadata, list of tensors, padding, data.
 * Source: the GGUF specification (ggml repository, docs/gguf.md). Every count is bounded by the bytes that would have to back it. */
#include <string.h>

#include "base/cursor.h"
#include "formats/formats.h"
#include "formats/gguf_internal.h"
#include "formats/index.h"

enum { MAX_ALIGNMENT = 1 << 20, LEAST_ENTRY = 8 + 4 + 1, LEAST_TENSOR = 8 + 4 + 8 + 4 + 8 };

typedef struct gguf {
    fj_source source;
    fj_arena *arena;
    fj_map *map;
    const unsigned char *bytes;
    size_t len;
    fj_gguf_value *values;
    size_t n_values;
    fj_index index;
} gguf;

static const gguf *self(const fj_source *s)
{
    return (const gguf *)(const void *)s;
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

static void will_need(const fj_source *s, const fj_tensor *t)
{
    if (self(s)->map)
        fj_map_will_need(self(s)->map, (size_t)((const unsigned char *)t->data - self(s)->bytes), t->bytes);
}

static void give_back(const fj_source *s, const fj_tensor *t)
{
    if (self(s)->map)
        fj_map_give_back(self(s)->map, (size_t)((const unsigned char *)t->data - self(s)->bytes), t->bytes);
}

static void close_source(fj_source *s)
{
    gguf *x = (gguf *)(void *)s;
    fj_json_free(x->source.config);
    fj_map_close(x->map);
    fj_arena_free(x->arena);
}

static fj_status cut(const gguf *x, const char *where, fj_err *err)
{
    (void)fj_fail(err, FJ_ERR_FORMAT, "%s: ends inside %s", x->source.path, where);
    return fj_hint(err, "the download may have been cut; get the file again");
}

/* ---- metadata ---------------------------------------------------------------------------------------------------------------- */

size_t fj_gguf_kind_bytes(fj_gguf_kind kind)
{
    static const size_t bytes[] = { 1, 1, 2, 2, 4, 4, 4, 1, 0, 0, 8, 8, 8 };
    return kind <= FJ_GGUF_F64 ? bytes[kind] : 0;
}

static fj_status read_array(const gguf *x, fj_cursor *c, fj_gguf_value *v, fj_err *err)
{
    uint32_t element = fj_cursor_u32(c);
    v->count = fj_cursor_u64(c);
    if (element > FJ_GGUF_F64 || element == FJ_GGUF_ARRAY)
        return fj_fail(err, FJ_ERR_FORMAT, "%s: '%.*s' is an array of type %u", x->source.path,
                       (int)FJ_MIN(v->key.len, 64), v->key.data, element);
    v->element = (fj_gguf_kind)element;
    size_t start = c->at, width = fj_gguf_kind_bytes(v->element);
    if (c->bad || v->count > fj_cursor_left(c) / (width ? width : 8))
        return cut(x, "its metadata", err);
    if (width)
        (void)fj_cursor_take(c, v->count * width);
    for (uint64_t i = 0; !width && i < v->count && !c->bad; i++)
        (void)fj_cursor_take(c, fj_cursor_u64(c));
    v->bytes = (fj_text){ (const char *)c->data + start, c->at - start };
    return c->bad ? cut(x, "its metadata", err) : FJ_OK;
}

static fj_status read_value(const gguf *x, fj_cursor *c, fj_gguf_value *v, fj_err *err)
{
    v->key = fj_cursor_take(c, fj_cursor_u64(c));
    uint32_t kind = fj_cursor_u32(c);
    if (c->bad)
        return cut(x, "its metadata", err);
    if (kind > FJ_GGUF_F64)
        return fj_fail(err, FJ_ERR_FORMAT, "%s: '%.*s' is of unknown type %u", x->source.path,
                       (int)FJ_MIN(v->key.len, 64), v->key.data, kind);
    v->kind = (fj_gguf_kind)kind;
    v->count = 1;
    if (v->kind == FJ_GGUF_ARRAY)
        return read_array(x, c, v, err);
    v->bytes = fj_cursor_take(c, v->kind == FJ_GGUF_STRING ? fj_cursor_u64(c) : fj_gguf_kind_bytes(v->kind));
    return c->bad ? cut(x, "its metadata", err) : FJ_OK;
}

size_t fj_gguf_count(const fj_source *s)
{
    return self(s)->n_values;
}

const fj_gguf_value *fj_gguf_at(const fj_source *s, size_t i)
{
    return &self(s)->values[i];
}

const fj_gguf_value *fj_gguf_find(const fj_source *s, const char *key)
{
    for (size_t i = 0; i < self(s)->n_values; i++)
        if (fj_text_is(self(s)->values[i].key, key))
            return &self(s)->values[i];
    return NULL;
}

static double number(fj_gguf_kind kind, fj_cursor *c)
{
    switch (kind) {
    case FJ_GGUF_U8: return fj_cursor_u8(c);
    case FJ_GGUF_BOOL: return fj_cursor_u8(c) != 0;
    case FJ_GGUF_I8: return (int8_t)fj_cursor_u8(c);
    case FJ_GGUF_U16: return fj_cursor_u16(c);
    case FJ_GGUF_I16: return (int16_t)fj_cursor_u16(c);
    case FJ_GGUF_U32: return fj_cursor_u32(c);
    case FJ_GGUF_I32: return (int32_t)fj_cursor_u32(c);
    case FJ_GGUF_F32: return (double)fj_cursor_f32(c);
    case FJ_GGUF_U64: return (double)fj_cursor_u64(c);
    case FJ_GGUF_I64: return (double)(int64_t)fj_cursor_u64(c);
    case FJ_GGUF_F64: return fj_cursor_f64(c);
    case FJ_GGUF_STRING:
    case FJ_GGUF_ARRAY: break;
    }
    return 0;
}

int64_t fj_gguf_int(const fj_gguf_value *v, int64_t fallback)
{
    if (!v || v->kind == FJ_GGUF_STRING || v->kind == FJ_GGUF_ARRAY || v->kind == FJ_GGUF_F32 || v->kind == FJ_GGUF_F64)
        return fallback;
    fj_cursor c = fj_cursor_over(v->bytes.data, v->bytes.len);
    if (v->kind != FJ_GGUF_U64 && v->kind != FJ_GGUF_I64)
        return (int64_t)number(v->kind, &c);
    uint64_t u = fj_cursor_u64(&c);
    return v->kind == FJ_GGUF_U64 && u > INT64_MAX ? fallback : (int64_t)u;
}

double fj_gguf_real(const fj_gguf_value *v, double fallback)
{
    if (!v || v->kind == FJ_GGUF_STRING || v->kind == FJ_GGUF_ARRAY)
        return fallback;
    fj_cursor c = fj_cursor_over(v->bytes.data, v->bytes.len);
    return number(v->kind, &c);
}

fj_text fj_gguf_text(const fj_gguf_value *v)
{
    return v && v->kind == FJ_GGUF_STRING ? v->bytes : (fj_text){ 0 };
}

bool fj_gguf_next_string(const fj_gguf_value *array, size_t *at_byte, fj_text *out)
{
    fj_cursor c = fj_cursor_over(array->bytes.data, array->bytes.len);
    c.at = *at_byte;
    if (array->element != FJ_GGUF_STRING || *at_byte >= array->bytes.len)
        return false;
    *out = fj_cursor_take(&c, fj_cursor_u64(&c));
    *at_byte = c.at;
    return !c.bad;
}

double fj_gguf_number_at(const fj_gguf_value *array, uint64_t i)
{
    size_t width = fj_gguf_kind_bytes(array->element);
    if (array->kind != FJ_GGUF_ARRAY || !width || i >= array->count)
        return 0;
    fj_cursor c = fj_cursor_over(array->bytes.data + i * width, width);
    return number(array->element, &c);
}

/* ---- tensors ------------------------------------------------------------------------------------------------------------------- */

static fj_status read_tensor(const gguf *x, fj_cursor *c, fj_tensor *t, uint64_t *offset, fj_err *err)
{
    fj_text name = fj_cursor_take(c, fj_cursor_u64(c));
    uint32_t rank = fj_cursor_u32(c);
    if (c->bad)
        return cut(x, "its list of tensors", err);
    if (rank > FJ_MAX_RANK || memchr(name.data ? name.data : "", 0, name.len))
        return fj_fail(err, FJ_ERR_FORMAT, "%s: '%.*s' has %u dimensions, at most %d are read", x->source.path,
                       (int)FJ_MIN(name.len, 64), name.data, rank, FJ_MAX_RANK);
    *t = (fj_tensor){ .name = fj_arena_text(x->arena, name.data, name.len), .shape = { .rank = (int)rank } };
    int64_t n = 1;
    for (uint32_t i = 0; i < rank; i++) { /* fastest first in the file */
        uint64_t d = fj_cursor_u64(c);
        t->shape.dim[rank - 1 - i] = (int64_t)d;
        if (d == 0 || d > INT64_MAX || __builtin_mul_overflow(n, (int64_t)d, &n))
            return c->bad ? cut(x, "its list of tensors", err)
                          : fj_fail(err, FJ_ERR_FORMAT, "%s: '%.*s' has a shape that is no shape", x->source.path,
                                    (int)FJ_MIN(name.len, 64), name.data);
    }
    uint32_t type = fj_cursor_u32(c);
    *offset = fj_cursor_u64(c);
    if (c->bad)
        return cut(x, "its list of tensors", err);
    t->dtype = fj_dtype_by_gguf(type);
    if (!t->name)
        return fj_fail(err, FJ_ERR_MEMORY, "%s: no memory for the list of tensors", x->source.path);
    if (!t->dtype)
        return fj_fail(err, FJ_ERR_FORMAT, "%s: '%s' is of type %u (%s)", x->source.path, t->name, type,
                       fj_gguf_type_note(type));
    if (fj_shape_cols(&t->shape) % t->dtype->block_len || !fj_dtype_bytes(t->dtype, n, &t->bytes))
        return fj_fail(err, FJ_ERR_FORMAT, "%s: '%s' has rows of %lld values, %s comes in blocks of %d", x->source.path,
                       t->name, (long long)fj_shape_cols(&t->shape), t->dtype->name, t->dtype->block_len);
    return FJ_OK;
}

static fj_status place(const gguf *x, fj_tensor *t, size_t start, uint64_t offset, uint64_t alignment, fj_err *err)
{
    size_t room = x->len > start ? x->len - start : 0;
    if (offset % alignment)
        return fj_fail(err, FJ_ERR_FORMAT, "%s: '%s' lies at %llu, no multiple of %llu", x->source.path, t->name,
                       (unsigned long long)offset, (unsigned long long)alignment);
    if (offset > room || t->bytes > room - offset) {
        (void)fj_fail(err, FJ_ERR_FORMAT, "%s: '%s' needs %zu bytes at %llu, the file's data has %zu", x->source.path,
                      t->name, t->bytes, (unsigned long long)offset, room);
        return fj_hint(err, "the download may have been cut; get the file again");
    }
    t->data = x->bytes + start + offset;
    return FJ_OK;
}

static fj_status read_tensors(gguf *x, fj_cursor *c, uint64_t n, fj_err *err)
{
    uint64_t *offsets = fj_arena_array(x->arena, n, sizeof *offsets);
    int64_t alignment = fj_gguf_int(fj_gguf_find(&x->source, "general.alignment"), 32);
    if (!offsets || !fj_index_init(&x->index, x->arena, n))
        return fj_fail(err, FJ_ERR_MEMORY, "%s: no memory for a list of %llu tensors", x->source.path,
                       (unsigned long long)n);
    if (alignment < 1 || alignment > MAX_ALIGNMENT || (alignment & (alignment - 1)))
        return fj_fail(err, FJ_ERR_FORMAT, "%s: an alignment of %lld", x->source.path, (long long)alignment);
    for (uint64_t i = 0; i < n; i++) {
        fj_tensor t;
        fj_status st = read_tensor(x, c, &t, &offsets[i], err);
        if (st)
            return st;
        if (!fj_index_add(&x->index, &t))
            return fj_fail(err, FJ_ERR_FORMAT, "%s: '%s' is there twice", x->source.path, t.name);
    }
    size_t a = (size_t)alignment, start = (c->at + a - 1) / a * a;
    for (uint64_t i = 0; i < n; i++) {
        fj_status st = place(x, &x->index.tensors[i], start, offsets[i], (uint64_t)alignment, err);
        if (st)
            return st;
    }
    return FJ_OK;
}

static fj_status read_all(gguf *x, fj_err *err)
{
    fj_cursor c = fj_cursor_over(x->bytes, x->len);
    uint32_t magic = fj_cursor_u32(&c), version = fj_cursor_u32(&c);
    if (x->len >= 7 && !memcmp(x->bytes, "version", 7)) {
        (void)fj_fail(err, FJ_ERR_FORMAT, "%s: a pointer of Git LFS, not the file itself", x->source.path);
        return fj_hint(err, "fetch the real file: git lfs pull, or download it again");
    }
    if (c.bad || magic != 0x46554747u)
        return fj_fail(err, FJ_ERR_FORMAT, "%s: not a GGUF file", x->source.path);
    if (version < 2 || version > 3)
        return fj_fail(err, FJ_ERR_FORMAT, "%s: GGUF version %u, versions 2 and 3 are read", x->source.path, version);
    uint64_t n_tensors = fj_cursor_u64(&c), n_values = fj_cursor_u64(&c);
    if (c.bad || n_values > fj_cursor_left(&c) / LEAST_ENTRY || n_tensors > fj_cursor_left(&c) / (LEAST_TENSOR - 8))
        return cut(x, "its header", err);
    x->values = fj_arena_array(x->arena, n_values, sizeof *x->values);
    if (!x->values)
        return fj_fail(err, FJ_ERR_MEMORY, "%s: no memory for its metadata", x->source.path);
    for (uint64_t i = 0; i < n_values; i++) {
        fj_status st = read_value(x, &c, &x->values[i], err);
        if (st)
            return st;
        x->n_values++;
    }
    fj_status st = read_tensors(x, &c, n_tensors, err);
    return st ? st : fj_gguf_read_config(&x->source, &x->source.config, err);
}

static fj_status open_gguf(const char *path, fj_map *map, const void *data, size_t len, fj_source **out, fj_err *err)
{
    fj_arena *arena = fj_arena_new();
    gguf *x = arena ? fj_arena_take(arena, sizeof *x) : NULL;
    if (!x) {
        fj_arena_free(arena);
        fj_map_close(map);
        return fj_fail(err, FJ_ERR_MEMORY, "no memory to open %s", path);
    }
    *x = (gguf){ .arena = arena, .map = map, .bytes = data, .len = len };
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
        *out = &x->source;
    return st;
}

fj_status fj_gguf_open(const char *path, fj_source **out, fj_err *err)
{
    fj_map *map = NULL;
    fj_status st = fj_map_open(path, &map, err);
    if (st)
        return err->status = FJ_ERR_FORMAT;
    return open_gguf(path, map, map->data, map->len, out, err);
}

fj_status fj_gguf_open_bytes(const void *data, size_t len, fj_source **out, fj_err *err)
{
    return open_gguf("(memory)", NULL, data, len, out, err);
}
