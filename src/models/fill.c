/* SPDX-License-Identifier: Apache-2.0
 * Weights that are made when a model is loaded: quantized from 16 or 32 bits, or from a source's numbers in another form. One matrix
 * after the other, by all threads; what it was made from leaves memory before the next. Where all of them are too much they are made one
 * at a time, whenever they are read. */
#include "models/fill.h"

#include <stdlib.h>
#include <string.h>

#include "quant/nf4.h"

enum { PART_ROWS = 16, NESTED_LEN = 64, FULL_BYTES = 36, SCALE_BYTES = 4 };

static bool is_made(const fj_model *m, int i)
{
    return m->stored && m->stored[i].name;
}

static bool is_in_source(const fj_weight *from)
{
    return from->data || (from->parts && from->parts[0]->data);
}

static int64_t rows_of(const fj_weight *w)
{
    return w->shape.dim[w->shape.rank - 2];
}

static int64_t matrices_of(const fj_weight *w)
{
    return w->shape.rank == 3 ? w->shape.dim[0] : 1;
}

static size_t stride_of(const fj_weight *w)
{
    size_t bytes = 0;
    bool fits = fj_dtype_bytes(w->dtype, fj_shape_cols(&w->shape), &bytes);
    fj_assert(fits && "loading and choosing a type look at the length of rows");
    return bytes;
}

/* Blocks of one matrix, and runs of them that share a scale of scales. */
static int64_t blocks_of(const fj_weight *w)
{
    return rows_of(w) * fj_shape_cols(&w->shape) / NESTED_LEN;
}

static int64_t runs_of(const fj_weight *w)
{
    return fj_blocks(blocks_of(w), FJ_NESTED_RUN);
}

size_t fj_weight_scales_bytes(const fj_weight *w)
{
    if (!fj_nested_full(w->dtype))
        return 0;
    return (size_t)matrices_of(w) * ((size_t)runs_of(w) * sizeof(float) + sizeof(fj_row_form));
}

static fj_status note(fj_model *m, int i, fj_err *err)
{
    fj_weight *w = &m->weights[i];
    if (!m->stored)
        m->stored = fj_arena_array(m->arena, (size_t)m->n_weights, sizeof *m->stored);
    if (!m->stored)
        return fj_fail(err, FJ_ERR_MEMORY, "no memory for a list of %d weights", m->n_weights);
    m->stored[i] = *w;
    w->data = NULL;
    w->parts = NULL;
    return FJ_OK;
}

/* Of each matrix of the weight, as the source says; NULL where it says nothing. */
static fj_status take_forms(fj_model *m, fj_weight *w, const fj_weight *from, fj_err *err)
{
    fj_row_form *forms = fj_arena_array(m->arena, (size_t)matrices_of(w), sizeof *forms);
    if (!forms)
        return fj_fail(err, FJ_ERR_MEMORY, "no memory for the scales of '%s'", w->name);
    for (int64_t e = 0; e < matrices_of(w); e++) {
        forms[e] = m->source->form(m->source, from->parts ? from->parts[e] : from->stored);
        if (forms[e].run_scale || forms[e].order)
            w->forms = forms;
    }
    return FJ_OK;
}

fj_status fj_model_list_made(fj_model *m, fj_err *err)
{
    fj_status st = FJ_OK;
    for (int i = 0; !st && i < m->n_weights; i++) {
        fj_weight *w = &m->weights[i];
        if (is_in_source(w))
            continue;
        st = note(m, i, err);
        if (!st)
            st = take_forms(m, w, &m->stored[i], err);
    }
    return st;
}

int fj_model_quantize(fj_model *m, const fj_dtype *dtype, bool is_nested, fj_err *err)
{
    int n = 0;
    for (int i = 0; i < m->n_weights; i++) {
        fj_weight *w = &m->weights[i];
        if (!w->role->in_layer || !w->role->is_linear || w->shape.rank < 2 || !w->dtype->is_float)
            continue;
        const fj_dtype *type = fj_type_that_fits(dtype, fj_shape_cols(&w->shape));
        if (!type->is_quantized)
            continue;
        if (!is_made(m, i) && note(m, i, err))
            return -1;
        w->dtype = is_nested && fj_nested_of(type) ? fj_nested_of(type) : type;
        n++;
    }
    return n;
}

/* ---- one matrix ----------------------------------------------------------------------------------------------------------------- */

typedef struct job {
    const fj_model *m;
    const fj_weight *from, *to;
    int64_t expert;
    unsigned char *data; /* of the matrix */
    float *scales;       /* of its blocks, while they are not coded yet */
    float offset, *run_scale;
    unsigned char *scratch;
    size_t scratch_bytes;
} job;

/* Whether the source makes numbers that are quantized then. */
static bool is_twice_made(const fj_weight *from, const fj_weight *to)
{
    return !is_in_source(from) && from->dtype != to->dtype;
}

static const fj_dtype *full_type(const fj_weight *w)
{
    const fj_dtype *full = fj_nested_full(w->dtype);
    return full ? full : w->dtype;
}

/* A worker's: a row of values, one of blocks with scales, and rows that the source makes. */
static size_t scratch_bytes(const fj_weight *from, const fj_weight *w)
{
    size_t k = (size_t)fj_shape_cols(&w->shape), rows = is_twice_made(from, w) ? PART_ROWS * stride_of(from) : 0;
    return (k * sizeof(float) + k / NESTED_LEN * FULL_BYTES + rows + 63) / 64 * 64;
}

/* Blocks of 36 bytes become blocks of 33 and scales. */
static void take_scales(const unsigned char *blocks, int64_t n, unsigned char *to, float *scales)
{
    for (int64_t b = 0; b < n; b++, blocks += FULL_BYTES, to += FULL_BYTES - SCALE_BYTES + 1) {
        memcpy(&scales[b], blocks, SCALE_BYTES);
        memcpy(to + 1, blocks + SCALE_BYTES, FULL_BYTES - SCALE_BYTES);
    }
}

static void make_rows(void *context, int64_t part, int worker)
{
    const job *j = context;
    int64_t k = fj_shape_cols(&j->to->shape), rows = rows_of(j->to), first = part * PART_ROWS,
            n = FJ_MIN((int64_t)PART_ROWS, rows - first), blocks = k / NESTED_LEN;
    size_t stride = stride_of(j->to), from_stride = stride_of(j->from);
    unsigned char *to = j->data + (size_t)first * stride;
    float *values = (float *)(void *)(j->scratch + (size_t)worker * j->scratch_bytes);
    unsigned char *whole = (unsigned char *)(values + k), *made = whole + (size_t)blocks * FULL_BYTES;
    bool is_twice = is_twice_made(j->from, j->to);
    if (!is_in_source(j->from)) {
        const fj_tensor *t = j->from->parts ? j->from->parts[j->expert] : j->from->stored;
        j->m->source->rows(j->m->source, t, first, n, is_twice ? made : to);
        if (!is_twice)
            return;
    }
    const fj_quant *source = fj_quant_of(j->from->dtype), *quant = fj_quant_of(full_type(j->to));
    for (int64_t i = 0; i < n; i++, to += stride) {
        source->decode(is_twice ? made + (size_t)i * from_stride
                                : fj_weight_at(j->from, j->expert * rows + first + i, from_stride),
                       values, k);
        quant->encode(values, j->scales ? whole : to, k, NULL);
        if (j->scales)
            take_scales(whole, blocks, to, j->scales + (first + i) * blocks);
    }
}

static void code_scales(void *context, int64_t run, int worker)
{
    (void)worker;
    const job *j = context;
    int64_t first = run * FJ_NESTED_RUN, n = FJ_MIN((int64_t)FJ_NESTED_RUN, blocks_of(j->to) - first);
    uint8_t codes[FJ_NESTED_RUN];
    j->run_scale[run] = fj_nested_run(j->scales + first, n, j->offset, codes);
    for (int64_t b = 0; b < n; b++)
        j->data[(first + b) * j->to->dtype->block_bytes] = codes[b];
}

/* ---- one weight ----------------------------------------------------------------------------------------------------------------- */

static fj_status make_nested(job *j, fj_pool *pool, fj_row_form *to, fj_err *err)
{
    int64_t runs = runs_of(j->to), blocks = blocks_of(j->to);
    j->scales = malloc((size_t)blocks * sizeof *j->scales + 1);
    j->run_scale = fj_arena_array(j->m->arena, (size_t)runs, sizeof *j->run_scale);
    fj_status st = j->scales && j->run_scale
                       ? FJ_OK
                       : fj_fail(err, FJ_ERR_MEMORY, "no memory for the scales of '%s'", j->to->name);
    if (!st) {
        fj_pool_run(pool, make_rows, j, fj_blocks(rows_of(j->to), PART_ROWS));
        j->offset = fj_nested_offset(j->scales, blocks);
        fj_pool_run(pool, code_scales, j, runs);
        *to = (fj_row_form){ .run_scale = j->run_scale, .offset = j->offset };
    }
    free(j->scales);
    j->scales = NULL;
    return st;
}

static fj_status fill_weight(fj_model *m, int i, unsigned char *data, unsigned char *scratch, size_t scratch_each,
                             fj_pool *pool, fj_err *err)
{
    fj_weight *w = &m->weights[i];
    const fj_weight *from = &m->stored[i];
    size_t matrix = stride_of(w) * (size_t)rows_of(w);
    bool is_nested = from->dtype != w->dtype && fj_nested_full(w->dtype);
    fj_row_form *forms = is_nested ? fj_arena_array(m->arena, (size_t)matrices_of(w), sizeof *forms) : NULL;
    fj_status st = FJ_OK;
    if (is_nested && !forms)
        return fj_fail(err, FJ_ERR_MEMORY, "no memory for the scales of '%s'", w->name);
    for (int64_t e = 0; !st && e < matrices_of(w); e++) {
        job j = { .m = m, .from = from, .to = w, .expert = e, .data = data + (size_t)e * matrix };
        j.scratch = scratch;
        j.scratch_bytes = scratch_each;
        if (is_nested)
            st = make_nested(&j, pool, &forms[e], err);
        else
            fj_pool_run(pool, make_rows, &j, fj_blocks(rows_of(w), PART_ROWS));
    }
    if (is_nested)
        w->forms = forms;
    w->data = data;
    fj_model_give_back(m, from);
    return st;
}

fj_status fj_model_fill(fj_model *m, fj_pool *pool, fj_err *err)
{
    size_t total = 0, most = 0, at = 0;
    if (!m->stored || m->made.data)
        return FJ_OK;
    for (int i = 0; i < m->n_weights; i++)
        if (is_made(m, i)) {
            const fj_weight *w = &m->weights[i];
            total += (stride_of(w) * (size_t)fj_shape_rows(&w->shape) + 63) / 64 * 64;
            most = FJ_MAX(most, scratch_bytes(&m->stored[i], w));
        }
    fj_status st = fj_buffer_open(&m->made, total, "the quantized weights", err);
    unsigned char *scratch = st ? NULL : malloc(most * (size_t)fj_pool_threads(pool) + 1);
    if (!st && !scratch)
        st = fj_fail(err, FJ_ERR_MEMORY, "no memory for rows of weights");
    for (int i = 0; !st && i < m->n_weights; i++)
        if (is_made(m, i)) {
            st = fill_weight(m, i, m->made.data + at, scratch, most, pool, err);
            at += (stride_of(&m->weights[i]) * (size_t)fj_shape_rows(&m->weights[i].shape) + 63) / 64 * 64;
        }
    free(scratch);
    return st;
}

/* ---- a matrix at a time --------------------------------------------------------------------------------------------------------- */

bool fj_weight_comes_late(const fj_model *m, const fj_weight *w)
{
    return m->makes_late && is_made(m, (int)(w - m->weights));
}

const fj_weight *fj_weight_source(const fj_model *m, const fj_weight *w)
{
    return fj_weight_comes_late(m, w) ? &m->stored[w - m->weights] : w;
}

fj_status fj_model_reserve(fj_model *m, fj_err *err)
{
    size_t total = 0, page = 4096;
    if (!m->stored || m->made.data)
        return FJ_OK;
    for (int pass = 0; pass < 2; pass++) {
        fj_status st = pass ? fj_buffer_reserve(&m->made, total, "addresses of the weights", err) : FJ_OK;
        if (st)
            return st;
        total = 0;
        for (int i = 0; i < m->n_weights; i++) {
            fj_weight *w = &m->weights[i];
            if (!is_made(m, i))
                continue;
            fj_assert(!is_in_source(&m->stored[i]) && w->dtype == m->stored[i].dtype);
            if (pass)
                w->data = m->made.data + total;
            total += (stride_of(w) * (size_t)fj_shape_rows(&w->shape) + page - 1) / page * page;
        }
    }
    m->makes_late = true;
    return FJ_OK;
}

void fj_model_make(const fj_model *m, const fj_weight *w, int64_t expert, fj_pool *pool)
{
    size_t offset = (size_t)((uintptr_t)w->data - (uintptr_t)m->made.data);
    if (!fj_weight_comes_late(m, w) || offset >= m->made.size)
        return;
    int64_t first = FJ_MAX(expert, 0), end = expert < 0 ? matrices_of(w) : expert + 1;
    size_t matrix = stride_of(w) * (size_t)rows_of(w);
    for (int64_t e = first; e < end; e++) {
        job j = { .m = m, .from = fj_weight_source(m, w), .to = w, .expert = e };
        j.data = m->made.data + offset + (size_t)e * matrix;
        fj_pool_run(pool, make_rows, &j, fj_blocks(rows_of(w), PART_ROWS));
    }
}
