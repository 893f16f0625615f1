/* SPDX-License-Identifier: Apache-2.0
 * Models with quantized weights: folders of other programs give the logits of their weights (tests/oracle/foreign.py), and gradients
 * through any weights are those through the same numbers as floats, bit for bit. */
#include <stdio.h>
#include <stdlib.h>

#include "formats/formats.h"
#include "kernels/test_rows.h"
#include "models/session.h"
#include "models/tiny_test.h"
#include "ops/weight_rows.h"
#include "train/trainer.h"

static const char *const folders[] = { "bnb-nf4-double", "bnb-nf4-odd",  "bnb-fp4", "bnb-int8",
                                       "bnb-int8-odd",   "gptq2",        "gptq3",   "gptq4",
                                       "gptq4-act",      "gptq4-narrow", "gptq8",   "awq4" };

typedef struct opened {
    fj_source *source;
    fj_model *m;
    fj_pool *pool;
    fj_kernels k;
} opened;

static void open_folder(opened *o, const char *name)
{
    char path[96];
    fj_err err = { 0 };
    *o = (opened){ 0 };
    fj_kernels_init(&o->k, test_cpu());
    CHECK_OK(fj_pool_open(2, &o->pool, &err));
    (void)snprintf(path, sizeof path, "foreign/%s", name);
    CHECK_OK(fj_weights_open_folder(test_golden(path), &o->source, &err));
    CHECK_OK(fj_model_open(o->source, &o->m, &err));
    CHECK_OK(fj_model_fill(o->m, o->pool, &err));
}

static void close_folder(opened *o)
{
    fj_model_free(o->m);
    o->source->close(o->source);
    fj_pool_close(o->pool);
}

/* All matrices as floats, in memory for the arena of the model. */
static void widen(fj_model *m)
{
    for (int i = 0; i < m->n_weights; i++) {
        fj_weight *w = &m->weights[i];
        int64_t k = fj_shape_cols(&w->shape), rows = fj_shape_rows(&w->shape);
        if (w->shape.rank < 2 || w->dtype == &fj_f32)
            continue;
        float *x = fj_arena_array(m->arena, (size_t)(rows * k), sizeof *x);
        CHECK(x);
        for (int64_t r = 0; r < rows; r++)
            fj_weight_read(w, r, x + r * k);
        w->dtype = &fj_f32;
        w->data = x;
        w->forms = NULL;
        w->parts = NULL;
    }
}

enum { ROWS = 12, MOST_GRADIENTS = 1 << 16 };

/* Gradients of a new adapter, end to end; returns how many. */
static size_t gradients(const fj_model *m, fj_pool *pool, const fj_kernels *k, bool bf16, float *out)
{
    int32_t ids[ROWS];
    fj_row row = { .ids = ids, .labels = ids, .n = ROWS, .n_targets = ROWS - 1 };
    fj_lora_settings lora = { .target = "all", .rank = 2, .alpha = 4, .seed = 5 };
    fj_adapter *adapter = NULL;
    fj_batch batch;
    fj_trainer *t = NULL;
    fj_err err = { 0 };
    double nll = 0;
    size_t n = 0;
    for (int i = 0; i < ROWS; i++)
        ids[i] = (i * 7 + 3) % 48;
    CHECK_OK(fj_adapter_new(m, &lora, &adapter, &err));
    for (int i = 0; i < adapter->n; i++) /* B starts as zeros: then A would have no gradient */
        test_fill(adapter->items[i].b, adapter->items[i].weight->shape.dim[0] * 2, (uint64_t)i, 0.1f);
    CHECK_OK(fj_batch_of_rows(&row, 1, &batch, &err));
    fj_trainer_settings s = {
        .adapter = adapter, .bf16 = bf16, .checkpointing = true, .capacity = { ROWS, 1, ROWS - 1, ROWS }
    };
    CHECK_OK(fj_trainer_open(m, &s, pool, k, &t, &err));
    CHECK_OK(fj_trainer_accumulate(t, &batch, ROWS - 1, true, 0, &nll, NULL, &err));
    for (int i = 0; i < fj_trainer_count(t); i++) {
        fj_trained p = fj_trainer_at(t, i);
        size_t count = (size_t)fj_shape_count(&p.shape);
        CHECK(n + count <= MOST_GRADIENTS);
        memcpy(out + n, p.gradient, count * sizeof *out);
        n += count;
    }
    fj_trainer_close(t);
    fj_batch_free(&batch);
    fj_adapter_free(adapter);
    return n;
}

/* Widens the model. */
static void check_gradients(fj_model *m, fj_pool *pool, const fj_kernels *k)
{
    float *got = malloc(2 * MOST_GRADIENTS * sizeof *got), *want = got + MOST_GRADIENTS, most = 0;
    CHECK(got);
    size_t n = gradients(m, pool, k, false, got);
    widen(m);
    CHECK(gradients(m, pool, k, false, want) == n);
    for (size_t i = 0; i < n; i++)
        most = fmaxf(most, fabsf(want[i]));
    CHECK(most > 1e-4f && test_same_bits(got, want, (int64_t)n));
    free(got);
}

/* Both sides sum in float32: 3e-7 of the largest logit was seen, of a model of one layer. */
TEST(folders_of_other_quantizers_give_the_logits_of_their_weights)
{
    for (size_t c = 0; c < FJ_LEN(folders); c++) {
        opened o;
        char path[96];
        fj_source *expected = NULL;
        fj_session *session = NULL;
        fj_err err = { 0 };
        int32_t ids[ROWS];
        uint8_t wants[ROWS];
        float got[ROWS * 48];
        open_folder(&o, folders[c]);
        (void)snprintf(path, sizeof path, "foreign/%s/expected.safetensors", folders[c]);
        CHECK_OK(fj_safetensors_open_file(test_golden(path), NULL, &expected, &err));
        const fj_tensor *want = expected->find(expected, "logits");
        CHECK(want && want->bytes == sizeof got && o.m->hp.n_vocab == 48);
        for (int i = 0; i < ROWS; i++) {
            ids[i] = (i * 7 + 3) % 48;
            wants[i] = 1;
        }
        fj_session_settings s = { .n_ctx = ROWS };
        fj_rows_in rows = { .n = ROWS, .ids = ids, .wants = wants };
        CHECK_OK(fj_session_open(o.m, &s, o.pool, &o.k, &session, &err));
        CHECK_OK(fj_session_forward(session, &rows, got, NULL, &err));
        CHECK_NEAR(got, (const float *)want->data, ROWS * 48, 1e-6);
        fj_session_close(session);
        expected->close(expected);
        close_folder(&o);
    }
}

TEST(gradients_through_folders_of_other_quantizers_are_those_through_their_numbers)
{
    for (size_t c = 0; c < FJ_LEN(folders); c++) {
        opened o;
        open_folder(&o, folders[c]);
        check_gradients(o.m, o.pool, &o.k);
        close_folder(&o);
    }
}

TEST(gradients_through_quantized_layers_are_those_through_their_numbers)
{
    static const struct {
        const fj_dtype *type;
        bool is_nested, is_wide;
    } cases[] = { { &fj_int8, false, false }, { &fj_nf4, true, false },   { &fj_fp4, true, false },
                  { &fj_nf4, false, false },  { &fj_q6_k, false, true },  { &fj_q5_k, false, true },
                  { &fj_q3_k, false, true },  { &fj_iq2_xs, false, true } };
    fj_kernels k;
    fj_pool *pool = NULL;
    fj_err err = { 0 };
    fj_kernels_init(&k, test_cpu());
    CHECK_OK(fj_pool_open(2, &pool, &err));
    for (size_t c = 0; c < FJ_LEN(cases); c++) {
        tiny t;
        fj_model *m = NULL;
        tiny_open(&t, cases[c].is_wide ? "{\"hidden_size\": 256}" : NULL, FJ_NAMING_HF, &fj_bf16);
        CHECK_OK(fj_model_open(&t.source, &m, &err));
        CHECK(fj_model_quantize(m, cases[c].type, cases[c].is_nested, &err) > 0);
        CHECK_OK(fj_model_fill(m, pool, &err));
        check_gradients(m, pool, &k);
        fj_model_free(m);
        tiny_close(&t);
    }
    fj_pool_close(pool);
}

/* Mixtral: three matrices for each of three experts, which lie apart in the file. */
static void add_experts(tiny *t)
{
    static const char *const mlp[] = { "gate_proj", "up_proj", "down_proj" };
    for (int layer = 0; layer < TINY_LAYERS; layer++) {
        char name[96];
        for (int i = 0; i < 3; i++) {
            (void)snprintf(name, sizeof name, "model.layers.%d.mlp.%s.weight", layer, mlp[i]);
            tiny_drop(t, name);
        }
        (void)snprintf(name, sizeof name, "model.layers.%d.block_sparse_moe.gate.weight", layer);
        (void)tiny_add(t, name, &fj_bf16, fj_shape_2(3, TINY_MODEL));
        for (int e = 0; e < 9; e++) {
            (void)snprintf(name, sizeof name, "model.layers.%d.block_sparse_moe.experts.%d.w%d.weight", layer, e / 3,
                           e % 3 + 1);
            (void)tiny_add(t, name, &fj_bf16, e % 3 == 1 ? fj_shape_2(TINY_MODEL, 128) : fj_shape_2(128, TINY_MODEL));
        }
    }
}

TEST(gradients_through_quantized_experts_are_those_through_their_numbers)
{
    tiny t;
    fj_model *m = NULL;
    fj_kernels k;
    fj_pool *pool = NULL;
    fj_err err = { 0 };
    fj_kernels_init(&k, test_cpu());
    CHECK_OK(fj_pool_open(2, &pool, &err));
    tiny_open(&t,
              "{\"model_type\": \"mixtral\", \"num_local_experts\": 3, \"num_experts_per_tok\": 2,"
              "\"intermediate_size\": 128}",
              FJ_NAMING_HF, &fj_bf16);
    add_experts(&t);
    CHECK_OK(fj_model_open(&t.source, &m, &err));
    CHECK(fj_model_quantize(m, &fj_nf4, true, &err) == 2 * 7);
    CHECK_OK(fj_model_fill(m, pool, &err));
    check_gradients(m, pool, &k);
    fj_model_free(m);
    tiny_close(&t);
    fj_pool_close(pool);
}
