/* SPDX-License-Identifier: Apache-2.0
 * forja train: a training run, watched. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "cli/commands.h"
#include "cli/print.h"
#include "plan/plan.h"
#include "train/loop.h"

typedef struct settings {
    fj_common common;
    const char *file;
    fj_list overrides;
    bool explain;
    int64_t show_rows;
} settings;

static const fj_option options[] = {
    { "FILE", NULL, FJ_OPT_ARG, offsetof(settings, file), NULL, "the run as LLaMA-Factory's YAML (or JSON) says it", 0,
      0, 0 },
    { "KEY=VALUE", NULL, FJ_OPT_REST, offsetof(settings, overrides), NULL,
      "keys that replace the file's, such as learning_rate=1e-4", 0, 0, 0 },
    { "explain", NULL, FJ_OPT_FLAG, offsetof(settings, explain), NULL,
      "print every key, its value and where it comes from, and stop", 0, 0, 0 },
    { "show-rows", "N", FJ_OPT_INT, offsetof(settings, show_rows), "0",
      "print the first N rows as the model sees them, with ⟦trained parts⟧, and stop", 0, 1e9, 0 },
    { 0 },
};

/* ---- watching ------------------------------------------------------------------------------------------------------------------------- */

enum { SPARK_STEPS = 256 }; /* that the curve beside the bar shows */

typedef struct watcher {
    const fj_call *call;
    const fj_train_run *run;
    fj_progress bar;
    double *losses; /* of this process's steps */
    size_t n;
    double tokens, seconds, begun; /* seconds spent in steps; when the first step began */
    int64_t first;
    fj_str line;
} watcher;

static bool is_json(const watcher *w)
{
    return ((const settings *)w->call->settings)->common.json;
}

static void started(void *context, int64_t first, int64_t n_steps)
{
    watcher *w = context;
    w->first = first;
    w->losses = calloc((size_t)(n_steps - first) + 1, sizeof *w->losses);
    w->bar = (fj_progress){ .title = "train", .unit = "steps", .total = (double)(n_steps - first) };
    w->bar.is_quiet = ((const settings *)w->call->settings)->common.quiet;
    w->begun = fj_seconds();
    fj_progress_show(&w->bar, 0, NULL);
}

static void print_line(watcher *w, fj_json *v)
{
    fj_err err = { 0 };
    if (is_json(w) && fj_print_json(v, 0, &err) == FJ_OK)
        (void)fflush(stdout);
    else if (!is_json(w))
        fj_json_free(v);
}

static void step(void *context, const fj_train_step *s)
{
    watcher *w = context;
    const fj_train_config *c = &w->run->config;
    char memory[24];
    w->tokens += (double)s->tokens;
    w->seconds += (double)s->tokens / s->tokens_per_second;
    if (w->losses)
        w->losses[w->n++] = s->loss;
    print_line(w, is_json(w) ? fj_train_step_json(s) : NULL);
    if (fj_is_terminal(2)) {
        fj_str_clear(&w->line);
        fj_str_printf(&w->line, "loss %.4f ", s->loss);
        if (w->losses) /* the whole curve is in the output folder; this is its end */
            fj_spark(w->losses + (w->n > SPARK_STEPS ? w->n - SPARK_STEPS : 0), FJ_MIN(w->n, SPARK_STEPS), 16,
                     &w->line);
        fj_str_printf(&w->line, "  %.0f tokens/s  %s", w->tokens / w->seconds, fj_format_bytes(s->peak_bytes, memory));
        fj_progress_show(&w->bar, (double)(s->step - w->first), w->line.data);
    } else if (s->step % c->logging_steps == 0 || s->step == w->run->n_steps) {
        char left[32];
        double rate = (double)w->n / (fj_seconds() - w->begun);
        fj_note(w->call->rt->log,
                "step %lld/%lld  epoch %.2f  loss %.4f  grad %.3g  rate %.3g  %.0f tokens/s  %s left  %s",
                (long long)s->step, (long long)w->run->n_steps, s->epoch, s->loss, s->grad_norm, s->learning_rate,
                w->tokens / w->seconds, fj_format_seconds((double)(w->run->n_steps - s->step) / rate, left),
                fj_format_bytes(s->peak_bytes, memory));
    }
}

static void evaluated(void *context, const fj_train_eval *e)
{
    watcher *w = context;
    print_line(w, is_json(w) ? fj_train_eval_json(e) : NULL);
    fj_progress_end(&w->bar);
    fj_note(w->call->rt->log, "step %lld  evaluation: loss %.4f, perplexity %.2f over %lld tokens", (long long)e->step,
            e->loss, exp(e->loss), (long long)e->tokens);
}

/* ---- before and after ----------------------------------------------------------------------------------------------------------------- */

static void tell_run(const fj_call *call, const fj_train_run *r, const fj_plan *p)
{
    fj_log *log = call->rt->log;
    const fj_model *m = r->opened.model;
    char peak[24], left[24], weights[24], step[24];
    double share = 100.0 * (double)p->n_trained /
                   (double)(fj_model_parameters(m) + (r->opened.adapter ? p->n_trained : 0));
    if (r->opened.adapter)
        fj_note(log, "%s: an adapter of %d pairs learns, %lld of %lld parameters (%.2f %%)",
                r->config.model_name_or_path, r->opened.adapter->n, (long long)p->n_trained,
                (long long)fj_model_parameters(m), share);
    else
        fj_note(log, "%s: %lld of %lld parameters learn (%.2f %%)", r->config.model_name_or_path,
                (long long)p->n_trained, (long long)fj_model_parameters(m), share);
    fj_note(log, "%lld steps, %lld an epoch, %lld x %lld rows each; %s, rate %.3g %s", (long long)r->n_steps,
            (long long)r->n_windows, (long long)r->config.accumulation, (long long)r->config.batch_size,
            r->config.optim, r->config.learning_rate, r->schedule->name);
    fj_note(log, "memory: %s of %s (weights %s, the step %s)", fj_format_bytes(p->peak, peak),
            fj_format_bytes(fj_memory_available() + fj_resident_bytes(), left), fj_format_bytes(p->weights, weights),
            fj_format_bytes(p->activations, step));
}

static const char *advice(const fj_train_config *c)
{
    if (strcmp(c->finetuning_type, "lora") != 0)
        return "finetuning_type: lora takes far less";
    if (c->disable_gradient_checkpointing)
        return "disable_gradient_checkpointing: false takes less";
    return c->batch_size > 1
               ? "a smaller per_device_train_batch_size with more gradient_accumulation_steps gives the same steps"
               : "a smaller cutoff_len or a quantized base takes less";
}

static fj_status show_rows(const fj_train_run *r, int64_t n, fj_err *err)
{
    const fj_tokenizer *t = r->opened.bundle->tokenizer;
    fj_status st = t ? FJ_OK : fj_fail(err, FJ_ERR_USAGE, "--show-rows: the model has no tokenizer");
    for (int64_t i = 0; i < FJ_MIN(n, r->data->n_rows) && !st; i++) {
        fj_str text = { 0 };
        st = fj_row_show(&r->data->rows[i], t, &text, err);
        if (!st)
            (void)printf("row %lld, %d tokens, %d trained\n%s\n\n", (long long)r->data->rows[i].number,
                         r->data->rows[i].n, r->data->rows[i].n_targets, text.data ? text.data : "");
        fj_str_free(&text);
    }
    return st;
}

static fj_status explain(const fj_call *call, fj_err *err)
{
    const settings *s = call->settings;
    fj_train_config c;
    fj_str text = { 0 };
    fj_arena *arena = fj_arena_new();
    fj_status st = arena ? fj_train_config_load(s->file, s->overrides.items, s->overrides.n, arena, call->rt->log, &c,
                                                err)
                         : fj_fail(err, FJ_ERR_MEMORY, "no memory for the configuration");
    if (!st) {
        fj_train_config_explain(&c, &text);
        (void)fputs(text.data ? text.data : "", stdout);
    }
    fj_str_free(&text);
    fj_arena_free(arena);
    return st;
}

static fj_status watch_loop(const fj_call *call, fj_train_run *r, fj_err *err)
{
    watcher w = { .call = call, .run = r };
    fj_train_watch watch = { .started = started, .step = step, .evaluated = evaluated, .context = &w };
    fj_status st = fj_train_loop(r, call->rt->pool, &call->rt->kernels, call->rt->log, &watch, call->rt->cancel, err);
    fj_progress_end(&w.bar);
    if (!st && w.n) {
        char time[32];
        fj_note(call->rt->log, "done: %zu steps in %s, loss %.4f to %.4f, %.0f tokens/s; %s is in %s", w.n,
                fj_format_seconds(fj_seconds() - w.begun, time), w.losses ? w.losses[0] : NAN,
                w.losses ? w.losses[w.n - 1] : NAN, w.tokens / w.seconds,
                r->opened.adapter ? "the adapter" : "the model", r->config.output_dir);
    }
    free(w.losses);
    fj_str_free(&w.line);
    return st;
}

static fj_status run(const fj_call *call, fj_err *err)
{
    const settings *s = call->settings;
    fj_train_run r;
    fj_plan plan = { 0 };
    if (s->explain)
        return explain(call, err);
    fj_status st = fj_call_fetch_base(call, s->file, &s->overrides, err);
    if (!st)
        st = fj_train_run_open(s->file, s->overrides.items, s->overrides.n, call->rt->log, &r, err);
    if (st)
        return st;
    if (s->show_rows > 0) {
        st = show_rows(&r, s->show_rows, err);
    } else {
        st = fj_plan_training(r.opened.model, &r.settings, fj_pool_threads(call->rt->pool), &call->rt->kernels, &plan,
                              err);
        if (!st) {
            tell_run(call, &r, &plan);
            st = fj_plan_check(&plan, advice(&r.config), err);
        }
        if (!st)
            st = watch_loop(call, &r, err);
    }
    fj_train_run_close(&r);
    return st;
}

static void list_keys(fj_str *out)
{
    fj_str_add_text(out, "\nkeys:\n");
    for (const fj_option *k = fj_train_keys; k->name; k++)
        fj_str_printf(out, "  %-31s %s%s%s%s\n", k->name, k->help, k->fallback ? " [" : "",
                      k->fallback ? k->fallback : "", k->fallback ? "]" : "");
}

const fj_command fj_command_train = {
    .name = "train",
    .summary = "Fine-tune a model on your rows.",
    .about = "Ctrl-C keeps a checkpoint and stops; resume_from_checkpoint=true goes on from it, bit for bit.",
    .options = options,
    .settings_size = sizeof(settings),
    .run = run,
    .list = list_keys,
};
