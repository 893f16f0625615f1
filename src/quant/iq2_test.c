/* SPDX-License-Identifier: Apache-2.0 */

#include "quant/block_test.h"
#include "quant/quant_internal.h"
#include "tests/test.h"

TEST(iq2_xxs_reads_the_values_that_the_gguf_package_reads)
{
    CHECK(golden_decodes(&fj_quant_iq2_xxs));
}

TEST(iq2_xs_reads_the_values_that_the_gguf_package_reads)
{
    CHECK(golden_decodes(&fj_quant_iq2_xs));
}

TEST(iq2_s_reads_the_values_that_the_gguf_package_reads)
{
    CHECK(golden_decodes(&fj_quant_iq2_s));
}

TEST(iq2_xxs_block_by_hand)
{
    float y[256];
    uint8_t block[66] = { 0x00, 0x3c, [2 + 3 * 8 + 1] = 1 };  /* d = 1; group 1 of run 3: entry 1 */
    block[2 + 3 * 8 + 4] = 0x80, block[2 + 3 * 8 + 7] = 0x20; /* its 7 signs: 1, and so bit 7 too; scale 2 */
    fj_quant_iq2_xxs.decode(block, y, 256);
    CHECK(y[96] == 2.5f / 4 * 8 && y[104] == -2.5f / 4 * 43); /* entry 1 starts with the level 43 */
    CHECK(y[105] == 2.5f / 4 * 8 && y[111] == -2.5f / 4 * 8 && y[0] == 0.5f / 4 * 8);
}

TEST(iq2_xxs_is_read_at_odd_addresses)
{
    CHECK(odd_addresses_read(&fj_quant_iq2_xxs));
}

TEST(iq2_xxs_reads_any_bytes)
{
    CHECK(any_bytes_decode(&fj_quant_iq2_xxs));
}

TEST(iq2_xs_is_read_at_odd_addresses)
{
    CHECK(odd_addresses_read(&fj_quant_iq2_xs));
}

TEST(iq2_xs_reads_any_bytes)
{
    CHECK(any_bytes_decode(&fj_quant_iq2_xs));
}

TEST(iq2_s_is_read_at_odd_addresses)
{
    CHECK(odd_addresses_read(&fj_quant_iq2_s));
}

TEST(iq2_s_reads_any_bytes)
{
    CHECK(any_bytes_decode(&fj_quant_iq2_s));
}
