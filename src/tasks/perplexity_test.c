/* SPDX-License-Identifier: Apache-2.0
 * Perplexity and divergence of tiny models against the definitions, computed in double from the logits of single windows. */
#include "tasks/perplexity.h"

#include <stdlib.h>

#include "models/tiny_test.h"

enum {
    N_IDS = 107,
    N_CTX = 24,
    WINDOWS = N_IDS / N_CTX,
    FIRST = N_CTX / 2,
    SCORED = N_CTX - 1 - FIRST,
    V = TINY_VOCAB
};

typedef struct reading {
    tiny t;
    fj_model *m;
} reading;

static void make(reading *r, const fj_dtype *dtype, const char *keys)
{
    fj_err err = { 0 };
    tiny_open(&r->t, keys, FJ_NAMING_HF, dtype);
    CHECK_OK(fj_model_open(&r->t.source, &r->m, &err));
}

static void drop(reading *r)
{
    fj_model_free(r->m);
    tiny_close(&r->t);
}

static void fill_ids(int32_t *ids, int64_t n)
{
    for (int64_t i = 0; i < n; i++)
        ids[i] = (int32_t)(i * i * 13 % V);
}

/* log softmax of every row of a window, alone in a session. */
static void log_probabilities(const fj_model *m, fj_pool *pool, const fj_kernels *k, const int32_t *ids, double *out)
{
    fj_err err = { 0 };
    fj_session *s = NULL;
    fj_session_settings settings = { .n_ctx = N_CTX, .stop_layer = -1 };
    float logits[N_CTX * V];
    uint8_t wants[N_CTX];
    memset(wants, 1, sizeof wants);
    fj_rows_in rows = { .n = N_CTX, .ids = ids, .wants = wants };
    CHECK_OK(fj_session_open(m, &settings, pool, k, &s, &err));
    CHECK_OK(fj_session_forward(s, &rows, logits, NULL, &err));
    fj_session_close(s);
    for (int r = 0; r < N_CTX; r++) {
        double sum = 0;
        for (int v = 0; v < V; v++)
            sum += exp((double)logits[r * V + v]);
        for (int v = 0; v < V; v++)
            out[r * V + v] = (double)logits[r * V + v] - log(sum);
    }
}

typedef struct wanted {
    double nll, squares, kl, kl_max, delta, same;
} wanted;

static wanted define(const reading *q, const reading *base, const fj_windows *w, fj_pool *pool, const fj_kernels *k)
{
    static double x[N_CTX * V], b[N_CTX * V];
    wanted all = { 0 };
    double n = WINDOWS * SCORED;
    for (int i = 0; i < WINDOWS; i++) {
        const int32_t *ids = w->ids + i * N_CTX;
        log_probabilities(q->m, pool, k, ids, x);
        log_probabilities(base->m, pool, k, ids, b);
        for (int r = FIRST; r + 1 < N_CTX; r++) {
            double kl = 0, nll = -x[r * V + ids[r + 1]];
            int top_x = 0, top_b = 0;
            for (int v = 0; v < V; v++) {
                kl += exp(b[r * V + v]) * (b[r * V + v] - x[r * V + v]);
                top_x = x[r * V + v] > x[r * V + top_x] ? v : top_x;
                top_b = b[r * V + v] > b[r * V + top_b] ? v : top_b;
            }
            all.nll += nll / n;
            all.squares += nll * nll / n;
            all.kl += kl / n;
            all.kl_max = fmax(all.kl_max, kl);
            all.same += (top_x == top_b) / n;
            all.delta += (exp(-nll) - exp(b[r * V + ids[r + 1]])) / n;
        }
    }
    return all;
}

static void close_to(double got, double want, double bound)
{
    CHECK(fabs(got - want) <= bound);
}

/* Bounds: logits are the same bits as in single windows; what is left is exp_row (2e-7) and sums of 50 values near 1. */
static void check_models(const fj_dtype *dtype, const fj_dtype *base_dtype, int threads)
{
    fj_err err = { 0 };
    reading q, base;
    fj_pool *pool;
    fj_kernels k;
    fj_windows w;
    fj_perplexity p;
    fj_divergence d;
    int32_t ids[N_IDS];
    fill_ids(ids, N_IDS);
    fj_kernels_init(&k, test_cpu());
    CHECK_OK(fj_pool_open(threads, &pool, &err));
    make(&q, dtype, NULL);
    make(&base, base_dtype, NULL);
    CHECK_OK(fj_windows_of_ids(ids, N_IDS, 1, N_CTX, 0, &w, &err));
    fj_measurement m = { .pool = pool, .kernels = &k };
    CHECK_OK(fj_perplexity_measure(&(fj_reader){ q.m, NULL, false }, &(fj_reader){ base.m, NULL, false }, &w, &m, &p,
                                   &d, &err));
    wanted want = define(&q, &base, &w, pool, &k);
    CHECK(p.windows == WINDOWS && p.tokens == WINDOWS * SCORED);
    close_to(p.nll.value, want.nll, 1e-6);
    close_to(p.perplexity.value, exp(want.nll), 1e-6 * exp(want.nll));
    close_to(p.nll.error, sqrt((want.squares - want.nll * want.nll) / (WINDOWS * SCORED - 1)), 1e-6);
    close_to(d.kl.value, want.kl, 1e-6);
    close_to(d.kl_max, want.kl_max, 1e-6);
    close_to(d.same_top.value, want.same, 1e-9);
    close_to(d.delta_p.value, want.delta, 1e-6);
    close_to(d.ln_ratio.value, p.nll.value - d.base.nll.value, 1e-9);
    fj_windows_free(&w);
    drop(&q);
    drop(&base);
    fj_pool_close(pool);
}

TEST(perplexity_and_divergence_are_those_of_single_windows)
{
    check_models(&fj_q8_0, &fj_f32, 1);
    check_models(&fj_q4_0, &fj_q8_0, 3);
}

TEST(a_model_does_not_differ_from_itself)
{
    fj_err err = { 0 };
    reading q;
    fj_pool *pool;
    fj_kernels k;
    fj_windows w;
    fj_perplexity p;
    fj_divergence d;
    int32_t ids[N_IDS];
    fill_ids(ids, N_IDS);
    fj_kernels_init(&k, test_cpu());
    CHECK_OK(fj_pool_open(2, &pool, &err));
    make(&q, &fj_q4_1, NULL);
    CHECK_OK(fj_windows_of_ids(ids, N_IDS, -1, N_CTX, 0, &w, &err));
    fj_reader reader = { q.m, NULL, true };
    CHECK_OK(
        fj_perplexity_measure(&reader, &reader, &w, &(fj_measurement){ .pool = pool, .kernels = &k }, &p, &d, &err));
    CHECK(fabs(d.kl.value) < 1e-12 && d.same_top.value == 1 && d.delta_p_rms.value == 0 && d.ln_ratio.value == 0);
    close_to(d.correlation, 1, 1e-12);
    fj_windows_free(&w);
    drop(&q);
    fj_pool_close(pool);
}

TEST(windows_lie_end_to_end_and_begin_with_the_first_token)
{
    fj_err err = { 0 };
    fj_windows w;
    int32_t ids[] = { 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15 };
    CHECK_OK(fj_windows_of_ids(ids, 11, 1, 4, 0, &w, &err));
    CHECK(w.n == 2 && w.n_ctx == 4 && w.ids[0] == 1 && w.ids[1] == 6 && w.ids[4] == 1 && w.ids[7] == 12);
    fj_windows_free(&w);
    CHECK_OK(fj_windows_of_ids(ids, 11, -1, 4, 1, &w, &err));
    CHECK(w.n == 1 && w.ids[0] == 5);
    fj_windows_free(&w);
    CHECK_OK(fj_windows_of_ids(ids, 11, 1, 512, 0, &w, &err)); /* a short text is one short window */
    CHECK(w.n == 1 && w.n_ctx == 11 && w.ids[0] == 1 && w.ids[10] == 15 && fj_windows_at_once(&w) == 1);
    fj_windows_free(&w);
    CHECK_OK(fj_windows_of_ids(ids, 0, 1, 512, 0, &w, &err));
    CHECK(w.n == 0);
    fj_windows_free(&w);
}

TEST(bases_of_another_vocabulary_are_refused_and_numbers_that_are_not_finite_are_reported)
{
    fj_err err = { 0 };
    reading q, base;
    fj_pool *pool;
    fj_kernels k;
    fj_windows w;
    fj_perplexity p;
    fj_divergence d;
    int32_t ids[N_IDS];
    fill_ids(ids, N_IDS);
    fj_kernels_init(&k, test_cpu());
    CHECK_OK(fj_pool_open(1, &pool, &err));
    make(&q, &fj_f32, NULL);
    make(&base, &fj_f32, NULL);
    CHECK_OK(fj_windows_of_ids(ids, N_IDS, -1, N_CTX, 0, &w, &err));
    fj_reader reader = { q.m, NULL, false }, other = { base.m, NULL, false };
    fj_measurement m = { .pool = pool, .kernels = &k };
    base.m->hp.n_vocab++;
    CHECK(fj_perplexity_measure(&reader, &other, &w, &m, &p, &d, &err) == FJ_ERR_USAGE);
    CHECK_TEXT(err.message, "the base has a vocabulary of 51 tokens, the model one of 50");
    base.m->hp.n_vocab--;
    fj_tensor *norm = tiny_tensor(&q.t, "model.norm.weight");
    ((float *)(uintptr_t)norm->data)[3] = INFINITY;
    err = (fj_err){ 0 };
    CHECK(fj_perplexity_measure(&reader, NULL, &w, &m, &p, NULL, &err) == FJ_ERR_FAILED);
    CHECK_TEXT(err.message, "the model's numbers are not finite in the first 4 windows");
    int cancel = 1;
    m.cancel = &cancel;
    err = (fj_err){ 0 };
    fj_status st = fj_perplexity_measure(&other, NULL, &w, &m, &p, NULL, &err);
    CHECK_TEXT(err.message, "interrupted");
    CHECK(st == FJ_ERR_CANCELLED);
    fj_windows_free(&w);
    drop(&q);
    drop(&base);
    fj_pool_close(pool);
}
