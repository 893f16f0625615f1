/* SPDX-License-Identifier: Apache-2.0 */

#include "quant/block_test.h"
#include "quant/quant_internal.h"
#include "tests/test.h"

TEST(iq1_s_reads_the_values_that_the_gguf_package_reads)
{
    CHECK(golden_decodes(&fj_quant_iq1_s));
}

TEST(iq1_m_reads_the_values_that_the_gguf_package_reads)
{
    CHECK(golden_decodes(&fj_quant_iq1_m));
}

TEST(iq1_s_block_by_hand)
{
    float y[256];
    uint8_t block[50] = { 0x00, 0x3c, [34 + 2 * 2 + 1] = 0xa0 }; /* d = 1; run 2: scale 2, moves down */
    block[2 + 8] = 1;                                            /* its first group: entry 1 starts with 1 */
    fj_quant_iq1_s.decode(block, y, 256);
    CHECK(y[64] == 5 * 0.875f && y[65] == 5 * -1.125f && y[72] == 5 * -1.125f && y[0] == -0.875f);
}

TEST(iq1_s_is_read_at_odd_addresses)
{
    CHECK(odd_addresses_read(&fj_quant_iq1_s));
}

TEST(iq1_s_reads_any_bytes)
{
    CHECK(any_bytes_decode(&fj_quant_iq1_s));
}

TEST(iq1_m_is_read_at_odd_addresses)
{
    CHECK(odd_addresses_read(&fj_quant_iq1_m));
}

TEST(iq1_m_reads_any_bytes)
{
    CHECK(any_bytes_decode(&fj_quant_iq1_m));
}
