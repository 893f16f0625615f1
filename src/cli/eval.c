/* SPDX-License-Identifier: Apache-2.0
 * forja eval: how well a model foretells a text, and how far it is from the model that it was made from. */
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "cli/commands.h"
#include "cli/print.h"
#include "tasks/perplexity.h"

typedef struct settings {
    fj_common common;
    const char *model, *text, *kl_base, *adapter;
    int64_t n_ctx, windows;
    double max_perplexity, max_kl, min;
    bool fast;
    fj_cache_settings cache;
} settings;

static const fj_option options[] = {
    { "MODEL", NULL, FJ_OPT_ARG, offsetof(settings, model), NULL, "folder or .gguf file", 0, 0, 0 },
    { "perplexity", "FILE", FJ_OPT_TEXT, offsetof(settings, text), NULL, "the text to read", 0, 0, 0 },
    { "kl-base", "MODEL", FJ_OPT_TEXT, offsetof(settings, kl_base), NULL,
      "a model that reads along: how far MODEL is from it", 0, 0, 0 },
    { "ctx-size", "N", FJ_OPT_INT, offsetof(settings, n_ctx), "512",
      "tokens a window; those of its second half are scored", FJ_PERPLEXITY_LEAST, 1 << 24, 'c' },
    { "windows", "N", FJ_OPT_INT, offsetof(settings, windows), "0", "windows at most; 0: the whole text", 0, 1e9, 0 },
    { "fast", NULL, FJ_OPT_FLAG, offsetof(settings, fast), NULL, "the arithmetic of `run`, not float32", 0, 0, 0 },
    { "adapter", "DIR", FJ_OPT_TEXT, offsetof(settings, adapter), NULL,
      "a LoRA adapter in PEFT's form, or hf:org/name, for MODEL", 0, 0, 0 },
    { "max-perplexity", "X", FJ_OPT_REAL, offsetof(settings, max_perplexity), NULL,
      "exit code 6 when the perplexity is higher", 0, 1e300, 0 },
    { "max-kl", "X", FJ_OPT_REAL, offsetof(settings, max_kl), NULL, "exit code 6 when the mean KL divergence is higher",
      0, 1e300, 0 },
    { "min", "X", FJ_OPT_REAL, offsetof(settings, min), NULL,
      "exit code 6 when the share of equal top tokens (0 to 1) is lower", 0, 1, 0 },
    { 0 },
};

static const fj_option_group groups[] = {
    { "MODEL's cache of keys and values", fj_cache_options, offsetof(settings, cache) }, { 0 }
};

/* The two models and what they read. */
typedef struct evaluation {
    const fj_call *call;
    fj_opened model, base;
    fj_windows windows;
    fj_perplexity p;
    fj_divergence d;
    fj_progress bar;
} evaluation;

/* ---- printing ----------------------------------------------------------------------------------------------------------------------- */

static bool set_estimate(fj_json *v, const char *name, fj_estimate e)
{
    char error[48];
    (void)snprintf(error, sizeof error, "%s_error", name);
    return fj_json_set(v, name, fj_json_new_real(e.value)) && fj_json_set(v, error, fj_json_new_real(e.error));
}

static fj_json *divergence_json(const fj_divergence *d)
{
    fj_json *v = fj_json_new_object();
    bool ok = v && set_estimate(v, "mean", d->kl) && fj_json_set(v, "median", fj_json_new_real(d->kl_median)) &&
              fj_json_set(v, "p90", fj_json_new_real(d->kl_90)) && fj_json_set(v, "p95", fj_json_new_real(d->kl_95)) &&
              fj_json_set(v, "p99", fj_json_new_real(d->kl_99)) &&
              fj_json_set(v, "p999", fj_json_new_real(d->kl_999)) && fj_json_set(v, "max", fj_json_new_real(d->kl_max));
    if (ok)
        return v;
    fj_json_free(v);
    return NULL;
}

static fj_status print_json(const evaluation *e, fj_err *err)
{
    fj_json *v = fj_json_new_object();
    bool ok = v && fj_json_set(v, "perplexity", fj_json_new_real(e->p.perplexity.value)) &&
              fj_json_set(v, "tokens", fj_json_new_int(e->p.tokens)) &&
              fj_json_set(v, "nll", fj_json_new_real(e->p.nll.value)) &&
              fj_json_set(v, "perplexity_error", fj_json_new_real(e->p.perplexity.error)) &&
              fj_json_set(v, "nll_error", fj_json_new_real(e->p.nll.error)) &&
              fj_json_set(v, "windows", fj_json_new_int(e->p.windows)) &&
              fj_json_set(v, "ctx_size", fj_json_new_int(e->windows.n_ctx));
    if (e->base.model)
        ok = ok && set_estimate(v, "base_perplexity", e->d.base.perplexity) &&
             set_estimate(v, "ln_perplexity_ratio", e->d.ln_ratio) &&
             fj_json_set(v, "correlation", fj_json_new_real(e->d.correlation)) &&
             fj_json_set(v, "kl", divergence_json(&e->d)) && set_estimate(v, "same_top", e->d.same_top) &&
             set_estimate(v, "delta_p", e->d.delta_p) && set_estimate(v, "delta_p_rms", e->d.delta_p_rms);
    if (!ok) {
        fj_json_free(v);
        v = NULL;
    }
    return fj_print_json(v, 0, err);
}

static void print_divergence(const fj_divergence *d)
{
    double ratio = exp(d->ln_ratio.value);
    (void)printf("base's perplexity   %.4f ± %.4f\n", d->base.perplexity.value, d->base.perplexity.error);
    (void)printf("ratio of the two    %.6f ± %.6f (correlation of the logarithms %.2f %%)\n", ratio,
                 ratio * d->ln_ratio.error, 100 * d->correlation);
    (void)printf("KL divergence       mean %.6f ± %.6f\n", d->kl.value, d->kl.error);
    (void)printf("                    median %.6f, 90 %% %.6f, 95 %% %.6f, 99 %% %.6f, 99.9 %% %.6f, largest %.6f\n",
                 d->kl_median, d->kl_90, d->kl_95, d->kl_99, d->kl_999, d->kl_max);
    (void)printf("same top token      %.3f ± %.3f %%\n", 100 * d->same_top.value, 100 * d->same_top.error);
    (void)printf("change of p         mean %.3f ± %.3f %%, root mean square %.3f ± %.3f %%\n", 100 * d->delta_p.value,
                 100 * d->delta_p.error, 100 * d->delta_p_rms.value, 100 * d->delta_p_rms.error);
}

static fj_status print_results(const evaluation *e, fj_err *err)
{
    const settings *s = e->call->settings;
    if (s->common.json)
        return print_json(e, err);
    (void)printf("perplexity          %.4f ± %.4f (%lld tokens of %lld windows of %lld)\n", e->p.perplexity.value,
                 e->p.perplexity.error, (long long)e->p.tokens, (long long)e->p.windows, (long long)e->windows.n_ctx);
    if (e->base.model)
        print_divergence(&e->d);
    return FJ_OK;
}

/* ---- the run ------------------------------------------------------------------------------------------------------------------------ */

static void show(void *context, int64_t windows, double perplexity)
{
    evaluation *e = context;
    char note[48];
    (void)snprintf(note, sizeof note, "perplexity %.3f", perplexity);
    fj_progress_show(&e->bar, (double)windows, note);
}

static fj_status open_one(const fj_call *call, const char *path, const char *adapter, int what, fj_opened *o,
                          fj_err *err)
{
    fj_status st = fj_opened_open(path, adapter, what, call->rt->pool, o, err);
    if (!st && o->model->hp.n_labels)
        st = fj_fail(err, FJ_ERR_USAGE, "%s is a classifier: it foretells no tokens", path);
    if (!st)
        fj_opened_repack(o, call->rt->pool, call->rt->log);
    return st;
}

static fj_status measure(evaluation *e, fj_err *err)
{
    const settings *s = e->call->settings;
    const fj_runtime *rt = e->call->rt;
    fj_reader model = { e->model.model, e->model.adapter, s->fast, fj_cache_type(s->cache.k),
                        fj_cache_type(s->cache.v) };
    fj_reader base = { .model = e->base.model, .fast = s->fast };
    fj_measurement m = { rt->pool, &rt->kernels, rt->cancel, show, e };
    e->bar = (fj_progress){
        .title = "read", .unit = "windows", .total = (double)e->windows.n, .is_quiet = s->common.quiet || s->common.json
    };
    fj_status st = fj_perplexity_measure(&model, s->kl_base ? &base : NULL, &e->windows, &m, &e->p, &e->d, err);
    fj_progress_end(&e->bar);
    return st;
}

/* What was asked for holds; NaN: it was not asked for. */
static fj_status check(const evaluation *e, fj_err *err)
{
    const settings *s = e->call->settings;
    if (e->p.perplexity.value > s->max_perplexity)
        return fj_fail(err, FJ_ERR_CHECK, "%s: a perplexity of %.4f, at most %g was asked for", s->model,
                       e->p.perplexity.value, s->max_perplexity);
    if (e->d.kl.value > s->max_kl)
        return fj_fail(err, FJ_ERR_CHECK, "%s: a mean KL divergence of %.6f, at most %g was asked for", s->model,
                       e->d.kl.value, s->max_kl);
    if (e->d.same_top.value < s->min)
        return fj_fail(err, FJ_ERR_CHECK, "%s: a share of equal top tokens of %.4f, at least %g was asked for",
                       s->model, e->d.same_top.value, s->min);
    return FJ_OK;
}

static fj_status check_settings(const settings *s, fj_err *err)
{
    if (!s->text) {
        (void)fj_fail(err, FJ_ERR_USAGE, "eval: nothing to measure");
        return fj_hint(err, "give a text: --perplexity FILE");
    }
    if (!s->kl_base && (!isnan(s->max_kl) || !isnan(s->min)))
        return fj_fail(err, FJ_ERR_USAGE, "%s compares with another model: --kl-base is missing",
                       isnan(s->min) ? "--max-kl" : "--min");
    return FJ_OK;
}

static fj_status run(const fj_call *call, fj_err *err)
{
    const settings *s = call->settings;
    evaluation e = { .call = call };
    fj_status st = check_settings(s, err);
    if (!st)
        st = open_one(call, s->model, s->adapter, FJ_OPEN_ALL, &e.model, err);
    if (!st && s->kl_base)
        st = open_one(call, s->kl_base, NULL, FJ_OPEN_WEIGHTS, &e.base, err);
    if (!st) {
        int64_t known = e.model.model->hp.n_ctx, n_ctx = s->n_ctx;
        if (!fj_call_given(call, "ctx-size") && known >= FJ_PERPLEXITY_LEAST)
            n_ctx = FJ_MIN(n_ctx, known);
        st = fj_windows_of_files(e.model.bundle, &s->text, 1, n_ctx, s->windows, FJ_PERPLEXITY_LEAST, &e.windows, err);
    }
    if (!st)
        st = measure(&e, err);
    if (!st)
        st = print_results(&e, err);
    if (!st)
        st = check(&e, err);
    fj_windows_free(&e.windows);
    fj_opened_close(&e.base);
    fj_opened_close(&e.model);
    return st;
}

const fj_command fj_command_eval = {
    .name = "eval",
    .summary = "Perplexity on a text, and the distance from another model.",
    .about = "Windows, first tokens and what is scored are as in llama.cpp's perplexity tool, so that figures compare. "
             "Figures\n"
             "behind ± are standard errors.",
    .options = options,
    .groups = groups,
    .settings_size = sizeof(settings),
    .run = run,
};
