/* SPDX-License-Identifier: Apache-2.0
 * Where weights live: mapped, as in the file, or repacked in the kernels' order. The mapped pages are given back tensor by tensor, so
 * both forms never stand whole in memory. */
#include "models/model.h"

static bool is_packable(const fj_weight *w)
{
    return w->shape.rank == 2 && fj_pack_of(w->dtype) != NULL;
}

static size_t tiles_of(const fj_weight *w)
{
    return (size_t)fj_blocks(w->shape.dim[0], 16);
}

static size_t packed_bytes(const fj_weight *w)
{
    return tiles_of(w) * fj_pack_of(w->dtype)->tile_bytes(w->shape.dim[1]);
}

static size_t row_bytes(const fj_weight *w)
{
    size_t bytes = 0;
    bool ok = fj_dtype_bytes(w->dtype, fj_shape_cols(&w->shape), &bytes);
    fj_assert(ok);
    return bytes;
}

size_t fj_model_bytes(const fj_model *m)
{
    size_t total = 0;
    for (int i = 0; i < m->n_weights; i++)
        total += row_bytes(&m->weights[i]) * (size_t)fj_shape_rows(&m->weights[i].shape);
    return total;
}

size_t fj_model_repacked_bytes(const fj_model *m)
{
    size_t total = 0;
    for (int i = 0; i < m->n_weights; i++) {
        const fj_weight *w = &m->weights[i];
        total += is_packable(w) ? packed_bytes(w) : row_bytes(w) * (size_t)fj_shape_rows(&w->shape);
    }
    return total;
}

typedef struct job {
    const fj_weight *w;
    unsigned char *to;
} job;

static void pack_tile(void *context, int64_t part, int worker)
{
    (void)worker;
    const job *j = context;
    const fj_pack *pack = fj_pack_of(j->w->dtype);
    int64_t k = j->w->shape.dim[1], rows = FJ_MIN(16, j->w->shape.dim[0] - part * 16);
    size_t stride = row_bytes(j->w);
    pack->pack((const unsigned char *)j->w->data + (size_t)part * 16 * stride, stride, (int)rows, k,
               j->to + (size_t)part * pack->tile_bytes(k));
}

fj_status fj_model_repack(fj_model *m, fj_pool *pool, fj_err *err)
{
    size_t total = 0, at = 0;
    for (int i = 0; i < m->n_weights; i++)
        total += is_packable(&m->weights[i]) ? (packed_bytes(&m->weights[i]) + 63) / 64 * 64 : 0;
    fj_status st = fj_buffer_open(&m->packed, total, "the repacked weights", err);
    if (st)
        return st;
    for (int i = 0; i < m->n_weights; i++) {
        fj_weight *w = &m->weights[i];
        if (!is_packable(w))
            continue;
        job j = { w, m->packed.data + at };
        m->source->will_need(m->source, w->stored);
        fj_pool_run(pool, pack_tile, &j, (int64_t)tiles_of(w));
        w->packed = j.to;
        w->pack = fj_pack_of(w->dtype);
        at += (packed_bytes(w) + 63) / 64 * 64;
        m->source->give_back(m->source, w->stored);
    }
    return FJ_OK;
}
