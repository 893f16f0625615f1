/* SPDX-License-Identifier: Apache-2.0 */

#include "quant/block_test.h"
#include "quant/quant_internal.h"
#include "tests/test.h"

TEST(q5_1_reads_the_values_that_the_gguf_package_reads)
{
    CHECK(golden_decodes(&fj_quant_q5_1));
}

TEST(q5_1_writes_the_bytes_of_ggml)
{
    CHECK(golden_encodes(&fj_quant_q5_1));
}

TEST(q5_1_spends_its_error_where_importance_is_low)
{
    CHECK(importance_gain(&fj_quant_q5_1) < 0.92);
}

TEST(q5_1_block_by_hand)
{
    float x[32], y[32];
    uint8_t block[24];
    for (int i = 0; i < 32; i++)
        x[i] = (float)i + 5;
    fj_quant_q5_1.encode(x, block, 32, NULL);
    CHECK(block[0] == 0x00 && block[1] == 0x3c && block[2] == 0x00 && block[3] == 0x45); /* d = 1, m = 5 */
    CHECK(block[4] == 0x00 && block[5] == 0x00 && block[6] == 0xff && block[7] == 0xff);
    CHECK(block[8] == 0x00 && block[23] == 0xff);
    fj_quant_q5_1.decode(block, y, 32);
    CHECK(memcmp(x, y, sizeof x) == 0);
}

TEST(q5_1_keeps_zeros_and_constants)
{
    CHECK(constant_error(&fj_quant_q5_1, 0) == 0);
    CHECK(constant_error(&fj_quant_q5_1, 0.75f) < 1e-3);
    CHECK(constant_error(&fj_quant_q5_1, -3.1f) < 1e-3);
    CHECK(constant_error(&fj_quant_q5_1, 1e-5f) < 0.05);
}

TEST(q5_1_gives_finite_values_for_any_finite_values)
{
    CHECK(extremes_stay_finite(&fj_quant_q5_1));
}

TEST(q5_1_survives_nan_and_infinity)
{
    CHECK(survives_what_is_not_finite(&fj_quant_q5_1));
}

TEST(q5_1_works_at_odd_addresses_and_touches_nothing_else)
{
    CHECK(odd_addresses_work(&fj_quant_q5_1));
}

TEST(q5_1_reads_any_bytes)
{
    CHECK(any_bytes_decode(&fj_quant_q5_1));
}
