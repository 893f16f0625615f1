/* SPDX-License-Identifier: Apache-2.0 */
#include "models/fill.h"

#include <stdlib.h>

#include "models/tiny_test.h"
#include "ops/weight_rows.h"
#include "quant/nf4.h"

static fj_model *open_tiny(tiny *t, const char *keys, const fj_dtype *dtype)
{
    fj_model *m = NULL;
    fj_err err = { 0 };
    tiny_open(t, keys, FJ_NAMING_HF, dtype);
    CHECK_OK(fj_model_open(&t->source, &m, &err));
    return m;
}

static void fill(fj_model *m)
{
    fj_pool *pool = NULL;
    fj_err err = { 0 };
    CHECK_OK(fj_pool_open(2, &pool, &err));
    CHECK_OK(fj_model_fill(m, pool, &err));
    fj_pool_close(pool);
}

static const fj_weight *weight(const fj_model *m, const fj_role *role)
{
    return fj_model_weight(m, role, role->in_layer ? 0 : -1, false);
}

TEST(quantizing_takes_the_linear_layers_and_leaves_the_rest)
{
    tiny t;
    fj_err err = { 0 };
    fj_model *m = open_tiny(&t, NULL, &fj_bf16);
    size_t before = fj_model_bytes(m), layers = 2 * (2 * 64 * 64 + 2 * 32 * 64 + 2 * 96 * 64), down = 2 * 96 * 64;
    CHECK(fj_model_quantize(m, &fj_int8, false, &err) == 2 * 7);
    CHECK(weight(m, &fj_role_attn_q)->dtype == &fj_int8 && weight(m, &fj_role_ffn_up)->dtype == &fj_int8);
    CHECK(weight(m, &fj_role_ffn_down)->dtype == &fj_q8_0); /* rows of 96 */
    CHECK(weight(m, &fj_role_token_embd)->dtype == &fj_bf16 && weight(m, &fj_role_output)->dtype == &fj_bf16);
    CHECK(fj_model_bytes(m) == before - 2 * (layers + down) + layers / 64 * 68 + down / 32 * 34); /* at once */
    CHECK(fj_model_quantize(m, &fj_int8, false, &err) == 0);
    fill(m);
    CHECK(weight(m, &fj_role_attn_q)->data && weight(m, &fj_role_ffn_down)->data);
    fj_model_free(m);
    tiny_close(&t);
}

TEST(quantized_rows_are_the_encoders_of_the_rows_that_were)
{
    static const fj_dtype *const types[] = { &fj_int8, &fj_q6_k, &fj_q5_k, &fj_nf4, &fj_fp4, &fj_q3_k, &fj_iq2_xs };
    for (size_t i = 0; i < FJ_LEN(types); i++) {
        tiny t;
        fj_err err = { 0 };
        fj_model *m = open_tiny(&t, "{\"hidden_size\": 256}", &fj_f16);
        const fj_weight *q = weight(m, &fj_role_attn_q);
        float row[256], got[256];
        unsigned char blocks[512];
        CHECK(fj_model_quantize(m, types[i], false, &err) == 7 && q->dtype == types[i]);
        fill(m);
        for (int64_t r = 0; r < q->shape.dim[0]; r += 37) {
            fj_quant_of(&fj_f16)->decode((const uint16_t *)q->stored->data + r * 256, row, 256);
            fj_quant_of(types[i])->encode(row, blocks, 256, NULL);
            fj_quant_of(types[i])->decode(blocks, row, 256);
            fj_weight_read(q, r, got);
            CHECK(memcmp(row, got, sizeof row) == 0);
        }
        fj_model_free(m);
        tiny_close(&t);
    }
}

/* 256 rows of 4 blocks: 4 runs of scales. Coding a scale moves it by at most the widest gap of the codes' values, 0.0142, times the run's
 * largest distance from the mean. */
TEST(coded_scales_are_near_those_that_they_stand_for)
{
    tiny t;
    fj_err err = { 0 };
    fj_model *m = open_tiny(&t, "{\"hidden_size\": 256}", &fj_f32);
    const fj_weight *q = weight(m, &fj_role_attn_q);
    float row[256], got[256];
    unsigned char blocks[4 * 36];
    CHECK(fj_model_quantize(m, &fj_nf4, true, &err) == 7 && q->dtype == &fj_nf4_nested);
    size_t bytes = fj_model_bytes(m);
    fill(m);
    CHECK(q->forms && q->forms->run_scale && fj_model_bytes(m) == bytes);
    for (int64_t r = 0; r < q->shape.dim[0]; r++) {
        fj_quant_of(&fj_nf4)->encode((const float *)q->stored->data + r * 256, blocks, 256, NULL);
        fj_quant_of(&fj_nf4)->decode(blocks, row, 256);
        fj_weight_read(q, r, got);
        for (int i = 0; i < 256; i++) {
            float scale;
            memcpy(&scale, blocks + i / 64 * 36, sizeof scale);
            double moved = 0.0142 / 2 * (double)q->forms->run_scale[r * 4 / 256] + 1e-6;
            CHECK(fabs((double)got[i] - (double)row[i]) <= moved);
        }
    }
    fj_model_free(m);
    tiny_close(&t);
}

TEST(rows_that_no_block_divides_stay_as_they_are)
{
    CHECK(fj_type_that_fits(&fj_nf4, 70) == &fj_f16 && fj_type_that_fits(&fj_nf4, 96) == &fj_iq4_nl);
    CHECK(fj_type_that_fits(&fj_iq2_xs, 64) == &fj_iq4_nl && fj_type_that_fits(&fj_q6_k, 64) == &fj_q8_0);
    CHECK(fj_type_that_fits(&fj_int8, 128) == &fj_int8 && fj_type_that_fits(&fj_int8, 32) == &fj_q8_0);
}

/* ---- a source that makes rows ---------------------------------------------------------------------------------------------------- */

/* What the source gives; the tensors that it shows have no data. */
typedef struct hidden {
    tiny t;
    const void *data[TINY_MOST];
} hidden;

static void hidden_rows(const fj_source *s, const fj_tensor *t, int64_t row0, int64_t n, void *out)
{
    const hidden *h = (const hidden *)(const void *)s;
    size_t row = t->bytes / (size_t)t->shape.dim[0];
    memcpy(out, (const char *)h->data[t - h->t.tensors] + (size_t)row0 * row, (size_t)n * row);
}

static fj_row_form hidden_form(const fj_source *s, const fj_tensor *t)
{
    (void)s;
    (void)t;
    return (fj_row_form){ 0 };
}

static fj_model *open_hidden(hidden *h, bool has_experts)
{
    fj_model *m = NULL;
    fj_err err = { 0 };
    if (has_experts)
        tiny_open_mixture(&h->t);
    else
        tiny_open(&h->t, NULL, FJ_NAMING_HF, &fj_bf16);
    for (int i = 0; i < h->t.n; i++) {
        bool is_shown = h->t.tensors[i].shape.rank < 2 || strstr(h->t.tensors[i].name, ".gate.");
        h->data[i] = h->t.tensors[i].data;
        if (!is_shown)
            h->t.tensors[i].data = NULL;
    }
    h->t.source.rows = hidden_rows;
    h->t.source.form = hidden_form;
    CHECK_OK(fj_model_open(&h->t.source, &m, &err));
    return m;
}

static void check_same_rows(const fj_weight *a, const fj_weight *b)
{
    float x[256], y[256];
    int64_t k = fj_shape_cols(&a->shape);
    CHECK(k <= 256 && a->dtype == b->dtype && fj_shape_equal(&a->shape, &b->shape));
    for (int64_t r = 0; a->shape.rank > 1 && r < fj_shape_rows(&a->shape); r++) {
        fj_weight_read(a, r, x);
        fj_weight_read(b, r, y);
        CHECK(memcmp(x, y, (size_t)k * sizeof *x) == 0);
    }
}

TEST(rows_that_a_source_makes_are_quantized_as_those_of_a_file)
{
    for (int is_nested = 0; is_nested < 2; is_nested++) {
        tiny t;
        hidden h;
        fj_err err = { 0 };
        fj_model *plain = open_tiny(&t, NULL, &fj_bf16), *made = open_hidden(&h, false);
        const fj_dtype *type = is_nested ? &fj_nf4 : &fj_int8;
        int n = fj_model_quantize(plain, type, is_nested, &err);
        CHECK(n > 0 && fj_model_quantize(made, type, is_nested, &err) == n);
        CHECK(fj_model_bytes(made) == fj_model_bytes(plain));
        fill(plain);
        fill(made);
        for (int i = 0; i < plain->n_weights; i++)
            check_same_rows(&plain->weights[i], &made->weights[i]);
        fj_model_free(plain);
        fj_model_free(made);
        tiny_close(&t);
        tiny_close(&h.t);
    }
}

static bool is_zero(const fj_weight *w)
{
    size_t n = (size_t)fj_shape_count(&w->shape) * 2, i = 0;
    while (i < n && !((const char *)w->data)[i])
        i++;
    return i == n;
}

TEST(weights_that_come_late_are_there_when_they_are_made_and_gone_when_given_back)
{
    for (int has_experts = 0; has_experts < 2; has_experts++) {
        hidden h, all;
        fj_err err = { 0 };
        fj_pool *pool = NULL;
        fj_model *late = open_hidden(&h, has_experts), *wanted = open_hidden(&all, has_experts);
        CHECK_OK(fj_pool_open(2, &pool, &err));
        fill(wanted);
        CHECK_OK(fj_model_reserve(late, &err));
        CHECK(fj_model_bytes(late) == fj_model_bytes(wanted));
        for (int i = 0; i < late->n_weights; i++) {
            const fj_weight *w = &late->weights[i];
            fj_model_make(late, w, -1, pool);
            check_same_rows(w, &wanted->weights[i]);
            fj_model_give_back(late, w);
            CHECK(fj_weight_comes_late(late, w) == !fj_weight_source(late, w)->data || w->shape.rank < 2);
            if (fj_weight_comes_late(late, w) && fj_shape_count(&w->shape) * 2 % 4096 == 0)
                CHECK(is_zero(w));
        }
        const fj_weight *experts = fj_model_weight(late, &fj_role_ffn_up_exps, 0, false);
        CHECK((experts != NULL) == has_experts);
        if (experts) { /* one of them */
            int64_t n = experts->shape.dim[1];
            float x[256], y[256];
            fj_model_make(late, experts, 1, pool);
            fj_weight_read(experts, n + 3, x);
            fj_weight_read(fj_model_weight(wanted, &fj_role_ffn_up_exps, 0, false), n + 3, y);
            CHECK(memcmp(x, y, TINY_MODEL * sizeof *x) == 0);
            fj_weight_read(experts, 3, x);
            for (int i = 0; i < TINY_MODEL; i++)
                CHECK(x[i] == 0);
        }
        fj_pool_close(pool);
        fj_model_free(late);
        fj_model_free(wanted);
        tiny_close(&h.t);
        tiny_close(&all.t);
    }
}
