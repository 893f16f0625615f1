/* SPDX-License-Identifier: Apache-2.0
 * Mixes of tiny models: a patched model computes what a file would, and more bytes never lose more. */
#include "tasks/mix.h"

#include "models/tiny_test.h"
#include "tasks/patched.h"

enum { N_IDS = 64, N_CTX = 32 };

static const fj_export_rows stored = { fj_export_stored_rows, NULL };

typedef struct mixing {
    tiny t;
    fj_model *m;
    fj_pool *pool;
    fj_kernels k;
    fj_windows w;
} mixing;

static void make(mixing *x)
{
    fj_err err = { 0 };
    int32_t ids[N_IDS];
    tiny_open(&x->t, NULL, FJ_NAMING_HF, &fj_f32);
    CHECK_OK(fj_model_open(&x->t.source, &x->m, &err));
    CHECK_OK(fj_pool_open(2, &x->pool, &err));
    fj_kernels_init(&x->k, test_cpu());
    for (int i = 0; i < N_IDS; i++)
        ids[i] = (i * i * 13 + 5) % TINY_VOCAB;
    CHECK_OK(fj_windows_of_ids(ids, N_IDS, -1, N_CTX, 0, &x->w, &err));
}

static void drop(mixing *x)
{
    fj_windows_free(&x->w);
    fj_pool_close(x->pool);
    fj_model_free(x->m);
    tiny_close(&x->t);
}

static void logits_of(const mixing *x, const fj_model *m, float *out)
{
    fj_err err = { 0 };
    fj_session *s;
    fj_session_settings settings = { .n_ctx = N_CTX, .stop_layer = -1 };
    fj_rows_in rows = { .n = N_CTX, .ids = x->w.ids };
    CHECK_OK(fj_session_open(m, &settings, x->pool, &x->k, &s, &err));
    CHECK_OK(fj_session_forward(s, &rows, out, NULL, &err));
    fj_session_close(s);
}

/* The same blocks put where the model reads them from. */
TEST(a_patched_model_computes_what_its_blocks_say)
{
    fj_err err = { 0 };
    mixing x;
    fj_patched p, none;
    float patched[TINY_VOCAB], plain[TINY_VOCAB], again[TINY_VOCAB];
    make(&x);
    const fj_dtype *types[TINY_MOST] = { 0 };
    const float *importance[TINY_MOST] = { 0 };
    logits_of(&x, x.m, plain);
    CHECK_OK(fj_patched_make(x.m, types, importance, &stored, x.pool, &none, &err));
    logits_of(&x, &none.m, again);
    CHECK(!memcmp(plain, again, sizeof plain));
    int down = (int)(fj_model_weight(x.m, &fj_role_ffn_down, 0, false) - x.m->weights);
    types[down] = &fj_q4_0;
    CHECK_OK(fj_patched_make(x.m, types, importance, &stored, x.pool, &p, &err));
    logits_of(&x, &p.m, patched);
    CHECK(p.m.weights[down].dtype == &fj_q4_0 && memcmp(plain, patched, sizeof plain));

    static float values[TINY_MODEL * TINY_FF]; /* what the blocks hold, in the model's own place */
    fj_tensor *t = tiny_tensor(&x.t, "model.layers.0.mlp.down_proj.weight");
    fj_quant_of(&fj_q4_0)->decode(p.m.weights[down].data, values, TINY_MODEL * TINY_FF);
    memcpy((void *)(uintptr_t)t->data, values, t->bytes);
    logits_of(&x, x.m, again);
    CHECK(!memcmp(patched, again, sizeof patched));
    fj_patched_free(&p);
    fj_patched_free(&none);
    drop(&x);
}

static double expected(const fj_mix *mix, uint64_t *bytes)
{
    double sum = 0;
    *bytes = 0;
    for (size_t i = 0; i < fj_mix_count(mix); i++) {
        sum += fj_mix_line_of(mix, i).loss;
        *bytes += fj_mix_line_of(mix, i).bytes;
    }
    return sum;
}

TEST(a_mix_keeps_its_size_and_loses_less_the_more_it_has)
{
    fj_err err = { 0 };
    mixing x;
    fj_mix *mix;
    fj_estimate kl = { 0 };
    double before = INFINITY;
    make(&x);
    fj_measurement m = { .pool = x.pool, .kernels = &x.k };
    fj_mix_settings s = { .rows = &stored, .windows = &x.w, .m = &m };
    CHECK_OK(fj_mix_open(x.m, &s, &mix, &err));
    CHECK(fj_mix_count(mix) == 7 * TINY_LAYERS + 2);
    for (uint64_t bytes = 40000; bytes < 150000; bytes += 10000) {
        uint64_t used;
        CHECK_OK(fj_mix_for_bytes(mix, bytes, &err));
        double loss = expected(mix, &used);
        CHECK(used <= bytes && loss <= before && loss >= 0);
        before = loss;
    }
    CHECK(fj_mix_for_bytes(mix, 1000, &err) == FJ_ERR_USAGE);
    err = (fj_err){ 0 };
    CHECK_OK(fj_mix_for_kl(mix, 1e-3, &kl, &err));
    CHECK(kl.value <= 1e-3);
    fj_estimate again;
    CHECK_OK(fj_mix_measure(mix, &again, &err));
    CHECK(again.value == kl.value);
    uint64_t loose, tight;
    (void)expected(mix, &tight);
    CHECK_OK(fj_mix_for_kl(mix, 1e-2, &kl, &err));
    (void)expected(mix, &loose);
    CHECK(loose < tight);
    err = (fj_err){ 0 };
    CHECK(fj_mix_for_kl(mix, 1e-300, &kl, &err) == FJ_ERR_USAGE);
    fj_mix_close(mix);
    drop(&x);
}
