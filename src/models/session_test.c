/* SPDX-License-Identifier: Apache-2.0
 * The promises of DESIGN, "a row's bits depend on the row alone", on a tiny model. */
#include "models/session.h"

#include <stdlib.h>

#include "kernels/test_rows.h"
#include "models/tiny_test.h"

enum { LENGTH = 70, V = TINY_VOCAB };

typedef struct made {
    const fj_dtype *k_type, *v_type; /* of caches; NULL: the usual */
    tiny t;
    fj_model *m;
    fj_pool *pool;
    fj_kernels k;
    int32_t ids[LENGTH];
    float all[LENGTH * V]; /* logits of every row, one pass */
} made;

static fj_session *session(const made *x, fj_session_settings s)
{
    fj_session *out = NULL;
    fj_err err = { 0 };
    s.k_type = x->k_type;
    s.v_type = x->v_type;
    CHECK_OK(fj_session_open(x->m, &s, x->pool, &x->k, &out, &err));
    return out;
}

static void forward(fj_session *s, const int32_t *ids, const int32_t *seq, const uint8_t *wants, int64_t n, float *out)
{
    fj_err err = { 0 };
    fj_rows_in rows = { .n = n, .ids = ids, .seq = seq, .wants = wants };
    CHECK_OK(fj_session_forward(s, &rows, out, NULL, &err));
}

static void forward_all(fj_session *s, const int32_t *ids, int64_t n, float *out)
{
    uint8_t wants[LENGTH];
    memset(wants, 1, sizeof wants);
    forward(s, ids, NULL, wants, n, out);
}

/* The logits of every row of the prompt, in one pass. */
static void compute_all(made *x, bool fast)
{
    fj_session *s = session(x, (fj_session_settings){ .n_ctx = 100, .fast = fast });
    forward_all(s, x->ids, LENGTH, x->all);
    fj_session_close(s);
    for (int i = 0; i < LENGTH * V; i++)
        CHECK(isfinite(x->all[i]));
}

static void make(made *x, const char *keys, fj_naming naming, const fj_dtype *dtype, const fj_kernels *k, int threads,
                 bool fast)
{
    fj_err err = { 0 };
    x->k = *k;
    tiny_open(&x->t, keys, naming, dtype);
    CHECK_OK(fj_model_open(&x->t.source, &x->m, &err));
    CHECK_OK(fj_pool_open(threads, &x->pool, &err));
    for (int i = 0; i < LENGTH; i++)
        x->ids[i] = i * i * 13 % V;
    compute_all(x, fast);
}

static void drop(made *x)
{
    fj_pool_close(x->pool);
    fj_model_free(x->m);
    tiny_close(&x->t);
}

/* The prompt in chunks of a few sizes; the last row alone is asked for. */
static void check_chunks(const made *x, bool fast)
{
    const int64_t chunks[] = { 1, 7, 64, 512 };
    for (size_t i = 0; i < FJ_LEN(chunks); i++) {
        fj_session *s = session(x, (fj_session_settings){ .n_ctx = 100, .chunk = chunks[i], .fast = fast });
        float last[V];
        forward(s, x->ids, NULL, NULL, LENGTH, last);
        CHECK(test_same_bits(last, x->all + (LENGTH - 1) * V, V));
        fj_session_close(s);
    }
}

/* One id at a time behind a prompt, from the cache. */
static void check_cache(const made *x, bool fast)
{
    fj_session *s = session(x, (fj_session_settings){ .n_ctx = 100, .fast = fast });
    float row[V];
    forward(s, x->ids, NULL, NULL, 60, row);
    CHECK(test_same_bits(row, x->all + 59 * V, V));
    for (int i = 60; i < LENGTH; i++) {
        forward(s, x->ids + i, NULL, NULL, 1, row);
        CHECK(test_same_bits(row, x->all + i * V, V));
    }
    CHECK(fj_session_length(s, 0) == LENGTH);
    fj_session_truncate(s, 0, 30); /* back, and another way */
    forward(s, x->ids + 50, NULL, NULL, 20, row);
    fj_session_truncate(s, 0, 30);
    forward(s, x->ids + 30, NULL, NULL, 40, row);
    CHECK(test_same_bits(row, x->all + (LENGTH - 1) * V, V));
    fj_session_close(s);
}

/* Among five others of other lengths, in one pass and then row by row. */
static void check_batch(const made *x, bool fast)
{
    enum { OTHERS = 5, MOST = LENGTH + OTHERS * 40 };
    int32_t ids[MOST], seq[MOST];
    uint8_t wants[MOST] = { 0 };
    int64_t n = 0;
    float out[V], row[(OTHERS + 1) * V];
    fj_session *s = session(x, (fj_session_settings){ .n_ctx = 100, .n_seqs = OTHERS + 1, .fast = fast });
    for (int q = 0; q <= OTHERS; q++)
        for (int i = 0; i < (q == 3 ? 66 : 1 + 8 * q); i++, n++) {
            ids[n] = q == 3 ? x->ids[i] : (i * 17 + q) % V;
            seq[n] = q;
            wants[n] = q == 3 && i == 65;
        }
    forward(s, ids, seq, wants, n, out);
    CHECK(test_same_bits(out, x->all + 65 * V, V));
    for (int i = 66; i < LENGTH; i++) { /* one row of each sequence a pass */
        for (int q = 0; q <= OTHERS; q++) {
            ids[q] = q == 3 ? x->ids[i] : (i + q) % V;
            seq[q] = q;
            wants[q] = 1;
        }
        forward(s, ids, seq, wants, OTHERS + 1, row);
        CHECK(test_same_bits(row + 3 * V, x->all + i * V, V));
    }
    fj_session_close(s);
}

/* The model as it lies in its file, and in the kernels' order. */
static void check_all(made *x, bool fast)
{
    fj_err err = { 0 };
    compute_all(x, fast);
    for (int is_packed = 0; is_packed < 2; is_packed++) {
        if (is_packed)
            CHECK_OK(fj_model_repack(x->m, x->pool, &err));
        check_chunks(x, fast);
        check_cache(x, fast);
        check_batch(x, fast);
    }
    fj_model_free(x->m);
    CHECK_OK(fj_model_open(&x->t.source, &x->m, &err));
}

/* Two threads throughout; one and three give the same. */
static void check_threads(made *x, bool fast)
{
    float *before = malloc(sizeof x->all);
    CHECK(before);
    memcpy(before, x->all, sizeof x->all);
    for (int threads = 1; threads <= 3; threads++) {
        fj_err err = { 0 };
        fj_pool_close(x->pool);
        CHECK_OK(fj_pool_open(threads == 2 ? 3 : threads == 3 ? 2 : 1, &x->pool, &err));
        compute_all(x, fast);
        CHECK(test_same_bits(x->all, before, LENGTH * V));
    }
    free(before);
}

static void check_type(const fj_dtype *dtype, const fj_kernels *tables, int n_tables, const char *keys)
{
    made *x = calloc(1, sizeof *x);
    CHECK(x);
    make(x, keys, FJ_NAMING_HF, dtype, &tables[0], 2, false);
    for (int t = 0; t < n_tables; t++)
        for (int fast = 0; fast < 2; fast++) {
            x->k = tables[t];
            check_all(x, fast);
            check_threads(x, fast);
        }
    drop(x);
    free(x);
}

TEST(logits_of_a_prompt_have_the_same_bits_alone_in_a_batch_in_chunks_and_from_the_cache)
{
    static const fj_dtype *const types[] = { &fj_f32,  &fj_bf16, &fj_f16,  &fj_q8_0, &fj_q4_0, &fj_q4_1,
                                             &fj_q5_0, &fj_q5_1, &fj_q4_k, &fj_q5_k, &fj_q6_k };
#ifdef __SANITIZE_THREAD__ /* slow, and threads do the same for every type and table: a few, with the best table */
    const int step = 3;
#else
    const int step = 1; /* every type of weights that a file may have */
#endif
    fj_kernels tables[TEST_TABLES];
    int n = test_tables(tables), first = step > 1 ? n - 1 : 0;
    for (size_t i = 0; i < FJ_LEN(types); i += (size_t)step)
        check_type(types[i], tables + first, n - first, NULL);
}

TEST(logits_over_a_cache_of_any_type_have_the_same_bits_alone_in_a_batch_in_chunks_and_from_the_cache)
{
    static const fj_dtype *const types[][2] = {
        { &fj_f32, &fj_f16 },   { &fj_bf16, &fj_bf16 }, { &fj_q8_0, &fj_q8_0 },
        { &fj_q5_1, &fj_q5_0 }, { &fj_q4_1, &fj_f32 },  { &fj_q8_0, &fj_q4_0 }
    };
    fj_kernels tables[TEST_TABLES];
    int n = test_tables(tables);
    made *x = calloc(1, sizeof *x);
    CHECK(x);
    for (size_t i = 0; i < FJ_LEN(types); i++) {
        x->k_type = types[i][0];
        x->v_type = types[i][1];
        make(x, "{\"model_type\": \"mistral\", \"sliding_window\": 50}", FJ_NAMING_HF, &fj_q8_0, &tables[n - 1], 2,
             true);
        check_all(x, true);
        check_threads(x, true);
        drop(x);
    }
    free(x);
}

/* Kernels that are said to have no bf16 multiply weights as before: only attention looks. */
static bool attends_as_without_bf16(const fj_dtype *weights, const fj_kernels *k)
{
    made *x = calloc(1, sizeof *x), *other = calloc(1, sizeof *other);
    fj_kernels without = *k;
    without.cpu &= ~(unsigned)FJ_CPU_BF16;
    CHECK(x && other);
    x->k_type = x->v_type = other->k_type = other->v_type = &fj_f16;
    make(x, NULL, FJ_NAMING_HF, weights, k, 1, true);
    make(other, NULL, FJ_NAMING_HF, weights, &without, 1, true);
    bool same = test_same_bits(x->all, other->all, LENGTH * V);
    drop(x);
    drop(other);
    free(x);
    free(other);
    return same;
}

TEST(attention_is_in_bf16_where_weights_are_quantized_and_nowhere_else)
{
    fj_kernels tables[TEST_TABLES];
    const fj_kernels *best = &tables[test_tables(tables) - 1];
    CHECK(attends_as_without_bf16(&fj_bf16, best) && attends_as_without_bf16(&fj_f16, best));
    CHECK(attends_as_without_bf16(&fj_q8_0, best) == !(best->cpu & FJ_CPU_BF16));
}

/* Random weights are the worst case: they carry what a type loses of a value (half a step: 1/512, 1/254, 1/62, 1/16 of the largest) on
 * to a few times that. Measured: 0.007, 0.015, 0.10, 0.26. */
TEST(logits_over_a_quantized_cache_are_near_those_over_a_cache_of_floats)
{
    static const struct {
        const fj_dtype *type;
        double bound;
    } cases[] = { { &fj_bf16, 0.01 }, { &fj_q8_0, 0.02 }, { &fj_q5_1, 0.15 }, { &fj_q4_0, 0.4 } };
    fj_kernels k;
    made *x = calloc(1, sizeof *x), *whole = calloc(1, sizeof *whole);
    CHECK(x && whole);
    fj_kernels_init(&k, test_cpu());
    make(whole, NULL, FJ_NAMING_HF, &fj_f32, &k, 1, false);
    for (size_t i = 0; i < FJ_LEN(cases); i++) {
        x->k_type = x->v_type = cases[i].type;
        make(x, NULL, FJ_NAMING_HF, &fj_f32, &k, 1, false);
        CHECK_NEAR(x->all, whole->all, LENGTH * V, cases[i].bound);
        CHECK(!test_same_bits(x->all, whole->all, LENGTH * V));
        drop(x);
    }
    drop(whole);
    free(x);
    free(whole);
}

TEST(logits_in_a_sliding_window_have_the_same_bits_in_chunks_batches_and_from_the_cache)
{
    fj_kernels tables[TEST_TABLES];
    int n = test_tables(tables);
    check_type(&fj_f32, &tables[n - 1], 1, "{\"model_type\": \"mistral\", \"sliding_window\": 9}");
}

TEST(logits_of_a_gguf_model_are_those_of_its_original)
{
    fj_kernels tables[TEST_TABLES];
    int n = test_tables(tables);
    static const char keys[] = "{\"attention_bias\": true}";
    made *hf = calloc(1, sizeof *hf), *gguf = calloc(1, sizeof *gguf);
    CHECK(hf && gguf);
    make(hf, keys, FJ_NAMING_HF, &fj_f32, &tables[n - 1], 1, false);
    make(gguf, keys, FJ_NAMING_GGUF, &fj_f32, &tables[n - 1], 1, false);
    CHECK_NEAR(gguf->all, hf->all, LENGTH * V, 1e-5);
    drop(hf);
    drop(gguf);
    free(hf);
    free(gguf);
}

TEST(session_refuses_what_does_not_fit_and_stays_as_it_was)
{
    fj_kernels k;
    fj_err err = { 0 };
    made *x = calloc(1, sizeof *x);
    CHECK(x);
    fj_kernels_init(&k, test_cpu());
    make(x, NULL, FJ_NAMING_HF, &fj_f32, &k, 1, false);
    fj_session *s = session(x, (fj_session_settings){ .n_ctx = 20, .n_seqs = 2, .chunk = 4 });
    CHECK(fj_session_n_ctx(s) == 20);
    float row[V];
    forward(s, x->ids, NULL, NULL, 10, row);
    int32_t bad[] = { 3, 50, -1 }, seq[] = { 0, 1, 2 };
    fj_rows_in rows = { .n = 2, .ids = bad };
    CHECK(fj_session_forward(s, &rows, row, NULL, &err) == FJ_ERR_ARG);
    CHECK_TEXT(err.message, "token id 50 is not in the vocabulary of 50");
    bad[1] = -1;
    CHECK(fj_session_forward(s, &rows, row, NULL, &err) == FJ_ERR_ARG);
    CHECK_TEXT(err.message, "token id -1 is not in the vocabulary of 50");
    rows = (fj_rows_in){ .n = 3, .ids = x->ids, .seq = seq };
    CHECK(fj_session_forward(s, &rows, row, NULL, &err) == FJ_ERR_ARG);
    CHECK_TEXT(err.message, "sequence 2 of 2");
    rows = (fj_rows_in){ .n = 11, .ids = x->ids };
    CHECK(fj_session_forward(s, &rows, row, NULL, &err) == FJ_ERR_ARG);
    CHECK_TEXT(err.message, "11 tokens behind 10 do not fit a context of 20");
    int cancel = 1;
    rows.n = 10;
    rows.ids = x->ids + 10;
    CHECK(fj_session_forward(s, &rows, row, &cancel, &err) == FJ_ERR_CANCELLED);
    CHECK(fj_session_length(s, 0) == 10 && fj_session_length(s, 1) == 0);
    CHECK_OK(fj_session_forward(s, &rows, row, NULL, &err));
    CHECK(test_same_bits(row, x->all + 19 * V, V));
    fj_session_close(s);
    fj_session_close(NULL);
    drop(x);
    free(x);
}

TEST(session_takes_the_memory_that_its_plan_says)
{
    fj_kernels k;
    fj_err err = { 0 };
    tiny t;
    fj_model *m, *described;
    fj_session_bytes of_file, of_config;
    fj_session_settings s = { .n_ctx = 100, .n_seqs = 3, .chunk = 16 };
    fj_kernels_init(&k, test_cpu());
    tiny_open(&t, NULL, FJ_NAMING_HF, &fj_q8_0);
    CHECK_OK(fj_model_open(&t.source, &m, &err));
    CHECK_OK(fj_model_describe(t.source.config, &fj_q8_0, &described, &err));
    for (int fast = 0; fast < 2; fast++) {
        s.fast = fast;
        CHECK_OK(fj_session_plan(m, &s, 2, &k, &of_file, &err));
        CHECK_OK(fj_session_plan(described, &s, 2, &k, &of_config, &err));
        CHECK(of_file.kv == of_config.kv && of_file.arena == of_config.arena);
        CHECK(of_file.kv == 3 * 2 * (size_t)(TINY_LAYERS * 2 * TINY_KV * 64 * TINY_HEAD) * (fast ? 2 : 4));
        CHECK(of_file.arena > 16 * TINY_VOCAB * sizeof(float));
    }
    s.k_type = &fj_q8_0;
    s.v_type = &fj_q4_0;
    CHECK_OK(fj_session_plan(m, &s, 2, &k, &of_file, &err));
    CHECK(of_file.kv == 3 * 2 * (size_t)(TINY_LAYERS * TINY_KV * 64) * (34 + 18));
    fj_model_free(m);
    fj_model_free(described);
    tiny_close(&t);
}

TEST(session_gives_hidden_states_after_as_many_layers_as_asked)
{
    fj_kernels k;
    made *x = calloc(1, sizeof *x);
    CHECK(x);
    fj_kernels_init(&k, test_cpu());
    make(x, NULL, FJ_NAMING_HF, &fj_f32, &k, 1, false);
    fj_session *none = session(x, (fj_session_settings){ .n_ctx = 20, .wants_hidden = true, .stop_layer = 0 }),
               *one = session(x, (fj_session_settings){ .n_ctx = 20, .wants_hidden = true, .stop_layer = 1 });
    float a[TINY_MODEL], b[TINY_MODEL];
    forward(none, x->ids + 3, NULL, NULL, 1, a);
    const float *table = tiny_tensor(&x->t, "model.embed_tokens.weight")->data;
    CHECK(test_same_bits(a, table + (int64_t)x->ids[3] * TINY_MODEL, TINY_MODEL));
    forward(one, x->ids + 3, NULL, NULL, 1, b);
    CHECK(!test_same_bits(a, b, TINY_MODEL));
    fj_session_close(none);
    fj_session_close(one);
    drop(x);
    free(x);
}
