/* SPDX-License-Identifier: Apache-2.0 */

#include "quant/block_test.h"
#include "quant/quant_internal.h"
#include "tests/test.h"

TEST(q5_k_reads_the_values_that_the_gguf_package_reads)
{
    CHECK(golden_decodes(&fj_quant_q5_k));
}

/* Measured: see the file. The bound leaves a part of the lead for other compilers' rounding. */
TEST(q5_k_loses_less_than_ggml)
{
    for (int pair = 0; pair < 4; pair++)
        CHECK(golden_ratio(&fj_quant_q5_k, pair, false) < 0.97);
}

TEST(q5_k_loses_less_than_ggml_with_an_importance_matrix)
{
    for (int pair = 0; pair < 4; pair++)
        CHECK(golden_ratio(&fj_quant_q5_k, pair, true) < 0.92);
}

TEST(q5_k_spends_its_error_where_importance_is_low)
{
    CHECK(importance_gain(&fj_quant_q5_k) < 0.95);
}

TEST(q5_k_block_by_hand)
{
    float y[256];
    uint8_t block[176] = { 0x00, 0x3c, 0x00, 0x38 }; /* d = 1, dmin = 0.5 */
    block[4 + 1] = 5 | 2 << 6;                       /* scale of run 1, and bits 4 and 5 of that of run 5 */
    block[8 + 1] = 7 | 1 << 6;                       /* its min, and the same of run 5's */
    block[12 + 1] = 3 | 9 << 4;                      /* low bits of run 5's scale and min */
    block[16 + 4] = 1 << 1;                          /* fifth bit of value 4 of run 1 */
    block[16 + 31] = 1 << 5;                         /* and of value 31 of run 5 */
    block[48 + 4] = 0xb6;                            /* value 4 of run 0: 6, of run 1: 11 and 16 */
    block[48 + 64 + 31] = 0xf0;                      /* value 31 of run 5: 15 and 16 */
    fj_quant_q5_k.decode(block, y, 256);
    CHECK(y[4] == 0 && y[32 + 4] == 5 * 27 - 3.5f && y[32 + 5] == -3.5f);
    CHECK(y[5 * 32 + 31] == 35 * 31 - 12.5f && y[5 * 32] == -12.5f && y[255] == 0);
}

TEST(q5_k_keeps_zeros_and_constants)
{
    CHECK(constant_error(&fj_quant_q5_k, 0) == 0);
    CHECK(constant_error(&fj_quant_q5_k, 0.75f) < 1e-3);
    CHECK(constant_error(&fj_quant_q5_k, -3.1f) < 1e-3);
    CHECK(constant_error(&fj_quant_q5_k, 1e-5f) < 0.05);
}

TEST(q5_k_gives_finite_values_for_any_finite_values)
{
    CHECK(extremes_stay_finite(&fj_quant_q5_k));
}

TEST(q5_k_survives_nan_and_infinity)
{
    CHECK(survives_what_is_not_finite(&fj_quant_q5_k));
}

TEST(q5_k_works_at_odd_addresses_and_touches_nothing_else)
{
    CHECK(odd_addresses_work(&fj_quant_q5_k));
}

TEST(q5_k_reads_any_bytes)
{
    CHECK(any_bytes_decode(&fj_quant_q5_k));
}
