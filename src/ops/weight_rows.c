/* SPDX-License-Identifier: Apache-2.0
 * Tiles of weights as f32: see weight_rows.h. */
#include "ops/weight_rows.h"

#include <string.h>

int64_t fj_weight_step(const fj_value *v)
{
    if (v->weight && v->weight->packed)
        return fj_cols(v);
    return v->dtype->block_len;
}

static void decode(const fj_run *run, const fj_dtype *dtype, const unsigned char *src, float *dst, int64_t n)
{
    int index = fj_decode_index(dtype);
    if (index >= 0)
        run->k->decode_row[index](src, dst, n);
    else if (dtype == &fj_bf16)
        run->k->bf16_to_f32_row(dst, (const uint16_t *)(const void *)src, n);
    else if (dtype == &fj_f16)
        run->k->f16_to_f32_row(dst, (const uint16_t *)(const void *)src, n);
    else
        fj_quant_of(dtype)->decode(src, dst, n);
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
    for (int64_t i = 0; i < n; i++)
        decode(run, v->dtype, data + (size_t)(row0 + i) * row_bytes + skip, scratch + i * nk, nk);
    return scratch;
}
