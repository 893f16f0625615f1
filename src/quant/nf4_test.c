/* SPDX-License-Identifier: Apache-2.0 */

#include "quant/block_test.h"
#include "quant/nf4.h"
#include "quant/quant_internal.h"
#include "tests/test.h"

TEST(nf4_writes_the_bytes_of_bitsandbytes_and_reads_its_values)
{
    CHECK(golden_of_bitsandbytes(&fj_quant_nf4));
}

TEST(nf4_keeps_zeros_and_constants)
{
    CHECK(constant_error(&fj_quant_nf4, 0) == 0);
    CHECK(constant_error(&fj_quant_nf4, 0.75f) < 1e-6);
    CHECK(constant_error(&fj_quant_nf4, -3.1f) < 1e-6);
}

TEST(nf4_gives_finite_values_for_any_finite_values)
{
    CHECK(extremes_stay_finite(&fj_quant_nf4));
}

TEST(nf4_survives_nan_and_infinity)
{
    CHECK(survives_what_is_not_finite(&fj_quant_nf4));
}

TEST(nf4_works_at_odd_addresses_and_touches_nothing_else)
{
    CHECK(odd_addresses_work(&fj_quant_nf4));
}

TEST(nf4_reads_any_bytes)
{
    CHECK(any_bytes_decode(&fj_quant_nf4));
}

TEST(fp4_writes_the_bytes_of_bitsandbytes_and_reads_its_values)
{
    CHECK(golden_of_bitsandbytes(&fj_quant_fp4));
}

TEST(fp4_keeps_zeros_and_constants)
{
    CHECK(constant_error(&fj_quant_fp4, 0) == 0);
    CHECK(constant_error(&fj_quant_fp4, 0.75f) < 1e-6);
    CHECK(constant_error(&fj_quant_fp4, -3.1f) < 1e-6);
}

TEST(fp4_gives_finite_values_for_any_finite_values)
{
    CHECK(extremes_stay_finite(&fj_quant_fp4));
}

TEST(fp4_survives_nan_and_infinity)
{
    CHECK(survives_what_is_not_finite(&fj_quant_fp4));
}

TEST(fp4_works_at_odd_addresses_and_touches_nothing_else)
{
    CHECK(odd_addresses_work(&fj_quant_fp4));
}

TEST(fp4_reads_any_bytes)
{
    CHECK(any_bytes_decode(&fj_quant_fp4));
}

TEST(four_bit_blocks_by_hand)
{
    float x[64] = { 2, -2, 0, 1e-6f }, y[64];
    uint8_t block[36];
    fj_quant_nf4.encode(x, block, 64, NULL);
    CHECK(block[2] == 0x00 && block[3] == 0x40 && block[4] == 0xf0 && block[5] == 0x77);
    fj_quant_nf4.decode(block, y, 64);
    CHECK(y[0] == 2 && y[1] == -2 && y[2] == 0 && y[3] == 0);
    fj_quant_fp4.encode(x, block, 64, NULL);
    CHECK(block[4] == 0x3b && block[5] == 0x08); /* of its two zeros the second is for what is above 0 */
    fj_quant_fp4.decode(block, y, 64);
    CHECK(y[0] == 2 && y[1] == -2 && y[2] == 0 && y[3] == 0);
}
