/* SPDX-License-Identifier: Apache-2.0 */
#include "models/session.h"
#include "models/tiny_test.h"

enum { N = 5 };

/* Which tensors of a model were asked for and given back, by their place in the list. */
typedef struct asked {
    fj_source source; /* first: the source that the model sees */
    tiny t;
    int needed[TINY_MOST], given[TINY_MOST];
} asked;

static int *count_of(const fj_source *s, const fj_tensor *t, bool is_needed)
{
    asked *a = (asked *)(uintptr_t)s;
    for (int i = 0; i < a->t.n; i++)
        if (a->t.tensors[i].data == t->data)
            return is_needed ? &a->needed[i] : &a->given[i];
    CHECK(false);
    return NULL;
}

static void need(const fj_source *s, const fj_tensor *t)
{
    ++*count_of(s, t, true);
}

static void give(const fj_source *s, const fj_tensor *t)
{
    ++*count_of(s, t, false);
}

static size_t count(const fj_source *s)
{
    const asked *a = (const asked *)s;
    return a->t.source.count(&a->t.source);
}

static const fj_tensor *at(const fj_source *s, size_t i)
{
    const asked *a = (const asked *)s;
    return a->t.source.at(&a->t.source, i);
}

static const fj_tensor *find(const fj_source *s, const char *name)
{
    const asked *a = (const asked *)s;
    return a->t.source.find(&a->t.source, name);
}

static int needed(asked *a, const char *name)
{
    return a->needed[tiny_tensor(&a->t, name) - a->t.tensors];
}

static int given(asked *a, const char *name)
{
    return a->given[tiny_tensor(&a->t, name) - a->t.tensors];
}

static fj_model *open_model(asked *a)
{
    fj_err err = { 0 };
    fj_model *m = NULL;
    *a = (asked){ 0 };
    tiny_open_mixture(&a->t);
    a->source = a->t.source;
    a->source.count = count;
    a->source.at = at;
    a->source.find = find;
    a->source.will_need = need;
    a->source.give_back = give;
    CHECK_OK(fj_model_open(&a->source, &m, &err));
    CHECK_OK(fj_model_choose_experts(m, 0, "all:-1", &err));
    return m;
}

static void forward(const fj_model *m, fj_pool *pool, const fj_kernels *k, float *logits)
{
    const int32_t ids[N] = { 3, 1, 4, 1, 5 };
    const uint8_t wants[N] = { 1, 1, 1, 1, 1 };
    fj_err err = { 0 };
    fj_session *session = NULL;
    fj_session_settings s = { .n_ctx = N, .chunk = 3 };
    fj_rows_in rows = { .n = N, .ids = ids, .wants = wants };
    CHECK_OK(fj_session_open(m, &s, pool, k, &session, &err));
    CHECK_OK(fj_session_forward(session, &rows, logits, NULL, &err));
    fj_session_close(session);
}

TEST(streamed_weights_give_the_same_bits_and_idle_experts_are_not_read)
{
    asked a;
    fj_kernels k;
    fj_pool *pool;
    fj_err err = { 0 };
    float wanted[N * TINY_VOCAB], got[N * TINY_VOCAB];
    fj_kernels_init(&k, test_cpu());
    CHECK_OK(fj_pool_open(2, &pool, &err));
    fj_model *m = open_model(&a);
    forward(m, pool, &k, wanted);
    fj_model_free(m);
    tiny_close(&a.t);
    for (int repacks = 0; repacks < 2; repacks++)
        for (int extra = 0; extra < 3; extra++) { /* nothing stays, the plain matrices, some experts too */
            size_t room = extra == 0 ? 0 : extra == 1 ? 160 << 10 : 400 << 10;
            m = open_model(&a);
            size_t all = fj_model_bytes(m), least = fj_model_least_bytes(m), resident, streamed;
            CHECK_OK(fj_model_fit_bytes(m, least + room, repacks, &resident, &streamed, &err));
            CHECK_OK(fj_model_fit(m, least + room, repacks, pool, &err));
            CHECK(streamed == fj_model_streamed_bytes(m) && resident <= least + room);
            CHECK(fj_model_streamed_bytes(m) > 0 && fj_model_streamed_bytes(m) < all);
            CHECK(fj_model_streamed_bytes(m) + room >= all - (160 << 10));
            for (int i = 0; i < TINY_MOST; i++)
                a.needed[i] = a.given[i] = 0;
            forward(m, pool, &k, got);
            CHECK(!memcmp(got, wanted, sizeof wanted));
            /* two passes, of 3 and 2 rows */
            if (extra < 2)
                CHECK(needed(&a, "model.layers.1.block_sparse_moe.experts.0.w2.weight") == 2);
            CHECK(needed(&a, "model.layers.1.block_sparse_moe.experts.1.w2.weight") == 0);
            CHECK(needed(&a, "model.layers.0.self_attn.q_proj.weight") == (extra == 0 ? 2 : 0));
            CHECK(given(&a, "model.layers.0.self_attn.q_proj.weight") >= 2);
            CHECK(needed(&a, "model.embed_tokens.weight") == 0); /* rows are looked up */
            fj_model_free(m);
            tiny_close(&a.t);
        }
    fj_pool_close(pool);
}

TEST(a_limit_that_holds_all_streams_nothing_and_one_that_holds_no_matrix_is_refused)
{
    asked a;
    fj_pool *pool;
    fj_err err = { 0 };
    CHECK_OK(fj_pool_open(1, &pool, &err));
    fj_model *m = open_model(&a);
    CHECK(fj_model_fit(m, fj_model_least_bytes(m) - 1, true, pool, &err) == FJ_ERR_MEMORY);
    err = (fj_err){ 0 };
    CHECK_OK(fj_model_fit(m, 2 * fj_model_bytes(m), true, pool, &err));
    CHECK(!m->is_streamed && fj_model_streamed_bytes(m) == 0);
    fj_model_free(m);
    tiny_close(&a.t);
    fj_pool_close(pool);
}
