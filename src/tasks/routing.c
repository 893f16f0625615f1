/* SPDX-License-Identifier: Apache-2.0
 * See routing.h. */
#include "tasks/routing.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

typedef struct listener {
    fj_routing_report *r;
    bool failed; /* no memory */
} listener;

static fj_routed_layer *layer_of(listener *t, const fj_routing *told)
{
    fj_routing_report *r = t->r;
    for (int i = 0; i < r->n_layers; i++)
        if (r->layers[i].layer == told->layer && r->layers[i].router == told->router)
            return &r->layers[i];
    fj_routed_layer *l = &r->layers[r->n_layers++];
    size_t slots = (size_t)(r->n_tokens * told->k), experts = (size_t)r->n_experts;
    *l = (fj_routed_layer){ .layer = told->layer, .router = told->router, .k = told->k };
    l->chosen = fj_arena_array(r->arena, slots, sizeof *l->chosen);
    l->weights = fj_arena_array(r->arena, slots, sizeof *l->weights);
    l->tokens = fj_arena_array(r->arena, experts, sizeof *l->tokens);
    l->weighs = fj_arena_array(r->arena, experts, sizeof *l->weighs);
    t->failed |= !l->chosen || !l->weights || !l->tokens || !l->weighs;
    return l;
}

static void listen(void *context, const fj_routing *told)
{
    listener *t = context;
    fj_routed_layer *l = layer_of(t, told);
    if (t->failed)
        return;
    size_t n = (size_t)(told->n * told->k);
    memcpy(l->chosen + told->first * told->k, told->chosen, n * sizeof *l->chosen);
    memcpy(l->weights + told->first * told->k, told->weights, n * sizeof *l->weights);
    for (size_t i = 0; i < n; i++) {
        l->tokens[told->chosen[i]]++;
        l->weighs[told->chosen[i]] += told->weights[i];
    }
}

static void summarize(const fj_routing_report *r, fj_routed_layer *l)
{
    double slots = (double)(r->n_tokens * l->k), experts = (double)r->n_experts, entropy = 0;
    int64_t most = 0;
    for (int64_t e = 0; e < r->n_experts; e++) {
        double share = (double)l->tokens[e] / slots;
        entropy -= share > 0 ? share * log(share) : 0;
        most = FJ_MAX(most, l->tokens[e]);
        l->weighs[e] /= (double)FJ_MAX(1, l->tokens[e]);
    }
    l->evenness = r->n_experts > 1 ? entropy / log(experts) : 1;
    l->imbalance = (double)most * experts / slots;
}

fj_status fj_routing_count(const fj_model *m, const fj_adapter *adapter, const int32_t *ids, int64_t n, fj_pool *pool,
                           const fj_kernels *k, const int *cancel, fj_routing_report *out, fj_err *err)
{
    listener t = { .r = out };
    fj_session *session = NULL;
    fj_session_settings s = {
        .n_ctx = n, .fast = true, .stop_layer = -1, .adapter = adapter, .routed = listen, .routed_context = &t
    };
    fj_rows_in rows = { .n = n, .ids = ids };
    *out = (fj_routing_report){ .arena = fj_arena_new(), .n_tokens = n, .n_experts = m->hp.n_experts };
    if (!m->hp.n_experts)
        return fj_fail(err, FJ_ERR_USAGE, "this model has no experts: there is nothing to route");
    if (n < 1)
        return fj_fail(err, FJ_ERR_DATA, "the text has no token");
    float *logits = calloc((size_t)FJ_MAX(m->hp.n_vocab, m->hp.n_labels), sizeof *logits);
    if (out->arena)
        out->layers = fj_arena_array(out->arena, 2 * (size_t)m->hp.n_layers, sizeof *out->layers);
    fj_status st = logits && out->layers ? fj_session_open(m, &s, pool, k, &session, err)
                                         : fj_fail(err, FJ_ERR_MEMORY, "no memory for what the routers say");
    if (!st)
        st = fj_session_forward(session, &rows, logits, cancel, err);
    if (!st && t.failed)
        st = fj_fail(err, FJ_ERR_MEMORY, "no memory for what the routers say");
    for (int i = 0; !st && i < out->n_layers; i++)
        summarize(out, &out->layers[i]);
    fj_session_close(session);
    free(logits);
    return st;
}

void fj_routing_close(fj_routing_report *r)
{
    fj_arena_free(r->arena);
    *r = (fj_routing_report){ 0 };
}

static int by_id(const void *a, const void *b)
{
    int32_t x = ((const fj_routed_id *)a)->id, y = ((const fj_routed_id *)b)->id;
    return (x > y) - (x < y);
}

static int by_count(const void *a, const void *b)
{
    int64_t x = ((const fj_routed_id *)a)->n, y = ((const fj_routed_id *)b)->n;
    return x == y ? by_id(a, b) : (x < y) - (x > y);
}

size_t fj_routing_ids(const fj_routing_report *r, const fj_routed_layer *l, int64_t expert, const int32_t *ids,
                      fj_routed_id *out, size_t most)
{
    fj_routed_id *list = calloc((size_t)l->tokens[expert] + 1, sizeof *list);
    size_t n = 0, distinct = 0;
    for (int64_t i = 0; list && i < r->n_tokens * l->k; i++)
        if (l->chosen[i] == expert)
            list[n++] = (fj_routed_id){ ids[i / l->k], 1 };
    if (n)
        qsort(list, n, sizeof *list, by_id);
    for (size_t i = 0; i < n; i++)
        if (distinct && list[distinct - 1].id == list[i].id)
            list[distinct - 1].n++;
        else
            list[distinct++] = list[i];
    if (distinct)
        qsort(list, distinct, sizeof *list, by_count);
    n = FJ_MIN(distinct, most);
    if (n)
        memcpy(out, list, n * sizeof *list);
    free(list);
    return n;
}
