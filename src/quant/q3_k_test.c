/* SPDX-License-Identifier: Apache-2.0 */

#include "quant/block_test.h"
#include "quant/quant_internal.h"
#include "tests/test.h"

TEST(q3_k_reads_the_values_that_the_gguf_package_reads)
{
    CHECK(golden_decodes(&fj_quant_q3_k));
}

TEST(q3_k_loses_less_than_ggml)
{
    for (int pair = 0; pair < 4; pair++)
        CHECK(golden_ratio(&fj_quant_q3_k, pair, false) < 0.99);
}

TEST(q3_k_loses_less_than_ggml_with_an_importance_matrix)
{
    for (int pair = 0; pair < 4; pair++)
        CHECK(golden_ratio(&fj_quant_q3_k, pair, true) < 0.995);
}

TEST(q3_k_block_by_hand)
{
    float y[256];
    uint8_t block[110] = { [108] = 0x00, 0x3c }; /* d = 1 */
    block[96 + 3] = 0x5 | 0xa << 4;              /* low nibbles of the numbers of runs 3 and 11 */
    block[96 + 8 + 3] = 3 | 1 << 4;              /* their top bits: 5 + 48 - 32 and 10 + 16 - 32 */
    block[32 + 16] = 3 << 2;                     /* value 48 of run 3: low bits 3, its top bit is bit 1 of byte 16 */
    block[16] = 1 << 1;
    block[32 + 32 + 16] = 1 << 2; /* value 176 of run 11: low bits 1, no top bit */
    fj_quant_q3_k.decode(block, y, 256);
    CHECK(y[48] == 21 * 3 && y[49] == 21 * -4);
    CHECK(y[176] == -6 * -3 && y[177] == -6 * -4);
    CHECK(y[0] == -32 * -4);
}

TEST(q3_k_spends_its_error_where_importance_is_low)
{
    CHECK(importance_gain(&fj_quant_q3_k) < 0.9);
}

TEST(q3_k_keeps_zeros_and_constants)
{
    CHECK(constant_error(&fj_quant_q3_k, 0) == 0);
    CHECK(constant_error(&fj_quant_q3_k, 0.75f) < 1e-3);
    CHECK(constant_error(&fj_quant_q3_k, -3.1f) < 1e-3);
    CHECK(constant_error(&fj_quant_q3_k, 1e-5f) < 0.05);
}

TEST(q3_k_gives_finite_values_for_any_finite_values)
{
    CHECK(extremes_stay_finite(&fj_quant_q3_k));
}

TEST(q3_k_survives_nan_and_infinity)
{
    CHECK(survives_what_is_not_finite(&fj_quant_q3_k));
}

TEST(q3_k_works_at_odd_addresses_and_touches_nothing_else)
{
    CHECK(odd_addresses_work(&fj_quant_q3_k));
}

TEST(q3_k_reads_any_bytes)
{
    CHECK(any_bytes_decode(&fj_quant_q3_k));
}
