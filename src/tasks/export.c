/* SPDX-License-Identifier: Apache-2.0
 * Hugging Face folders written from models: see export.h. */
#include "tasks/export.h"

#include <stdlib.h>
#include <string.h>

#include "base/map.h"
#include "formats/formats.h"
#include "ops/weight_rows.h"
#include "tasks/export_internal.h"

enum { BLOCK_ROWS = 256, MAX_SMALL = 512 << 20 };

static size_t row_bytes(const fj_dtype *dtype, const fj_weight *w)
{
    size_t bytes = 0;
    bool ok = fj_dtype_bytes(dtype, fj_shape_cols(&w->shape), &bytes);
    fj_assert(ok);
    return bytes;
}

void fj_export_stored_rows(void *context, const fj_weight *w, int64_t row0, int64_t n, float *out)
{
    (void)context;
    int64_t k = fj_shape_cols(&w->shape), first = w->shape.rank == 1 ? 0 : row0;
    for (int64_t i = 0; i < n; i++)
        fj_weight_read(w, first + i, out + i * k);
}

void fj_export_merged_rows(void *context, const fj_weight *w, int64_t row0, int64_t n, float *out)
{
    const fj_adapter *a = context;
    fj_export_stored_rows(NULL, w, row0, n, out);
    for (int i = 0; i < a->n; i++)
        for (int64_t r = 0; a->items[i].weight == w && r < n; r++)
            fj_lora_merge_row(&a->items[i], row0 + r, out + r * fj_shape_cols(&w->shape));
}

static const fj_dtype *matrix_type(const fj_weight *w, const fj_dtype *asked)
{
    return asked ? asked : w->dtype->is_quantized ? &fj_bf16 : w->dtype;
}

/* GGUF has all vectors as f32: they get the matrices' type again where that loses nothing. */
static const fj_dtype *type_of(const fj_model *m, const fj_weight *w, const fj_export_rows *rows, const fj_dtype *asked)
{
    if ((w->shape.rank > 1 && !w->role->is_f32) || !w->stored)
        return matrix_type(w, asked);
    if (asked && !asked->is_quantized)
        return asked;
    const fj_dtype *matrices = matrix_type(fj_model_head(m), NULL);
    if (m->naming == FJ_NAMING_GGUF && matrices != &fj_f32 && fj_export_fits(m, w, rows, matrices))
        return matrices;
    return w->stored->dtype->is_float ? w->stored->dtype : &fj_f32;
}

/* Rows in Hugging Face's order: where the model's bytes have another, row h of the output is row `at[h]` here. */
static fj_status row_map(const fj_model *m, const fj_weight *w, int64_t **at, fj_err *err)
{
    int64_t n = w->shape.dim[0], *from = malloc((size_t)n * sizeof *from + 1),
            *inverse = malloc((size_t)n * sizeof *inverse + 1);
    *at = NULL;
    if (!from || !inverse) {
        free(from);
        free(inverse);
        return fj_fail(err, FJ_ERR_MEMORY, "no memory for the rows of '%s'", w->name);
    }
    bool is_moved = fj_model_row_order(m, w, from);
    for (int64_t i = 0; is_moved && i < n; i++)
        inverse[from[i]] = i;
    free(from);
    if (is_moved)
        *at = inverse;
    else
        free(inverse);
    return FJ_OK;
}

/* What a weight is written with. */
typedef struct target {
    const fj_weight *w;
    const fj_export_rows *rows;
    const fj_dtype *dtype;
    fj_exact exact;
    int64_t *at;     /* rows of the model's bytes in Hugging Face's order; NULL: as they are */
    int64_t row0, n; /* of an expert among all; 1 for a vector */
} source_rows;

/* Rows [row, row+n) in Hugging Face's order; the values of a vector are its rows, and come all at once. */
static void take_rows(const source_rows *t, int64_t row, int64_t n, float *values, float *whole)
{
    int64_t k = fj_shape_cols(&t->w->shape);
    bool is_vector = t->w->shape.rank == 1;
    if (is_vector && t->at) {
        t->rows->rows(t->rows->context, t->w, 0, 1, whole);
        for (int64_t i = 0; i < k; i++)
            values[i] = whole[t->at[i]];
    } else if (t->at) {
        for (int64_t i = 0; i < n; i++)
            t->rows->rows(t->rows->context, t->w, t->at[row + i], 1, values + i * k);
    } else {
        t->rows->rows(t->rows->context, t->w, t->row0 + row, n, values);
    }
    fj_exact_to_hf(&t->exact, (t->row0 + row) * k, values, n * k);
}

static fj_status write_rows(fj_safetensors_writer *out, const source_rows *t, fj_err *err)
{
    int64_t n = t->n, k = fj_shape_cols(&t->w->shape), block = FJ_MIN(BLOCK_ROWS, n);
    size_t stride = row_bytes(t->dtype, t->w);
    float *values = malloc((size_t)(block * k) * sizeof *values), *whole = malloc((size_t)k * sizeof *whole);
    unsigned char *bytes = malloc((size_t)block * stride);
    fj_status st = values && whole && bytes ? FJ_OK
                                            : fj_fail(err, FJ_ERR_MEMORY, "no memory to write '%s'", t->w->name);
    for (int64_t row = 0; !st && row < n; row += block) {
        int64_t count = FJ_MIN(block, n - row);
        take_rows(t, row, count, values, whole);
        fj_quant_of(t->dtype)->encode(values, bytes, count * k, NULL);
        st = fj_safetensors_add(out, bytes, (size_t)count * stride, err);
    }
    free(values);
    free(whole);
    free(bytes);
    return st;
}

/* A matrix that Hugging Face has as (in, out), an expert's at a time: whole, in memory. */
static fj_status write_turned(fj_safetensors_writer *out, const source_rows *t, fj_err *err)
{
    int64_t n = t->n, k = fj_shape_cols(&t->w->shape);
    size_t stride = 0;
    bool fits = fj_dtype_bytes(t->dtype, n, &stride);
    fj_assert(fits);
    float *values = malloc((size_t)(n * k) * sizeof *values), *column = malloc((size_t)n * sizeof *column);
    unsigned char *bytes = malloc(stride);
    fj_status st = values && column && bytes ? FJ_OK
                                             : fj_fail(err, FJ_ERR_MEMORY, "no memory to write '%s'", t->w->name);
    if (!st)
        take_rows(t, 0, n, values, column);
    for (int64_t c = 0; !st && c < k; c++) {
        for (int64_t r = 0; r < n; r++)
            column[r] = values[r * k + c];
        fj_quant_of(t->dtype)->encode(column, bytes, n, NULL);
        st = fj_safetensors_add(out, bytes, stride, err);
    }
    free(values);
    free(column);
    free(bytes);
    return st;
}

static fj_status write_weight(fj_safetensors_writer *out, const fj_model *m, const fj_weight *w,
                              const fj_export_rows *rows, const fj_dtype *dtype, fj_err *err)
{
    source_rows t = { .w = w, .rows = rows, .dtype = dtype, .exact = fj_exact_of(m, w) };
    int64_t matrices = w->shape.rank == 3 ? w->shape.dim[0] : 1;
    fj_status st = row_map(m, w, &t.at, err);
    t.n = w->shape.rank == 1 ? 1 : w->shape.dim[w->shape.rank - 2];
    for (int64_t e = 0; !st && e < matrices; e++) {
        t.row0 = e * t.n;
        st = fj_model_is_transposed(m, w) ? write_turned(out, &t, err) : write_rows(out, &t, err);
    }
    free(t.at);
    return st;
}

/* The list in the model's order, a tensor for each expert where Hugging Face has them so; what only GGUF has says what config.json
 * says. */
static fj_tensor *list_tensors(const fj_model *m, const fj_export_rows *rows, const fj_dtype *asked, size_t *n)
{
    size_t count = 0;
    for (int i = 0; i < m->n_weights; i++)
        count += (size_t)fj_model_hf_count(m, &m->weights[i]);
    fj_tensor *list = calloc(count + 1, sizeof *list);
    *n = 0;
    for (int i = 0; list && i < m->n_weights; i++) {
        const fj_weight *w = &m->weights[i];
        int64_t parts = fj_model_hf_count(m, w);
        const fj_dtype *dtype = parts ? type_of(m, w, rows, asked) : NULL;
        for (int64_t e = 0; e < parts; e++) {
            fj_tensor *t = &list[(*n)++];
            *t = (fj_tensor){ .name = fj_model_hf_part(m, w, e), .dtype = dtype, .shape = fj_model_hf_shape(m, w) };
            bool fits = fj_dtype_bytes(t->dtype, fj_shape_count(&t->shape), &t->bytes);
            fj_assert(fits && t->name);
        }
    }
    return list;
}

fj_status fj_export_json(const char *folder, const char *name, const fj_json *value, fj_err *err)
{
    fj_str text = { 0 };
    char *path = fj_path_join(folder, name);
    bool ok = path && fj_json_write(value, 2, 17, &text);
    fj_str_add_char(&text, '\n');
    fj_status st = ok ? fj_file_write(path, text.data, text.len, err)
                      : fj_fail(err, FJ_ERR_MEMORY, "no memory for %s", name);
    fj_str_free(&text);
    free(path);
    return st;
}

static fj_status copy_file(const char *from, const char *to, const char *name, fj_err *err)
{
    fj_str text = { 0 };
    char *source = fj_path_join(from, name), *target = fj_path_join(to, name);
    fj_status st = source && target ? FJ_OK : fj_fail(err, FJ_ERR_MEMORY, "no memory to copy %s", name);
    if (!st && fj_path_exists(source)) {
        st = fj_file_read(source, MAX_SMALL, &text, err);
        if (!st)
            st = fj_file_write(target, text.data, text.len, err);
    }
    fj_str_free(&text);
    free(source);
    free(target);
    return st;
}

/* What was read, with the rope scaling that a GGUF file has as a tensor, and the type that matrices have now. */
static fj_status write_config(const fj_bundle *b, fj_json *scaling, const fj_dtype *matrices, const char *folder,
                              fj_err *err)
{
    static const char *const types[][2] = { { "F32", "float32" }, { "F16", "float16" }, { "BF16", "bfloat16" } };
    fj_json *config = fj_json_new_object();
    const char *key = fj_json_get(b->config, "dtype") ? "dtype" : "torch_dtype";
    bool ok = config != NULL;
    for (void *i = fj_json_first(b->config); i; i = fj_json_next(b->config, i))
        if (strncmp(fj_json_key(i), "gguf_", 5) != 0 && strcmp(fj_json_key(i), "quantization_config") != 0)
            ok = ok && fj_json_set(config, fj_json_key(i), fj_json_share(fj_json_member(i)));
    for (size_t i = 0; i < FJ_LEN(types); i++)
        if (!strcmp(types[i][0], matrices->name))
            ok = ok && fj_json_set(config, key, fj_json_new_text(types[i][1], strlen(types[i][1])));
    ok = ok && (!scaling || fj_json_set(config, "rope_scaling", fj_json_share(scaling)));
    fj_status st = ok ? fj_export_json(folder, "config.json", config, err)
                      : fj_fail(err, FJ_ERR_MEMORY, "no memory for a configuration");
    fj_json_free(config);
    return st;
}

static fj_status write_side_files(const fj_bundle *b, const char *folder, fj_err *err)
{
    static const char *const names[] = { "tokenizer.json",
                                         "tokenizer.model",
                                         "cl100k_base.tiktoken",
                                         "qwen.tiktoken",
                                         "tokenizer_config.json",
                                         "special_tokens_map.json",
                                         "generation_config.json",
                                         "chat_template.jinja",
                                         "added_tokens.json",
                                         "vocab.json",
                                         "merges.txt" };
    fj_status st = FJ_OK;
    for (size_t i = 0; !st && !b->is_gguf && i < FJ_LEN(names); i++)
        st = copy_file(b->path, folder, names[i], err);
    return !st && b->is_gguf ? fj_export_generation(b, folder, err) : st;
}

fj_status fj_export_hf(const fj_model *m, const fj_bundle *bundle, const fj_export_rows *rows, const fj_dtype *dtype,
                       const char *folder, fj_pool *pool, fj_err *err)
{
    size_t n = 0, at = 0;
    fj_safetensors_writer *w = NULL;
    fj_tensor *list = list_tensors(m, rows, dtype, &n);
    char *path = fj_path_join(folder, "model.safetensors");
    fj_json *scaling = NULL;
    fj_status st = list && path ? fj_export_rope_scaling(m, &scaling, err)
                                : fj_fail(err, FJ_ERR_MEMORY, "no memory to export");
    if (!st)
        st = fj_make_dirs(folder, err);
    if (!st && bundle->is_gguf) /* first: it may have to be refused */
        st = fj_export_tokenizer(bundle, folder, err);
    if (!st)
        st = fj_safetensors_create(path, list, n, NULL, &w, err);
    for (int i = 0; !st && i < m->n_weights; i++)
        if (fj_model_hf_count(m, &m->weights[i])) {
            fj_model_make(m, &m->weights[i], -1, pool);
            st = write_weight(w, m, &m->weights[i], rows, list[at].dtype, err);
            fj_model_give_back(m, &m->weights[i]);
            at += (size_t)fj_model_hf_count(m, &m->weights[i]);
        }
    if (!st) {
        st = fj_safetensors_commit(w, err);
        w = NULL;
    }
    if (!st)
        st = write_config(bundle, scaling, matrix_type(fj_model_head(m), dtype), folder, err);
    if (!st)
        st = write_side_files(bundle, folder, err);
    fj_safetensors_abort(w);
    fj_json_free(scaling);
    free(list);
    free(path);
    return st;
}
