/* SPDX-License-Identifier: Apache-2.0
 * See perplexity.h. Windows go through the model several at a time, in pieces whose logits are bounded; the scores of each token are
 * kept, and the sums are taken over them in order at the end: the same for any number of threads. */
#include "tasks/perplexity.h"

#include <math.h>
#include <stdlib.h>

#include "base/clock.h"

enum { LOGIT_BYTES = 256 << 20, PART_ROWS = 4, LEAST_PIECE = 64 };

/* Of one scored token. */
typedef struct score {
    double nll, base_nll, kl;
    bool same_top;
} score;

typedef struct side {
    const fj_reader *reader;
    fj_session *session;
    fj_buffer logits;
} side;

typedef struct work {
    const fj_windows *w;
    const fj_measurement *m;
    side model, base; /* base.reader NULL: none */
    int64_t n_vocab, n_seqs, piece, first;
    int32_t *ids, *seq, *targets;
    uint8_t *wants;
    fj_buffer exps; /* n_vocab values a worker */
    score *scores;
    int64_t n_scores;
    double sum; /* of the nlls so far */
} work;

/* ---- one row ------------------------------------------------------------------------------------------------------------------------ */

/* max and log of the sum of exp(x - max), which are left in e. */
static double log_sum(const fj_kernels *k, const float *x, float *e, int64_t n, double *max, double *sum)
{
    *max = k->max_row(x, n);
    (void)k->exp_row(e, x, 1, (float)*max, n);
    *sum = 0;
    for (int64_t i = 0; i < n; i++)
        *sum += e[i];
    return log(*sum);
}

static int64_t top(const float *x, int64_t n, double max)
{
    int64_t i = 0;
    while (i + 1 < n && !(x[i] >= max))
        i++;
    return i;
}

static void score_row(const work *w, int64_t row, float *e, score *out)
{
    const fj_kernels *k = w->m->kernels;
    int64_t n = w->n_vocab, target = w->targets[row];
    const float *x = (const float *)(const void *)w->model.logits.data + row * n;
    double max, sum, log_s = log_sum(k, x, e, n, &max, &sum), base_max, base_sum;
    *out = (score){ .nll = log_s + max - x[target] };
    if (!w->base.reader)
        return;
    const float *b = (const float *)(const void *)w->base.logits.data + row * n;
    double base_log = log_sum(k, b, e, n, &base_max, &base_sum), mean = 0;
    for (int64_t i = 0; i < n; i++)
        mean += e[i] * (((double)b[i] - base_max) - ((double)x[i] - max));
    out->base_nll = base_log + base_max - b[target];
    out->kl = mean / base_sum - base_log + log_s;
    out->same_top = top(x, n, max) == top(b, n, base_max);
}

typedef struct score_job {
    const work *w;
    int64_t n;
} score_job;

static void score_part(void *context, int64_t part, int worker)
{
    const score_job *j = context;
    float *e = (float *)(void *)j->w->exps.data + worker * j->w->n_vocab;
    for (int64_t i = part * PART_ROWS; i < FJ_MIN(j->n, (part + 1) * PART_ROWS); i++)
        score_row(j->w, i, e, &j->w->scores[j->w->n_scores + i]);
}

/* ---- passes ------------------------------------------------------------------------------------------------------------------------- */

static fj_status open_side(work *w, side *s, fj_err *err)
{
    fj_session_settings settings = { .n_ctx = w->w->n_ctx,
                                     .n_seqs = w->n_seqs,
                                     .fast = s->reader->fast,
                                     .stop_layer = -1,
                                     .k_type = s->reader->k_type,
                                     .v_type = s->reader->v_type,
                                     .adapter = s->reader->adapter };
    size_t rows = (size_t)FJ_MIN(w->piece, w->n_seqs * (w->w->n_ctx - w->first));
    fj_status st = fj_session_open(s->reader->model, &settings, w->m->pool, w->m->kernels, &s->session, err);
    return st ? st : fj_buffer_open(&s->logits, rows * (size_t)w->n_vocab * sizeof(float), "the logits", err);
}

static fj_status open_work(work *w, fj_err *err)
{
    const fj_windows *windows = w->w;
    int64_t rows = w->n_seqs * windows->n_ctx;
    w->ids = malloc((size_t)rows * sizeof *w->ids);
    w->seq = malloc((size_t)rows * sizeof *w->seq);
    w->targets = malloc((size_t)rows * sizeof *w->targets);
    w->wants = malloc((size_t)rows);
    w->scores = calloc((size_t)(windows->n * (windows->n_ctx - w->first)), sizeof *w->scores);
    if (!w->ids || !w->seq || !w->targets || !w->wants || !w->scores)
        return fj_fail(err, FJ_ERR_MEMORY, "no memory for the scores of %lld tokens",
                       (long long)(windows->n * windows->n_ctx));
    fj_status st = fj_buffer_open(&w->exps, (size_t)fj_pool_threads(w->m->pool) * (size_t)w->n_vocab * sizeof(float),
                                  "probabilities", err);
    if (!st)
        st = open_side(w, &w->model, err);
    return !st && w->base.reader ? open_side(w, &w->base, err) : st;
}

static void close_work(work *w)
{
    side *sides[] = { &w->model, &w->base };
    for (size_t i = 0; i < FJ_LEN(sides); i++) {
        fj_session_close(sides[i]->session);
        fj_buffer_close(&sides[i]->logits);
    }
    fj_buffer_close(&w->exps);
    free(w->ids);
    free(w->seq);
    free(w->targets);
    free(w->wants);
    free(w->scores);
}

/* The rows of windows [first, first+n), one after the other. */
static void fill_rows(work *w, int64_t first, int64_t n)
{
    int64_t n_ctx = w->w->n_ctx;
    for (int64_t i = 0; i < n * n_ctx; i++) {
        int64_t at = i % n_ctx;
        w->ids[i] = w->w->ids[first * n_ctx + i];
        w->seq[i] = (int32_t)(i / n_ctx);
        w->wants[i] = at >= w->first && at + 1 < n_ctx;
    }
}

static fj_status forward(work *w, side *s, int64_t row, int64_t n, fj_err *err)
{
    fj_rows_in rows = { .n = n, .ids = w->ids + row, .seq = w->seq + row, .wants = w->wants + row };
    return fj_session_forward(s->session, &rows, (float *)(void *)s->logits.data, w->m->cancel, err);
}

static fj_status read_piece(work *w, int64_t row, int64_t n, fj_err *err)
{
    score_job j = { .w = w };
    fj_status st = forward(w, &w->model, row, n, err);
    if (!st && w->base.reader)
        st = forward(w, &w->base, row, n, err);
    if (st)
        return st;
    for (int64_t i = row; i < row + n; i++)
        if (w->wants[i])
            w->targets[j.n++] = w->ids[i + 1];
    fj_pool_run(w->m->pool, score_part, &j, (j.n + PART_ROWS - 1) / PART_ROWS);
    w->n_scores += j.n;
    return FJ_OK;
}

/* Adds the scores from `from` on to the sums so far. */
static fj_status add_up(work *w, int64_t from, int64_t windows, fj_err *err)
{
    double base = 0;
    for (int64_t i = from; i < w->n_scores; i++) {
        w->sum += w->scores[i].nll;
        base += w->scores[i].base_nll;
    }
    if (!isfinite(w->sum) || !isfinite(base))
        return fj_fail(err, FJ_ERR_FAILED, "the %s's numbers are not finite in the first %lld windows",
                       isfinite(base) ? "model" : "base", (long long)windows);
    if (w->m->show)
        w->m->show(w->m->context, windows, exp(w->sum / (double)w->n_scores));
    return FJ_OK;
}

static fj_status read_windows(work *w, fj_err *err)
{
    int64_t n_ctx = w->w->n_ctx, from = 0;
    for (int64_t first = 0; first < w->w->n; first += w->n_seqs) {
        int64_t n = FJ_MIN(w->n_seqs, w->w->n - first);
        fill_rows(w, first, n);
        for (int64_t row = 0; row < n * n_ctx; row += w->piece) {
            fj_status st = read_piece(w, row, FJ_MIN(w->piece, n * n_ctx - row), err);
            if (st)
                return st;
        }
        for (int64_t q = 0; q < n; q++) {
            (void)fj_session_truncate(w->model.session, q, 0);
            if (w->base.reader)
                (void)fj_session_truncate(w->base.session, q, 0);
        }
        fj_status st = add_up(w, from, first + n, err);
        if (st)
            return st;
        from = w->n_scores;
    }
    return FJ_OK;
}

/* ---- sums --------------------------------------------------------------------------------------------------------------------------- */

typedef double value_fn(const score *s);

static double nll_of(const score *s)
{
    return s->nll;
}

static double base_nll_of(const score *s)
{
    return s->base_nll;
}

static double change_of(const score *s)
{
    return s->nll - s->base_nll;
}

static double kl_of(const score *s)
{
    return s->kl;
}

static double same_of(const score *s)
{
    return s->same_top;
}

static double delta_of(const score *s)
{
    return exp(-s->nll) - exp(-s->base_nll);
}

static double delta_squared_of(const score *s)
{
    return delta_of(s) * delta_of(s);
}

/* Mean and its standard error; two passes, so that small spreads around large means come out right. */
static fj_estimate estimate(const work *w, value_fn *value)
{
    double n = (double)w->n_scores, sum = 0, squares = 0;
    for (int64_t i = 0; i < w->n_scores; i++)
        sum += value(&w->scores[i]);
    for (int64_t i = 0; i < w->n_scores; i++)
        squares += (value(&w->scores[i]) - sum / n) * (value(&w->scores[i]) - sum / n);
    return (fj_estimate){ sum / n, n > 1 ? sqrt(squares / n / (n - 1)) : 0 };
}

static fj_perplexity perplexity(const work *w, value_fn *value)
{
    fj_perplexity p = { .windows = w->w->n, .tokens = w->n_scores, .nll = estimate(w, value) };
    p.perplexity.value = exp(p.nll.value);
    p.perplexity.error = p.perplexity.value * p.nll.error;
    return p;
}

static double correlation(const work *w, double mean, double base_mean)
{
    double both = 0, one = 0, other = 0;
    for (int64_t i = 0; i < w->n_scores; i++) {
        double x = w->scores[i].nll - mean, y = w->scores[i].base_nll - base_mean;
        both += x * y;
        one += x * x;
        other += y * y;
    }
    return one > 0 && other > 0 ? both / sqrt(one * other) : 1;
}

static int by_kl(const void *a, const void *b)
{
    double x = ((const score *)a)->kl, y = ((const score *)b)->kl;
    return (x > y) - (x < y);
}

/* Between the two nearest of the sorted values, as llama.cpp does. */
static double percentile(const work *w, double share)
{
    double at = share * (double)(w->n_scores - 1);
    int64_t i = (int64_t)at, next = FJ_MIN(i + 1, w->n_scores - 1);
    return w->scores[i].kl + (at - (double)i) * (w->scores[next].kl - w->scores[i].kl);
}

/* Sorts the scores: the last of all. */
static void diverge(work *w, double mean, fj_divergence *d)
{
    fj_estimate squares = estimate(w, delta_squared_of);
    *d = (fj_divergence){ .base = perplexity(w, base_nll_of),
                          .ln_ratio = estimate(w, change_of),
                          .kl = estimate(w, kl_of),
                          .same_top = estimate(w, same_of),
                          .delta_p = estimate(w, delta_of) };
    d->correlation = correlation(w, mean, d->base.nll.value);
    d->delta_p_rms.value = sqrt(squares.value);
    d->delta_p_rms.error = squares.value > 0 ? squares.error / (2 * d->delta_p_rms.value) : 0;
    qsort(w->scores, (size_t)w->n_scores, sizeof *w->scores, by_kl);
    d->kl_median = percentile(w, 0.5);
    d->kl_90 = percentile(w, 0.9);
    d->kl_95 = percentile(w, 0.95);
    d->kl_99 = percentile(w, 0.99);
    d->kl_999 = percentile(w, 0.999);
    d->kl_max = percentile(w, 1);
}

fj_status fj_perplexity_measure(const fj_reader *reader, const fj_reader *base, const fj_windows *windows,
                                const fj_measurement *m, fj_perplexity *out, fj_divergence *divergence, fj_err *err)
{
    double started = fj_seconds();
    work w = { .w = windows, .m = m, .model = { reader }, .base = { base }, .n_vocab = reader->model->hp.n_vocab };
    fj_assert(windows->n > 0 && windows->n_ctx >= FJ_PERPLEXITY_LEAST);
    if (base && base->model->hp.n_vocab != w.n_vocab)
        return fj_fail(err, FJ_ERR_USAGE, "the base has a vocabulary of %lld tokens, the model one of %lld",
                       (long long)base->model->hp.n_vocab, (long long)w.n_vocab);
    w.first = windows->n_ctx / 2;
    w.n_seqs = fj_windows_at_once(windows);
    w.piece = FJ_MAX(LEAST_PIECE, LOGIT_BYTES / (w.n_vocab * (int64_t)sizeof(float)));
    w.piece = FJ_MIN(w.piece, w.n_seqs * windows->n_ctx);
    fj_status st = open_work(&w, err);
    if (!st)
        st = read_windows(&w, err);
    if (!st) {
        *out = perplexity(&w, nll_of);
        if (base)
            diverge(&w, out->nll.value, divergence);
        out->seconds = fj_seconds() - started;
    }
    close_work(&w);
    return st;
}
