/* SPDX-License-Identifier: Apache-2.0 */

#include "quant/block_test.h"
#include "quant/quant_internal.h"
#include "tests/test.h"

TEST(q4_0_reads_the_values_that_the_gguf_package_reads)
{
    CHECK(golden_decodes(&fj_quant_q4_0));
}

TEST(q4_0_writes_the_bytes_of_ggml)
{
    CHECK(golden_encodes(&fj_quant_q4_0));
}

TEST(q4_0_spends_its_error_where_importance_is_low)
{
    CHECK(importance_gain(&fj_quant_q4_0) < 0.92);
}

TEST(q4_0_block_by_hand)
{
    float x[32] = { -8, 7, [16] = 3, [17] = -2.5f }, y[32];
    uint8_t block[18];
    fj_quant_q4_0.encode(x, block, 32, NULL);
    CHECK(block[0] == 0x00 && block[1] == 0x3c);          /* d = 1: the largest is -8, code 0 */
    CHECK(block[2] == (0 | 11 << 4));                     /* value 0 low, value 16 high */
    CHECK(block[3] == (15 | 6 << 4) && block[4] == 0x88); /* halves go up: -2.5 to -2 */
    fj_quant_q4_0.decode(block, y, 32);
    CHECK(y[0] == -8 && y[1] == 7 && y[16] == 3 && y[17] == -2 && y[31] == 0);
}

TEST(q4_0_keeps_zeros_and_constants)
{
    CHECK(constant_error(&fj_quant_q4_0, 0) == 0);
    CHECK(constant_error(&fj_quant_q4_0, 0.75f) < 1e-3);
    CHECK(constant_error(&fj_quant_q4_0, -3.1f) < 1e-3);
    CHECK(constant_error(&fj_quant_q4_0, 1e-5f) < 0.05);
}

TEST(q4_0_gives_finite_values_for_any_finite_values)
{
    CHECK(extremes_stay_finite(&fj_quant_q4_0));
}

TEST(q4_0_survives_nan_and_infinity)
{
    CHECK(survives_what_is_not_finite(&fj_quant_q4_0));
}

TEST(q4_0_works_at_odd_addresses_and_touches_nothing_else)
{
    CHECK(odd_addresses_work(&fj_quant_q4_0));
}

TEST(q4_0_reads_any_bytes)
{
    CHECK(any_bytes_decode(&fj_quant_q4_0));
}
