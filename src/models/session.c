/* SPDX-License-Identifier: Apache-2.0
 * See session.h. A few graphs of different capacity (1, 8, 64 and a prompt chunk) share one arena and one cache; a pass takes the
 * smallest that fits. Which one it is changes no bit. */
#include "models/session_internal.h"

#include <stdlib.h>
#include <string.h>

enum { DEFAULT_CTX = 4096, DEFAULT_CHUNK = 512, MOST_CTX = 1 << 24 };

static fj_session_settings settled(const fj_model *m, const fj_session_settings *s)
{
    fj_session_settings r = *s;
    r.n_ctx = r.n_ctx > 0 ? r.n_ctx : FJ_MIN(m->hp.n_ctx, DEFAULT_CTX);
    r.length = r.length > 0 ? r.length : r.n_ctx;
    r.n_seqs = r.n_seqs > 0 ? r.n_seqs : 1;
    r.chunk = r.chunk > 0 ? r.chunk : DEFAULT_CHUNK;
    if (!r.wants_hidden)
        r.stop_layer = -1;
    return r;
}

/* Attention in bf16 loses a fiftieth of what 8-bit weights do, and more than weights of 16 bits do. */
static bool has_fast_attention(const fj_model *m, const fj_session_settings *s)
{
    bool any = false;
    for (int i = 0; i < m->n_weights && !any; i++)
        any = m->weights[i].dtype->is_quantized;
    return s->fast && any;
}

static fj_cache_layout cache_layout(const fj_model *m, const fj_session_settings *s)
{
    const fj_dtype *usual = s->fast && fj_model_head(m)->dtype != &fj_f32 ? &fj_f16 : &fj_f32;
    return fj_kv_cache_layout(m, s->k_type ? s->k_type : usual, s->v_type ? s->v_type : usual);
}

static fj_status make_plan(const fj_model *m, const fj_session_settings *s, int64_t capacity, const fj_run *run,
                           fj_session_graph *p, fj_err *err)
{
    p->capacity = capacity;
    p->g = fj_graph_new(err);
    if (!p->g)
        return err->status;
    p->b = (fj_build){ .g = p->g, .m = m, .adapter = s->adapter, .is_cached = true, .keeps_routes = s->routed != NULL };
    fj_build_sizes sizes = { .rows = capacity,
                             .out_rows = capacity,
                             .tiles = capacity,
                             .length = s->length,
                             .seqs = s->n_seqs,
                             .pages_per_seq = fj_blocks(s->n_ctx, FJ_TILE_ROWS),
                             .cache = cache_layout(m, s) };
    fj_build_start(&p->b, &sizes);
    p->result = fj_build_hidden(&p->b, s->stop_layer);
    if (s->wants_hidden)
        p->result->place = FJ_EXTERNAL;
    else
        p->result = fj_build_logits(&p->b, p->result);
    return fj_graph_plan(p->g, run, err);
}

static int capacities(const fj_session_settings *s, int64_t out[FJ_SESSION_GRAPHS])
{
    static const int64_t small[] = { 1, 8, 64 };
    int n = 0;
    for (size_t i = 0; i < FJ_LEN(small); i++)
        if (small[i] < s->chunk)
            out[n++] = small[i];
    out[n++] = s->chunk;
    return n;
}

static fj_status make_plans(const fj_model *m, const fj_session_settings *s, const fj_run *run, fj_session_graph *plans,
                            int *n_plans, size_t *arena_bytes, size_t *scratch_bytes, fj_err *err)
{
    int64_t capacity[FJ_SESSION_GRAPHS];
    int n = capacities(s, capacity);
    *n_plans = 0;
    *arena_bytes = *scratch_bytes = 0;
    for (int i = 0; i < n; i++) {
        *n_plans = i + 1;
        fj_status st = make_plan(m, s, capacity[i], run, &plans[i], err);
        if (st)
            return st;
        *arena_bytes = FJ_MAX(*arena_bytes, plans[i].g->arena_bytes);
        *scratch_bytes = FJ_MAX(*scratch_bytes, plans[i].g->scratch_bytes);
    }
    return FJ_OK;
}

fj_status fj_session_plan(const fj_model *m, const fj_session_settings *settings, int n_threads, const fj_kernels *k,
                          fj_session_bytes *out, fj_err *err)
{
    fj_session_graph plans[FJ_SESSION_GRAPHS] = { 0 };
    int n;
    size_t arena, scratch;
    fj_session_settings s = settled(m, settings);
    fj_run run = { .k = k, .fast = s.fast, .fast_attention = has_fast_attention(m, &s) };
    fj_status st = make_plans(m, &s, &run, plans, &n, &arena, &scratch, err);
    fj_cache_layout layout = cache_layout(m, &s);
    out->kv = fj_kv_cache_bytes(&layout, s.n_seqs, s.n_ctx) + fj_recurrent_bytes(m, s.n_seqs);
    out->arena = arena + scratch * (size_t)n_threads;
    for (int i = 0; i < n; i++)
        fj_graph_free(plans[i].g);
    return st;
}

/* All graphs write to the same place. */
static fj_status bind_routes(fj_session *s, fj_build *b, fj_err *err)
{
    for (int i = 0; i < b->n_routes; i++) {
        const fj_build_route *first = &s->plans[0].b.routes[i];
        size_t n = (size_t)(s->s.chunk * b->routes[i].k);
        bool is_first = b == &s->plans[0].b;
        b->routes[i].weights->data = is_first ? fj_arena_array(s->arena, n, sizeof(float)) : first->weights->data;
        b->routes[i].chosen->data = is_first ? fj_arena_array(s->arena, n, sizeof(int32_t)) : first->chosen->data;
        if (!b->routes[i].weights->data || !b->routes[i].chosen->data)
            return fj_fail(err, FJ_ERR_MEMORY, "no memory for what %d routers say", b->n_routes);
    }
    return FJ_OK;
}

static void tell_routes(const fj_session *s, const fj_session_graph *p, int64_t first, int64_t n)
{
    for (int i = 0; i < p->b.n_routes; i++) {
        const fj_build_route *r = &p->b.routes[i];
        fj_routing told = { r->layer, r->router, first, n, r->k, r->chosen->data, r->weights->data };
        s->s.routed(s->s.routed_context, &told);
    }
}

static fj_status make_inputs(fj_session *s, fj_err *err)
{
    size_t n = (size_t)s->s.chunk;
    s->ids = fj_arena_array(s->arena, n, sizeof *s->ids);
    s->pos = fj_arena_array(s->arena, n, sizeof *s->pos);
    s->select = fj_arena_array(s->arena, n, sizeof *s->select);
    s->tiles = fj_arena_array(s->arena, n, sizeof *s->tiles);
    s->start = fj_arena_array(s->arena, (size_t)s->s.n_seqs, sizeof *s->start);
    if (!s->ids || !s->pos || !s->select || !s->tiles || !s->start)
        return fj_fail(err, FJ_ERR_MEMORY, "no memory for the inputs of %zu rows", n);
    for (int i = 0; i < s->n_plans; i++) {
        fj_build *b = &s->plans[i].b;
        fj_graph_bind(s->plans[i].g, s->memory.data);
        b->ids->data = s->ids;
        b->pos->data = s->pos;
        b->tiles->data = s->tiles;
        b->select->data = s->select;
        b->tables->data = s->cache.tables;
        b->cache->data = s->cache.data.data;
        b->slots->data = s->states.slots;
        b->states->data = s->states.values.data;
        fj_status st = bind_routes(s, b, err);
        if (st)
            return st;
    }
    return FJ_OK;
}

fj_status fj_session_open(const fj_model *m, const fj_session_settings *settings, fj_pool *pool, const fj_kernels *k,
                          fj_session **out, fj_err *err)
{
    fj_arena *arena = fj_arena_new();
    fj_session *s = arena ? fj_arena_take(arena, sizeof *s) : NULL;
    if (!s) {
        fj_arena_free(arena);
        return fj_fail(err, FJ_ERR_MEMORY, "no memory for a session");
    }
    size_t scratch = 0;
    fj_status st = FJ_OK;
    s->arena = arena;
    s->m = m;
    s->s = settled(m, settings);
    fj_cache_layout layout = cache_layout(m, &s->s);
    s->run = (fj_run){ .k = k, .pool = pool, .fast = s->s.fast, .watch = s->s.watch };
    s->run.fast_attention = has_fast_attention(m, &s->s);
    if (s->s.n_ctx > MOST_CTX)
        st = fj_fail(err, FJ_ERR_ARG, "a context of %lld positions, the most is %d", (long long)s->s.n_ctx, MOST_CTX);
    if (!st)
        st = make_plans(m, &s->s, &s->run, s->plans, &s->n_plans, &s->arena_bytes, &scratch, err);
    if (!st)
        st = fj_kv_cache_open(&layout, s->s.n_seqs, s->s.n_ctx, &s->cache, err);
    if (!st)
        st = fj_recurrent_open(m, s->s.n_seqs, &s->states, err);
    if (!st)
        st = fj_buffer_open(&s->memory, s->arena_bytes + scratch * (size_t)fj_pool_threads(pool), "the step arena",
                            err);
    if (!st)
        st = make_inputs(s, err);
    if (st) {
        fj_session_close(s);
        return st;
    }
    s->run.scratch = s->memory.data + s->arena_bytes;
    s->run.scratch_bytes = scratch;
    if (m->is_streamed) {
        fj_stream_start(&s->stream, m);
        s->stream.watch.next = s->s.watch;
        s->run.watch = &s->stream.watch;
    }
    *out = s;
    return FJ_OK;
}

void fj_session_close(fj_session *s)
{
    if (!s)
        return;
    for (int i = 0; i < s->n_plans; i++)
        fj_graph_free(s->plans[i].g);
    fj_kv_cache_close(&s->cache);
    fj_recurrent_close(&s->states);
    fj_buffer_close(&s->memory);
    fj_arena_free(s->arena);
}

static int64_t seq_of(const fj_rows_in *rows, int64_t i)
{
    return rows->seq ? rows->seq[i] : 0;
}

static fj_status check(const fj_session *s, const fj_rows_in *rows, fj_err *err)
{
    for (int64_t i = 0; i < rows->n; i++) {
        int64_t seq = seq_of(rows, i);
        if (rows->ids[i] < 0 || rows->ids[i] >= s->m->hp.n_vocab)
            return fj_fail(err, FJ_ERR_ARG, "token id %d is not in the vocabulary of %lld", rows->ids[i],
                           (long long)s->m->hp.n_vocab);
        if (seq < 0 || seq >= s->s.n_seqs)
            return fj_fail(err, FJ_ERR_ARG, "sequence %lld of %lld", (long long)seq, (long long)s->s.n_seqs);
    }
    for (int64_t q = 0; q < s->s.n_seqs; q++) {
        int64_t n = 0;
        for (int64_t i = 0; i < rows->n; i++)
            n += seq_of(rows, i) == q;
        if (s->start[q] + n > s->s.n_ctx) {
            (void)fj_fail(err, FJ_ERR_ARG, "%lld tokens behind %lld do not fit a context of %lld", (long long)n,
                          (long long)s->start[q], (long long)s->s.n_ctx);
            return fj_hint(err, "a longer context can be asked for: -c N");
        }
    }
    return FJ_OK;
}

/* Inputs of rows [first, first+n): consecutive rows of one sequence make tiles. */
static void fill(fj_session *s, const fj_rows_in *rows, int64_t first, int64_t n)
{
    fj_run *run = &s->run;
    run->n_rows = n;
    run->n_seqs = s->s.n_seqs;
    run->n_tiles = run->n_out_rows = 0;
    for (int64_t i = 0; i < n; i++) {
        int64_t seq = seq_of(rows, first + i), pos = s->cache.length[seq];
        fj_tile *last = run->n_tiles ? &s->tiles[run->n_tiles - 1] : NULL;
        s->ids[i] = rows->ids[first + i];
        s->pos[i] = (int32_t)pos;
        fj_kv_cache_grow(&s->cache, seq, pos + 1);
        if (last && last->seq == seq && last->n_rows < FJ_TILE_ROWS)
            last->n_rows++;
        else
            s->tiles[run->n_tiles++] = (fj_tile){
                .row0 = (int32_t)i, .n_rows = 1, .pos0 = (int32_t)pos, .seq = (int32_t)seq
            };
        if (rows->wants ? rows->wants[first + i] : first + i + 1 == rows->n)
            s->select[run->n_out_rows++] = (int32_t)i;
    }
}

static bool has_rows(const fj_rows_in *rows, int64_t seq)
{
    for (int64_t i = 0; i < rows->n; i++)
        if (seq_of(rows, i) == seq)
            return true;
    return false;
}

static fj_session_graph *plan_for(fj_session *s, int64_t n)
{
    int i = 0;
    while (s->plans[i].capacity < n)
        i++;
    return &s->plans[i];
}

fj_status fj_session_forward(fj_session *s, const fj_rows_in *rows, float *out, const int *cancel, fj_err *err)
{
    for (int64_t q = 0; q < s->s.n_seqs; q++)
        s->start[q] = s->cache.length[q];
    fj_status st = check(s, rows, err);
    for (int64_t q = 0; !st && q < s->s.n_seqs; q++)
        if (has_rows(rows, q))
            fj_recurrent_keep(&s->states, q, s->start[q]);
    s->run.cancel = cancel;
    for (int64_t first = 0; first < rows->n && !st; first += s->s.chunk) {
        int64_t n = FJ_MIN(s->s.chunk, rows->n - first);
        fj_session_graph *p = plan_for(s, n);
        fill(s, rows, first, n);
        p->result->data = out;
        fj_build_bind_logits(&p->b, out);
        if (s->m->is_streamed)
            fj_stream_begin(&s->stream);
        st = fj_graph_run(p->g, &s->run, 0, p->g->n_nodes, err);
        if (s->m->is_streamed)
            fj_stream_end(&s->stream);
        if (!st)
            tell_routes(s, p, first, n);
        out += s->run.n_out_rows * fj_cols(p->result);
    }
    for (int64_t q = 0; st && q < s->s.n_seqs; q++)
        (void)fj_session_truncate(s, q, s->start[q]);
    return st;
}

int64_t fj_session_length(const fj_session *s, int64_t seq)
{
    return s->cache.length[seq];
}

int64_t fj_session_truncate(fj_session *s, int64_t seq, int64_t length)
{
    int64_t left = fj_recurrent_go_back(&s->states, seq, s->cache.length[seq], length);
    fj_kv_cache_truncate(&s->cache, seq, left);
    return left;
}

int64_t fj_session_n_ctx(const fj_session *s)
{
    return s->s.n_ctx;
}
