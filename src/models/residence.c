/* SPDX-License-Identifier: Apache-2.0
 * Where weights live: mapped, as in the file, or repacked in the kernels' order. The mapped pages are given back tensor by tensor, so
 * both forms never stand whole in memory. Under a limit some are streamed (stream.c): the same ones in every pass, for of weights that
 * are read in a circle the least recently used one is the next to be wanted. */
#include <stdlib.h>
#include <string.h>

#include "models/fill.h"

static bool is_packable(const fj_weight *w)
{
    return w->shape.rank > 1 && !w->forms && fj_pack_of(w->dtype) != NULL;
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

static size_t plain_bytes(const fj_weight *w)
{
    return row_bytes(w) * (size_t)fj_shape_rows(&w->shape) + fj_weight_scales_bytes(w);
}

size_t fj_model_bytes(const fj_model *m)
{
    size_t total = 0;
    for (int i = 0; i < m->n_weights; i++)
        total += plain_bytes(&m->weights[i]);
    return total;
}

size_t fj_model_repacked_bytes(const fj_model *m)
{
    size_t total = 0;
    for (int i = 0; i < m->n_weights; i++) {
        const fj_weight *w = &m->weights[i];
        total += is_packable(w) ? packed_bytes(w) : plain_bytes(w);
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
    const fj_tensor *first = m->source->at(m->source, 0), *end = first + m->source->count(m->source);
    for (int64_t e = 0; w->parts && e < w->shape.dim[0]; e++)
        if (w->parts[e] >= first && w->parts[e] < end) /* else a copy */
            tell(m->source, w->parts[e]);
    if (!w->parts && w->stored)
        tell(m->source, w->stored);
}

static void let_go(const fj_model *m, const fj_weight *w, const void *data)
{
    size_t offset = (size_t)((uintptr_t)data - (uintptr_t)m->made.data);
    if (m->source)
        tell_source(m, fj_weight_source(m, w), m->source->give_back);
    if (fj_weight_comes_late(m, w) && offset < m->made.size)
        fj_buffer_drop(&m->made, offset, row_bytes(w) * (size_t)fj_shape_rows(&w->shape));
}

void fj_model_give_back(const fj_model *m, const fj_weight *w)
{
    let_go(m, w, w->data);
}

/* Bytes in the file, or that are made when they are read; of a weight that was copied at opening none. */
static size_t mapped_bytes(const fj_model *m, const fj_weight *w)
{
    bool is_copy = w->stored && !w->parts && m->naming == FJ_NAMING_HF && w->data != w->stored->data &&
                   !fj_weight_comes_late(m, w);
    return is_copy ? 0 : row_bytes(w) * (size_t)fj_shape_rows(&w->shape);
}

static bool is_streamable(const fj_model *m, const fj_weight *w)
{
    bool is_mapped = !m->source || w->parts ||
                     (w->stored && w->data == w->stored->data); /* as a described one would be */
    return w->shape.rank > 1 && (is_mapped || fj_weight_comes_late(m, w)) && mapped_bytes(m, w) > 0;
}

static size_t padded(size_t bytes)
{
    return (bytes + 63) / 64 * 64;
}

static bool stays(const fj_model *m, int i)
{
    return !m->is_streamed || !m->is_streamed[i];
}

/* Under a limit what stays must not be the system's to take away, so it is copied where it cannot be packed. */
static size_t private_bytes(const fj_model *m, int i, bool repacks)
{
    const fj_weight *w = &m->weights[i];
    if (!stays(m, i))
        return 0;
    if (repacks && is_packable(w))
        return padded(packed_bytes(w));
    bool is_copied = (m->is_streamed && is_streamable(m, w)) || fj_weight_comes_late(m, w);
    return is_copied ? padded(mapped_bytes(m, w)) : 0;
}

static void copy_matrix(void *context, int64_t part, int worker)
{
    (void)worker;
    const job *j = context;
    size_t stride = row_bytes(j->w), bytes = stride * (size_t)j->w->shape.dim[j->w->shape.rank - 2];
    int64_t row = part * j->w->shape.dim[j->w->shape.rank - 2];
    memcpy(j->to + (size_t)part * bytes, fj_weight_at(j->w, row, stride), bytes);
}

static fj_status make_private(fj_model *m, bool repacks, fj_pool *pool, fj_err *err)
{
    size_t total = 0, at = 0;
    for (int i = 0; i < m->n_weights; i++)
        total += private_bytes(m, i, repacks);
    fj_status st = fj_buffer_open(&m->packed, total, "the repacked weights", err);
    for (int i = 0; !st && i < m->n_weights; i++) {
        fj_weight *w = &m->weights[i];
        size_t bytes = private_bytes(m, i, repacks);
        job j = { w, m->packed.data + at };
        if (!bytes)
            continue;
        const void *data = w->data;
        tell_source(m, fj_weight_source(m, w), m->source->will_need);
        fj_model_make(m, w, -1, pool);
        if (repacks && is_packable(w)) {
            fj_pool_run(pool, pack_tile, &j, tiles_of(w) * matrices_of(w));
            w->packed = j.to;
            w->pack = fj_pack_of(w->dtype);
        } else {
            fj_pool_run(pool, copy_matrix, &j, matrices_of(w));
            w->data = j.to;
        }
        at += bytes;
        let_go(m, w, data);
        if (!w->packed)
            w->parts = NULL;
    }
    return st;
}

fj_status fj_model_repack(fj_model *m, fj_pool *pool, fj_err *err)
{
    return make_private(m, true, pool, err);
}

/* ---- a limit -------------------------------------------------------------------------------------------------------------------------- */

/* Rows of the table are looked up; it is not read through, unless it is the head, or made. */
static bool is_table(const fj_model *m, const fj_weight *w)
{
    return w->role == &fj_role_token_embd && fj_model_head(m) != w && !fj_weight_comes_late(m, w);
}

/* Of a weight while it is read; of one that is made, with what it is made from. */
static size_t read_bytes(const fj_model *m, const fj_weight *w)
{
    return mapped_bytes(m, w) * (fj_weight_comes_late(m, w) ? 2 : 1);
}

static size_t sum_of(const fj_model *m, const fj_role *const *roles, int n, int layer)
{
    size_t sum = 0;
    for (int i = 0; i < n; i++) {
        const fj_weight *w = fj_model_weight(m, roles[i], layer, false);
        sum += w ? read_bytes(m, w) : 0;
    }
    return sum;
}

/* What one node reads at most: a weight, or those that share a product. */
static size_t largest_node(const fj_model *m)
{
    static const fj_role *const qkv[] = { &fj_role_attn_q, &fj_role_attn_k, &fj_role_attn_v }, *const gate_up[] = {
        &fj_role_ffn_gate, &fj_role_ffn_up
    };
    size_t most = 0;
    for (int i = 0; i < m->n_weights; i++)
        most = FJ_MAX(most, read_bytes(m, &m->weights[i]));
    for (int layer = 0; layer < m->hp.n_layers; layer++)
        most = FJ_MAX(most, FJ_MAX(sum_of(m, qkv, 3, layer), sum_of(m, gate_up, 2, layer)));
    return most;
}

/* A page that is touched brings its neighbours in the cache along, 64 KiB of them, on both sides of a tensor. */
static size_t strays(const fj_model *m)
{
    enum { AROUND = 2 << 16 };
    size_t n = 0;
    for (int i = 0; i < m->n_weights; i++)
        n += m->weights[i].parts ? (size_t)m->weights[i].shape.dim[0] : 1;
    size_t total = fj_model_bytes(m);
    return FJ_MIN(n * AROUND, total / 8);
}

size_t fj_model_least_bytes(const fj_model *m)
{
    size_t fixed = 0;
    for (int i = 0; i < m->n_weights; i++)
        fixed += is_streamable(m, &m->weights[i]) ? 0 : mapped_bytes(m, &m->weights[i]);
    return fixed + largest_node(m) + strays(m);
}

static size_t resident_bytes(const fj_model *m, const fj_weight *w, bool repacks)
{
    return padded(repacks && is_packable(w) ? packed_bytes(w) : mapped_bytes(m, w));
}

/* Whatever every token reads stays before experts, of which it reads a few. */
static size_t keep(const fj_model *m, bool is_experts, bool repacks, size_t left, bool *is_streamed)
{
    for (int i = 0; i < m->n_weights; i++) {
        const fj_weight *w = &m->weights[i];
        size_t bytes = resident_bytes(m, w, repacks);
        if (!is_streamable(m, w) || (w->shape.rank == 3) != is_experts)
            continue;
        is_streamed[i] = is_table(m, w) || bytes > left;
        left -= is_streamed[i] ? 0 : bytes;
    }
    return left;
}

/* Which weights are streamed; *any false: none is. */
static fj_status choose(const fj_model *m, size_t bytes, bool repacks, bool *is_streamed, bool *any, fj_err *err)
{
    size_t least = fj_model_least_bytes(m), all = largest_node(m);
    for (int i = 0; i < m->n_weights; i++)
        all += resident_bytes(m, &m->weights[i], repacks);
    if (bytes < FJ_MIN(least, all))
        return fj_fail(err, FJ_ERR_MEMORY, "the weights take %zu MiB of memory at least, %zu MiB are left for them",
                       (least >> 20) + 1, bytes >> 20);
    *any = all > bytes;
    if (*any)
        (void)keep(m, true, repacks, keep(m, false, repacks, bytes - least, is_streamed), is_streamed);
    return FJ_OK;
}

fj_status fj_model_fit(fj_model *m, size_t bytes, bool repacks, fj_pool *pool, fj_err *err)
{
    bool any, *is_streamed = fj_arena_array(m->arena, (size_t)m->n_weights, sizeof *is_streamed);
    if (!is_streamed)
        return fj_fail(err, FJ_ERR_MEMORY, "no memory for a list of %d weights", m->n_weights);
    fj_status st = choose(m, bytes, repacks, is_streamed, &any, err);
    if (!st && any)
        m->is_streamed = is_streamed;
    return st ? st : make_private(m, repacks, pool, err);
}

fj_status fj_model_fit_bytes(const fj_model *m, size_t bytes, bool repacks, size_t *resident, size_t *streamed,
                             fj_err *err)
{
    bool any = false, *is_streamed = calloc((size_t)m->n_weights, sizeof *is_streamed);
    fj_status st = is_streamed ? choose(m, bytes, repacks, is_streamed, &any, err)
                               : fj_fail(err, FJ_ERR_MEMORY, "no memory for a list of %d weights", m->n_weights);
    *resident = any ? largest_node(m) + strays(m) : 0;
    *streamed = 0;
    for (int i = 0; !st && i < m->n_weights; i++) {
        const fj_weight *w = &m->weights[i];
        *resident += is_streamed[i] ? 0 : resident_bytes(m, w, repacks);
        *streamed += is_streamed[i] ? mapped_bytes(m, w) : 0;
    }
    free(is_streamed);
    return st;
}

size_t fj_model_streamed_bytes(const fj_model *m)
{
    size_t total = 0;
    for (int i = 0; m->is_streamed && i < m->n_weights; i++)
        total += m->is_streamed[i] ? mapped_bytes(m, &m->weights[i]) : 0;
    return total;
}
