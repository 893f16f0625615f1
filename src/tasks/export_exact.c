/* SPDX-License-Identifier: Apache-2.0
 * Vectors that come back from GGUF as they were. A file has 1 + w where Hugging Face has w, in float32: w's last bits are gone. Where
 * the way back would not give w again, the file says it besides, in an array "forja.exact.<tensor>" that other programs pass over. It
 * is believed only for values that it still makes, so a tensor changed by others is never mistaken. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "formats/formats.h"
#include "tasks/export_internal.h"

enum { MOST_NAME = 160 };

static bool is_same(float a, float b)
{
    return memcmp(&a, &b, sizeof a) == 0;
}

static float *take_all(const fj_weight *w, const fj_export_rows *rows, fj_err *err)
{
    float *values = malloc((size_t)fj_shape_count(&w->shape) * sizeof *values);
    if (values)
        rows->rows(rows->context, w, 0, fj_shape_rows(&w->shape), values);
    else
        (void)fj_fail(err, FJ_ERR_MEMORY, "no memory for '%s'", w->name);
    return values;
}

fj_status fj_export_keep_exact(const fj_model *m, const fj_export_rows *rows, fj_gguf_writer *out, fj_err *err)
{
    for (int i = 0; i < m->n_weights; i++) {
        const fj_weight *w = &m->weights[i];
        const fj_rewrite *rewrite = m->rows[i]->gguf_rewrite;
        bool is_kept = true;
        char key[MOST_NAME];
        if (!rewrite || !rewrite->to_gguf)
            continue;
        float *values = take_all(w, rows, err);
        if (!values)
            return err->status;
        int64_t n = fj_shape_count(&w->shape);
        for (int64_t v = 0; v < n && is_kept; v++)
            is_kept = is_same(rewrite->to_hf(rewrite->to_gguf(values[v])), values[v]);
        (void)snprintf(key, sizeof key, "forja.exact.%s", fj_model_gguf_name(m, w));
        if (!is_kept)
            fj_gguf_set_f32s(out, key, values, (size_t)n);
        free(values);
    }
    return FJ_OK;
}

fj_exact fj_exact_of(const fj_model *m, const fj_weight *w)
{
    fj_exact e = { 0 };
    char key[MOST_NAME];
    if (m->naming != FJ_NAMING_GGUF)
        return e;
    e.rewrite = m->rows[w - m->weights]->gguf_rewrite;
    if (!e.rewrite || !e.rewrite->to_hf)
        return (fj_exact){ 0 };
    (void)snprintf(key, sizeof key, "forja.exact.%s", fj_model_gguf_name(m, w));
    const fj_gguf_value *v = fj_gguf_find(m->source, key);
    if (v && v->kind == FJ_GGUF_ARRAY && v->element == FJ_GGUF_F32 && v->count == (uint64_t)fj_shape_count(&w->shape))
        e.before = v;
    return e;
}

void fj_exact_to_hf(const fj_exact *e, int64_t first, float *values, int64_t n)
{
    for (int64_t i = 0; e->rewrite && i < n; i++) {
        float before = e->before ? (float)fj_gguf_number_at(e->before, (uint64_t)(first + i)) : 0;
        bool is_it = e->before && is_same(e->rewrite->to_gguf(before), values[i]);
        values[i] = is_it ? before : e->rewrite->to_hf(values[i]);
    }
}

bool fj_export_fits(const fj_model *m, const fj_weight *w, const fj_export_rows *rows, const fj_dtype *dtype)
{
    fj_err err = { 0 };
    fj_exact exact = fj_exact_of(m, w);
    const fj_quant *q = fj_quant_of(dtype);
    int64_t n = fj_shape_count(&w->shape);
    float *values = take_all(w, rows, &err);
    bool fits = values != NULL;
    if (fits)
        fj_exact_to_hf(&exact, 0, values, n);
    for (int64_t i = 0; i < n && fits; i++) {
        uint16_t bits;
        float back;
        q->encode(&values[i], &bits, 1, NULL);
        q->decode(&bits, &back, 1);
        fits = is_same(back, values[i]);
    }
    free(values);
    return fits;
}
