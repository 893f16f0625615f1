/* SPDX-License-Identifier: Apache-2.0 */

#include "quant/block_test.h"
#include "quant/quant_internal.h"
#include "tests/test.h"

TEST(q8_0_reads_the_values_that_the_gguf_package_reads)
{
    CHECK(golden_decodes(&fj_quant_q8_0));
}

TEST(q8_0_writes_the_bytes_of_ggml)
{
    CHECK(golden_encodes(&fj_quant_q8_0));
}

TEST(q8_0_block_by_hand)
{
    float x[32] = { 127, -127, 0.5f, -0.5f, 1.49f }, y[32];
    uint8_t block[34];
    fj_quant_q8_0.encode(x, block, 32, NULL);
    CHECK(block[0] == 0x00 && block[1] == 0x3c); /* d = 1 */
    CHECK((int8_t)block[2] == 127 && (int8_t)block[3] == -127);
    CHECK((int8_t)block[4] == 1 && (int8_t)block[5] == -1 && block[6] == 1); /* halves go away from zero */
    fj_quant_q8_0.decode(block, y, 32);
    CHECK(y[0] == 127 && y[1] == -127 && y[4] == 1 && y[31] == 0);
}

TEST(q8_0_keeps_zeros_and_constants)
{
    CHECK(constant_error(&fj_quant_q8_0, 0) == 0);
    CHECK(constant_error(&fj_quant_q8_0, 0.75f) < 1e-3);
    CHECK(constant_error(&fj_quant_q8_0, -3.1f) < 1e-3);
    CHECK(constant_error(&fj_quant_q8_0, 1e-5f) < 0.3);
}

TEST(q8_0_gives_finite_values_for_any_finite_values)
{
    CHECK(extremes_stay_finite(&fj_quant_q8_0));
}

TEST(q8_0_survives_nan_and_infinity)
{
    CHECK(survives_what_is_not_finite(&fj_quant_q8_0));
}

TEST(q8_0_works_at_odd_addresses_and_touches_nothing_else)
{
    CHECK(odd_addresses_work(&fj_quant_q8_0));
}

TEST(q8_0_reads_any_bytes)
{
    CHECK(any_bytes_decode(&fj_quant_q8_0));
}
