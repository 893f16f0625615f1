/* SPDX-License-Identifier: Apache-2.0 */

#include "quant/block_test.h"
#include "quant/quant_internal.h"
#include "tests/test.h"

TEST(tq1_0_reads_the_values_that_the_gguf_package_reads)
{
    CHECK(golden_decodes(&fj_quant_tq1_0));
}

TEST(tq1_0_writes_the_bytes_of_ggml)
{
    CHECK(golden_encodes(&fj_quant_tq1_0));
}

TEST(tq2_0_reads_the_values_that_the_gguf_package_reads)
{
    CHECK(golden_decodes(&fj_quant_tq2_0));
}

TEST(tq2_0_writes_the_bytes_of_ggml)
{
    CHECK(golden_encodes(&fj_quant_tq2_0));
}

/* Values of a model trained so come back as they were; the first of each part of TQ1_0, and the last. */
TEST(ternary_values_are_exact)
{
    float x[256], y[256];
    uint8_t block[66];
    for (int i = 0; i < 256; i++)
        x[i] = 0.375f * (float)((i * 7 + i / 9) % 3 - 1);
    fj_quant_tq1_0.encode(x, block, 256, NULL);
    fj_quant_tq1_0.decode(block, y, 256);
    CHECK(memcmp(x, y, sizeof x) == 0);
    fj_quant_tq2_0.encode(x, block, 256, NULL);
    fj_quant_tq2_0.decode(block, y, 256);
    CHECK(memcmp(x, y, sizeof x) == 0);
}

TEST(tq_blocks_by_hand)
{
    float y[256];
    uint8_t two[66] = { [33] = 2 << 4, [64] = 0x00, 0x38 }; /* value 128 + 64 + 1 is d * (2 - 1) */
    uint8_t one[54] = { [52] = 0x00, 0x3c };
    fj_quant_tq2_0.decode(two, y, 256);
    CHECK(y[193] == 0.5f && y[192] == -0.5f);
    one[2] = (1 * 81 + 2 * 27 + 0 * 9 + 1 * 3 + 2) * 256 / 243 + 1; /* digits of values 2, 34, 66, 98, 130 */
    fj_quant_tq1_0.decode(one, y, 256);
    CHECK(y[2] == 0 && y[34] == 1 && y[66] == -1 && y[98] == 0 && y[130] == 1 && y[3] == -1);
}

TEST(tq1_0_spends_its_error_where_importance_is_low)
{
    CHECK(importance_gain(&fj_quant_tq1_0) < 0.9);
}

TEST(tq1_0_keeps_zeros_and_constants)
{
    CHECK(constant_error(&fj_quant_tq1_0, 0) == 0);
    CHECK(constant_error(&fj_quant_tq1_0, 0.75f) < 1e-3);
    CHECK(constant_error(&fj_quant_tq1_0, -3.1f) < 1e-3);
    CHECK(constant_error(&fj_quant_tq1_0, 1e-5f) < 0.05);
}

TEST(tq1_0_gives_finite_values_for_any_finite_values)
{
    CHECK(extremes_stay_finite(&fj_quant_tq1_0));
}

TEST(tq1_0_survives_nan_and_infinity)
{
    CHECK(survives_what_is_not_finite(&fj_quant_tq1_0));
}

TEST(tq1_0_works_at_odd_addresses_and_touches_nothing_else)
{
    CHECK(odd_addresses_work(&fj_quant_tq1_0));
}

TEST(tq1_0_reads_any_bytes)
{
    CHECK(any_bytes_decode(&fj_quant_tq1_0));
}

TEST(tq2_0_spends_its_error_where_importance_is_low)
{
    CHECK(importance_gain(&fj_quant_tq2_0) < 0.9);
}

TEST(tq2_0_keeps_zeros_and_constants)
{
    CHECK(constant_error(&fj_quant_tq2_0, 0) == 0);
    CHECK(constant_error(&fj_quant_tq2_0, 0.75f) < 1e-3);
    CHECK(constant_error(&fj_quant_tq2_0, -3.1f) < 1e-3);
    CHECK(constant_error(&fj_quant_tq2_0, 1e-5f) < 0.05);
}

TEST(tq2_0_gives_finite_values_for_any_finite_values)
{
    CHECK(extremes_stay_finite(&fj_quant_tq2_0));
}

TEST(tq2_0_survives_nan_and_infinity)
{
    CHECK(survives_what_is_not_finite(&fj_quant_tq2_0));
}

TEST(tq2_0_works_at_odd_addresses_and_touches_nothing_else)
{
    CHECK(odd_addresses_work(&fj_quant_tq2_0));
}

TEST(tq2_0_reads_any_bytes)
{
    CHECK(any_bytes_decode(&fj_quant_tq2_0));
}
