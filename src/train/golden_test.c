/* SPDX-License-Identifier: Apache-2.0
 * Tiny models of the llama family against transformers (tests/oracle/decoders.py): logits and gradients, with every table of kernels, on
 * one thread and on three, layers recomputed or not. */
#include <stdio.h>
#include <stdlib.h>

#include "formats/formats.h"
#include "kernels/test_rows.h"
#include "models/session.h"
#include "train/trainer.h"

/* Biases; tied head, one key/value head and llama3 rope; a sliding window and head_dim set; linear rope. */
static const char *const cases[] = { "tiny-bias", "tiny-tied", "tiny-window", "tiny-linear" };

/* Both sides sum in float32, in another order: an error of a few half units in the last place for each of some 20 products in a row,
 * each a sum of at most 32 terms: sqrt(20 * 32) * 2^-24 of the largest value, 1.5e-6. Four times that is allowed. */
static const double allowed = 6e-6;

typedef struct golden {
    fj_source *source, *expected, *gradients;
    fj_model *m;
    int32_t *ids;
    int64_t n;
} golden;

static fj_source *file(const char *name, const char *part)
{
    char path[96];
    fj_err err = { 0 };
    fj_source *s = NULL;
    (void)snprintf(path, sizeof path, "decoders/%s/%s.safetensors", name, part);
    CHECK_OK(fj_safetensors_open_file(test_golden(path), NULL, &s, &err));
    return s;
}

static void open_case(golden *g, const char *name)
{
    char path[96];
    fj_err err = { 0 };
    *g = (golden){ .expected = file(name, "expected"), .gradients = file(name, "grads") };
    (void)snprintf(path, sizeof path, "decoders/%s", name);
    CHECK_OK(fj_safetensors_open_folder(test_golden(path), &g->source, &err));
    CHECK_OK(fj_model_open(g->source, &g->m, &err));
    const fj_tensor *ids = g->expected->find(g->expected, "input_ids");
    CHECK(ids && ids->dtype == &fj_i64);
    g->n = fj_shape_count(&ids->shape);
    g->ids = calloc((size_t)g->n, sizeof *g->ids);
    CHECK(g->ids && g->n > 1);
    for (int64_t i = 0; i < g->n; i++) {
        int64_t id;
        memcpy(&id, (const char *)ids->data + i * 8, sizeof id);
        g->ids[i] = (int32_t)id;
    }
}

static void close_case(golden *g)
{
    free(g->ids);
    fj_model_free(g->m);
    g->source->close(g->source);
    g->expected->close(g->expected);
    g->gradients->close(g->gradients);
}

/* A tensor of a file as aligned floats, for free(). */
static float *values_of(const fj_source *s, const char *name, int64_t count)
{
    const fj_tensor *t = s->find(s, name);
    CHECK(t && t->dtype == &fj_f32 && fj_shape_count(&t->shape) == count);
    float *x = malloc(t->bytes);
    CHECK(x);
    memcpy(x, t->data, t->bytes);
    return x;
}

static void check_logits(const golden *g, fj_pool *pool, const fj_kernels *k)
{
    int64_t count = g->n * g->m->hp.n_vocab;
    float *wanted = values_of(g->expected, "logits", count), *got = calloc((size_t)count, sizeof *got);
    uint8_t *wants = malloc((size_t)g->n);
    fj_session_settings s = { .n_ctx = g->n };
    fj_session *session = NULL;
    fj_err err = { 0 };
    CHECK(got && wants);
    memset(wants, 1, (size_t)g->n);
    fj_rows_in rows = { .n = g->n, .ids = g->ids, .wants = wants };
    CHECK_OK(fj_session_open(g->m, &s, pool, k, &session, &err));
    CHECK_OK(fj_session_forward(session, &rows, got, NULL, &err));
    CHECK_NEAR(got, wanted, count, allowed);
    fj_session_close(session);
    free(wants);
    free(got);
    free(wanted);
}

static void check_gradients(const golden *g, fj_pool *pool, const fj_kernels *k, bool checkpointing)
{
    fj_row row = { .ids = g->ids, .labels = g->ids, .n = (int32_t)g->n, .n_targets = (int32_t)g->n - 1 };
    fj_batch batch;
    fj_trainer *t = NULL;
    fj_err err = { 0 };
    double nll = 0;
    CHECK_OK(fj_batch_of_rows(&row, 1, &batch, &err));
    fj_trainer_settings s = { .checkpointing = checkpointing,
                              .capacity = { .tokens = batch.n_tokens,
                                            .segments = 1,
                                            .targets = batch.n_targets,
                                            .segment_tokens = batch.n_tokens } };
    CHECK_OK(fj_trainer_open(g->m, &s, pool, k, &t, &err));
    CHECK_OK(fj_trainer_accumulate(t, &batch, batch.n_targets, true, 0, &nll, NULL, &err));
    CHECK((size_t)fj_trainer_count(t) == g->gradients->count(g->gradients)); /* a tied matrix comes once */
    for (int i = 0; i < fj_trainer_count(t); i++) {
        fj_trained p = fj_trainer_at(t, i);
        int64_t count = fj_shape_count(&p.shape);
        float *wanted = values_of(g->gradients, fj_trained_label(&p), count);
        CHECK_NEAR(p.gradient, wanted, count, allowed);
        free(wanted);
    }
    fj_trainer_close(t);
    fj_batch_free(&batch);
}

TEST(logits_and_gradients_of_the_llama_family_are_those_of_transformers)
{
    fj_kernels tables[TEST_TABLES];
    int n = test_tables(tables);
    for (size_t c = 0; c < FJ_LEN(cases); c++) {
        golden g;
        open_case(&g, cases[c]);
        for (int t = 0; t < n; t++)
            for (int threads = 1; threads <= 3; threads += 2) {
                fj_pool *pool = NULL;
                fj_err err = { 0 };
                CHECK_OK(fj_pool_open(threads, &pool, &err));
                check_logits(&g, pool, &tables[t]);
                check_gradients(&g, pool, &tables[t], threads == 3);
                fj_pool_close(pool);
            }
        close_case(&g);
    }
}
