/* SPDX-License-Identifier: Apache-2.0
 * Causal attention over the cache: the queries of the pass see every position of their sequence up to their own, the pass's own
 * keys too, which cache_store has put there before.
 * in: q (N,H*d), tiles, tables (S,pages) i32, cache   extra: cached
 *
 * cache_store   in: k (N,G*d), v (N,G*d), tiles, tables, cache   extra: cached; an effect, no output */
#include <string.h>

#include "ops/graph.h"

enum { T = FJ_TILE_ROWS };

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

static int64_t parts(const fj_run *run, const fj_node *node, int phase)
{
    (void)phase;
    return run->n_tiles * shape_of(node)->n_heads;
}

static fj_key_tile page_tile(const void *context, int64_t index)
{
    const cache_view *c = context;
    const fj_cache_layout *l = &c->of->layout;
    return (fj_key_tile){ address(c, index, c->head, false), address(c, index, c->head, true),
                          fj_cache_row_values(l->k, l->d_head), fj_cache_row_values(l->v, l->d_head) };
}

static size_t scratch(const fj_node *node, const fj_run *run)
{
    (void)run;
    return fj_attend_scratch(shape_of(node)->d_head);
}

/* A tile of one row takes the query heads of a key head together, so that the keys are read once. */
static void forward(const fj_run *run, const fj_node *node, int phase, int64_t part, int worker)
{
    (void)phase;
    const fj_attention_shape *s = shape_of(node);
    int64_t h = s->n_heads, d = s->d_head, r = h / s->n_kv_heads, head = part % h, group = fj_key_head(s, head);
    const fj_tile *t = (const fj_tile *)node->in[1]->data + part / h;
    bool is_single = t->n_rows == 1 && r <= T;
    if (is_single && head != fj_first_head(s, group))
        return;
    cache_view c = view_of(node, t, 2);
    c.head = group;
    int64_t first = (t->row0 * h + head) * d, step = is_single ? fj_head_step(s) * d : h * d;
    fj_attend a = { .q = (const float *)node->in[0]->data + first,
                    .out = (float *)node->out[0]->data + first,
                    .ldq = step,
                    .ldo = step,
                    .n = is_single ? r : t->n_rows,
                    .pos0 = t->pos0,
                    .pos_step = is_single ? 0 : 1,
                    .head = head,
                    .head_step = is_single ? fj_head_step(s) : 0,
                    .shape = s,
                    .k_type = c.of->layout.k,
                    .v_type = c.of->layout.v,
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
