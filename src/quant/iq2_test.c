/* SPDX-License-Identifier: Apache-2.0 */

#include "quant/block_test.h"
#include "quant/quant_internal.h"
#include "tests/test.h"

TEST(iq2_xxs_reads_the_values_that_the_gguf_package_reads)
{
    CHECK(golden_decodes(&fj_quant_iq2_xxs));
}

TEST(iq2_xs_reads_the_values_that_the_gguf_package_reads)
{
    CHECK(golden_decodes(&fj_quant_iq2_xs));
}

TEST(iq2_s_reads_the_values_that_the_gguf_package_reads)
{
    CHECK(golden_decodes(&fj_quant_iq2_s));
}

TEST(iq2_xs_loses_less_than_ggml)
{
    for (int pair = 0; pair < 4; pair++)
        CHECK(golden_ratio(&fj_quant_iq2_xs, pair, false) < 0.99);
}

TEST(iq2_xs_loses_less_than_ggml_with_an_importance_matrix)
{
    for (int pair = 0; pair < 4; pair++)
        CHECK(golden_ratio(&fj_quant_iq2_xs, pair, true) < 0.9);
}

TEST(iq2_xs_spends_its_error_where_importance_is_low)
{
    CHECK(importance_gain(&fj_quant_iq2_xs) < 0.9);
}

TEST(iq2_xs_keeps_zeros_and_constants)
{
    CHECK(constant_error(&fj_quant_iq2_xs, 0) == 0);
    CHECK(constant_error(&fj_quant_iq2_xs, 0.75f) < 0.02);
    CHECK(constant_error(&fj_quant_iq2_xs, -3.1f) < 0.02);
}

TEST(iq2_xs_gives_finite_values_for_any_finite_values)
{
    CHECK(extremes_stay_finite(&fj_quant_iq2_xs));
}

TEST(iq2_xs_survives_nan_and_infinity)
{
    CHECK(survives_what_is_not_finite(&fj_quant_iq2_xs));
}

TEST(iq2_xs_works_at_odd_addresses_and_touches_nothing_else)
{
    CHECK(odd_addresses_work(&fj_quant_iq2_xs));
}

TEST(iq2_xxs_block_by_hand)
{
    float y[256];
    uint8_t block[66] = { 0x00, 0x3c, [2 + 3 * 8 + 1] = 1 };  /* d = 1; group 1 of run 3: entry 1 */
    block[2 + 3 * 8 + 4] = 0x80, block[2 + 3 * 8 + 7] = 0x20; /* its 7 signs: 1, and so bit 7 too; scale 2 */
    fj_quant_iq2_xxs.decode(block, y, 256);
    CHECK(y[96] == 2.5f / 4 * 8 && y[104] == -2.5f / 4 * 43); /* entry 1 starts with the level 43 */
    CHECK(y[105] == 2.5f / 4 * 8 && y[111] == -2.5f / 4 * 8 && y[0] == 0.5f / 4 * 8);
}

TEST(iq2_xxs_is_read_at_odd_addresses)
{
    CHECK(odd_addresses_read(&fj_quant_iq2_xxs));
}

TEST(iq2_xxs_reads_any_bytes)
{
    CHECK(any_bytes_decode(&fj_quant_iq2_xxs));
}

TEST(iq2_xs_is_read_at_odd_addresses)
{
    CHECK(odd_addresses_read(&fj_quant_iq2_xs));
}

TEST(iq2_xs_reads_any_bytes)
{
    CHECK(any_bytes_decode(&fj_quant_iq2_xs));
}

TEST(iq2_s_is_read_at_odd_addresses)
{
    CHECK(odd_addresses_read(&fj_quant_iq2_s));
}

TEST(iq2_s_reads_any_bytes)
{
    CHECK(any_bytes_decode(&fj_quant_iq2_s));
}
