/* SPDX-License-Identifier: Apache-2.0
 * forja probe quant: blocks of a number format encoded and decoded, for comparing with a reference. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli/commands.h"
#include "formats/formats.h"
#include "quant/quant.h"

typedef struct settings {
    fj_common common;
    const char *type, *in, *out;
    bool encode, decode;
} settings;

static const fj_option options[] = {
    { "type", "NAME", FJ_OPT_TEXT, offsetof(settings, type), NULL, "number format: Q8_0, Q4_K, NF4, INT8, …", 0, 0, 0 },
    { "encode", NULL, FJ_OPT_FLAG, offsetof(settings, encode), NULL, "f32 [rows, cols] to `bytes`", 0, 0, 0 },
    { "decode", NULL, FJ_OPT_FLAG, offsetof(settings, decode), NULL, "`bytes` to `values`", 0, 0, 0 },
    { "in", "FILE", FJ_OPT_TEXT, offsetof(settings, in), NULL, "safetensors file with one tensor", 0, 0, 0 },
    { "out", "FILE", FJ_OPT_TEXT, offsetof(settings, out), NULL, "safetensors file to write", 0, 0, 0 },
    { 0 },
};

static fj_status encode(const fj_quant *q, const fj_tensor *t, const settings *s, fj_err *err)
{
    size_t row_bytes = 0;
    int64_t rows = fj_shape_rows(&t->shape), cols = fj_shape_cols(&t->shape);
    if (t->dtype != &fj_f32)
        return fj_fail(err, FJ_ERR_FORMAT, "%s: '%s' is %s, wanted F32", s->in, t->name, t->dtype->name);
    if (!fj_dtype_bytes(q->dtype, cols, &row_bytes))
        return fj_fail(err, FJ_ERR_SHAPE, "%s: rows of %lld values, %s comes in blocks of %d", s->in, (long long)cols,
                       q->dtype->name, q->dtype->block_len);
    unsigned char *bytes = malloc(row_bytes * (size_t)rows + 1);
    float *row = malloc((size_t)cols * sizeof *row + 1);
    fj_status st = bytes && row ? FJ_OK : fj_fail(err, FJ_ERR_MEMORY, "no memory for %lld rows", (long long)rows);
    for (int64_t r = 0; !st && r < rows; r++) {
        memcpy(row, (const unsigned char *)t->data + (size_t)(r * cols) * sizeof *row, (size_t)cols * sizeof *row);
        q->encode(row, bytes + row_bytes * (size_t)r, cols, NULL);
    }
    if (!st) {
        fj_tensor out = { .name = "bytes",
                          .dtype = &fj_u8,
                          .shape = fj_shape_1((int64_t)row_bytes * rows),
                          .data = bytes,
                          .bytes = row_bytes * (size_t)rows };
        st = fj_safetensors_write(s->out, &out, 1, NULL, err);
    }
    free(row);
    free(bytes);
    return st;
}

static fj_status decode(const fj_quant *q, const fj_tensor *t, const settings *s, fj_err *err)
{
    if (t->dtype != &fj_u8 || t->bytes % (size_t)q->dtype->block_bytes)
        return fj_fail(err, FJ_ERR_FORMAT, "%s: '%s' has %zu bytes of %s, wanted U8 in blocks of %d", s->in, t->name,
                       t->bytes, t->dtype->name, q->dtype->block_bytes);
    int64_t n = (int64_t)(t->bytes / (size_t)q->dtype->block_bytes) * q->dtype->block_len;
    float *values = malloc((size_t)n * sizeof *values + 1);
    if (!values)
        return fj_fail(err, FJ_ERR_MEMORY, "no memory for %lld values", (long long)n);
    q->decode(t->data, values, n);
    fj_tensor out = {
        .name = "values", .dtype = &fj_f32, .shape = fj_shape_1(n), .data = values, .bytes = (size_t)n * sizeof *values
    };
    fj_status st = fj_safetensors_write(s->out, &out, 1, NULL, err);
    free(values);
    return st;
}

static fj_status run(const fj_call *call, fj_err *err)
{
    const settings *s = call->settings;
    fj_source *source = NULL;
    if (!s->type || !s->in || !s->out || s->encode == s->decode)
        return fj_fail(err, FJ_ERR_USAGE, "probe quant: wants --type, one of --encode and --decode, --in and --out");
    const fj_dtype *dtype = fj_dtype_by_name(s->type);
    const fj_quant *q = dtype ? fj_quant_of(dtype) : NULL;
    if (!q)
        return fj_fail(err, FJ_ERR_USAGE, "--type: '%s' is no number format that forja knows", s->type);
    fj_status st = fj_safetensors_open_file(s->in, NULL, &source, err);
    if (st)
        return st;
    if (source->count(source) != 1)
        st = fj_fail(err, FJ_ERR_FORMAT, "%s: %zu tensors, wanted one", s->in, source->count(source));
    else
        st = s->encode ? encode(q, source->at(source, 0), s, err) : decode(q, source->at(source, 0), s, err);
    source->close(source);
    return st;
}

const fj_command fj_command_probe_quant = {
    .name = "probe quant",
    .summary = "Encode or decode blocks of a number format.",
    .options = options,
    .settings_size = sizeof(settings),
    .run = run,
};
