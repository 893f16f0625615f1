/* SPDX-License-Identifier: Apache-2.0
 * Importance matrices of tiny models: sums against the definition, experts' counts, threads. */
#include "tasks/imatrix.h"

#include "hub/hub.h"
#include "models/tiny_test.h"
#include "quant/quant.h"

enum { N_IDS = 60, N_CTX = 20 };

static void fill_ids(int32_t *ids, int64_t n_vocab)
{
    for (int64_t i = 0; i < N_IDS; i++)
        ids[i] = (int32_t)((i * i * 13 + 5) % n_vocab);
}

static fj_imatrix *collect(const fj_model *m, int threads)
{
    fj_err err = { 0 };
    fj_pool *pool;
    fj_kernels k;
    fj_windows w;
    fj_imatrix *out;
    int32_t ids[N_IDS];
    const char *name = "ids";
    fill_ids(ids, m->hp.n_vocab);
    fj_kernels_init(&k, test_cpu());
    CHECK_OK(fj_pool_open(threads, &pool, &err));
    CHECK_OK(fj_windows_of_ids(ids, N_IDS, -1, N_CTX, 0, &w, &err));
    fj_measurement how = { .pool = pool, .kernels = &k };
    CHECK_OK(fj_imatrix_collect(&(fj_reader){ .model = m }, &w, &name, 1, &how, &out, &err));
    fj_windows_free(&w);
    fj_pool_close(pool);
    return out;
}

/* The first layer's q, k and v are multiplied with the normed embeddings of all tokens. */
TEST(the_sums_of_the_first_layer_are_those_of_normed_embeddings)
{
    fj_err err = { 0 };
    tiny t;
    fj_model *m;
    int32_t ids[N_IDS];
    float row[TINY_MODEL], norm[TINY_MODEL];
    double sums[TINY_MODEL] = { 0 };
    tiny_open(&t, NULL, FJ_NAMING_HF, &fj_f32);
    CHECK_OK(fj_model_open(&t.source, &m, &err));
    fill_ids(ids, TINY_VOCAB);
    memcpy(norm, tiny_tensor(&t, "model.layers.0.input_layernorm.weight")->data, sizeof norm);
    const float *table = tiny_tensor(&t, "model.embed_tokens.weight")->data;
    for (int i = 0; i < N_IDS; i++) {
        double squares = 0;
        memcpy(row, table + (int64_t)ids[i] * TINY_MODEL, sizeof row);
        for (int c = 0; c < TINY_MODEL; c++)
            squares += (double)row[c] * row[c];
        double rstd = 1 / sqrt(squares / TINY_MODEL + m->hp.norm_eps);
        for (int c = 0; c < TINY_MODEL; c++)
            sums[c] += pow(row[c] * rstd * norm[c], 2);
    }
    fj_imatrix *x = collect(m, 1), *again = collect(m, 3);
    CHECK(fj_imatrix_count(x) == 7 * TINY_LAYERS && x->chunks == N_IDS / N_CTX && x->chunk_size == N_CTX);
    static const char *const names[] = { "blk.0.attn_q.weight", "blk.0.attn_k.weight", "blk.0.attn_v.weight" };
    for (size_t i = 0; i < FJ_LEN(names); i++) {
        const fj_importance *item = fj_imatrix_find(x, names[i]);
        CHECK(item && item->n_values == TINY_MODEL && item->n_counts == 1 && item->counts[0] == N_IDS);
        for (int c = 0; c < TINY_MODEL; c++) /* f32 norm: 1e-6 of each square */
            CHECK(fabs(item->sums[c] - sums[c]) <= 1e-5 * sums[c]);
    }
    for (size_t i = 0; i < fj_imatrix_count(x); i++) {
        const fj_importance *a = &x->items[i], *b = fj_imatrix_find(again, a->name);
        CHECK(b && b->n_values == a->n_values && !memcmp(a->sums, b->sums, (size_t)a->n_values * sizeof(float)));
    }
    CHECK(fj_imatrix_find(x, "blk.1.ffn_down.weight")->n_values == TINY_FF);
    fj_imatrix_free(x);
    fj_imatrix_free(again);
    fj_model_free(m);
    tiny_close(&t);
}

TEST(every_token_counts_for_the_experts_that_it_chose)
{
    fj_err err = { 0 };
    fj_bundle *bundle;
    fj_model *m;
    CHECK_OK(fj_bundle_open(test_golden("decoders/tiny-mixtral"), FJ_OPEN_WEIGHTS, &bundle, &err));
    CHECK_OK(fj_model_open(bundle->source, &m, &err));
    fj_imatrix *x = collect(m, 2);
    const fj_importance *gate = fj_imatrix_find(x, "blk.0.ffn_gate_exps.weight");
    const fj_importance *down = fj_imatrix_find(x, "blk.0.ffn_down_exps.weight");
    CHECK(gate && down && gate->n_counts == m->hp.n_experts && down->n_counts == m->hp.n_experts);
    CHECK(gate->n_values == m->hp.n_experts * m->hp.d_model);
    double rows = 0, all = 0;
    for (int64_t e = 0; e < gate->n_counts; e++) {
        rows += gate->counts[e];
        for (int64_t c = 0; c < m->hp.d_model; c++)
            all += gate->sums[e * m->hp.d_model + c];
        CHECK(gate->counts[e] == down->counts[e]);
    }
    CHECK(rows == (double)(N_IDS * m->hp.n_experts_used) && all > 0);
    CHECK(!fj_imatrix_find(x, "blk.0.ffn_gate_inp.weight") && !fj_imatrix_find(x, "output.weight"));
    fj_imatrix_free(x);
    fj_model_free(m);
    fj_bundle_close(bundle);
}
