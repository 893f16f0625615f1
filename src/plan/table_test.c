/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/test.h"

#include "hub/catalogue.h"
#include "plan/table.h"

/* Planned peaks of every way and size, at one row of 1024 tokens. */
typedef struct table {
    double gb[32][FJ_PLAN_SIZES];
    fj_catalogue c;
    fj_kernels k;
} table;

static void plan_table(table *t)
{
    fj_err err = { 0 };
    fj_plan_wanted asked = { .length = 1024 };
    fj_kernels_init(&t->k, test_cpu());
    CHECK_OK(fj_catalogue_open(&t->c, &err));
    for (size_t w = 0; fj_plan_ways[w].name; w++)
        for (size_t i = 0; i < FJ_PLAN_SIZES; i++) {
            const fj_plan_size *size = &fj_plan_sizes[i];
            const fj_catalogue_row *row = size->model ? fj_catalogue_find(&t->c, size->model) : NULL;
            fj_json *own = NULL;
            fj_plan plan;
            const char *why;
            CHECK((row != NULL) == (size->model != NULL) && w < FJ_LEN(t->gb));
            if (!row)
                CHECK_OK(fj_json_parse(size->config, strlen(size->config), size->title, false, &own, &err));
            CHECK_OK(fj_plan_cell(row ? row->config : own, &fj_plan_ways[w], &asked, 2, &t->k, &plan, &why, &err));
            CHECK((plan.peak > 0) == (fj_plan_ways[w].method != NULL) && (plan.peak > 0) == (why == NULL));
            t->gb[w][i] = (double)plan.peak / 1e9;
            fj_json_free(own);
        }
}

static size_t way_of(const char *name)
{
    size_t w = 0;
    while (fj_plan_ways[w].name && strcmp(fj_plan_ways[w].name, name) != 0)
        w++;
    CHECK(fj_plan_ways[w].name);
    return w;
}

TEST(the_memory_table_grows_with_bits_and_with_size)
{
    static const char *const falling[] = { "full_amp", "full_16", "freeze_16", "lora_16",
                                           "qlora_8",  "qlora_4", "qlora_2" },
                             *const running[] = { "run_16", "run_8", "run_4", "run_2" };
    table t;
    plan_table(&t);
    for (size_t i = 0; i < FJ_PLAN_SIZES; i++) {
        for (size_t r = 1; r < FJ_LEN(falling); r++)
            CHECK(t.gb[way_of(falling[r - 1])][i] > t.gb[way_of(falling[r])][i]);
        for (size_t r = 1; r < FJ_LEN(running); r++)
            CHECK(t.gb[way_of(running[r - 1])][i] > t.gb[way_of(running[r])][i]);
    }
    for (size_t w = 0; fj_plan_ways[w].name; w++) /* 8x7B lies between 30B and 70B */
        if (fj_plan_ways[w].method)
            CHECK(t.gb[w][0] < t.gb[w][1] && t.gb[w][1] < t.gb[w][2] && t.gb[w][2] < t.gb[w][4] &&
                  t.gb[w][4] < t.gb[w][3]);
    fj_catalogue_close(&t.c);
}

/* The guide's cells hold, "maximum, can be improved", but where they are below the weights alone: 30B in 16 bits is 65 GB of 32.5 billion
 * parameters, and IQ2_XS has 2.3 bits, the table and the head 16,
 * where the guide counts 2 for all. */
TEST(forjas_plans_keep_within_the_guides_estimates)
{
    static const struct {
        const char *way;
        double most; /* times the guide's figure */
    } cases[] = { { "full_amp", 1 },   { "full_16", 1 },    { "freeze_16", 1.05 }, { "lora_16", 1.1 },
                  { "qlora_8", 1.05 }, { "qlora_4", 1.05 }, { "qlora_2", 1.45 } };
    table t;
    plan_table(&t);
    for (size_t r = 0; r < FJ_LEN(cases); r++) {
        size_t w = way_of(cases[r].way);
        for (size_t i = 0; i < FJ_PLAN_SIZES; i++) {
            double guide = fj_plan_ways[w].guide[i];
            CHECK(t.gb[w][i] < cases[r].most * guide && t.gb[w][i] > 0.6 * guide);
        }
    }
    fj_catalogue_close(&t.c);
}

/* 16 bytes a parameter that learns: f32 weights, gradients and two moments; 8 in bf16; frozen ones as they are stored. The seven matrices of a block are 32 layers of llama2:7b's. */
TEST(full_freeze_and_lora_tuning_take_what_their_equations_say)
{
    fj_err err = { 0 };
    fj_catalogue c;
    fj_kernels k;
    fj_plan full, pure, lora, frozen;
    const char *why;
    fj_plan_wanted asked = { .length = 64, .rank = 8 };
    fj_kernels_init(&k, test_cpu());
    CHECK_OK(fj_catalogue_open(&c, &err));
    const fj_catalogue_row *row = fj_catalogue_find(&c, "llama2:7b");
    CHECK_OK(fj_plan_cell(row->config, &fj_plan_ways[way_of("full_amp")], &asked, 2, &k, &full, &why, &err));
    CHECK(full.weights + full.gradients + full.optimizer == 16 * (size_t)row->total);
    CHECK_OK(fj_plan_cell(row->config, &fj_plan_ways[way_of("full_16")], &asked, 2, &k, &pure, &why, &err));
    size_t vectors = (size_t)(2 * 32 + 1) * 4096; /* norms are held in 32 bits */
    CHECK(pure.weights + pure.gradients + pure.optimizer == 8 * (size_t)row->total + 2 * vectors);
    CHECK_OK(fj_plan_cell(row->config, &fj_plan_ways[way_of("lora_16")], &asked, 2, &k, &lora, &why, &err));
    size_t pairs = (size_t)32 * 8 * (4 * (4096 + 4096) + 3 * (4096 + 11008));
    CHECK(lora.n_trained == (int64_t)pairs && lora.adapters == 4 * pairs && lora.optimizer == 8 * pairs);
    size_t matrices = (size_t)2 * (4 * 4096 * 4096 + 3 * 4096 * 11008), blocks = matrices + (size_t)2 * 2 * 4096;
    CHECK_OK(fj_plan_cell(row->config, &fj_plan_ways[way_of("freeze_16")], &asked, 2, &k, &frozen, &why, &err));
    CHECK(frozen.n_trained == (int64_t)blocks && frozen.gradients == 4 * blocks && frozen.optimizer == 8 * blocks);
    CHECK(frozen.weights == lora.weights + 2 * matrices && frozen.activations < lora.activations);
    CHECK(lora.weights >= 2 * (size_t)row->total && lora.weights < 2 * (size_t)row->total + (1 << 20));
    fj_catalogue_close(&c);
}

TEST(a_model_of_scores_has_no_plan_of_training_and_says_why)
{
    fj_err err = { 0 };
    fj_catalogue c;
    fj_kernels k;
    fj_plan plan;
    const char *why = NULL;
    fj_plan_wanted asked = { 0 };
    fj_kernels_init(&k, test_cpu());
    CHECK_OK(fj_catalogue_open(&c, &err));
    const fj_catalogue_row *row = fj_catalogue_find(&c, "nemotron4:340b-reward");
    CHECK_OK(fj_plan_cell(row->config, &fj_plan_ways[way_of("lora_16")], &asked, 2, &k, &plan, &why, &err));
    CHECK(plan.peak == 0 && !strncmp(why, "this model gives scores", 23));
    CHECK_OK(fj_plan_cell(row->config, &fj_plan_ways[way_of("run_4")], &asked, 2, &k, &plan, &why, &err));
    CHECK(plan.peak > 0 && !why);
    fj_catalogue_close(&c);
}
