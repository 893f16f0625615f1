/* SPDX-License-Identifier: Apache-2.0 */

#include "quant/block_test.h"
#include "quant/quant_internal.h"
#include "tests/test.h"

TEST(q6_k_reads_the_values_that_the_gguf_package_reads)
{
    CHECK(golden_decodes(&fj_quant_q6_k));
}

/* Measured: see the file. The bound leaves a part of the lead for other compilers' rounding. */
TEST(q6_k_loses_less_than_ggml)
{
    for (int pair = 0; pair < 4; pair++)
        CHECK(golden_ratio(&fj_quant_q6_k, pair, false) < 0.98);
}

TEST(q6_k_loses_less_than_ggml_with_an_importance_matrix)
{
    for (int pair = 0; pair < 4; pair++)
        CHECK(golden_ratio(&fj_quant_q6_k, pair, true) < 0.95);
}

TEST(q6_k_spends_its_error_where_importance_is_low)
{
    CHECK(importance_gain(&fj_quant_q6_k) < 0.95);
}

TEST(q6_k_block_by_hand)
{
    float y[256];
    uint8_t block[210] = { 0 };
    block[209] = 0x3c; /* d = 1 */
    for (int run = 0; run < 16; run++)
        block[192 + run] = (uint8_t)(int8_t)(run - 8);
    block[64 + 32 + 3] = 0xa5;  /* second half, byte 35: value 35 low bits 5, value 99 low bits 10 */
    block[128 + 32 + 3] = 0xe4; /* their top bits: 0 1 2 3 for values 3, 35, 67, 99 */
    fj_quant_q6_k.decode(block, y, 256);
    CHECK(y[0] == -8 * -32 && y[128 + 3] == 0);
    CHECK(y[128 + 35] == 2 * (16 + 5 - 32) && y[128 + 67] == 4 * (32 - 32) && y[128 + 99] == 6 * (48 + 10 - 32));
}

TEST(q6_k_keeps_zeros_and_constants)
{
    CHECK(constant_error(&fj_quant_q6_k, 0) == 0);
    CHECK(constant_error(&fj_quant_q6_k, 0.75f) < 1e-3);
    CHECK(constant_error(&fj_quant_q6_k, -3.1f) < 1e-3);
    CHECK(constant_error(&fj_quant_q6_k, 1e-5f) < 0.05);
}

TEST(q6_k_gives_finite_values_for_any_finite_values)
{
    CHECK(extremes_stay_finite(&fj_quant_q6_k));
}

TEST(q6_k_survives_nan_and_infinity)
{
    CHECK(survives_what_is_not_finite(&fj_quant_q6_k));
}

TEST(q6_k_works_at_odd_addresses_and_touches_nothing_else)
{
    CHECK(odd_addresses_work(&fj_quant_q6_k));
}

TEST(q6_k_reads_any_bytes)
{
    CHECK(any_bytes_decode(&fj_quant_q6_k));
}
