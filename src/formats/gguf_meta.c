/* SPDX-License-Identifier: Apache-2.0
 * The metadata of a GGUF file: keys, each with a number, a text or an array. Values are views of the file.
 *
 *   entry: text key, u32 kind, value     text: u64 length, bytes     array: u32 kind of its elements, u64 count, elements */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "formats/gguf_internal.h"

/* More entries than any model has (about 40), and few enough to look at each. */
enum { MAX_VALUES = 1 << 14, LEAST_TEXT = 8, LEAST_ENTRY = LEAST_TEXT + 4 + 1 };

static const fj_gguf *self(const fj_source *s)
{
    return (const fj_gguf *)(const void *)s;
}

size_t fj_gguf_kind_bytes(fj_gguf_kind kind)
{
    static const size_t bytes[] = { 1, 1, 2, 2, 4, 4, 4, 1, 0, 0, 8, 8, 8 };
    return kind <= FJ_GGUF_F64 ? bytes[kind] : 0;
}

/* ---- reading --------------------------------------------------------------------------------------------------------------------- */

/* How much of a key messages show. */
#define KEY(v) (int)FJ_MIN((v)->key.len, 100), (v)->key.data

/* The value of v wants more bytes than the file has left. */
static fj_status cut(const fj_gguf *x, const fj_gguf_value *v, const char *what, uint64_t wanted, size_t left,
                     fj_err *err)
{
    (void)fj_fail(err, FJ_ERR_FORMAT, "%s: '%.*s' is %s of %" PRIu64 ", the file has %zu bytes left", x->source.path,
                  KEY(v), what, wanted, left);
    return fj_hint(err, FJ_GGUF_GET_AGAIN);
}

static fj_status read_array(const fj_gguf *x, fj_cursor *c, fj_gguf_value *v, fj_err *err)
{
    uint32_t element = fj_cursor_u32(c);
    v->count = fj_cursor_u64(c);
    if (!c->bad && (element > FJ_GGUF_F64 || element == FJ_GGUF_ARRAY))
        return fj_fail(err, FJ_ERR_FORMAT, "%s: '%.*s' is an array of %s (kind %" PRIu32 ")", x->source.path, KEY(v),
                       element == FJ_GGUF_ARRAY ? "arrays, which is not read" : "an unknown kind", element);
    v->element = (fj_gguf_kind)element;
    size_t start = c->at, left = fj_cursor_left(c), width = fj_gguf_kind_bytes(v->element);
    if (c->bad || v->count > left / (width ? width : LEAST_TEXT))
        return cut(x, v, width ? "an array" : "an array of texts", v->count, left, err);
    if (width)
        (void)fj_cursor_take(c, v->count * width);
    for (uint64_t i = 0; !width && i < v->count; i++) {
        uint64_t len = fj_cursor_u64(c);
        left = fj_cursor_left(c);
        (void)fj_cursor_take(c, len);
        if (c->bad)
            return cut(x, v, "an array with a text", len, left, err);
    }
    v->bytes = (fj_text){ (const char *)c->data + start, c->at - start };
    return FJ_OK;
}

static fj_status read_value(const fj_gguf *x, fj_cursor *c, size_t number, fj_gguf_value *v, fj_err *err)
{
    uint64_t len = fj_cursor_u64(c);
    size_t left = fj_cursor_left(c);
    v->key = fj_cursor_take(c, len);
    if (c->bad) {
        (void)fj_fail(err, FJ_ERR_FORMAT, "%s: key %zu of its metadata has %" PRIu64 " bytes, the file %zu more",
                      x->source.path, number + 1, len, left);
        return fj_hint(err, FJ_GGUF_GET_AGAIN);
    }
    uint32_t kind = fj_cursor_u32(c);
    if (!c->bad && kind > FJ_GGUF_F64)
        return fj_fail(err, FJ_ERR_FORMAT, "%s: '%.*s' is of unknown kind %" PRIu32, x->source.path, KEY(v), kind);
    v->kind = (fj_gguf_kind)kind;
    v->count = 1;
    if (v->kind == FJ_GGUF_ARRAY)
        return read_array(x, c, v, err);
    uint64_t bytes = v->kind == FJ_GGUF_STRING ? fj_cursor_u64(c) : fj_gguf_kind_bytes(v->kind);
    left = fj_cursor_left(c);
    v->bytes = fj_cursor_take(c, bytes);
    return c->bad ? cut(x, v, v->kind == FJ_GGUF_STRING ? "a text" : "a number", bytes, left, err) : FJ_OK;
}

static int compare(fj_text a, fj_text b)
{
    int order = memcmp(a.data, b.data, FJ_MIN(a.len, b.len));
    return order ? order : (a.len > b.len) - (a.len < b.len);
}

static int by_key(const void *a, const void *b)
{
    return compare((*(const fj_gguf_value *const *)a)->key, (*(const fj_gguf_value *const *)b)->key);
}

static fj_status sort(fj_gguf *x, fj_err *err)
{
    const fj_gguf_value **order = fj_arena_array(x->arena, x->n_values, sizeof *order);
    x->by_key = fj_arena_array(x->arena, x->n_values, sizeof *x->by_key);
    if (!order || !x->by_key)
        return fj_fail(err, FJ_ERR_MEMORY, "%s: no memory for its metadata", x->source.path);
    for (size_t i = 0; i < x->n_values; i++)
        order[i] = &x->values[i];
    qsort(order, x->n_values, sizeof *order, by_key);
    for (size_t i = 0; i < x->n_values; i++) {
        x->by_key[i] = (uint32_t)(order[i] - x->values);
        if (i && !compare(order[i - 1]->key, order[i]->key))
            return fj_fail(err, FJ_ERR_FORMAT, "%s: '%.*s' is there twice", x->source.path, KEY(order[i]));
    }
    return FJ_OK;
}

fj_status fj_gguf_read_metadata(fj_gguf *x, fj_cursor *c, uint64_t n, fj_err *err)
{
    if (n > fj_cursor_left(c) / LEAST_ENTRY) {
        (void)fj_fail(err, FJ_ERR_FORMAT, "%s: metadata of %" PRIu64 " entries in a file of %zu bytes", x->source.path,
                      n, x->len);
        return fj_hint(err, FJ_GGUF_GET_AGAIN);
    }
    if (n > MAX_VALUES)
        return fj_fail(err, FJ_ERR_FORMAT, "%s: metadata of %" PRIu64 " entries, at most %d are read", x->source.path,
                       n, MAX_VALUES);
    x->values = fj_arena_array(x->arena, n, sizeof *x->values);
    if (!x->values)
        return fj_fail(err, FJ_ERR_MEMORY, "%s: no memory for its metadata", x->source.path);
    for (size_t i = 0; i < n; i++) {
        fj_status st = read_value(x, c, i, &x->values[i], err);
        if (st)
            return st;
    }
    x->n_values = n;
    return sort(x, err);
}

/* ---- asking ---------------------------------------------------------------------------------------------------------------------- */

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
    const fj_gguf *x = self(s);
    fj_text wanted = fj_text_of(key);
    size_t low = 0, high = x->n_values;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        const fj_gguf_value *v = &x->values[x->by_key[middle]];
        int order = compare(wanted, v->key);
        if (!order)
            return v;
        if (order < 0)
            high = middle;
        else
            low = middle + 1;
    }
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
    if (array->kind != FJ_GGUF_ARRAY || array->element != FJ_GGUF_STRING || *at_byte >= array->bytes.len)
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
