/* SPDX-License-Identifier: Apache-2.0 */

#include "quant/block_test.h"
#include "quant/quant_internal.h"
#include "tests/test.h"

TEST(int8_writes_the_bytes_of_bitsandbytes_and_reads_its_values)
{
    CHECK(golden_of_bitsandbytes(&fj_quant_int8));
}

TEST(int8_keeps_zeros_and_constants)
{
    CHECK(constant_error(&fj_quant_int8, 0) == 0);
    CHECK(constant_error(&fj_quant_int8, 0.75f) < 1e-6);
    CHECK(constant_error(&fj_quant_int8, -3.1f) < 1e-6);
}

TEST(int8_gives_finite_values_for_any_finite_values)
{
    CHECK(extremes_stay_finite(&fj_quant_int8));
}

TEST(int8_survives_nan_and_infinity)
{
    CHECK(survives_what_is_not_finite(&fj_quant_int8));
}

TEST(int8_works_at_odd_addresses_and_touches_nothing_else)
{
    CHECK(odd_addresses_work(&fj_quant_int8));
}

TEST(int8_reads_any_bytes)
{
    CHECK(any_bytes_decode(&fj_quant_int8));
}

TEST(int8_blocks_of_a_row_have_the_scale_of_the_row)
{
    float x[128] = { [3] = 0.5f, [100] = -127 }, y[128];
    uint8_t blocks[2 * 68];
    fj_quant_int8.encode(x, blocks, 128, NULL);
    CHECK(memcmp(blocks, blocks + 68, 4) == 0);
    CHECK(blocks[4 + 3] == 0 && (int8_t)blocks[68 + 4 + 36] == -127); /* 0.5 is a tie: to even */
    fj_quant_int8.decode(blocks, y, 128);
    CHECK_NEAR(&y[100], &x[100], 1, 1e-7);
}
