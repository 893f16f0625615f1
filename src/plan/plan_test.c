/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/test.h"

#include "models/tiny_test.h"
#include "plan/plan.h"
#include "quant/nf4.h"

static fj_trainer_settings training(int64_t length, bool checkpointing)
{
    return (fj_trainer_settings){
        .has_optimizer = true,
        .checkpointing = checkpointing,
        .capacity = { .tokens = length, .segments = 1, .targets = length - 1, .segment_tokens = length },
        .adamw = { 0.9, 0.999, 1e-8, 0 },
        .lora_b_rate = 1
    };
}

static fj_plan plan_of(const fj_model *m, const fj_trainer_settings *s)
{
    fj_err err = { 0 };
    fj_kernels k;
    fj_plan p;
    fj_kernels_init(&k, test_cpu());
    CHECK_OK(fj_plan_training(m, s, 2, &k, &p, &err));
    CHECK(p.total == p.weights + p.gradients + p.optimizer + p.adapters + p.activations + p.kv + p.process);
    return p;
}

TEST(a_plan_counts_weights_gradients_and_moments_of_full_tuning)
{
    fj_err err = { 0 };
    tiny t;
    fj_model *m = NULL;
    tiny_open(&t, NULL, FJ_NAMING_HF, &fj_f32);
    CHECK_OK(fj_model_open(&t.source, &m, &err));
    fj_trainer_settings s = training(64, false);
    fj_plan p = plan_of(m, &s);
    size_t bytes = (size_t)fj_model_parameters(m) * sizeof(float);
    CHECK(p.n_trained == fj_model_parameters(m));
    CHECK(p.weights == bytes && p.gradients == bytes && p.optimizer == 2 * bytes && p.adapters == 0 && p.kv == 0);
    fj_model_free(m);
    tiny_close(&t);
}

TEST(a_plan_grows_with_the_length_and_shrinks_with_checkpointing)
{
    fj_err err = { 0 };
    tiny t;
    fj_model *m = NULL;
    tiny_open(&t, "{\"num_hidden_layers\": 2}", FJ_NAMING_HF, &fj_f32);
    CHECK_OK(fj_model_open(&t.source, &m, &err));
    fj_trainer_settings kept = training(256, false), again = training(256, true), longer = training(512, false);
    fj_plan a = plan_of(m, &kept), b = plan_of(m, &again), c = plan_of(m, &longer);
    CHECK(b.activations < a.activations && a.activations < c.activations);
    fj_model_free(m);
    tiny_close(&t);
}

TEST(a_described_model_plans_as_the_opened_one)
{
    fj_err err = { 0 };
    tiny t;
    fj_model *opened = NULL, *described = NULL;
    tiny_open(&t, NULL, FJ_NAMING_HF, &fj_f32);
    CHECK_OK(fj_model_open(&t.source, &opened, &err));
    CHECK_OK(fj_plan_model(t.source.config, fj_recipe_by_name("F32"), &described, &err));
    fj_trainer_settings s = training(64, true);
    fj_plan a = plan_of(opened, &s), b = plan_of(described, &s);
    CHECK(a.weights == b.weights && a.activations == b.activations && a.optimizer == b.optimizer);
    fj_model_free(described);
    CHECK_OK(fj_plan_model(t.source.config, fj_recipe_by_name("Q8_0"), &described, &err));
    CHECK(fj_model_bytes(described) < fj_model_bytes(opened) / 3);
    fj_model_free(opened);
    fj_model_free(described);
    tiny_close(&t);
}

/* What training makes of a 16-bit folder, and not what quantize makes of it. */
TEST(a_model_that_is_tuned_in_few_bits_has_the_rows_of_quantization_bit)
{
    static const struct {
        int64_t bits;
        const fj_dtype *type;
    } cases[] = { { 8, &fj_int8 },       { 6, &fj_q6_k }, { 5, &fj_q5_k },
                  { 4, &fj_nf4_nested }, { 3, &fj_q3_k }, { 2, &fj_iq2_xs } };
    fj_err err = { 0 };
    tiny t;
    fj_model *m = NULL;
    int n = 0;
    tiny_open(&t, "{\"hidden_size\": 256}", FJ_NAMING_HF, &fj_bf16);
    for (size_t i = 0; i < FJ_LEN(cases); i++) {
        CHECK_OK(fj_plan_quantized_model(t.source.config, cases[i].bits, &m, &err));
        CHECK(fj_model_weight(m, &fj_role_attn_q, 0, false)->dtype == cases[i].type);
        CHECK(fj_model_weight(m, &fj_role_token_embd, -1, false)->dtype == &fj_bf16);
        CHECK_OK(fj_plan_quantize(m, cases[i].bits, &n, &err));
        CHECK(n == 0); /* they are already */
        fj_model_free(m);
    }
    CHECK_OK(fj_model_open(&t.source, &m, &err));
    CHECK(fj_plan_quantize(m, 7, &n, &err) == FJ_ERR_USAGE);
    CHECK_TEXT(err.message, "to tune a model in 7 bits: wanted 8, 6, 5, 4, 3 or 2");
    fj_model_free(m);
    tiny_close(&t);
}

TEST(a_plan_that_does_not_fit_is_an_error_with_both_numbers)
{
    fj_err err = { 0 };
    fj_plan small = { .peak = 1 << 20 }, large = { .peak = (size_t)1 << 50 };
    CHECK_OK(fj_plan_check(&small, "a smaller model takes less", &err));
    CHECK(fj_plan_check(&large, "a smaller model takes less", &err) == FJ_ERR_MEMORY);
    CHECK(strstr(err.message, "of memory, the machine has "));
    CHECK(!strncmp(err.hint, "a smaller model takes less; ", 28));
}
