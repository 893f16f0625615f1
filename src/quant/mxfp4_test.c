/* SPDX-License-Identifier: Apache-2.0 */

#include "quant/block_test.h"
#include "quant/quant_internal.h"
#include "tests/test.h"

TEST(mxfp4_reads_the_values_that_the_gguf_package_reads)
{
    CHECK(golden_decodes(&fj_quant_mxfp4));
}

TEST(mxfp4_loses_less_than_ggml)
{
    for (int pair = 0; pair < 4; pair++)
        CHECK(golden_ratio(&fj_quant_mxfp4, pair, false) < 0.99);
}

TEST(mxfp4_loses_less_than_ggml_with_an_importance_matrix)
{
    for (int pair = 0; pair < 4; pair++)
        CHECK(golden_ratio(&fj_quant_mxfp4, pair, true) < 0.97);
}

TEST(mxfp4_block_by_hand)
{
    float y[32], x[32] = { 6, -0.5f, [16] = -3, [31] = 1.5f };
    uint8_t block[17] = { 129, 0x95, [16] = 0x7f }; /* scale 2; value 0: 6, 16: -1; 15: -12, 31: 12 */
    fj_quant_mxfp4.decode(block, y, 32);
    CHECK(y[0] == 12 && y[16] == -2 && y[15] == -24 && y[31] == 24 && y[1] == 0);

    fj_quant_mxfp4.encode(x, block, 32, NULL);
    CHECK(block[0] == 127 && block[1] == (7 | 13 << 4) && block[2] == 9 && block[16] == 3 << 4);
    fj_quant_mxfp4.decode(block, y, 32);
    CHECK(memcmp(x, y, sizeof x) == 0);
}

TEST(mxfp4_reads_the_smallest_and_the_largest_scale)
{
    float y[32];
    uint8_t block[17] = { 0, 0x01 };
    fj_quant_mxfp4.decode(block, y, 32);
    CHECK(y[0] == 0x1p-128f && y[16] == 0);
    block[0] = 255;
    fj_quant_mxfp4.decode(block, y, 32);
    CHECK(y[0] == 0x1p127f && y[16] == 0);
}

TEST(mxfp4_spends_its_error_where_importance_is_low)
{
    CHECK(importance_gain(&fj_quant_mxfp4) < 0.98);
}

TEST(mxfp4_keeps_zeros_and_constants)
{
    CHECK(constant_error(&fj_quant_mxfp4, 0) == 0);
    CHECK(constant_error(&fj_quant_mxfp4, 0.75f) < 0.13);
    CHECK(constant_error(&fj_quant_mxfp4, -3.1f) < 0.13);
    CHECK(constant_error(&fj_quant_mxfp4, 1e-5f) < 0.15);
}

TEST(mxfp4_gives_finite_values_for_any_finite_values)
{
    CHECK(extremes_stay_finite(&fj_quant_mxfp4));
}

TEST(mxfp4_survives_nan_and_infinity)
{
    CHECK(survives_what_is_not_finite(&fj_quant_mxfp4));
}

TEST(mxfp4_works_at_odd_addresses_and_touches_nothing_else)
{
    CHECK(odd_addresses_work(&fj_quant_mxfp4));
}

TEST(mxfp4_reads_any_bytes)
{
    CHECK(any_bytes_decode(&fj_quant_mxfp4));
}
