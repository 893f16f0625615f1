/* SPDX-License-Identifier: Apache-2.0
 * The header of a safetensors file:
 *
 *   u64 n | n bytes of JSON { name: { dtype, shape, data_offsets: [first, end] }, __metadata__: { … } } | data
 *
 * Offsets count from the end of the header; the tensors lie one behind the other, in any order of the names, without holes, and fill
 * the file. Source: the format's description in the safetensors repository. */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "base/cursor.h"
#include "formats/recognize.h"
#include "formats/safetensors_internal.h"

enum { MAX_HEADER = 100 * 1000 * 1000 };
#define METADATA  "__metadata__"
#define GET_AGAIN "the download was cut or the file is damaged; get it again"

/* Members of the outermost object as they are written. The parser keeps one of each name, so fewer there are names given twice. */
static size_t written_members(fj_text json)
{
    size_t n = 0, depth = 0;
    bool in_string = false;
    for (size_t i = 0; i < json.len; i++) {
        char c = json.data[i];
        if (in_string) {
            i += c == '\\';
            in_string = c != '"';
        } else if (c == '"') {
            in_string = true;
        } else {
            depth += c == '{' || c == '[';
            depth -= c == '}' || c == ']';
            n += c == ':' && depth == 1;
        }
    }
    return n;
}

fj_status fj_safetensors_header(const void *bytes, size_t len, const char *name, fj_json **header, fj_text *data,
                                fj_err *err)
{
    fj_cursor c = fj_cursor_over(bytes, len);
    uint64_t n = fj_cursor_u64(&c);
    if (c.bad || n > MAX_HEADER)
        return fj_wrong_file(name, bytes, len, "safetensors", err);
    if (n > fj_cursor_left(&c)) {
        (void)fj_fail(err, FJ_ERR_FORMAT, "%s: a header of %" PRIu64 " bytes in a file of %zu", name, n, len);
        return fj_hint(err, GET_AGAIN);
    }
    fj_text text = fj_cursor_take(&c, n);
    *data = (fj_text){ (const char *)bytes + c.at, fj_cursor_left(&c) };
    if (!n || text.data[0] != '{')
        return fj_fail(err, FJ_ERR_FORMAT, "%s: not safetensors: the header does not begin with '{'", name);
    fj_status st = fj_json_parse(text.data, text.len, name, true, header, err);
    if (!st && written_members(text) != fj_json_len(*header))
        return fj_fail(err, FJ_ERR_FORMAT, "%s: the header has %zu entries of %zu names: a tensor is there twice", name,
                       written_members(text), fj_json_len(*header));
    const fj_json *metadata = fj_json_get(*header, METADATA);
    if (!st && metadata && !fj_json_is_object(metadata))
        return fj_fail(err, FJ_ERR_FORMAT, "%s: " METADATA " is not an object", name);
    return st;
}

/* A whole number written as one. */
static int64_t whole(const fj_json *v)
{
    return fj_json_is_integer(v) ? fj_json_int(v, -1) : -1;
}

static fj_status read_shape(const char *file, const char *name, const fj_json *dims, fj_shape *out, int64_t *n,
                            fj_err *err)
{
    size_t rank = fj_json_len(dims);
    if (!fj_json_is_array(dims))
        return fj_fail(err, FJ_ERR_FORMAT, "%s: '%.100s' has no shape", file, name);
    if (rank > FJ_MAX_RANK)
        return fj_fail(err, FJ_ERR_FORMAT, "%s: '%.100s' has %zu dimensions, at most %d are read", file, name, rank,
                       FJ_MAX_RANK);
    *out = (fj_shape){ .rank = (int)rank };
    *n = 1;
    for (size_t i = 0; i < rank; i++) {
        out->dim[i] = whole(fj_json_at(dims, i));
        if (out->dim[i] < 0)
            return fj_fail(err, FJ_ERR_FORMAT, "%s: dimension %zu of '%.100s' is no whole number from 0", file, i,
                           name);
        if (__builtin_mul_overflow(*n, out->dim[i], n))
            return fj_fail(err, FJ_ERR_FORMAT, "%s: '%.100s' has more values than can be counted", file, name);
    }
    return FJ_OK;
}

static fj_status read_tensor(const char *file, const char *name, const fj_json *v, fj_text data, fj_tensor *out,
                             fj_err *err)
{
    const fj_json *offsets = fj_json_get(v, "data_offsets");
    const char *type = fj_json_string(fj_json_get(v, "dtype"), NULL);
    int64_t n = 0, first = whole(fj_json_at(offsets, 0)), end = whole(fj_json_at(offsets, 1));
    size_t bytes = 0;
    char shape[96];
    if (!type || fj_json_len(offsets) != 2)
        return fj_fail(err, FJ_ERR_FORMAT, "%s: '%.100s' has no %s", file, name,
                       type ? "data_offsets of two numbers" : "dtype");
    *out = (fj_tensor){ .name = name, .dtype = fj_dtype_by_safetensors(type) };
    if (!out->dtype)
        return fj_fail(err, FJ_ERR_FORMAT, "%s: '%.100s' is of type '%.32s', which is not read", file, name, type);
    fj_status st = read_shape(file, name, fj_json_get(v, "shape"), &out->shape, &n, err);
    if (st)
        return st;
    if (first < 0 || end < first || (uint64_t)end > data.len)
        return fj_fail(err, FJ_ERR_FORMAT, "%s: '%.100s' lies at bytes %lld to %lld of %zu", file, name,
                       (long long)first, (long long)end, data.len);
    if (!fj_dtype_bytes(out->dtype, n, &bytes))
        return fj_fail(err, FJ_ERR_FORMAT, "%s: '%.100s' has more bytes than can be counted", file, name);
    if (bytes != (size_t)(end - first))
        return fj_fail(err, FJ_ERR_FORMAT, "%s: '%.100s' has %lld bytes, %s of type %s has %zu", file, name,
                       (long long)(end - first), fj_shape_text(&out->shape, shape), type, bytes);
    out->data = data.data + first;
    out->bytes = bytes;
    return FJ_OK;
}

/* The header against the file as a whole: fewer bytes than it speaks of are what a cut download leaves. */
static fj_status check_whole(const fj_json *header, fj_text data, const char *file, fj_err *err)
{
    int64_t last = 0;
    for (void *i = fj_json_first(header); i; i = fj_json_next(header, i))
        last = FJ_MAX(last, whole(fj_json_at(fj_json_get(fj_json_member(i), "data_offsets"), 1)));
    if ((uint64_t)last <= data.len)
        return FJ_OK;
    (void)fj_fail(err, FJ_ERR_FORMAT, "%s: the header speaks of %lld bytes of tensors, the file has %zu: %lld missing",
                  file, (long long)last, data.len, (long long)last - (long long)data.len);
    return fj_hint(err, GET_AGAIN);
}

static int by_address(const void *a, const void *b)
{
    const fj_tensor *x = *(const fj_tensor *const *)a, *y = *(const fj_tensor *const *)b;
    if (x->data != y->data)
        return (uintptr_t)x->data < (uintptr_t)y->data ? -1 : 1;
    return x->bytes < y->bytes ? -1 : x->bytes > y->bytes; /* those of 0 bytes first */
}

/* Neither holes nor overlaps. */
static fj_status check_cover(const fj_tensor *tensors, size_t n, fj_text data, const char *file, fj_err *err)
{
    size_t end = 0;
    const fj_tensor **order = malloc((n + 1) * sizeof(*order));
    fj_status st = order ? FJ_OK : fj_fail(err, FJ_ERR_MEMORY, "no memory to check %s", file);
    for (size_t i = 0; !st && i < n; i++)
        order[i] = &tensors[i];
    if (!st)
        qsort(order, n, sizeof(*order), by_address);
    for (size_t i = 0; !st && i < n; i++) {
        size_t start = (size_t)((const char *)order[i]->data - data.data);
        if (start != end)
            st = fj_fail(err, FJ_ERR_FORMAT, "%s: '%.100s' begins at byte %zu, what lies before it ends at %zu: %s",
                         file, order[i]->name, start, end, start < end ? "they overlap" : "a hole");
        end = start + order[i]->bytes;
    }
    if (!st && end != data.len)
        st = fj_fail(err, FJ_ERR_FORMAT, "%s: %zu bytes behind the last tensor", file, data.len - end);
    free(order);
    return st;
}

fj_status fj_safetensors_tensors(const fj_json *header, fj_text data, const char *name, fj_index *index, fj_err *err)
{
    size_t first = index->n;
    fj_status st = check_whole(header, data, name, err);
    for (void *i = fj_json_first(header); !st && i; i = fj_json_next(header, i)) {
        const char *key = fj_json_key(i);
        fj_tensor t;
        if (!strcmp(key, METADATA))
            continue;
        st = read_tensor(name, key, fj_json_member(i), data, &t, err);
        if (!st && !fj_index_add(index, &t))
            st = fj_fail(err, FJ_ERR_FORMAT, "%s: '%.100s' is in another file of the model too", name, key);
    }
    return st ? st : check_cover(index->tensors + first, index->n - first, data, name, err);
}
