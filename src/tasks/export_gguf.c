/* SPDX-License-Identifier: Apache-2.0
 * GGUF files written from models: types by recipe, rows encoded by all threads, streamed tensor by tensor. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/map.h"
#include "formats/formats.h"
#include "tasks/export_internal.h"
#include "tasks/quantize.h"
#include "tokenizers/tokenizer.h"

enum { BLOCK_BYTES = 64 << 20, PART_ROWS = 16, MOST_MADE = 2 };

typedef struct target {
    const fj_weight *w; /* NULL: a vector made from the configuration */
    float *made;
    float (*to_gguf)(float); /* NULL: values as they are */
    const fj_dtype *dtype;
    int64_t *at;       /* the row of the model that becomes each GGUF row; NULL: as they are */
    bool is_copy;      /* blocks go over as they lie */
    float *importance; /* of the columns, expert after expert; NULL: all alike */
} target;

static size_t row_bytes(const fj_dtype *dtype, int64_t k)
{
    size_t bytes = 0;
    bool ok = fj_dtype_bytes(dtype, k, &bytes);
    fj_assert(ok);
    return bytes;
}

static const fj_dtype *choose(const fj_model *m, int i, const fj_export_types *types)
{
    const fj_weight *w = &m->weights[i];
    fj_recipe_weight r = fj_quantize_weight(m, w);
    if (w->shape.rank < 2)
        return &fj_f32;
    if (types->types)
        return types->types[i];
    if (types->recipe)
        return fj_recipe_type(types->recipe, &r);
    return w->dtype->gguf >= 0 ? w->dtype : &fj_bf16;
}

/* A model from Hugging Face's bytes gets GGUF's row order; one from GGUF has it. */
static fj_status row_map(const fj_model *m, const fj_weight *w, int64_t **at, fj_err *err)
{
    const fj_rewrite *rewrite = m->rows[w - m->weights]->gguf_rewrite;
    *at = NULL;
    if (m->naming == FJ_NAMING_GGUF || !rewrite || !rewrite->rows)
        return FJ_OK;
    *at = malloc((size_t)w->shape.dim[0] * sizeof **at + 1);
    if (!*at)
        return fj_fail(err, FJ_ERR_MEMORY, "no memory for the rows of '%s'", w->name);
    rewrite->rows(&m->hp, w->shape.dim[0], *at);
    return FJ_OK;
}

typedef struct block_job {
    const target *t;
    const fj_export_rows *rows;
    int64_t row0, n, k;
    unsigned char *bytes;
    double *error, *size; /* sums of squares, of each part */
    bool wants_error;
} block_job;

static const float *importance_of(const target *t, int64_t row, int64_t k)
{
    int64_t rows = t->w->shape.dim[t->w->shape.rank - 2];
    return t->importance ? t->importance + row / rows * k : NULL;
}

/* Memory of one thread: rows that are encoded in one go, as sixteen blocks are searched at once. */
typedef struct part_rows {
    float *values, *back, *importance;
    int64_t most;
} part_rows;

static part_rows rows_of_part(const block_job *j)
{
    enum { VALUES = 16384 };
    int64_t most = FJ_MAX(1, FJ_MIN(PART_ROWS, VALUES / j->k)), n = most * j->k;
    float *values = malloc(3 * (size_t)n * sizeof *values);
    fj_assert(values && "a row of a weight");
    return (part_rows){ values, values + n, values + 2 * n, most };
}

static void encode_rows(const block_job *j, const part_rows *p, int64_t first, int64_t n, double *error, double *size)
{
    const target *t = j->t;
    const fj_quant *q = fj_quant_of(t->dtype);
    unsigned char *blocks = j->bytes + (size_t)first * row_bytes(t->dtype, j->k);
    for (int64_t i = 0; i < n; i++) {
        int64_t row = t->at ? t->at[j->row0 + first + i] : j->row0 + first + i;
        j->rows->rows(j->rows->context, t->w, row, 1, p->values + i * j->k);
        if (t->importance)
            memcpy(p->importance + i * j->k, importance_of(t, row, j->k), (size_t)j->k * sizeof(float));
    }
    for (int64_t c = 0; t->to_gguf && c < n * j->k; c++)
        p->values[c] = t->to_gguf(p->values[c]);
    q->encode(p->values, blocks, n * j->k, t->importance ? p->importance : NULL);
    if (!j->wants_error)
        return;
    q->decode(blocks, p->back, n * j->k);
    fj_quant_add_error(p->values, p->back, n * j->k, error, size);
}

static void encode_part(void *context, int64_t part, int worker)
{
    (void)worker;
    const block_job *j = context;
    const target *t = j->t;
    size_t stride = row_bytes(t->dtype, j->k);
    int64_t first = part * PART_ROWS, end = FJ_MIN(first + PART_ROWS, j->n);
    if (t->is_copy) {
        for (int64_t i = first; i < end; i++)
            memcpy(j->bytes + (size_t)i * stride, fj_weight_at(t->w, t->at ? t->at[j->row0 + i] : j->row0 + i, stride),
                   stride);
        return;
    }
    part_rows p = rows_of_part(j);
    for (int64_t i = first; i < end; i += p.most)
        encode_rows(j, &p, i, FJ_MIN(p.most, end - i), &j->error[part], &j->size[part]);
    free(p.values);
}

static fj_status write_matrix(fj_gguf_writer *out, const target *t, const fj_export_rows *rows, fj_pool *pool,
                              double *rms, fj_err *err)
{
    int64_t n = fj_shape_rows(&t->w->shape), k = fj_shape_cols(&t->w->shape);
    size_t stride = row_bytes(t->dtype, k);
    int64_t block = FJ_MIN(n, FJ_MAX(PART_ROWS, (int64_t)((size_t)BLOCK_BYTES / stride)));
    int64_t parts = (block + PART_ROWS - 1) / PART_ROWS;
    unsigned char *bytes = malloc((size_t)block * stride);
    double *sums = calloc(2 * (size_t)parts, sizeof *sums), error = 0, size = 0;
    fj_status st = bytes && sums ? FJ_OK : fj_fail(err, FJ_ERR_MEMORY, "no memory to write '%s'", t->w->name);
    for (int64_t row = 0; !st && row < n; row += block) {
        block_job j = { .t = t,
                        .rows = rows,
                        .row0 = row,
                        .n = FJ_MIN(block, n - row),
                        .k = k,
                        .bytes = bytes,
                        .error = sums,
                        .size = sums + parts,
                        .wants_error = t->dtype != t->w->dtype };
        memset(sums, 0, 2 * (size_t)parts * sizeof *sums);
        fj_pool_run(pool, encode_part, &j, (j.n + PART_ROWS - 1) / PART_ROWS);
        for (int64_t p = 0; p < parts; p++) {
            error += sums[p];
            size += sums[parts + p];
        }
        st = fj_gguf_add(out, bytes, (size_t)j.n * stride, err);
    }
    *rms = size > 0 ? sqrt(error / size) : 0;
    free(bytes);
    free(sums);
    return st;
}

static fj_status write_vector(fj_gguf_writer *out, const target *t, const fj_export_rows *rows, fj_err *err)
{
    int64_t n = t->w->shape.dim[0];
    float *values = malloc(2 * (size_t)n * sizeof *values);
    if (!values)
        return fj_fail(err, FJ_ERR_MEMORY, "no memory to write '%s'", t->w->name);
    rows->rows(rows->context, t->w, 0, 1, values);
    for (int64_t i = 0; i < n; i++) {
        float x = values[t->at ? t->at[i] : i];
        values[n + i] = t->to_gguf ? t->to_gguf(x) : x;
    }
    fj_status st = fj_gguf_add(out, values + n, (size_t)n * sizeof *values, err);
    free(values);
    return st;
}

/* ---- metadata ---------------------------------------------------------------------------------------------------------------------- */

static void set_tokens(fj_gguf_writer *w, const fj_tokenizer_gguf *v)
{
    fj_gguf_set_text(w, "tokenizer.ggml.model", v->model, strlen(v->model));
    if (v->pre)
        fj_gguf_set_text(w, "tokenizer.ggml.pre", v->pre, strlen(v->pre));
    fj_gguf_set_texts(w, "tokenizer.ggml.tokens", v->tokens, v->n_tokens);
    fj_gguf_set_i32s(w, "tokenizer.ggml.token_type", v->types, v->n_tokens);
    if (v->scores)
        fj_gguf_set_f32s(w, "tokenizer.ggml.scores", v->scores, v->n_tokens);
    if (v->n_merges)
        fj_gguf_set_texts(w, "tokenizer.ggml.merges", v->merges, v->n_merges);
    fj_gguf_set_bool(w, "tokenizer.ggml.add_bos_token", v->add_bos);
    fj_gguf_set_bool(w, "tokenizer.ggml.add_eos_token", v->add_eos);
    if (v->add_space_prefix >= 0)
        fj_gguf_set_bool(w, "tokenizer.ggml.add_space_prefix", v->add_space_prefix);
}

static void set_id(fj_gguf_writer *w, const char *key, int64_t id)
{
    if (id >= 0)
        fj_gguf_set_u32(w, key, (uint32_t)id);
}

/* The ids that end an answer: the tokenizer's own first, then those of generation_config.json, as many as GGUF has names for. */
static void set_ends(fj_gguf_writer *w, const fj_bundle *b)
{
    static const char *const keys[] = { "tokenizer.ggml.eos_token_id", "tokenizer.ggml.eot_token_id",
                                        "tokenizer.ggml.eom_token_id" };
    int64_t ids[FJ_LEN(keys)] = { fj_tokenizer_eos(b->tokenizer) };
    const fj_json *ends = fj_json_get(b->generation, "eos_token_id");
    size_t n = ids[0] >= 0, most = fj_json_is_array(ends) ? fj_json_len(ends) : ends ? 1 : 0;
    for (size_t i = 0; i < most && n < FJ_LEN(keys); i++) {
        int64_t id = fj_json_int(fj_json_is_array(ends) ? fj_json_at(ends, i) : ends, -1);
        bool is_known = id < 0;
        for (size_t k = 0; k < n; k++)
            is_known |= ids[k] == id;
        if (!is_known)
            ids[n++] = id;
    }
    for (size_t i = 0; i < n; i++)
        set_id(w, keys[i], ids[i]);
}

static fj_status set_tokenizer(fj_gguf_writer *w, const fj_bundle *b, int64_t n_vocab, fj_err *err)
{
    fj_tokenizer_gguf vocab;
    if (!b->tokenizer) { /* what llama.cpp wants to hear before it runs a model on ids alone */
        fj_gguf_set_text(w, "tokenizer.ggml.model", "none", 4);
        return FJ_OK;
    }
    fj_arena *arena = fj_arena_new();
    fj_status st = arena ? fj_tokenizer_to_gguf(b->tokenizer, n_vocab, arena, &vocab, err)
                         : fj_fail(err, FJ_ERR_MEMORY, "no memory");
    if (!st) {
        set_tokens(w, &vocab);
        set_id(w, "tokenizer.ggml.bos_token_id", fj_tokenizer_bos(b->tokenizer));
        set_ends(w, b);
        set_id(w, "tokenizer.ggml.unknown_token_id", fj_tokenizer_unk(b->tokenizer));
        set_id(w, "tokenizer.ggml.padding_token_id", fj_tokenizer_pad(b->tokenizer));
        if (b->chat_template)
            fj_gguf_set_text(w, "tokenizer.chat_template", b->chat_template, strlen(b->chat_template));
    }
    fj_arena_free(arena);
    return st;
}

static void set_importance(fj_gguf_writer *w, const fj_export_types *types)
{
    const fj_imatrix *m = types->imatrix;
    const char *slash = types->imatrix_file ? strrchr(types->imatrix_file, '/') : NULL;
    const char *file = slash ? slash + 1 : types->imatrix_file;
    if (file)
        fj_gguf_set_text(w, "quantize.imatrix.file", file, strlen(file));
    if (m->n_datasets)
        fj_gguf_set_text(w, "quantize.imatrix.dataset", m->datasets[0], strlen(m->datasets[0]));
    fj_gguf_set_u32(w, "quantize.imatrix.entries_count", (uint32_t)fj_imatrix_count(m));
    fj_gguf_set_u32(w, "quantize.imatrix.chunks_count", m->chunks);
}

static fj_status set_metadata(fj_gguf_writer *w, const fj_model *m, const fj_bundle *b, const fj_export_types *types,
                              fj_err *err)
{
    fj_status st = FJ_OK;
    if (b->is_gguf) {
        for (size_t i = 0; i < fj_gguf_count(b->source); i++)
            fj_gguf_copy(w, fj_gguf_at(b->source, i));
    } else {
        st = fj_gguf_set_config(w, b->config, err);
        const char *slash = strrchr(b->path, '/'), *name = slash && slash[1] ? slash + 1 : b->path;
        fj_gguf_set_text(w, "general.name", name, strlen(name));
        if (m->has_no_prefix)
            fj_gguf_set_bool(w, "forja.exact.no_prefix", true);
        if (!st)
            st = set_tokenizer(w, b, m->hp.n_vocab, err);
    }
    fj_gguf_set_u32(w, "general.alignment", 32);
    if (types->recipe) {
        fj_gguf_set_u32(w, "general.file_type", (uint32_t)types->recipe->gguf_ftype);
        fj_gguf_set_u32(w, "general.quantization_version", 2);
    }
    if (types->imatrix)
        set_importance(w, types);
    return st;
}

/* ---- vectors that config.json has as numbers ------------------------------------------------------------------------------------------ */

/* Divisors of the rotary frequencies: rope_freqs of llama3's scaling; of longrope both kinds. NULL without memory. */
static float *divisors(const fj_model *m, const float *inverse)
{
    int64_t n = m->hp.d_rope / 2;
    float *values = malloc((size_t)n * sizeof *values);
    for (int64_t j = 0; values && j < n; j++)
        values[j] = (float)(pow(m->hp.rope_theta, -(double)j / (double)n) / inverse[j]);
    return values;
}

static float *listed(const fj_model *m, const fj_json *list)
{
    int64_t n = m->hp.d_rope / 2;
    float *values = malloc((size_t)n * sizeof *values);
    for (int64_t j = 0; values && j < n; j++)
        values[j] = (float)fj_json_real(fj_json_at(list, (size_t)j), 1);
    return values;
}

static fj_status add_made(const fj_model *m, const char *name, float *values, target *targets, fj_tensor *list, int *n,
                          fj_err *err)
{
    int64_t count = m->hp.d_rope / 2;
    if (!values)
        return fj_fail(err, FJ_ERR_MEMORY, "no memory for %s", name);
    targets[*n] = (target){ .dtype = &fj_f32, .made = values };
    list[(*n)++] = (fj_tensor){
        .name = name, .dtype = &fj_f32, .shape = fj_shape_1(count), .bytes = (size_t)count * sizeof(float)
    };
    return FJ_OK;
}

static fj_status list_made(const fj_model *m, target *targets, fj_tensor *list, int *n, fj_err *err)
{
    fj_rope_kind kind = m->hp.rope_kind;
    if (m->naming == FJ_NAMING_GGUF) /* which has them as weights */
        return FJ_OK;
    if (kind == FJ_ROPE_LLAMA3)
        return add_made(m, "rope_freqs.weight", divisors(m, m->rope.inverse), targets, list, n, err);
    if (kind != FJ_ROPE_LONG)
        return FJ_OK;
    fj_status st = add_made(m, "rope_factors_long.weight", listed(m, m->hp.rope_long), targets, list, n, err);
    return st ? st : add_made(m, "rope_factors_short.weight", listed(m, m->hp.rope_short), targets, list, n, err);
}

/* ---- the file ------------------------------------------------------------------------------------------------------------------------ */

/* The means of the squares of what each column is multiplied with. A matrix that the file does not name has none. */
static fj_status add_importance(const fj_imatrix *matrix, const char *name, target *t, fj_err *err)
{
    const fj_importance *item = fj_imatrix_find(matrix, name);
    int64_t k = fj_shape_cols(&t->w->shape), experts = t->w->shape.rank == 3 ? t->w->shape.dim[0] : 1;
    if (!item)
        return FJ_OK;
    if (item->n_values != k * experts || (item->n_counts != 1 && item->n_counts != experts))
        return fj_fail(err, FJ_ERR_FORMAT, "the importance matrix has %lld values for '%s', the model %lld columns",
                       (long long)item->n_values, name, (long long)(k * experts));
    if (!t->dtype->is_quantized || t->is_copy)
        return FJ_OK;
    t->importance = malloc((size_t)(k * experts) * sizeof(float));
    if (!t->importance)
        return fj_fail(err, FJ_ERR_MEMORY, "no memory for the importance of '%s'", name);
    for (int64_t e = 0; e < experts; e++)
        fj_importance_means(item, e, k, t->importance + e * k);
    return FJ_OK;
}

static fj_status list_targets(const fj_model *m, const fj_export_rows *rows, const fj_export_types *types,
                              target *targets, fj_tensor *list, int *n, fj_err *err)
{
    size_t n_known = 0;
    *n = 0;
    fj_status made = list_made(m, targets, list, n, err);
    if (made)
        return made;
    for (int i = 0; i < m->n_weights; i++) {
        const fj_weight *w = &m->weights[i];
        target *t = &targets[*n];
        *t = (target){ .w = w, .dtype = choose(m, i, types) };
        fj_status st = row_map(m, w, &t->at, err);
        if (st)
            return st;
        if (m->naming == FJ_NAMING_HF && m->rows[i]->gguf_rewrite)
            t->to_gguf = m->rows[i]->gguf_rewrite->to_gguf;
        t->is_copy = w->shape.rank > 1 && !t->to_gguf && t->dtype == w->dtype && rows->rows == fj_export_stored_rows;
        if (!t->is_copy && !fj_quant_of(t->dtype)->encode) {
            (void)fj_fail(err, FJ_ERR_ARG, "'%s' is %s, which forja only reads", w->name, t->dtype->name);
            return fj_hint(err, "give --type, for example Q2_K");
        }
        fj_tensor *out = &list[(*n)++];
        *out = (fj_tensor){ .name = fj_model_gguf_name(m, w), .dtype = t->dtype, .shape = w->shape };
        if (!out->name)
            return fj_fail(err, FJ_ERR_MEMORY, "no memory for the list of tensors");
        out->bytes = row_bytes(t->dtype, fj_shape_cols(&w->shape)) * (size_t)fj_shape_rows(&w->shape);
        if (types->imatrix && w->shape.rank > 1)
            st = add_importance(types->imatrix, out->name, t, err);
        if (st)
            return st;
        n_known += types->imatrix && fj_imatrix_find(types->imatrix, out->name);
    }
    if (types->imatrix && !n_known)
        return fj_fail(err, FJ_ERR_FORMAT, "the importance matrix names no weight of this model");
    return FJ_OK;
}

static fj_status write_targets(fj_gguf_writer *w, const fj_model *m, const fj_export_rows *rows, const target *targets,
                               const fj_tensor *list, int n, fj_pool *pool, fj_export_report *report, void *context,
                               fj_err *err)
{
    for (int i = 0; i < n; i++) {
        const target *t = &targets[i];
        double rms = 0;
        if (t->w)
            fj_model_make(m, t->w, -1, pool);
        fj_status st = !t->w                  ? fj_gguf_add(w, t->made, list[i].bytes, err)
                       : t->w->shape.rank > 1 ? write_matrix(w, t, rows, pool, &rms, err)
                                              : write_vector(w, t, rows, err);
        if (st)
            return st;
        if (t->w)
            fj_model_give_back(m, t->w);
        fj_export_line line = {
            list[i].name, t->w ? t->w->dtype : t->dtype, t->dtype, list[i].shape, list[i].bytes, rms
        };
        if (report)
            report(context, &line);
    }
    return FJ_OK;
}

/* A file before its data: the list, and the writer with the metadata. */
typedef struct draft {
    target *targets;
    fj_tensor *list;
    fj_gguf_writer *w;
    int n;
} draft;

static fj_status make_list(const fj_model *m, const fj_bundle *bundle, const fj_export_rows *rows,
                           const fj_export_types *types, draft *out, fj_err *err)
{
    size_t most = (size_t)m->n_weights + MOST_MADE;
    *out = (draft){ .targets = calloc(most, sizeof *out->targets),
                    .list = calloc(most, sizeof *out->list),
                    .w = fj_gguf_writer_new() };
    if (!out->targets || !out->list || !out->w)
        return fj_fail(err, FJ_ERR_MEMORY, "no memory to export");
    fj_status st = list_targets(m, rows, types, out->targets, out->list, &out->n, err);
    if (!st)
        st = set_metadata(out->w, m, bundle, types, err);
    return st || bundle->is_gguf ? st : fj_export_keep_exact(m, rows, out->w, err);
}

static void free_list(draft *l)
{
    fj_gguf_abort(l->w);
    for (int i = 0; l->targets && i < l->n; i++) {
        free(l->targets[i].at);
        free(l->targets[i].importance);
        free(l->targets[i].made);
    }
    free(l->targets);
    free(l->list);
}

fj_status fj_export_gguf_size(const fj_model *m, const fj_bundle *bundle, const fj_export_rows *rows,
                              const fj_export_types *types, uint64_t *out, fj_err *err)
{
    draft l;
    fj_status st = make_list(m, bundle, rows, types, &l, err);
    if (!st)
        st = fj_gguf_size(l.w, l.list, (size_t)l.n, out, err);
    free_list(&l);
    return st;
}

fj_status fj_export_gguf(const fj_model *m, const fj_bundle *bundle, const fj_export_rows *rows,
                         const fj_export_types *types, const char *path, fj_pool *pool, fj_export_report *report,
                         void *context, fj_err *err)
{
    draft l;
    fj_status st = make_list(m, bundle, rows, types, &l, err);
    if (!st)
        st = fj_gguf_create(l.w, path, l.list, (size_t)l.n, err);
    if (!st)
        st = write_targets(l.w, m, rows, l.targets, l.list, l.n, pool, report, context, err);
    if (!st) {
        st = fj_gguf_commit(l.w, err);
        l.w = NULL;
    }
    free_list(&l);
    return st;
}
