/* SPDX-License-Identifier: Apache-2.0
 * Causal attention over the cache: the queries of the pass see every position of their sequence up to their own, the pass's own
 * keys too, which cache_store has put there before.
 * in: q (N,H*d), tiles, tables (S,pages) i32, cache   extra: cached
 *
 * cache_store   in: k (N,G*d), v (N,G*d), tiles, tables, cache   extra: cached; an effect, no output */
#include <string.h>

#include "base/cpu.h"
#include "ops/graph.h"

enum { T = FJ_TILE_ROWS, FEW_TILES = 4 };

typedef struct cached {
    const fj_attention_shape *shape;
    fj_cache_layout layout;
    int64_t layer;
} cached;

static const fj_attention_shape *shape_of(const fj_node *node)
{
    return ((const cached *)node->extra)->shape;
}

typedef struct cache_view {
    const cached *of;
    const int32_t *pages; /* of the sequence */
    unsigned char *data;
    int64_t head;
} cache_view;

static cache_view view_of(const fj_node *node, const fj_tile *t, int tables_at)
{
    const cached *of = node->extra;
    const fj_value *tables = node->in[tables_at], *cache = node->in[tables_at + 1];
    return (
        cache_view){ .of = of, .pages = (const int32_t *)tables->data + t->seq * fj_cols(tables), .data = cache->data };
}

static unsigned char *address(const cache_view *c, int64_t index, int64_t head, bool is_value)
{
    return c->data + fj_page_at(&c->of->layout, c->pages[index], c->of->layer, head, is_value);
}

/* ---- cache_store --------------------------------------------------------------------------------------------------------- */

static fj_status store_infer(fj_node *node, fj_err *err)
{
    const fj_attention_shape *s = shape_of(node);
    if (fj_cols(node->in[0]) != s->n_kv_heads * s->d_head || fj_cols(node->in[1]) != fj_cols(node->in[0]))
        return fj_fail(err, FJ_ERR_SHAPE, "cache_store: rows of %lld values for %lld heads of %lld",
                       (long long)fj_cols(node->in[0]), (long long)s->n_kv_heads, (long long)s->d_head);
    return FJ_OK;
}

static int64_t store_parts(const fj_run *run, const fj_node *node, int phase)
{
    (void)phase;
    return run->n_tiles * shape_of(node)->n_kv_heads;
}

static int64_t longest_row(const fj_cache_layout *c)
{
    return FJ_MAX(fj_cache_row_values(c->k, c->d_head), fj_cache_row_values(c->v, c->d_head));
}

static size_t store_scratch(const fj_node *node, const fj_run *run)
{
    (void)run;
    return (size_t)longest_row(&((const cached *)node->extra)->layout) * sizeof(float);
}

/* One row of d values as the type holds it; filled: room for the row with what fills its last block. */
static void store_row(const fj_run *run, const fj_dtype *type, void *to, const float *from, int64_t d, float *filled)
{
    int64_t n = fj_cache_row_values(type, d);
    if (type == &fj_f32) {
        memcpy(to, from, (size_t)d * sizeof(float));
    } else if (type == &fj_f16) {
        run->k->f32_to_f16_row(to, from, d);
    } else if (type == &fj_bf16) {
        run->k->f32_to_bf16_row(to, from, d);
    } else {
        memcpy(filled, from, (size_t)d * sizeof(float));
        fj_turn_row(filled, d);
        for (int64_t i = d; i < n; i++)
            filled[i] = filled[d - 1];
        fj_quant_of(type)->encode(filled, to, n, NULL);
    }
}

static void store(const fj_run *run, const fj_node *node, int phase, int64_t part, int worker)
{
    (void)phase;
    int64_t g = shape_of(node)->n_kv_heads, d = shape_of(node)->d_head, head = part % g;
    const fj_tile *t = (const fj_tile *)node->in[2]->data + part / g;
    cache_view c = view_of(node, t, 3);
    for (int is_value = 0; is_value < 2; is_value++) {
        const fj_dtype *type = is_value ? c.of->layout.v : c.of->layout.k;
        size_t row_bytes = fj_cache_row_bytes(type, d);
        const float *from = (const float *)node->in[is_value]->data + (t->row0 * g + head) * d;
        for (int64_t i = 0; i < t->n_rows; i++) {
            int64_t pos = t->pos0 + i;
            unsigned char *to = address(&c, pos / T, head, is_value) + (size_t)(pos % T) * row_bytes;
            store_row(run, type, to, from + i * g * d, d, fj_scratch(run, worker));
        }
    }
}

const fj_op fj_op_cache_store = { .name = "cache_store",
                                  .infer = store_infer,
                                  .forward = { .parts = store_parts, .part = store, .scratch = store_scratch },
                                  .is_effect = true };

/* ---- attention over the pages ------------------------------------------------------------------------------------------------ */

static fj_status infer(fj_node *node, fj_err *err)
{
    const fj_attention_shape *s = shape_of(node);
    int64_t h = s->n_heads, g = s->n_kv_heads, d = s->d_head;
    if (g < 1 || h % g || fj_cols(node->in[0]) != h * d)
        return fj_fail(err, FJ_ERR_SHAPE, "attention: rows of %lld values for %lld heads of %lld",
                       (long long)fj_cols(node->in[0]), (long long)h, (long long)d);
    if (s->vertical_stride > 0 && s->local_blocks < 1)
        return fj_fail(err, FJ_ERR_ARG, "attention: a query has to see its own block");
    node->out[0]->extent = node->in[0]->extent;
    node->out[0]->shape = node->in[0]->shape;
    return FJ_OK;
}

static fj_key_tile page_tile(const void *context, int64_t index)
{
    const cache_view *c = context;
    const fj_cache_layout *l = &c->of->layout;
    return (fj_key_tile){ address(c, index, c->head, false), address(c, index, c->head, true),
                          fj_cache_row_values(l->k, l->d_head), fj_cache_row_values(l->v, l->d_head) };
}

static bool is_bf16(const fj_run *run, const fj_cache_layout *l)
{
    return run->fast_attention && run->k->cpu & FJ_CPU_BF16 && l->k != &fj_f32 && l->v != &fj_f32;
}

/* A tile of one row takes the query heads of a key head together, so that the keys are read once. */
static bool is_single(const fj_attention_shape *s, const fj_tile *t)
{
    return t->n_rows == 1 && s->n_heads / s->n_kv_heads <= T;
}

/* Queries of a tile: of one head, or of all heads of a key head; keys wants a view of the cache. */
static fj_attend queries(const fj_run *run, const fj_node *node, const fj_tile *t, int64_t part, cache_view *keys)
{
    const fj_attention_shape *s = shape_of(node);
    bool single = is_single(s, t);
    int64_t h = s->n_heads, d = s->d_head, head = single ? fj_first_head(s, part) : part;
    int64_t first = (t->row0 * h + head) * d, step = single ? fj_head_step(s) * d : h * d;
    *keys = view_of(node, t, 2);
    keys->head = fj_key_head(s, head);
    return (fj_attend){ .q = (const float *)node->in[0]->data + first,
                        .out = (float *)node->out[0]->data + first,
                        .ldq = step,
                        .ldo = step,
                        .n = single ? h / s->n_kv_heads : t->n_rows,
                        .pos0 = t->pos0,
                        .pos_step = single ? 0 : 1,
                        .head = head,
                        .head_step = single ? fj_head_step(s) : 0,
                        .shape = s,
                        .k_type = keys->of->layout.k,
                        .v_type = keys->of->layout.v,
                        .tile = page_tile,
                        .context = keys,
                        .bf16 = is_bf16(run, &keys->of->layout) };
}

/* ---- a pass of few tiles: the chunks of those with one row are parts of their own, which a second phase adds up ---------- */

/* Room for the parts of this many tiles. */
static int64_t most_shared(const fj_node *node)
{
    return FJ_MIN(FEW_TILES, node->in[1]->shape.dim[0]);
}

static int64_t most_chunks(const fj_node *node)
{
    return fj_blocks(fj_cols(node->in[2]), FJ_CHUNK_TILES);
}

static size_t workspace(const fj_node *node, const fj_run *run)
{
    (void)run;
    const fj_attention_shape *s = shape_of(node);
    return (size_t)(most_shared(node) * most_chunks(node) * fj_part_values(s->n_heads, s->d_head)) * sizeof(float);
}

static size_t scratch(const fj_node *node, const fj_run *run)
{
    (void)run;
    return fj_attend_scratch(shape_of(node)->d_head);
}

/* Chunks of a tile that are worked on apart: 1 for all together. */
static int64_t n_chunks(const fj_run *run, const fj_node *node, const fj_tile *t)
{
    int64_t first, end;
    if (run->n_tiles > most_shared(node) || !is_single(shape_of(node), t))
        return 1;
    const fj_attend a = { .n = 1, .pos0 = t->pos0, .shape = shape_of(node) };
    fj_attend_chunks(&a, &first, &end);
    return end - first;
}

static int64_t n_groups(const fj_node *node, const fj_tile *t)
{
    return is_single(shape_of(node), t) ? shape_of(node)->n_kv_heads : shape_of(node)->n_heads;
}

static int phases(const fj_run *run, const fj_node *node)
{
    const fj_tile *tiles = node->in[1]->data;
    for (int64_t i = 0; i < run->n_tiles; i++)
        if (n_chunks(run, node, &tiles[i]) > 1)
            return 2;
    return 1;
}

/* In the second phase a tile has a part for each group, whether there is something to add up or not. */
static int64_t tile_parts(const fj_run *run, const fj_node *node, const fj_tile *t, int phase)
{
    return n_groups(node, t) * (phase ? 1 : n_chunks(run, node, t));
}

static int64_t parts(const fj_run *run, const fj_node *node, int phase)
{
    const fj_tile *tiles = node->in[1]->data;
    int64_t sum = 0;
    for (int64_t i = 0; i < run->n_tiles; i++)
        sum += tile_parts(run, node, &tiles[i], phase);
    return sum;
}

static void forward(const fj_run *run, const fj_node *node, int phase, int64_t part, int worker)
{
    const fj_tile *tiles = node->in[1]->data, *t = tiles;
    for (int64_t n = tile_parts(run, node, t, phase); part >= n; n = tile_parts(run, node, t, phase)) {
        part -= n;
        t++;
    }
    int64_t chunks = n_chunks(run, node, t), group = phase ? part : part / chunks, first, end;
    cache_view keys;
    fj_attend a = queries(run, node, t, group, &keys);
    if (chunks == 1) {
        if (phase == 0)
            fj_attend_run(run, &a, fj_scratch(run, worker));
        return;
    }
    int64_t values = fj_part_values(a.n, a.shape->d_head);
    float *shared = node->workspace->data;
    shared += ((t - tiles) * n_groups(node, t) + group) * most_chunks(node) * values;
    fj_attend_chunks(&a, &first, &end);
    if (phase == 0)
        fj_attend_part(run, &a, first + part % chunks, shared + part % chunks * values, fj_scratch(run, worker));
    else
        fj_attend_parts(run, &a, shared, chunks, fj_scratch(run, worker));
}

const fj_op fj_op_attention_cached = {
    .name = "attention_cached",
    .infer = infer,
    .forward = { phases, parts, forward, workspace, scratch },
    .inplace = 1, /* a part reads its queries before it writes the same places */
};

fj_value *fj_attention_cached(fj_graph *g, fj_value *q, fj_value *k, fj_value *v, fj_value *tiles, fj_value *tables,
                              fj_value *cache, int64_t layer, const fj_cache_layout *layout,
                              const fj_attention_shape *s)
{
    cached *extra = fj_arena_take(g->arena, sizeof *extra);
    fj_assert(extra);
    *extra = (cached){ .shape = fj_attention_shape_copy(g->arena, s), .layout = *layout, .layer = layer };
    fj_value *stored[] = { k, v, tiles, tables, cache }, *in[] = { q, tiles, tables, cache };
    (void)fj_graph_add(g, &fj_op_cache_store, stored, 5, 0, NULL, 0, extra);
    return fj_graph_add(g, &fj_op_attention_cached, in, 4, 1, NULL, 0, extra)->out[0];
}
