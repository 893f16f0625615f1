/* SPDX-License-Identifier: Apache-2.0
 * Updates of weights: against ref at all tails, and a first step that is known by hand. */
#include "kernels/test_rows.h"

enum { MOST = 800 };

TEST(adamw_agrees_with_the_reference_at_all_tails_and_stays_within_its_rows)
{
    static const int64_t sizes[] = { 1, 7, 15, 16, 17, 31, 32, 33, 64, 65, 576, 769 };
    fj_kernels tables[TEST_TABLES];
    int n_tables = test_tables(tables);
    uint64_t hash[TEST_TABLES] = { 0 };
    test_fence f[4];
    for (int i = 0; i < 4; i++)
        f[i] = test_fence_open(MOST * sizeof(float));
    for (size_t s = 0; s < FJ_LEN(sizes); s++)
        for (int t = 1; t < n_tables; t++) {
            int64_t n = sizes[s];
            float want[4][MOST], *got[4];
            for (int i = 0; i < 4; i++) {
                got[i] = test_floats(&f[i], n);
                test_fill(want[i], n, (uint64_t)i, 1);
                for (int64_t j = 0; j < n && i == 3; j++)
                    want[i][j] = fabsf(want[i][j]) + 0.01f; /* a second moment */
                memcpy(got[i], want[i], (size_t)n * sizeof(float));
                got[i][-1] = 12345;
            }
            tables[0].adamw_row(want[0], want[1], want[2], want[3], n, 0.5f, 1e-2f, 0.999f, 0.9, 0.999, 0.3f, 1e-8f);
            tables[t].adamw_row(got[0], got[1], got[2], got[3], n, 0.5f, 1e-2f, 0.999f, 0.9, 0.999, 0.3f, 1e-8f);
            for (int64_t j = 0; j < n; j++) {
                /* values below 2; m and v: 5 roundings; p: two more, and 10 of a step below 1e-2 * 0.3 / 0.1 */
                for (int i = 2; i < 4; i++)
                    CHECK(fabsf(got[i][j] - want[i][j]) <= 5 * test_epsilon);
                CHECK(fabsf(got[0][j] - want[0][j]) <= (2 + 10 * 0.03f) * test_epsilon);
                CHECK(got[1][j] == want[1][j]);
            }
            for (int i = 0; i < 4; i++) {
                CHECK(got[i][-1] == 12345);
                test_hash(&hash[t], got[i], (size_t)n * sizeof(float));
            }
        }
    for (int t = 1; t < n_tables; t++)
        assert_int_equal(hash[t], 0xc821ccb14c832d74u);
    for (int i = 0; i < 4; i++)
        test_fence_close(&f[i]);
}

TEST(adamw_takes_a_first_step_of_the_learning_rate)
{
    fj_kernels tables[TEST_TABLES];
    int n_tables = test_tables(tables);
    for (int t = 0; t < n_tables; t++) {
        float p = 1, g = 0.25f, m = 0, v = 0;
        /* c1 = 1 - 0.9, c2 = 1 - 0.999; lr 0.01: the step is lr * g / |g| however large the gradient is */
        tables[t].adamw_row(&p, &g, &m, &v, 1, 1, 0.01f / 0.1f, 1, 0.9, 0.999, (float)sqrt(0.001), 1e-8f);
        CHECK(fabsf(m - 0.025f) <= 0.025f * 4 * test_epsilon);
        CHECK(fabsf(v - 0.0000625f) <= 0.0000625f * 4 * test_epsilon);
        CHECK(fabsf(p - 0.99f) <= 2 * test_epsilon);
    }
}
