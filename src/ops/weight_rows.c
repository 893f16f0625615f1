/* SPDX-License-Identifier: Apache-2.0
 * Tiles of weights as f32: see weight_rows.h. */
#include "ops/weight_rows.h"

#include <string.h>

#include "quant/nf4.h"

int64_t fj_weight_step(const fj_value *v)
{
    const fj_weight *w = v->weight;
    if (w && (w->packed || (w->forms && w->forms->order)))
        return fj_cols(v);
    return v->dtype->block_len;
}

void fj_rows_decode(const fj_run *run, const fj_dtype *dtype, const void *src, float *dst, int64_t n)
{
    int index = run ? fj_decode_index(dtype) : -1;
    if (index >= 0)
        run->k->decode_row[index](src, dst, n);
    else if (run && dtype == &fj_bf16)
        run->k->bf16_to_f32_row(dst, src, n);
    else if (run && dtype == &fj_f16)
        run->k->f16_to_f32_row(dst, src, n);
    else
        fj_quant_of(dtype)->decode(src, dst, n);
}

/* nk values, the first of them value `at` of the matrix, whose blocks have coded scales. run NULL: plainly. */
static void decode_nested(const fj_run *run, const fj_row_form *form, const fj_dtype *dtype, const unsigned char *src,
                          int64_t at, int64_t nk, float *dst)
{
    enum { MOST = 32, BYTES = 36 };
    const fj_dtype *full = fj_nested_full(dtype);
    int64_t len = full->block_len, block = at / len, end = block + nk / len;
    unsigned char blocks[MOST * BYTES];
    fj_assert(full->block_bytes == BYTES);
    for (int64_t n; block < end; block += n, src += n * dtype->block_bytes, dst += n * len) {
        n = FJ_MIN((int64_t)MOST, end - block);
        fj_nested_expand(form->run_scale, form->offset, src, block, n, blocks);
        fj_rows_decode(run, full, blocks, dst, n * len);
    }
}

/* A whole row whose values lie in another order, a stretch of blocks at a time. */
static void decode_ordered(const fj_run *run, const int32_t *order, const fj_dtype *dtype, const unsigned char *src,
                           int64_t k, float *dst)
{
    enum { MOST = 256 };
    float values[MOST];
    int64_t step = MOST / dtype->block_len * dtype->block_len;
    fj_assert(step > 0);
    for (int64_t i = 0, n; i < k; i += n, src += n / dtype->block_len * dtype->block_bytes) {
        n = FJ_MIN(step, k - i);
        fj_rows_decode(run, dtype, src, values, n);
        for (int64_t j = 0; j < n; j++)
            dst[order[i + j]] = values[j];
    }
}

/* nk values from column k0 of a row on; src: where they begin. */
static void decode_row(const fj_run *run, const fj_row_form *form, const fj_dtype *dtype, const unsigned char *src,
                       int64_t row, int64_t k, int64_t k0, int64_t nk, float *dst)
{
    if (form && form->order)
        decode_ordered(run, form->order, dtype, src, k, dst);
    else if (form && form->run_scale)
        decode_nested(run, form, dtype, src, row * k + k0, nk, dst);
    else
        fj_rows_decode(run, dtype, src, dst, nk);
}

void fj_weight_read(const fj_weight *w, int64_t row, float *out)
{
    int64_t k = fj_shape_cols(&w->shape), rows = w->shape.rank > 1 ? w->shape.dim[w->shape.rank - 2] : 1;
    size_t stride = (size_t)(k / w->dtype->block_len) * (size_t)w->dtype->block_bytes;
    decode_row(NULL, w->forms ? &w->forms[row / rows] : NULL, w->dtype, fj_weight_at(w, row, stride), row % rows, k, 0,
               k, out);
}

static const float *packed_rows(const fj_weight *w, int64_t row0, int64_t n, float *scratch)
{
    int64_t k = w->shape.dim[1];
    size_t tile = w->pack->tile_bytes(k);
    for (int64_t i = 0; i < n; i++) {
        int64_t row = row0 + i;
        w->pack->unpack_row((const unsigned char *)w->packed + (size_t)(row / 16) * tile, k, (int)(row % 16),
                            scratch + i * k);
    }
    return scratch;
}

const float *fj_weight_rows(const fj_run *run, const fj_value *v, int64_t row0, int64_t n, int64_t k0, int64_t nk,
                            float *scratch, int64_t *ld)
{
    int64_t k = fj_cols(v);
    if (v->dtype == &fj_f32) {
        *ld = k;
        return (const float *)v->data + row0 * k + k0;
    }
    *ld = nk;
    if (v->weight && v->weight->packed) {
        fj_assert(k0 == 0 && nk == k);
        return packed_rows(v->weight, row0, n, scratch);
    }
    size_t row_bytes = (size_t)(k / v->dtype->block_len) * (size_t)v->dtype->block_bytes;
    size_t skip = (size_t)(k0 / v->dtype->block_len) * (size_t)v->dtype->block_bytes;
    const unsigned char *data = v->data;
    const fj_row_form *form = v->weight ? v->weight->forms : NULL;
    fj_assert(!form || !form->order || nk == k);
    for (int64_t i = 0; i < n; i++)
        decode_row(run, form, v->dtype, data + (size_t)(row0 + i) * row_bytes + skip, row0 + i, k, k0, nk,
                   scratch + i * nk);
    return scratch;
}
