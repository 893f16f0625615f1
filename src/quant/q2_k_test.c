/* SPDX-License-Identifier: Apache-2.0 */

#include "quant/block_test.h"
#include "quant/quant_internal.h"
#include "tests/test.h"

TEST(q2_k_reads_the_values_that_the_gguf_package_reads)
{
    CHECK(golden_decodes(&fj_quant_q2_k));
}

TEST(q2_k_loses_less_than_ggml)
{
    for (int pair = 0; pair < 4; pair++)
        CHECK(golden_ratio(&fj_quant_q2_k, pair, false) < 0.99);
}

TEST(q2_k_loses_less_than_ggml_with_an_importance_matrix)
{
    for (int pair = 0; pair < 4; pair++)
        CHECK(golden_ratio(&fj_quant_q2_k, pair, true) < 0.97);
}

TEST(q2_k_block_by_hand)
{
    float y[256];
    uint8_t block[84] = { [80] = 0x00, 0x3c, 0x00, 0x38 }; /* d = 1, dmin = 0.5 */
    block[3] = 5 | 7 << 4;                                 /* scale and min of run 3: values 48…63 */
    block[16 + 16] = 3 << 2;                               /* value 48 */
    block[16 + 31] = 1 << 2;                               /* value 63 */
    block[15] = 9;                                         /* run 15: values 240…255 */
    block[16 + 63] = 2 << 6;                               /* value 255 */
    fj_quant_q2_k.decode(block, y, 256);
    CHECK(y[48] == 5 * 3 - 3.5f && y[49] == -3.5f && y[63] == 5 - 3.5f);
    CHECK(y[255] == 18 && y[240] == 0 && y[0] == 0 && y[16] == 0);
}

TEST(q2_k_spends_its_error_where_importance_is_low)
{
    CHECK(importance_gain(&fj_quant_q2_k) < 0.9);
}

TEST(q2_k_keeps_zeros_and_constants)
{
    CHECK(constant_error(&fj_quant_q2_k, 0) == 0);
    CHECK(constant_error(&fj_quant_q2_k, 0.75f) < 1e-3);
    CHECK(constant_error(&fj_quant_q2_k, -3.1f) < 1e-3);
    CHECK(constant_error(&fj_quant_q2_k, 1e-5f) < 0.05);
}

TEST(q2_k_gives_finite_values_for_any_finite_values)
{
    CHECK(extremes_stay_finite(&fj_quant_q2_k));
}

TEST(q2_k_survives_nan_and_infinity)
{
    CHECK(survives_what_is_not_finite(&fj_quant_q2_k));
}

TEST(q2_k_works_at_odd_addresses_and_touches_nothing_else)
{
    CHECK(odd_addresses_work(&fj_quant_q2_k));
}

TEST(q2_k_reads_any_bytes)
{
    CHECK(any_bytes_decode(&fj_quant_q2_k));
}
