/* SPDX-License-Identifier: Apache-2.0
 * See zarr.h. Over libblosc, included here alone. */
#include "formats/zarr.h"

#include <blosc.h>
#include <string.h>

#include "base/json.h"

static const struct {
    const char *name;
    const fj_dtype *dtype;
} types[] = {
    { "bfloat16", &fj_bf16 }, { "|V2", &fj_bf16 }, { "<V2", &fj_bf16 }, { "<f2", &fj_f16 }, { "<f4", &fj_f32 }
};

static bool read_dims(const fj_json *list, fj_shape *out, int64_t *n)
{
    size_t rank = fj_json_len(list);
    *n = 1;
    if (!fj_json_is_array(list) || !rank || rank > FJ_MAX_RANK)
        return false;
    out->rank = (int)rank;
    for (size_t i = 0; i < rank; i++) {
        const fj_json *v = fj_json_at(list, i);
        out->dim[i] = fj_json_is_integer(v) ? fj_json_int(v, 0) : 0;
        if (out->dim[i] < 1 || __builtin_mul_overflow(*n, out->dim[i], n))
            return false;
    }
    return true;
}

static fj_status read_storage(const fj_json *v, const char *name, fj_zarr *out, fj_err *err)
{
    const fj_json *compressor = fj_json_get(v, "compressor"), *filters = fj_json_get(v, "filters");
    const char *id = fj_json_string(fj_json_get(compressor, "id"), "");
    out->is_blosc = !strcmp(id, "blosc");
    if (!out->is_blosc && compressor && !fj_json_is_null(compressor))
        return fj_fail(err, FJ_ERR_FORMAT, "%s: the compressor '%.50s' is not read; none and blosc are", name, id);
    if ((filters && !fj_json_is_null(filters)) || strcmp(fj_json_string(fj_json_get(v, "order"), "C"), "C") != 0 ||
        strcmp(fj_json_string(fj_json_get(v, "dimension_separator"), "."), ".") != 0)
        return fj_fail(err, FJ_ERR_FORMAT, "%s: filters, an order but C, or a separator but '.', which are not read",
                       name);
    return FJ_OK;
}

fj_status fj_zarr_describe(fj_text json, const char *name, fj_zarr *out, fj_err *err)
{
    fj_json *v = NULL;
    int64_t n, in_chunk;
    *out = (fj_zarr){ 0 };
    fj_status st = fj_json_parse(json.data, json.len, name, false, &v, err);
    const char *type = fj_json_string(fj_json_get(v, "dtype"), "");
    for (size_t i = 0; i < FJ_LEN(types); i++)
        if (!strcmp(type, types[i].name))
            out->dtype = types[i].dtype;
    if (!st && fj_json_int(fj_json_get(v, "zarr_format"), 0) != 2)
        st = fj_fail(err, FJ_ERR_FORMAT, "%s: not an array of Zarr, version 2", name);
    if (!st && !out->dtype)
        st = fj_fail(err, FJ_ERR_FORMAT, "%s: the type '%.50s' is not read", name, type);
    if (!st && (!read_dims(fj_json_get(v, "shape"), &out->shape, &n) ||
                !read_dims(fj_json_get(v, "chunks"), &out->chunk, &in_chunk) || out->shape.rank != out->chunk.rank))
        st = fj_fail(err, FJ_ERR_FORMAT, "%s: shape and chunks are not as many whole numbers from 1, at most %d", name,
                     FJ_MAX_RANK);
    if (!st &&
        (!fj_dtype_bytes(out->dtype, n, &out->chunk_bytes) || !fj_dtype_bytes(out->dtype, in_chunk, &out->chunk_bytes)))
        st = fj_fail(err, FJ_ERR_FORMAT, "%s: more bytes than can be counted", name);
    if (!st)
        st = read_storage(v, name, out, err);
    fj_json_free(v);
    return st;
}

fj_status fj_zarr_chunk(const fj_zarr *z, fj_text file, const char *name, unsigned char *room,
                        const unsigned char **out, fj_err *err)
{
    size_t bytes = file.len;
    *out = (const unsigned char *)file.data;
    if (z->is_blosc && (blosc_cbuffer_validate(file.data, file.len, &bytes) < 0 || bytes != z->chunk_bytes))
        return fj_fail(err, FJ_ERR_FORMAT, "%s: not Blosc's, or not of the %zu bytes of a chunk", name, z->chunk_bytes);
    if (bytes != z->chunk_bytes)
        return fj_fail(err, FJ_ERR_FORMAT, "%s: %zu bytes, a chunk has %zu", name, bytes, z->chunk_bytes);
    if (!z->is_blosc)
        return FJ_OK;
    *out = room;
    int n = blosc_decompress_ctx(file.data, room, bytes, 1);
    return n >= 0 && (size_t)n == bytes ? FJ_OK : fj_fail(err, FJ_ERR_FORMAT, "%s: Blosc cannot unpack it", name);
}
