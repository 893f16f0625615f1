/* SPDX-License-Identifier: Apache-2.0
 * Where weights live: mapped, as in the file, or repacked in the kernels' order. The mapped pages are given back tensor by tensor, so
 * both forms never stand whole in memory. */
#include "models/model.h"

static bool is_packable(const fj_weight *w)
{
    return w->shape.rank > 1 && fj_pack_of(w->dtype) != NULL;
}

/* Of one matrix: each expert begins with a tile of its own. */
static int64_t tiles_of(const fj_weight *w)
{
    return fj_blocks(w->shape.dim[w->shape.rank - 2], 16);
}

static int64_t matrices_of(const fj_weight *w)
{
    return w->shape.rank == 3 ? w->shape.dim[0] : 1;
}

static size_t packed_bytes(const fj_weight *w)
{
    return (size_t)(tiles_of(w) * matrices_of(w)) * fj_pack_of(w->dtype)->tile_bytes(fj_shape_cols(&w->shape));
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
    int64_t k = fj_shape_cols(&j->w->shape), n = j->w->shape.dim[j->w->shape.rank - 2], tiles = tiles_of(j->w);
    int64_t first = part % tiles * 16, rows = FJ_MIN(16, n - first);
    size_t stride = row_bytes(j->w);
    pack->pack(fj_weight_at(j->w, part / tiles * n + first, stride), stride, (int)rows, k,
               j->to + (size_t)part * pack->tile_bytes(k));
}

/* Pages of the file that the weight lies on: read ahead, or given back. */
static void tell_source(const fj_model *m, const fj_weight *w, void (*tell)(const fj_source *s, const fj_tensor *t))
{
    for (int64_t e = 0; w->parts && e < w->shape.dim[0]; e++)
        tell(m->source, w->parts[e]);
    if (!w->parts && w->stored)
        tell(m->source, w->stored);
}

void fj_model_give_back(const fj_model *m, const fj_weight *w)
{
    if (m->source)
        tell_source(m, w, m->source->give_back);
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
        tell_source(m, w, m->source->will_need);
        fj_pool_run(pool, pack_tile, &j, tiles_of(w) * matrices_of(w));
        w->packed = j.to;
        w->pack = fj_pack_of(w->dtype);
        at += (packed_bytes(w) + 63) / 64 * 64;
        fj_model_give_back(m, w);
    }
    return FJ_OK;
}
