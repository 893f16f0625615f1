/* SPDX-License-Identifier: Apache-2.0 */

#include "quant/block_test.h"
#include "quant/quant_internal.h"
#include "tests/test.h"

TEST(iq4_xs_reads_the_values_that_the_gguf_package_reads)
{
    CHECK(golden_decodes(&fj_quant_iq4_xs));
}

TEST(iq4_xs_loses_less_than_ggml)
{
    for (int pair = 0; pair < 4; pair++)
        CHECK(golden_ratio(&fj_quant_iq4_xs, pair, false) < 0.99);
}

TEST(iq4_xs_loses_less_than_ggml_with_an_importance_matrix)
{
    for (int pair = 0; pair < 4; pair++)
        CHECK(golden_ratio(&fj_quant_iq4_xs, pair, true) < 0.96);
}

TEST(iq4_xs_block_by_hand)
{
    float y[256];
    uint8_t block[136] = { 0x00, 0x3c }; /* d = 1 */
    block[2 + 1] = 2 << 4;               /* top bits of run 6: 32 */
    block[4 + 3] = 5;                    /* its low nibble: scale 5 */
    block[8 + 6 * 16] = 0xf8;            /* value 192: level 1, value 208: level 113 */
    fj_quant_iq4_xs.decode(block, y, 256);
    CHECK(y[192] == 5 && y[208] == 5 * 113 && y[193] == -5 * 127);
    CHECK(y[0] == 32 * 127 && y[255] == 32 * 127);
}

TEST(iq4_xs_spends_its_error_where_importance_is_low)
{
    CHECK(importance_gain(&fj_quant_iq4_xs) < 0.95);
}

TEST(iq4_xs_keeps_zeros_and_constants)
{
    CHECK(constant_error(&fj_quant_iq4_xs, 0) == 0);
    CHECK(constant_error(&fj_quant_iq4_xs, 0.75f) < 1e-3);
    CHECK(constant_error(&fj_quant_iq4_xs, -3.1f) < 1e-3);
    CHECK(constant_error(&fj_quant_iq4_xs, 1e-5f) < 0.05);
}

TEST(iq4_xs_gives_finite_values_for_any_finite_values)
{
    CHECK(extremes_stay_finite(&fj_quant_iq4_xs));
}

TEST(iq4_xs_survives_nan_and_infinity)
{
    CHECK(survives_what_is_not_finite(&fj_quant_iq4_xs));
}

TEST(iq4_xs_works_at_odd_addresses_and_touches_nothing_else)
{
    CHECK(odd_addresses_work(&fj_quant_iq4_xs));
}

TEST(iq4_xs_reads_any_bytes)
{
    CHECK(any_bytes_decode(&fj_quant_iq4_xs));
}
