/* SPDX-License-Identifier: Apache-2.0
 * forja bench: how fast a model reads a prompt and answers here, and what share that is of what the machine can do. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/rng.h"
#include "cli/bench.h"
#include "cli/print.h"
#include "tasks/machine.h"

typedef fj_bench_settings settings;

static const fj_option options[] = {
    { "MODEL", NULL, FJ_OPT_ARG, offsetof(settings, model), NULL, "folder or .gguf file", 0, 0, 0 },
    { "prompt", "N", FJ_OPT_INT, offsetof(settings, n_prompt), "512", "tokens of the prompt; 0: no such test", 0,
      1 << 20, 'p' },
    { "predict", "N", FJ_OPT_INT, offsetof(settings, n_predict), "64", "tokens of the answer; 0: no such test", 0,
      1 << 20, 'n' },
    { "repeat", "N", FJ_OPT_INT, offsetof(settings, repeat), "5", "rounds; the median counts", 1, 1000, 'r' },
    { "adapter", "DIR", FJ_OPT_TEXT, offsetof(settings, adapter), NULL, "a LoRA adapter in PEFT's form, or hf:org/name",
      0, 0, 0 },
    { "max-memory", "SIZE", FJ_OPT_TEXT, offsetof(settings, max_memory), NULL,
      "stay below this (2G, 800M): weights that do not fit are read from the file each time", 0, 0, 0 },
    { "no-repack", NULL, FJ_OPT_FLAG, offsetof(settings, no_repack), NULL, "use weights as they lie in the file", 0, 0,
      0 },
    { "no-limits", NULL, FJ_OPT_FLAG, offsetof(settings, no_limits), NULL, "do not measure the machine", 0, 0, 0 },
    { "load", NULL, FJ_OPT_FLAG, offsetof(settings, load), NULL,
      "measure instead how long the model takes to open and to give its first token", 0, 0, 0 },
    { 0 },
};

static const fj_option_group groups[] = { { "experts", fj_expert_options, offsetof(settings, experts) },
                                          { "cache of keys and values", fj_cache_options, offsetof(settings, cache) },
                                          { 0 } };

/* One test's rounds: tokens a second, in rising order. */
typedef struct result {
    const char *name;
    int64_t tokens;
    double *rates;
    int64_t n;
    double limit; /* tokens a second that the machine could reach; 0: not measured */
} result;

typedef struct bench {
    const fj_call *call;
    const settings *s;
    fj_opened opened;
    fj_session *session;
    int32_t *ids;
    float *logits;
} bench;

static int compare(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static fj_status open_bench(bench *b, fj_err *err)
{
    const settings *s = b->s;
    const fj_runtime *rt = b->call->rt;
    fj_session_settings settings_ = { .n_ctx = FJ_MAX(1, s->n_prompt) + s->n_predict,
                                      .fast = true,
                                      .stop_layer = -1,
                                      .k_type = fj_cache_type(s->cache.k),
                                      .v_type = fj_cache_type(s->cache.v) };
    fj_status st = fj_opened_open(s->model, s->adapter, FJ_OPEN_WEIGHTS, NULL, &b->opened, err);
    if (!st)
        st = fj_choose_experts(&s->experts, b->opened.model, err);
    settings_.adapter = b->opened.adapter;
    fj_fit fit = { s->max_memory, !s->no_repack, rt->pool, &rt->kernels, rt->log, 0 };
    if (!st)
        st = fj_opened_fit(&b->opened, &fit, &settings_, err);
    if (st)
        return st;
    st = fj_session_open(b->opened.model, &settings_, rt->pool, &rt->kernels, &b->session, err);
    int64_t n_vocab = b->opened.model->hp.n_vocab, n = settings_.n_ctx;
    b->ids = calloc((size_t)n, sizeof *b->ids);
    b->logits = calloc((size_t)n_vocab, sizeof *b->logits);
    if (!st && (!b->ids || !b->logits))
        st = fj_fail(err, FJ_ERR_MEMORY, "no memory for %lld ids", (long long)n);
    for (int64_t i = 0; !st && i < n; i++)
        b->ids[i] = (int32_t)(fj_rng(1, FJ_STREAM_TEST, 0, 0, (uint64_t)i) % (uint64_t)n_vocab);
    return st;
}

static void close_bench(bench *b)
{
    fj_session_close(b->session);
    fj_opened_close(&b->opened);
    free(b->ids);
    free(b->logits);
}

/* Seconds of one round: the prompt at once, or the answer a token at a time behind the prompt (behind one token without). */
static fj_status one_round(bench *b, bool is_prompt, double *seconds, fj_err *err)
{
    const int *cancel = b->call->rt->cancel;
    int64_t behind = is_prompt ? 0 : FJ_MAX(1, b->s->n_prompt);
    (void)fj_session_truncate(b->session, 0, FJ_MIN(behind, fj_session_length(b->session, 0)));
    fj_rows_in rows = { .n = is_prompt ? b->s->n_prompt : behind - fj_session_length(b->session, 0), .ids = b->ids };
    double started = fj_seconds();
    fj_status st = rows.n ? fj_session_forward(b->session, &rows, b->logits, cancel, err) : FJ_OK;
    if (!is_prompt) {
        rows.n = 1;
        started = fj_seconds();
        for (int64_t i = 0; i < b->s->n_predict && !st; i++) {
            rows.ids = b->ids + behind + i;
            st = fj_session_forward(b->session, &rows, b->logits, cancel, err);
        }
    }
    *seconds = fj_seconds() - started;
    return st;
}

static fj_status run_test(bench *b, result *r, bool is_prompt, fj_err *err)
{
    double seconds;
    r->tokens = is_prompt ? b->s->n_prompt : b->s->n_predict;
    r->name = is_prompt ? "prompt" : "answer";
    r->rates = calloc((size_t)b->s->repeat, sizeof *r->rates);
    if (!r->rates)
        return fj_fail(err, FJ_ERR_MEMORY, "no memory for the results");
    fj_status st = one_round(b, is_prompt, &seconds, err); /* the first round warms caches and is not counted */
    for (; r->n < b->s->repeat && !st; r->n++) {
        st = one_round(b, is_prompt, &seconds, err);
        r->rates[r->n] = (double)r->tokens / seconds;
    }
    qsort(r->rates, (size_t)r->n, sizeof *r->rates, compare);
    return st;
}

/* ---- limits --------------------------------------------------------------------------------------------------------------------------- */

/* Weights that every token reads (the embedding's rows are few, unless it is the head too), and products of a prompt's token. */
static void count_work(const fj_model *m, bool is_packed, double *bytes, double *products)
{
    const fj_weight *embedding = fj_model_weight(m, &fj_role_token_embd, -1, false), *head = fj_model_head(m);
    *bytes = (double)(is_packed ? fj_model_repacked_bytes(m) : fj_model_bytes(m));
    *products = 2 * ((double)fj_model_parameters(m) - (double)fj_shape_count(&embedding->shape));
    if (embedding != head) {
        size_t row = 0;
        bool ok = fj_dtype_bytes(embedding->dtype, fj_shape_cols(&embedding->shape), &row);
        fj_assert(ok);
        *bytes -= (double)row * (double)fj_shape_rows(&embedding->shape);
        *products -= 2 * (double)fj_shape_count(&head->shape); /* only the last row's logits are computed */
    }
}

static fj_status find_limits(bench *b, result *prompt, result *answer, fj_err *err)
{
    fj_machine machine;
    double bytes, products;
    const fj_model *m = b->opened.model;
    const fj_weight *w = fj_model_weight(m, &fj_role_attn_q, 0, false);
    const fj_dtype *dtype = w ? w->dtype : &fj_f32;
    fj_status st = fj_machine_measure(b->call->rt->pool, &b->call->rt->kernels, 0.5, &machine, err);
    if (st)
        return st;
    count_work(m, !b->s->no_repack, &bytes, &products);
    double peak = dtype->is_quantized ? machine.int8_ops : dtype == &fj_bf16 ? machine.bf16_flops : machine.f32_flops;
    prompt->limit = peak / products;
    answer->limit = machine.read_bytes_per_second / bytes;
    return FJ_OK;
}

/* ---- printing ------------------------------------------------------------------------------------------------------------------------- */

static double median(const result *r)
{
    return r->n % 2 ? r->rates[r->n / 2] : (r->rates[r->n / 2 - 1] + r->rates[r->n / 2]) / 2;
}

static fj_json *result_json(const result *r)
{
    fj_json *v = fj_json_new_object();
    bool ok = v && fj_json_set(v, "tokens", fj_json_new_int(r->tokens)) &&
              fj_json_set(v, "tokens_per_second", fj_json_new_real(median(r))) &&
              fj_json_set(v, "slowest", fj_json_new_real(r->rates[0])) &&
              fj_json_set(v, "fastest", fj_json_new_real(r->rates[r->n - 1])) &&
              (r->limit == 0 || fj_json_set(v, "limit", fj_json_new_real(r->limit)));
    if (ok)
        return v;
    fj_json_free(v);
    return NULL;
}

static fj_status print_results(const bench *b, const result *const *list, size_t n, fj_err *err)
{
    static const char *const titles[] = { "test", "tokens", "tokens/s", "spread", "of the limit", NULL };
    fj_table t = { .titles = titles, .align = "lrrrr" };
    fj_str text = { 0 };
    if (b->s->common.json) {
        fj_json *v = fj_json_new_object();
        bool ok = v &&
                  fj_json_set(v, "kernels",
                              fj_json_new_text(b->call->rt->kernels.name, strlen(b->call->rt->kernels.name))) &&
                  fj_json_set(v, "threads", fj_json_new_int(fj_pool_threads(b->call->rt->pool)));
        for (size_t i = 0; i < n && ok; i++)
            ok = fj_json_set(v, list[i]->name, result_json(list[i]));
        if (!ok) {
            fj_json_free(v);
            v = NULL;
        }
        return fj_print_json(v, 0, err);
    }
    for (size_t i = 0; i < n; i++) {
        const result *r = list[i];
        fj_table_add(&t, "%s", r->name);
        fj_table_add(&t, "%lld", (long long)r->tokens);
        fj_table_add(&t, "%.1f", median(r));
        fj_table_add(&t, "%.1f … %.1f", r->rates[0], r->rates[r->n - 1]);
        if (r->limit > 0)
            fj_table_add(&t, "%.0f %% of %.0f", 100 * median(r) / r->limit, r->limit);
        else
            fj_table_add(&t, "-");
    }
    fj_table_print(&t, fj_wants_color(1), &text);
    (void)printf("%s: %s kernels, %d threads\n%s", b->s->model, b->call->rt->kernels.name,
                 fj_pool_threads(b->call->rt->pool), text.data ? text.data : "");
    fj_str_free(&text);
    fj_table_free(&t);
    return FJ_OK;
}

static fj_status run(const fj_call *call, fj_err *err)
{
    bench b = { .call = call, .s = call->settings };
    result prompt = { 0 }, answer = { 0 };
    const result *list[2];
    size_t n = 0;
    if (b.s->load)
        return fj_bench_load(call, err);
    fj_status st = open_bench(&b, err);
    if (!st && b.s->n_prompt > 0) {
        st = run_test(&b, &prompt, true, err);
        list[n++] = &prompt;
    }
    if (!st && b.s->n_predict > 0) {
        st = run_test(&b, &answer, false, err);
        list[n++] = &answer;
    }
    if (!st && !b.s->no_limits)
        st = find_limits(&b, &prompt, &answer, err);
    if (!st)
        st = print_results(&b, list, n, err);
    free(prompt.rates);
    free(answer.rates);
    close_bench(&b);
    return st;
}

const fj_command fj_command_bench = {
    .name = "bench",
    .summary = "Speed of prompts and answers, against what this machine can do.",
    .about = "The limit of answers is the memory's bandwidth over the weights' size, that of prompts the peak of "
             "products in\n"
             "the cache; both are measured in the same run.",
    .options = options,
    .groups = groups,
    .settings_size = sizeof(settings),
    .run = run,
};
