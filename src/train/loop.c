/* SPDX-License-Identifier: Apache-2.0
 * See loop.h. A step is a window of micro-batches; windows are a function of the step alone, so nothing but the step's number and the
 * trainer's tensors has to be kept to go on. */
#include "train/loop.h"

#include <dirent.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/map.h"
#include "train/plot.h"
#include "train/resume.h"
#include "train/save.h"

enum { MOST_BROKEN = 5 }; /* steps in a row whose numbers are not finite before a run gives up */

typedef struct loop {
    fj_train_run *r;
    fj_trainer *trainer;
    fj_batch batch;
    fj_metrics *metrics;
    fj_log *log;
    const fj_train_watch *watch;
    const int *cancel;
    fj_train_place at;
    int n_broken;      /* steps in a row */
    int64_t saved_at;  /* step of the last checkpoint of this process, -1: none */
    int64_t evaluated; /* likewise */
} loop;

/* ---- output_dir ----------------------------------------------------------------------------------------------------------------------- */

static bool is_empty_folder(const char *path)
{
    DIR *dir = opendir(path);
    bool is_empty = true;
    for (struct dirent *e = dir ? readdir(dir) : NULL; e && is_empty; e = readdir(dir))
        is_empty = !strcmp(e->d_name, ".") || !strcmp(e->d_name, "..");
    if (dir)
        closedir(dir);
    return is_empty;
}

static fj_status check_output(const fj_train_config *c, fj_err *err)
{
    if (fj_path_exists(c->output_dir) && !fj_path_is_dir(c->output_dir))
        return fj_fail(err, FJ_ERR_USAGE, "output_dir %s is a file", c->output_dir);
    if (c->overwrite_output_dir || c->resume_from_checkpoint || is_empty_folder(c->output_dir))
        return fj_make_dirs(c->output_dir, err);
    (void)fj_fail(err, FJ_ERR_USAGE, "output_dir %s is not empty", c->output_dir);
    return fj_hint(err,
                   "resume_from_checkpoint: true goes on with what is there, overwrite_output_dir: true replaces it");
}

/* What an older run left: only once everything else is known to be in order. */
static fj_status remove_old(const fj_train_config *c, fj_err *err)
{
    fj_status st = FJ_OK;
    char *folder;
    while (!st && (folder = fj_checkpoint_newest(c->output_dir)) != NULL) {
        st = fj_remove_tree(folder, err);
        free(folder);
    }
    return st;
}

/* ---- saving --------------------------------------------------------------------------------------------------------------------------- */

static fj_status save_result(void *context, const char *folder, fj_err *err)
{
    const loop *l = context;
    const fj_opened *o = &l->r->opened;
    if (o->adapter)
        return fj_save_adapter(o->model, o->adapter, l->r->adapter_config, folder, err);
    return fj_save_model(o->model, l->trainer, o->bundle, folder, err);
}

static fj_status save_checkpoint(loop *l, fj_err *err)
{
    const fj_train_config *c = &l->r->config;
    if (l->saved_at == l->at.step)
        return FJ_OK;
    fj_json *state = fj_train_state(l->r, &l->at);
    fj_status st = state ? fj_checkpoint_save(l->trainer, l->at.step, state, c->save_only_model, c->output_dir,
                                              save_result, l, err)
                         : fj_fail(err, FJ_ERR_MEMORY, "no memory for a checkpoint");
    fj_json_free(state);
    if (!st)
        st = fj_checkpoint_prune(c->output_dir, c->save_total_limit, err);
    l->saved_at = l->at.step;
    return st;
}

/* ---- evaluation ----------------------------------------------------------------------------------------------------------------------- */

static fj_status evaluate(loop *l, fj_err *err)
{
    fj_train_run *r = l->r;
    double nll = 0, started = fj_seconds();
    fj_train_eval e = { .step = l->at.step, .epoch = (double)l->at.step / (double)r->n_windows };
    fj_status st = FJ_OK;
    if (l->evaluated == l->at.step)
        return FJ_OK;
    for (int64_t w = 0; w < fj_loader_windows(r->eval_loader) && !st; w++) {
        fj_loader_fill(r->eval_loader, 0, w, 0, &l->batch);
        e.tokens += l->batch.n_targets;
        st = fj_trainer_evaluate(l->trainer, &l->batch, &nll, l->cancel, err);
    }
    if (st)
        return st;
    e.loss = nll / (double)e.tokens;
    e.seconds = fj_seconds() - started;
    l->evaluated = l->at.step;
    if (l->watch->evaluated)
        l->watch->evaluated(l->watch->context, &e);
    return fj_metrics_eval(l->metrics, &e, err);
}

/* ---- steps ---------------------------------------------------------------------------------------------------------------------------- */

/* Gradients of one window. */
static fj_status accumulate(loop *l, int64_t epoch, int64_t window, fj_train_step *s, fj_err *err)
{
    fj_train_run *r = l->r;
    fj_window w = fj_loader_window(r->loader, epoch, window);
    fj_status st = FJ_OK;
    for (int64_t i = 0; i < w.n_micro && !st; i++) {
        uint32_t key = (uint32_t)(l->at.step * r->config.accumulation + i);
        fj_loader_fill(r->loader, epoch, window, i, &l->batch);
        st = fj_trainer_accumulate(l->trainer, &l->batch, w.n_targets, i == 0, key, &s->loss, l->cancel, err);
    }
    s->tokens = w.n_tokens;
    return st;
}

/* A gradient that is not finite is not applied; a run of such steps will not recover. */
static fj_status apply(loop *l, const fj_train_step *s, fj_err *err)
{
    if (isfinite(s->grad_norm) && isfinite(s->loss)) {
        l->n_broken = 0;
        fj_trainer_update(l->trainer, s->learning_rate, ++l->at.updates);
        return FJ_OK;
    }
    fj_warn(l->log, "step %lld: loss %g, gradient norm %g: not applied", (long long)s->step, s->loss, s->grad_norm);
    if (++l->n_broken < MOST_BROKEN)
        return FJ_OK;
    (void)fj_fail(err, FJ_ERR_FAILED, "the loss is not finite for %d steps, the last is %lld", MOST_BROKEN,
                  (long long)s->step);
    return fj_hint(err, "a lower learning_rate or a warm-up helps; the last good checkpoint is kept");
}

static fj_status one_step(loop *l, fj_err *err)
{
    fj_train_run *r = l->r;
    int64_t epoch = l->at.step / r->n_windows, window = l->at.step % r->n_windows;
    double started = fj_seconds();
    fj_train_step s = { .step = l->at.step + 1,
                        .epoch = (double)(l->at.step + 1) / (double)r->n_windows,
                        .learning_rate = fj_train_run_rate(r, l->at.step) };
    fj_status st = accumulate(l, epoch, window, &s, err);
    if (st)
        return st;
    s.grad_norm = fj_trainer_norm(l->trainer);
    st = apply(l, &s, err);
    if (st)
        return st;
    l->at.step++;
    s.tokens_per_second = (double)s.tokens / (fj_seconds() - started);
    s.peak_bytes = fj_peak_resident_bytes();
    if (l->watch->step)
        l->watch->step(l->watch->context, &s);
    return fj_metrics_step(l->metrics, &s, err);
}

/* Whether something that is done every so many steps, or at the end of epochs, is due. */
static bool is_due(const loop *l, const char *strategy, int64_t every)
{
    if (!strcmp(strategy, "epoch"))
        return l->at.step % l->r->n_windows == 0 || l->at.step == l->r->n_steps;
    return !strcmp(strategy, "steps") && (l->at.step % every == 0 || l->at.step == l->r->n_steps);
}

static fj_status all_steps(loop *l, fj_err *err)
{
    const fj_train_config *c = &l->r->config;
    fj_status st = FJ_OK;
    while (!st && l->at.step < l->r->n_steps) {
        st = one_step(l, err);
        if (!st && l->r->n_eval && is_due(l, c->eval_strategy, c->eval_steps))
            st = evaluate(l, err);
        if (!st && is_due(l, c->save_strategy, c->save_steps))
            st = save_checkpoint(l, err);
    }
    if (!st && l->r->n_eval)
        st = evaluate(l, err); /* rows that were set apart are looked at once at least */
    if (st != FJ_ERR_CANCELLED || !strcmp(c->save_strategy, "no") || l->at.step == 0)
        return st;
    fj_err no_room = { 0 };
    if (save_checkpoint(l, &no_room)) {
        *err = no_room;
        return no_room.status;
    }
    (void)fj_fail(err, FJ_ERR_CANCELLED, "stopped after step %lld of %lld", (long long)l->at.step,
                  (long long)l->r->n_steps);
    return fj_hint(err, "the same command with resume_from_checkpoint=true goes on from there");
}

/* ---- the whole ------------------------------------------------------------------------------------------------------------------------ */

static fj_status finish(loop *l, const char *metrics_path, fj_err *err)
{
    const fj_train_config *c = &l->r->config;
    fj_status st = save_result(l, c->output_dir, err);
    if (!st && c->plot_loss) {
        char *path = fj_path_join(c->output_dir, "training_loss.svg");
        st = path ? fj_plot_losses(metrics_path, path, err) : fj_fail(err, FJ_ERR_MEMORY, "no memory for the plot");
        free(path);
    }
    return st;
}

static fj_status open_loop(loop *l, fj_pool *pool, const fj_kernels *k, const char *metrics_path, fj_err *err)
{
    const fj_train_config *c = &l->r->config;
    fj_status st = check_output(c, err);
    if (!st)
        st = fj_model_fill(l->r->opened.model, pool, err);
    if (!st)
        st = fj_trainer_open(l->r->opened.model, &l->r->settings, pool, k, &l->trainer, err);
    if (!st)
        st = fj_batch_new(&l->r->settings.capacity, &l->batch, err);
    if (!st)
        st = fj_train_resume(l->r, l->trainer, l->log, &l->at, err);
    if (!st && !c->resume_from_checkpoint)
        st = remove_old(c, err);
    if (!st)
        st = fj_metrics_open(metrics_path, l->at.step, &l->metrics, err);
    return st;
}

fj_status fj_train_loop(fj_train_run *r, fj_pool *pool, const fj_kernels *k, fj_log *log, const fj_train_watch *watch,
                        const int *cancel, fj_err *err)
{
    loop l = { .r = r, .log = log, .watch = watch, .cancel = cancel, .saved_at = -1, .evaluated = -1 };
    char *path = fj_path_join(r->config.output_dir, "metrics.jsonl");
    fj_status st = path ? open_loop(&l, pool, k, path, err) : fj_fail(err, FJ_ERR_MEMORY, "no memory for a run");
    if (!st && watch->started)
        watch->started(watch->context, l.at.step, r->n_steps);
    if (!st)
        st = all_steps(&l, err);
    if (!st)
        st = finish(&l, path, err);
    fj_metrics_close(l.metrics);
    fj_batch_free(&l.batch);
    fj_trainer_close(l.trainer);
    free(path);
    return st;
}
