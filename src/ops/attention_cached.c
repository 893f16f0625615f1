/* SPDX-License-Identifier: Apache-2.0
 * Causal attention over the cache: the queries of the pass see every position of their sequence up to their own, the pass's own
 * keys too, which cache_store has put there before.
 * in: q (N,H*d), tiles, tables (S,pages) i32, cache   attr: H, G, d, s, window, layer   extra: fj_cache_layers
 *
 * cache_store   in: k (N,G*d), v (N,G*d), tiles, tables, cache   attr: H, G, d, s, window, layer; an effect, no output */
#include <string.h>

#include "ops/attend.h"
#include "ops/cache.h"
#include "ops/graph.h"

enum { T = FJ_TILE_ROWS };

typedef struct layers {
    int64_t n_layers;
} layers;

typedef struct cache_view {
    const fj_node *node;
    const int32_t *pages; /* of the sequence */
    unsigned char *data;
    int64_t g, d, layer, n_layers, head;
    bool is_f16;
} cache_view;

static cache_view view_of(const fj_node *node, const fj_tile *t, int tables_at)
{
    const fj_value *tables = node->in[tables_at], *cache = node->in[tables_at + 1];
    return (cache_view){ .node = node,
                         .pages = (const int32_t *)tables->data + t->seq * fj_cols(tables),
                         .data = cache->data,
                         .g = (int64_t)node->attr[1],
                         .d = (int64_t)node->attr[2],
                         .layer = (int64_t)node->attr[5],
                         .n_layers = ((const layers *)node->extra)->n_layers,
                         .is_f16 = cache->dtype == &fj_f16 };
}

static void *address(const cache_view *c, int64_t index, int64_t head, bool is_value)
{
    int64_t at = fj_page_at(c->pages[index], c->layer, head, c->n_layers, c->g, c->d) +
                 (is_value ? c->g * T * c->d : 0);
    return c->data + (size_t)at * (c->is_f16 ? sizeof(uint16_t) : sizeof(float));
}

/* ---- cache_store --------------------------------------------------------------------------------------------------------- */

static fj_status store_infer(fj_node *node, fj_err *err)
{
    if (fj_cols(node->in[0]) != (int64_t)(node->attr[1] * node->attr[2]) ||
        fj_cols(node->in[1]) != fj_cols(node->in[0]))
        return fj_fail(err, FJ_ERR_SHAPE, "cache_store: rows of %lld values for %g heads of %g",
                       (long long)fj_cols(node->in[0]), node->attr[1], node->attr[2]);
    return FJ_OK;
}

static int64_t store_parts(const fj_run *run, const fj_node *node, int phase)
{
    (void)phase;
    return run->n_tiles * (int64_t)node->attr[1];
}

static void store(const fj_run *run, const fj_node *node, int phase, int64_t part, int worker)
{
    (void)phase, (void)worker;
    int64_t g = (int64_t)node->attr[1], head = part % g;
    const fj_tile *t = (const fj_tile *)node->in[2]->data + part / g;
    cache_view c = view_of(node, t, 3);
    for (int is_value = 0; is_value < 2; is_value++) {
        const float *from = (const float *)node->in[is_value]->data + (t->row0 * g + head) * c.d;
        for (int64_t i = 0; i < t->n_rows; i++) {
            int64_t pos = t->pos0 + i;
            unsigned char *to = address(&c, pos / T, head, is_value);
            if (c.is_f16)
                run->k->f32_to_f16_row((uint16_t *)(void *)to + pos % T * c.d, from + i * g * c.d, c.d);
            else
                memcpy((float *)(void *)to + pos % T * c.d, from + i * g * c.d, (size_t)c.d * sizeof(float));
        }
    }
}

const fj_op fj_op_cache_store = {
    .name = "cache_store", .infer = store_infer, .forward = { .parts = store_parts, .part = store }, .is_effect = true
};

/* ---- attention over the pages ------------------------------------------------------------------------------------------------ */

static fj_status infer(fj_node *node, fj_err *err)
{
    int64_t h = (int64_t)node->attr[0], g = (int64_t)node->attr[1], d = (int64_t)node->attr[2];
    if (g < 1 || h % g || fj_cols(node->in[0]) != h * d)
        return fj_fail(err, FJ_ERR_SHAPE, "attention: rows of %lld values for %lld heads of %lld",
                       (long long)fj_cols(node->in[0]), (long long)h, (long long)d);
    node->out[0]->extent = node->in[0]->extent;
    node->out[0]->shape = node->in[0]->shape;
    return FJ_OK;
}

static int64_t parts(const fj_run *run, const fj_node *node, int phase)
{
    (void)phase;
    return run->n_tiles * (int64_t)node->attr[0];
}

static fj_key_tile page_tile(const void *context, int64_t index)
{
    const cache_view *c = context;
    return (fj_key_tile){ address(c, index, c->head, false), address(c, index, c->head, true), c->d, c->d };
}

static size_t scratch(const fj_node *node, const fj_run *run)
{
    (void)run;
    return fj_attend_scratch((int64_t)node->attr[2]);
}

/* A tile of one row takes the query heads of a key head together, so that the keys are read once. */
static void forward(const fj_run *run, const fj_node *node, int phase, int64_t part, int worker)
{
    (void)phase;
    int64_t h = (int64_t)node->attr[0], d = (int64_t)node->attr[2], r = h / (int64_t)node->attr[1], head = part % h;
    const fj_tile *t = (const fj_tile *)node->in[1]->data + part / h;
    bool is_single = t->n_rows == 1 && r <= T;
    if (is_single && head % r)
        return;
    cache_view c = view_of(node, t, 2);
    c.head = head / r;
    int64_t first = (t->row0 * h + head) * d, step = is_single ? d : h * d;
    fj_attend a = { .q = (const float *)node->in[0]->data + first,
                    .out = (float *)node->out[0]->data + first,
                    .ldq = step,
                    .ldo = step,
                    .n = is_single ? r : t->n_rows,
                    .d = d,
                    .pos0 = t->pos0,
                    .pos_step = is_single ? 0 : 1,
                    .window = (int64_t)node->attr[4],
                    .scale = node->attr[3],
                    .is_f16 = c.is_f16,
                    .tile = page_tile,
                    .context = &c };
    fj_attend_run(run, &a, fj_scratch(run, worker));
}

const fj_op fj_op_attention_cached = {
    .name = "attention_cached",
    .infer = infer,
    .forward = { .parts = parts, .part = forward, .scratch = scratch },
    .inplace = 1, /* a part reads its queries before it writes the same places */
};

fj_value *fj_attention_cached(fj_graph *g, fj_value *q, fj_value *k, fj_value *v, fj_value *tiles, fj_value *tables,
                              fj_value *cache, int64_t layer, int64_t n_layers, const fj_attention_shape *s)
{
    double attr[] = { (double)s->n_heads, (double)s->n_kv_heads, (double)s->d_head,
                      s->scale,           (double)s->window,     (double)layer };
    layers *extra = fj_arena_take(g->arena, sizeof *extra);
    fj_assert(extra);
    extra->n_layers = n_layers;
    fj_value *stored[] = { k, v, tiles, tables, cache }, *in[] = { q, tiles, tables, cache };
    (void)fj_graph_add(g, &fj_op_cache_store, stored, 5, 0, attr, 6, extra);
    return fj_graph_add(g, &fj_op_attention_cached, in, 4, 1, attr, 6, extra)->out[0];
}
