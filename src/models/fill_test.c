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
