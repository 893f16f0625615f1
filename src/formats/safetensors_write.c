/* SPDX-License-Identifier: Apache-2.0
 * Writing safetensors: the header from the list, then the data as it comes. */
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "base/utf8.h"
#include "formats/formats.h"

struct fj_safetensors_writer {
    fj_out out;
    uint64_t wanted, written;
};

static fj_status write_all(fj_out *out, const void *data, size_t bytes, fj_err *err)
{
    if (!bytes || fwrite(data, 1, bytes, out->file) == bytes)
        return FJ_OK;
    return fj_fail(err, errno == ENOSPC ? FJ_ERR_MEMORY : FJ_ERR_FAILED, "cannot write %s: %s", out->path,
                   strerror(errno));
}

static fj_json *entry_of(const fj_tensor *t, uint64_t first)
{
    fj_json *entry = fj_json_new_object(), *shape = fj_json_new_array(), *offsets = fj_json_new_array();
    bool ok = offsets && fj_json_add(offsets, fj_json_new_int((int64_t)first)) &&
              fj_json_add(offsets, fj_json_new_int((int64_t)(first + t->bytes)));
    for (int i = 0; ok && i < t->shape.rank; i++)
        ok = shape && fj_json_add(shape, fj_json_new_int(t->shape.dim[i]));
    ok = ok && fj_json_set(entry, "dtype", fj_json_new_text(t->dtype->safetensors, strlen(t->dtype->safetensors)));
    ok = fj_json_set(entry, "shape", shape) && ok; /* takes shape over, whatever came before */
    ok = fj_json_set(entry, "data_offsets", offsets) && ok;
    if (ok)
        return entry;
    fj_json_free(entry);
    return NULL;
}

static fj_status add_entry(fj_json *header, const fj_tensor *t, uint64_t first, fj_err *err)
{
    size_t bytes = 0;
    if (!t->dtype->safetensors)
        return fj_fail(err, FJ_ERR_ARG, "safetensors has no type %s ('%s')", t->dtype->name, t->name);
    if (!fj_dtype_bytes(t->dtype, fj_shape_count(&t->shape), &bytes) || bytes != t->bytes)
        return fj_fail(err, FJ_ERR_ARG, "'%s' has %zu bytes, its shape and type %zu", t->name, t->bytes, bytes);
    if (!fj_utf8_valid(t->name, strlen(t->name)) || fj_json_get(header, t->name))
        return fj_fail(err, FJ_ERR_ARG, "'%s' is a name that was given before or is not UTF-8", t->name);
    if (!fj_json_set(header, t->name, entry_of(t, first)))
        return fj_fail(err, FJ_ERR_MEMORY, "no memory for a header of safetensors");
    return FJ_OK;
}

/* The header, padded with spaces so that the data starts at a multiple of 8. */
static fj_status make_header(const fj_tensor *list, size_t n, const fj_json *metadata, fj_str *text, uint64_t *bytes,
                             fj_err *err)
{
    fj_json *header = fj_json_new_object(), *own = fj_json_new_object();
    fj_json *given = metadata ? fj_json_share((fj_json *)(uintptr_t)metadata) : fj_json_share(own);
    bool ok = fj_json_set(own, "format", fj_json_new_text("pt", 2));
    ok = fj_json_set(header, "__metadata__", given) && ok;
    fj_status st = ok ? FJ_OK : fj_fail(err, FJ_ERR_MEMORY, "no memory for a header of safetensors");
    *bytes = 0;
    for (size_t i = 0; !st && i < n; i++) {
        st = add_entry(header, &list[i], *bytes, err);
        *bytes += list[i].bytes;
    }
    ok = !st && fj_json_write(header, 0, 17, text);
    while (ok && !text->failed && text->len % 8)
        fj_str_add_char(text, ' ');
    if (!st && (!ok || text->failed))
        st = fj_fail(err, FJ_ERR_MEMORY, "no memory for a header of %zu tensors", n);
    fj_json_free(own);
    fj_json_free(header);
    return st;
}

fj_status fj_safetensors_create(const char *path, const fj_tensor *list, size_t n, const fj_json *metadata,
                                fj_safetensors_writer **out, fj_err *err)
{
    fj_str header = { 0 };
    fj_safetensors_writer *w = calloc(1, sizeof *w);
    fj_status st = w ? make_header(list, n, metadata, &header, &w->wanted, err)
                     : fj_fail(err, FJ_ERR_MEMORY, "no memory to write %s", path);
    if (!st && w->wanted > fj_disk_free(path)) {
        char need[24], have[24];
        st = fj_fail(err, FJ_ERR_MEMORY, "no room for %s: it needs %s, %s are free", path,
                     fj_format_bytes(w->wanted, need), fj_format_bytes(fj_disk_free(path), have));
    }
    if (!st)
        st = fj_out_open(path, &w->out, err);
    if (!st) {
        uint64_t len = header.len;
        st = write_all(&w->out, &len, sizeof len, err);
    }
    if (!st)
        st = write_all(&w->out, header.data, header.len, err);
    fj_str_free(&header);
    if (st) {
        fj_safetensors_abort(w);
        return st;
    }
    *out = w;
    return FJ_OK;
}

fj_status fj_safetensors_add(fj_safetensors_writer *w, const void *data, size_t bytes, fj_err *err)
{
    if (bytes > w->wanted - w->written)
        return fj_fail(err, FJ_ERR_ARG, "%s: more bytes than the %" PRIu64 " of its tensors", w->out.path, w->wanted);
    w->written += bytes;
    return write_all(&w->out, data, bytes, err);
}

fj_status fj_safetensors_commit(fj_safetensors_writer *w, fj_err *err)
{
    fj_status st = FJ_OK;
    if (w->written == w->wanted)
        st = fj_out_commit(&w->out, err);
    else
        st = fj_fail(err, FJ_ERR_ARG, "%s: %" PRIu64 " bytes of tensors were given, %" PRIu64 " are missing",
                     w->out.path, w->written, w->wanted - w->written);
    fj_safetensors_abort(w);
    return st;
}

void fj_safetensors_abort(fj_safetensors_writer *w)
{
    if (!w)
        return;
    fj_out_abort(&w->out);
    free(w);
}

fj_status fj_safetensors_write(const char *path, const fj_tensor *list, size_t n, const fj_json *metadata, fj_err *err)
{
    fj_safetensors_writer *w = NULL;
    fj_status st = fj_safetensors_create(path, list, n, metadata, &w, err);
    for (size_t i = 0; !st && i < n; i++)
        st = fj_safetensors_add(w, list[i].data, list[i].bytes, err);
    if (!st)
        return fj_safetensors_commit(w, err);
    fj_safetensors_abort(w);
    return st;
}
