/* SPDX-License-Identifier: Apache-2.0
 * See patched.h. */
#include "tasks/patched.h"

#include <stdlib.h>
#include <string.h>

enum { PART_ROWS = 16 };

typedef struct encode_job {
    const fj_weight *w;
    const fj_dtype *type;
    const fj_export_rows *rows;
    const float *importance;
    float *scratch; /* a row a worker */
    unsigned char *to;
    int64_t n, k;
    size_t stride;
} encode_job;

static void encode_part(void *context, int64_t part, int worker)
{
    const encode_job *j = context;
    const fj_quant *q = fj_quant_of(j->type);
    float *values = j->scratch + worker * j->k;
    int64_t per_matrix = j->w->shape.dim[j->w->shape.rank - 2];
    for (int64_t row = part * PART_ROWS; row < FJ_MIN(j->n, (part + 1) * PART_ROWS); row++) {
        j->rows->rows(j->rows->context, j->w, row, 1, values);
        q->encode(values, j->to + (size_t)row * j->stride, j->k,
                  j->importance ? j->importance + row / per_matrix * j->k : NULL);
    }
}

static fj_status encode_weight(fj_weight *w, const fj_dtype *type, const float *importance, const fj_export_rows *rows,
                               fj_pool *pool, fj_buffer *data, fj_err *err)
{
    const fj_weight from = *w;
    encode_job j = { .w = &from, .type = type, .rows = rows, .importance = importance };
    j.n = fj_shape_rows(&w->shape);
    j.k = fj_shape_cols(&w->shape);
    bool ok = fj_dtype_bytes(type, j.k, &j.stride);
    fj_assert(ok);
    j.scratch = malloc((size_t)(fj_pool_threads(pool) * j.k) * sizeof *j.scratch);
    fj_status st = j.scratch ? fj_buffer_open(data, (size_t)j.n * j.stride, "a weight in another type", err)
                             : fj_fail(err, FJ_ERR_MEMORY, "no memory for a weight in another type");
    if (!st) {
        j.to = data->data;
        fj_pool_run(pool, encode_part, &j, (j.n + PART_ROWS - 1) / PART_ROWS);
        w->dtype = type;
        w->data = data->data;
        w->parts = NULL;
    }
    free(j.scratch);
    return st;
}

fj_status fj_patched_make(const fj_model *m, const fj_dtype *const *types, const float *const *importance,
                          const fj_export_rows *rows, fj_pool *pool, fj_patched *out, fj_err *err)
{
    size_t n = (size_t)m->n_weights;
    *out = (fj_patched){ .m = *m, .data = calloc(n, sizeof *out->data) };
    out->m.weights = malloc(n * sizeof *out->m.weights);
    fj_status st = out->data && out->m.weights ? FJ_OK : fj_fail(err, FJ_ERR_MEMORY, "no memory for a list of weights");
    if (!st)
        memcpy(out->m.weights, m->weights, n * sizeof *m->weights);
    for (size_t i = 0; i < n && !st; i++)
        if (types[i] && m->weights[i].shape.rank > 1 && !m->weights[i].role->is_f32 && types[i] != m->weights[i].dtype)
            st = encode_weight(&out->m.weights[i], types[i], importance[i], rows, pool, &out->data[i], err);
    if (st)
        fj_patched_free(out);
    return st;
}

void fj_patched_free(fj_patched *p)
{
    for (int i = 0; p->data && i < p->m.n_weights; i++)
        fj_buffer_close(&p->data[i]);
    free(p->data);
    free(p->m.weights);
    *p = (fj_patched){ 0 };
}
