/* SPDX-License-Identifier: Apache-2.0 */

#include "quant/block_test.h"
#include "quant/quant_internal.h"
#include "tests/test.h"

TEST(iq4_nl_reads_the_values_that_the_gguf_package_reads)
{
    CHECK(golden_decodes(&fj_quant_iq4_nl));
}

TEST(iq4_nl_loses_less_than_ggml)
{
    for (int pair = 0; pair < 4; pair++)
        CHECK(golden_ratio(&fj_quant_iq4_nl, pair, false) < 0.99);
}

TEST(iq4_nl_loses_less_than_ggml_with_an_importance_matrix)
{
    for (int pair = 0; pair < 4; pair++)
        CHECK(golden_ratio(&fj_quant_iq4_nl, pair, true) < 0.96);
}

TEST(iq4_nl_block_by_hand)
{
    float y[32];
    uint8_t block[18] = { 0x00, 0x38, 0x0f, [17] = 0x78 }; /* d = 0.5; value 0: code 15, 16: 0; 15: 8, 31: 7 */
    fj_quant_iq4_nl.decode(block, y, 32);
    CHECK(y[0] == 56.5f && y[16] == -63.5f && y[15] == 0.5f && y[31] == -5 && y[1] == -63.5f);
}

TEST(iq4_nl_spends_its_error_where_importance_is_low)
{
    CHECK(importance_gain(&fj_quant_iq4_nl) < 0.95);
}

TEST(iq4_nl_keeps_zeros_and_constants)
{
    CHECK(constant_error(&fj_quant_iq4_nl, 0) == 0);
    CHECK(constant_error(&fj_quant_iq4_nl, 0.75f) < 1e-3);
    CHECK(constant_error(&fj_quant_iq4_nl, -3.1f) < 1e-3);
    CHECK(constant_error(&fj_quant_iq4_nl, 1e-5f) < 0.05);
}

TEST(iq4_nl_gives_finite_values_for_any_finite_values)
{
    CHECK(extremes_stay_finite(&fj_quant_iq4_nl));
}

TEST(iq4_nl_survives_nan_and_infinity)
{
    CHECK(survives_what_is_not_finite(&fj_quant_iq4_nl));
}

TEST(iq4_nl_works_at_odd_addresses_and_touches_nothing_else)
{
    CHECK(odd_addresses_work(&fj_quant_iq4_nl));
}

TEST(iq4_nl_reads_any_bytes)
{
    CHECK(any_bytes_decode(&fj_quant_iq4_nl));
}
