/* SPDX-License-Identifier: Apache-2.0 */
#include "models/tiny_test.h"

#include <stdio.h>

#include "models/session.h"

typedef struct mixture {
    tiny t;
    fj_model *m;
} mixture;

static void open_mixture(mixture *x)
{
    fj_err err = { 0 };
    tiny_open_mixture(&x->t);
    CHECK_OK(fj_model_open(&x->t.source, &x->m, &err));
}

static void close_mixture(mixture *x)
{
    fj_model_free(x->m);
    tiny_close(&x->t);
}

/* The experts that rows of a layer may take, "0-2" of three being 111. */
static int allowed(const mixture *x, int layer)
{
    const uint8_t *a = fj_model_allowed(x->m, layer);
    return a ? 100 * a[0] + 10 * a[1] + a[2] : 111;
}

TEST(choice_of_experts_reads_layers_lists_and_ranges)
{
    static const struct {
        const char *spec;
        int layer0, layer1;
    } good[] = { { "0:1", 10, 111 },          { "all:0,2", 101, 101 },    { "all:-1", 101, 101 },
                 { "0-1:-0-1", 1, 1 },        { " 1 : 0-1 ", 111, 110 },  { "all:2;0:0", 100, 1 },
                 { "0,1:1-2;1:-2", 11, 110 }, { "1:0;all:0-2", 111, 111 } };
    for (size_t i = 0; i < FJ_LEN(good); i++) {
        mixture x;
        fj_err err = { 0 };
        open_mixture(&x);
        CHECK_OK(fj_model_choose_experts(x.m, 0, good[i].spec, &err));
        CHECK(allowed(&x, 0) == good[i].layer0 && allowed(&x, 1) == good[i].layer1);
        CHECK(fj_model_experts_used(x.m, 1) == (allowed(&x, 1) == 1 ? 1 : 2));
        close_mixture(&x);
    }
}

TEST(choice_of_experts_says_what_the_model_has)
{
    static const struct {
        int64_t n_used;
        const char *spec, *message;
    } bad[] = { { 0, "2:0", "--experts: layer 2, the model has 2 layers, 0 to 1" },
                { 0, "all:3", "--experts: expert 3, the model has 3 experts, 0 to 2" },
                { 0, "0:-0-2", "--experts: '0:-0-2' leaves no expert" },
                { 0, "0:1,-2", "--experts: '0:1,-2' is not LAYERS:EXPERTS" },
                { 0, "0:2-1", "--experts: '0:2-1' is not LAYERS:EXPERTS" },
                { 0, "0:1-", "--experts: '0:1-' is not LAYERS:EXPERTS" },
                { 0, "0:", "--experts: '0:' is not LAYERS:EXPERTS" },
                { 0, ":0", "--experts: ':0' is not LAYERS:EXPERTS" },
                { 0, "0:0;;1:0", "--experts: '' is not LAYERS:EXPERTS" },
                { 0, "0:99999999999999999999", "--experts: '0:99999999999999999999' is not LAYERS:EXPERTS" },
                { 4, NULL, "--n-experts-used: 4, the model has 3 experts" } };
    mixture x;
    open_mixture(&x);
    for (size_t i = 0; i < FJ_LEN(bad); i++) {
        fj_err err = { 0 };
        CHECK(fj_model_choose_experts(x.m, bad[i].n_used, bad[i].spec, &err) == FJ_ERR_USAGE);
        CHECK_TEXT(err.message, bad[i].message);
    }
    close_mixture(&x);
    fj_err err = { 0 };
    tiny_open(&x.t, NULL, FJ_NAMING_HF, &fj_f32);
    CHECK_OK(fj_model_open(&x.t.source, &x.m, &err));
    CHECK_OK(fj_model_choose_experts(x.m, 0, NULL, &err));
    CHECK(fj_model_choose_experts(x.m, 0, "all:0", &err) == FJ_ERR_USAGE);
    CHECK_TEXT(err.message, "--experts: this model has no experts");
    close_mixture(&x);
}

typedef struct heard {
    int n;
    int32_t chosen[TINY_LAYERS][12];
    float weights[TINY_LAYERS][12];
    int64_t k[TINY_LAYERS];
} heard;

static void hear(void *context, const fj_routing *r)
{
    heard *h = context;
    CHECK(r->router == &fj_role_ffn_gate_inp && (r->first + r->n) * r->k <= 12);
    h->k[r->layer] = r->k;
    memcpy(h->chosen[r->layer] + r->first * r->k, r->chosen, (size_t)(r->n * r->k) * sizeof *r->chosen);
    memcpy(h->weights[r->layer] + r->first * r->k, r->weights, (size_t)(r->n * r->k) * sizeof *r->weights);
    h->n++;
}

/* Chunks of 4 rows: a call of 6 is told of twice. */
TEST(routers_tell_what_they_chose_and_choose_what_is_left)
{
    const int32_t ids[] = { 3, 1, 4, 1, 5, 9 };
    float logits[TINY_VOCAB];
    fj_err err = { 0 };
    fj_kernels k;
    fj_pool *pool;
    mixture x;
    heard h = { 0 };
    fj_session *session = NULL;
    fj_session_settings s = { .n_ctx = 6, .chunk = 4, .routed = hear, .routed_context = &h };
    fj_rows_in rows = { .n = 6, .ids = ids };
    fj_kernels_init(&k, test_cpu());
    CHECK_OK(fj_pool_open(2, &pool, &err));
    open_mixture(&x);
    CHECK_OK(fj_model_choose_experts(x.m, 2, "0:-1;1:2", &err));
    CHECK_OK(fj_session_open(x.m, &s, pool, &k, &session, &err));
    CHECK_OK(fj_session_forward(session, &rows, logits, NULL, &err));
    CHECK(h.n == 2 * TINY_LAYERS && h.k[0] == 2 && h.k[1] == 1);
    for (int i = 0; i < 6; i++) {
        CHECK(h.chosen[0][2 * i] + h.chosen[0][2 * i + 1] == 2 && h.chosen[0][2 * i] != 1);
        CHECK(fabsf(h.weights[0][2 * i] + h.weights[0][2 * i + 1] - 1) < 1e-6f);
        CHECK(h.weights[0][2 * i] >= h.weights[0][2 * i + 1]);
        CHECK(h.chosen[1][i] == 2 && h.weights[1][i] == 1);
    }
    fj_session_close(session);
    close_mixture(&x);
    fj_pool_close(pool);
}
