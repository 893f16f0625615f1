/* SPDX-License-Identifier: Apache-2.0
 * See metrics.h. */
#include "train/metrics.h"

#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/map.h"
#include "base/str.h"

enum { MAX_FILE = 1 << 30 };

struct fj_metrics {
    FILE *file;
    char *path;
};

/* ---- reading -------------------------------------------------------------------------------------------------------------------------- */

/* Calls take with every line that is an object with a step. */
static fj_status each_line(const char *path,
                           fj_status (*take)(void *context, fj_text line, const fj_json *v, fj_err *err), void *context,
                           fj_err *err)
{
    fj_str text = { 0 };
    if (!fj_path_exists(path))
        return FJ_OK;
    fj_status st = fj_file_read(path, MAX_FILE, &text, err);
    size_t at = 0;
    while (!st && at < text.len) {
        const char *end = memchr(text.data + at, '\n', text.len - at);
        if (!end)
            break; /* the line that was being written when the run was killed */
        fj_text line = { text.data + at, (size_t)(end - text.data) - at };
        fj_json *v = NULL;
        fj_err broken = { 0 };
        if (!fj_json_parse(line.data, line.len, path, false, &v, &broken) && fj_json_is_integer(fj_json_get(v, "step")))
            st = take(context, line, v, err);
        fj_json_free(v);
        at += line.len + 1;
    }
    fj_str_free(&text);
    return st;
}

typedef struct keeper {
    int64_t last;
    fj_str kept;
} keeper;

static fj_status keep_line(void *context, fj_text line, const fj_json *v, fj_err *err)
{
    keeper *k = context;
    if (fj_json_int(fj_json_get(v, "step"), INT64_MAX) > k->last)
        return FJ_OK;
    fj_str_add(&k->kept, line.data, line.len);
    fj_str_add_char(&k->kept, '\n');
    return k->kept.failed ? fj_fail(err, FJ_ERR_MEMORY, "no memory for the run's metrics") : FJ_OK;
}

typedef struct curve {
    double *steps, *losses;
    size_t n, cap;
} curve;

static fj_status take_loss(void *context, fj_text line, const fj_json *v, fj_err *err)
{
    curve *c = context;
    (void)line;
    double loss = fj_json_real(fj_json_get(v, "loss"), NAN);
    if (!isfinite(loss))
        return FJ_OK;
    if (c->n == c->cap) {
        size_t cap = c->cap ? 2 * c->cap : 256;
        double *steps = realloc(c->steps, cap * sizeof *steps);
        if (steps)
            c->steps = steps;
        double *losses = realloc(c->losses, cap * sizeof *losses);
        if (losses)
            c->losses = losses;
        if (!steps || !losses)
            return fj_fail(err, FJ_ERR_MEMORY, "no memory for the curve of the loss");
        c->cap = cap;
    }
    c->steps[c->n] = fj_json_real(fj_json_get(v, "step"), 0);
    c->losses[c->n++] = loss;
    return FJ_OK;
}

fj_status fj_metrics_losses(const char *path, double **steps, double **losses, size_t *n, fj_err *err)
{
    curve c = { 0 };
    fj_status st = each_line(path, take_loss, &c, err);
    if (st) {
        free(c.steps);
        free(c.losses);
        return st;
    }
    *steps = c.steps;
    *losses = c.losses;
    *n = c.n;
    return FJ_OK;
}

/* ---- writing -------------------------------------------------------------------------------------------------------------------------- */

fj_status fj_metrics_open(const char *path, int64_t keep, fj_metrics **out, fj_err *err)
{
    keeper k = { .last = keep };
    fj_metrics *m = calloc(1, sizeof *m);
    if (m)
        m->path = strdup(path);
    fj_status st = m && m->path ? FJ_OK : fj_fail(err, FJ_ERR_MEMORY, "no memory for the run's metrics");
    if (!st && keep > 0)
        st = each_line(path, keep_line, &k, err);
    if (!st)
        st = fj_file_write(path, k.kept.data ? k.kept.data : "", k.kept.len, err);
    if (!st) {
        m->file = fopen(path, "ab");
        if (!m->file)
            st = fj_fail(err, FJ_ERR_FAILED, "%s: %s", path, strerror(errno));
    }
    fj_str_free(&k.kept);
    if (st) {
        fj_metrics_close(m);
        return st;
    }
    *out = m;
    return FJ_OK;
}

void fj_metrics_close(fj_metrics *m)
{
    if (!m)
        return;
    if (m->file)
        (void)fclose(m->file);
    free(m->path);
    free(m);
}

static fj_status add_line(fj_metrics *m, fj_json *v, fj_err *err)
{
    fj_str line = { 0 };
    fj_status st = FJ_OK;
    if (!v || !fj_json_write(v, 0, 9, &line))
        st = fj_fail(err, FJ_ERR_MEMORY, "no memory for a line of metrics");
    fj_str_add_char(&line, '\n');
    if (!st && (line.failed || fwrite(line.data, 1, line.len, m->file) != line.len || fflush(m->file)))
        st = fj_fail(err, errno == ENOSPC || errno == EFBIG ? FJ_ERR_MEMORY : FJ_ERR_FAILED, "%s: %s", m->path,
                     strerror(errno));
    fj_str_free(&line);
    fj_json_free(v);
    return st;
}

fj_json *fj_train_step_json(const fj_train_step *s)
{
    fj_json *v = fj_json_new_object();
    bool ok = v && fj_json_set(v, "step", fj_json_new_int(s->step)) &&
              fj_json_set(v, "epoch", fj_json_new_real(s->epoch)) &&
              fj_json_set(v, "loss", fj_json_new_real(s->loss)) &&
              fj_json_set(v, "grad_norm", fj_json_new_real(s->grad_norm)) &&
              fj_json_set(v, "learning_rate", fj_json_new_real(s->learning_rate)) &&
              fj_json_set(v, "tokens", fj_json_new_int(s->tokens)) &&
              fj_json_set(v, "tokens_per_second", fj_json_new_real(s->tokens_per_second)) &&
              fj_json_set(v, "peak_bytes", fj_json_new_int((int64_t)s->peak_bytes));
    if (ok)
        return v;
    fj_json_free(v);
    return NULL;
}

fj_json *fj_train_eval_json(const fj_train_eval *e)
{
    fj_json *v = fj_json_new_object();
    bool ok = v && fj_json_set(v, "step", fj_json_new_int(e->step)) &&
              fj_json_set(v, "epoch", fj_json_new_real(e->epoch)) &&
              fj_json_set(v, "eval_loss", fj_json_new_real(e->loss)) &&
              fj_json_set(v, "eval_perplexity", fj_json_new_real(exp(e->loss))) &&
              fj_json_set(v, "eval_tokens", fj_json_new_int(e->tokens)) &&
              fj_json_set(v, "eval_runtime", fj_json_new_real(e->seconds));
    if (ok)
        return v;
    fj_json_free(v);
    return NULL;
}

fj_status fj_metrics_step(fj_metrics *m, const fj_train_step *s, fj_err *err)
{
    return add_line(m, fj_train_step_json(s), err);
}

fj_status fj_metrics_eval(fj_metrics *m, const fj_train_eval *e, fj_err *err)
{
    return add_line(m, fj_train_eval_json(e), err);
}
