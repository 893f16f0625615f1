/* SPDX-License-Identifier: Apache-2.0
 * What attention in bf16 reads: the same as ref's at all tails, within the fences. */
#include "kernels/test_rows.h"

enum { MOST_D = 130, MOST_N = FJ_KEY_COLUMNS };

typedef struct keys_case {
    test_fence halves, floats, got;
    uint16_t *k16;
    float *k32;
    uint16_t want[(MOST_D + 1) * MOST_N];
} keys_case;

/* n rows of d values, ld apart, the same numbers as f16 and as f32. */
static void fill(keys_case *c, const fj_kernels *ref, int64_t n, int64_t d, int64_t ld)
{
    int64_t count = (n - 1) * ld + d;
    c->k16 = test_halves(&c->halves, count);
    c->k32 = test_floats(&c->floats, count);
    test_fill_matrix(c->k32, ld, n, d, 11);
    ref->f32_to_f16_row(c->k16, c->k32, count);
    ref->f16_to_f32_row(c->k32, c->k16, count);
}

static void check(const fj_kernels *ref, const fj_kernels *k, keys_case *c, int64_t n, int64_t d, int64_t ld)
{
    int64_t keys = (d + 1) / 2 * 2 * FJ_KEY_COLUMNS, values = (n + 1) / 2 * 2 * d;
    uint16_t *got = test_halves(&c->got, keys);
    ref->pack_keys_f32(c->want, c->k32, ld, c->k32, n, d);
    for (int from_f16 = 0; from_f16 < 2; from_f16++) {
        memset(got, 0xff, (size_t)keys * sizeof *got);
        if (from_f16)
            k->pack_keys_f16(got, c->k16, ld, c->k32, n, d);
        else
            k->pack_keys_f32(got, c->k32, ld, c->k32, n, d);
        CHECK(memcmp(got, c->want, (size_t)keys * sizeof *got) == 0);
    }
    got = test_halves(&c->got, values);
    ref->pack_values_f32(c->want, c->k32, ld, n, d);
    for (int from_f16 = 0; from_f16 < 2; from_f16++) {
        memset(got, 0xff, (size_t)values * sizeof *got);
        if (from_f16)
            k->pack_values_f16(got, c->k16, ld, n, d);
        else
            k->pack_values_f32(got, c->k32, ld, n, d);
        CHECK(memcmp(got, c->want, (size_t)values * sizeof *got) == 0);
    }
}

TEST(keys_and_values_are_packed_as_the_reference_does_at_all_tails)
{
    static const int64_t widths[] = { 1, 2, 10, 15, 16, 17, 31, 32, 33, 64, 80, 96, 130 };
    static const int64_t rows[] = { 1, 2, 15, 16, 17, 33, 63, 64 };
    fj_kernels tables[TEST_TABLES];
    int n_tables = test_tables(tables);
    static keys_case c;
    c.halves = test_fence_open(MOST_N * (MOST_D + 3) * 2);
    c.floats = test_fence_open(MOST_N * (MOST_D + 3) * 4);
    c.got = test_fence_open(sizeof c.want);
    for (size_t w = 0; w < FJ_LEN(widths); w++)
        for (size_t r = 0; r < FJ_LEN(rows); r++) {
            int64_t ld = widths[w] + (int64_t)(r % 2) * 3;
            fill(&c, &tables[0], rows[r], widths[w], ld);
            for (int t = 0; t < n_tables; t++)
                check(&tables[0], &tables[t], &c, rows[r], widths[w], ld);
        }
    test_fence_close(&c.halves);
    test_fence_close(&c.floats);
    test_fence_close(&c.got);
}

TEST(a_packed_key_is_a_column_and_a_packed_value_a_row)
{
    fj_kernels tables[TEST_TABLES];
    (void)test_tables(tables);
    float x[3 * 3] = { 1, 2, 3, 4, 5, 6, 7, 8, 9 }, less[3] = { 1, 0, 5 };
    uint16_t keys[2 * FJ_KEY_COLUMNS * 2], values[2 * 3 * 2];
    tables[0].pack_keys_f32(keys, x, 3, less, 3, 3);
    tables[0].pack_values_f32(values, x, 3, 3, 3);
    for (int64_t j = 0; j < FJ_KEY_COLUMNS; j++)
        for (int64_t p = 0; p < 4; p++)
            CHECK(fj_bf16_to_f32(keys[(p / 2 * FJ_KEY_COLUMNS + j) * 2 + p % 2]) ==
                  (j < 3 && p < 3 ? x[j * 3 + p] - less[p] : 0));
    for (int64_t j = 0; j < 4; j++)
        for (int64_t p = 0; p < 3; p++)
            CHECK(fj_bf16_to_f32(values[(j / 2 * 3 + p) * 2 + j % 2]) == (j < 3 ? x[j * 3 + p] : 0));
}

/* Weights: exp_row's sum to the bit, its results rounded. */
TEST(weights_in_bf16_are_those_of_exp_row_rounded)
{
    fj_kernels tables[TEST_TABLES];
    int n_tables = test_tables(tables);
    for (int t = 0; t < n_tables; t++)
        for (int64_t n = 1; n <= 64; n++) {
            float x[64], e[64];
            uint16_t y[65];
            test_fill_matrix(x, n, 1, n, (uint32_t)n);
            x[n / 2] = -INFINITY;
            y[n] = 0x1234;
            float got = tables[t].exp_row_bf16(y, x, 3.5f, 1.25f, n), want = tables[t].exp_row(e, x, 3.5f, 1.25f, n);
            CHECK(y[n] == 0x1234 && y[n / 2] == 0);
            bool is_own = tables[t].cpu & FJ_CPU_BF16 || tables[t].cpu == 0; /* others have ref's */
            CHECK(is_own ? got == want : fabsf(got - want) <= 64 * test_epsilon * want);
            for (int64_t i = 0; i < n; i++)
                CHECK(is_own ? y[i] == fj_f32_to_bf16(e[i]) : fabsf(fj_bf16_to_f32(y[i]) - e[i]) <= e[i] / 256);
        }
}
