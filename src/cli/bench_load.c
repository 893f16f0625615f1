/* SPDX-License-Identifier: Apache-2.0
 * forja bench --load: how long a model takes from its name to the first token, part by part. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "cli/bench.h"
#include "cli/print.h"
#include "tasks/generate.h"

#define PROMPT "Hello, how are you?"

enum { PART_MAP, PART_TOKENIZER, PART_WEIGHTS, PART_REPACK, PART_GRAPHS, PART_TOKEN, PART_ALL, N_PARTS };

static const struct {
    const char *name, *key, *what;
} parts[N_PARTS] = {
    { "map", "map_ms", "the file's header, its weights where they lie" },
    { "tokenizer", "tokenizer_ms", "the vocabulary" },
    { "weights", "weights_ms", "roles and shapes; the adapter" },
    { "repack", "repack_ms", "the kernels' order" },
    { "graphs", "graphs_ms", "plans and cache" },
    { "first token", "first_token_ms", "of \"" PROMPT "\"" },
    { "all", "total_ms", "" },
};

typedef struct load {
    const fj_call *call;
    const fj_bench_settings *s;
    fj_opened opened;
    fj_session *session;
    double *ms[N_PARTS]; /* (repeat) each */
    double started;
} load;

/* Milliseconds since the last lap. */
static double lap(load *l)
{
    double now = fj_seconds(), ms = 1e3 * (now - l->started);
    l->started = now;
    return ms;
}

/* Prompt to ids, and the answer's first token, greedy. Without a tokenizer the prompt is one id. */
static fj_status first_token(load *l, fj_arena *arena, fj_err *err)
{
    const int32_t zero = 0;
    const fj_bundle *b = l->opened.bundle;
    int64_t n_vocab = l->opened.model->hp.n_vocab;
    fj_encoder *encoder = NULL;
    fj_encoding prompt = { 0 };
    fj_generator *generator = NULL;
    fj_sampler *sampler = NULL;
    fj_generation g = { 0 };
    fj_generate_settings settings = { .n_predict = 1 };
    fj_sample_settings sample;
    fj_options_reset(fj_sample_options, arena, &sample);
    sample.temp = 0;
    fj_status st = b->tokenizer ? fj_encoder_new(b->tokenizer, &encoder, err) : FJ_OK;
    if (!st && encoder)
        st = fj_encode(encoder, PROMPT, strlen(PROMPT), FJ_ENCODE_SPECIAL, &prompt, err);
    if (!st)
        st = fj_generator_new(l->session, n_vocab, b, &generator, err);
    if (!st)
        st = fj_sampler_new(&sample, b->generation, b->tokenizer, n_vocab, fj_session_n_ctx(l->session), 0, &sampler,
                            err);
    if (!st)
        st = fj_generate(generator, sampler, prompt.n ? prompt.ids : &zero, prompt.n ? (int64_t)prompt.n : 1, &settings,
                         NULL, NULL, l->call->rt->cancel, &g, err);
    fj_generation_free(&g);
    fj_sampler_free(sampler);
    fj_generator_free(generator);
    fj_encoding_free(&prompt);
    fj_encoder_free(encoder);
    return st;
}

/* The header is read once without and once with the vocabulary: the difference is the tokenizer's. */
static fj_status open_bundle(load *l, double ms[N_PARTS], fj_err *err)
{
    fj_bundle *without = NULL;
    (void)lap(l);
    fj_status st = fj_bundle_open(l->s->model, FJ_OPEN_WEIGHTS, &without, err);
    ms[PART_MAP] = lap(l);
    fj_bundle_close(without);
    (void)lap(l);
    if (!st)
        st = fj_bundle_open(l->s->model, FJ_OPEN_ALL, &l->opened.bundle, err);
    double both = lap(l);
    ms[PART_TOKENIZER] = FJ_MAX(0, both - ms[PART_MAP]);
    return st;
}

static fj_status open_model(load *l, double ms[N_PARTS], fj_err *err)
{
    const fj_runtime *rt = l->call->rt;
    fj_opened *o = &l->opened;
    fj_session_settings settings = { .fast = true, .stop_layer = -1 };
    fj_fit fit = { l->s->max_memory, !l->s->no_repack, rt->pool, &rt->kernels, rt->log, 0 };
    fj_status st = fj_model_open(o->bundle->source, &o->model, err);
    if (!st && l->s->adapter)
        st = fj_adapter_open_folder(o->model, l->s->adapter, &o->adapter, err);
    if (!st)
        st = fj_choose_experts(&l->s->experts, o->model, err);
    settings.adapter = o->adapter;
    ms[PART_WEIGHTS] = lap(l);
    if (!st)
        st = fj_opened_fit(o, &fit, &settings, err);
    ms[PART_REPACK] = lap(l);
    if (!st)
        st = fj_session_open(o->model, &settings, rt->pool, &rt->kernels, &l->session, err);
    ms[PART_GRAPHS] = lap(l);
    return st;
}

static fj_status one_round(load *l, fj_arena *arena, double ms[N_PARTS], fj_err *err)
{
    fj_status st = open_bundle(l, ms, err);
    if (!st)
        st = open_model(l, ms, err);
    if (!st)
        st = first_token(l, arena, err);
    ms[PART_TOKEN] = lap(l);
    fj_session_close(l->session);
    fj_opened_close(&l->opened);
    l->session = NULL;
    ms[PART_ALL] = 0;
    for (int p = 0; p < PART_ALL; p++)
        ms[PART_ALL] += ms[p];
    return st;
}

/* ---- printing ------------------------------------------------------------------------------------------------------------------------- */

static int compare(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static double median(const double *sorted, int64_t n)
{
    return (sorted[(n - 1) / 2] + sorted[n / 2]) / 2;
}

static fj_status print_json(const load *l, fj_err *err)
{
    const fj_runtime *rt = l->call->rt;
    fj_json *v = fj_json_new_object(), *ms = fj_json_new_object();
    bool ok = v && ms && fj_json_set(v, "kernels", fj_json_new_text(rt->kernels.name, strlen(rt->kernels.name))) &&
              fj_json_set(v, "threads", fj_json_new_int(fj_pool_threads(rt->pool)));
    for (int p = 0; p < N_PARTS && ok; p++)
        ok = fj_json_set(ms, parts[p].key, fj_json_new_real(median(l->ms[p], l->s->repeat)));
    ok = ok && fj_json_set(v, "load", fj_json_share(ms));
    fj_json_free(ms);
    if (!ok) {
        fj_json_free(v);
        v = NULL;
    }
    return fj_print_json(v, 0, err);
}

static fj_status print_table(const load *l)
{
    static const char *const titles[] = { "part", "ms", "spread", "what", NULL };
    const fj_runtime *rt = l->call->rt;
    fj_table t = { .titles = titles, .align = "lrrl" };
    fj_str text = { 0 };
    for (int p = 0; p < N_PARTS; p++) {
        fj_table_add(&t, "%s", parts[p].name);
        fj_table_add(&t, "%.1f", median(l->ms[p], l->s->repeat));
        fj_table_add(&t, "%.1f … %.1f", l->ms[p][0], l->ms[p][l->s->repeat - 1]);
        fj_table_add(&t, "%s", parts[p].what);
    }
    fj_table_print(&t, fj_wants_color(1), &text);
    (void)printf("%s: %s kernels, %d threads\n%s", l->s->model, rt->kernels.name, fj_pool_threads(rt->pool),
                 text.data ? text.data : "");
    fj_str_free(&text);
    fj_table_free(&t);
    return FJ_OK;
}

fj_status fj_bench_load(const fj_call *call, fj_err *err)
{
    load l = { .call = call, .s = call->settings };
    double ms[N_PARTS];
    fj_arena *arena = fj_arena_new();
    bool ok = arena != NULL;
    for (int p = 0; p < N_PARTS && ok; p++) {
        l.ms[p] = fj_arena_array(arena, (size_t)l.s->repeat, sizeof(double));
        ok = l.ms[p] != NULL;
    }
    fj_status st = ok ? one_round(&l, arena, ms, err) /* brings the file into memory and is not counted */
                      : fj_fail(err, FJ_ERR_MEMORY, "no memory for the results");
    for (int64_t i = 0; i < l.s->repeat && !st; i++) {
        st = one_round(&l, arena, ms, err);
        for (int p = 0; p < N_PARTS; p++)
            l.ms[p][i] = ms[p];
    }
    for (int p = 0; p < N_PARTS && !st; p++)
        qsort(l.ms[p], (size_t)l.s->repeat, sizeof(double), compare);
    if (!st)
        st = l.s->common.json ? print_json(&l, err) : print_table(&l);
    fj_arena_free(arena);
    return st;
}
