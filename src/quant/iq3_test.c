/* SPDX-License-Identifier: Apache-2.0 */

#include "quant/block_test.h"
#include "quant/quant_internal.h"
#include "tests/test.h"

TEST(iq3_xxs_reads_the_values_that_the_gguf_package_reads)
{
    CHECK(golden_decodes(&fj_quant_iq3_xxs));
}

TEST(iq3_s_reads_the_values_that_the_gguf_package_reads)
{
    CHECK(golden_decodes(&fj_quant_iq3_s));
}

TEST(iq3_s_block_by_hand)
{
    float y[256];
    uint8_t block[110] = { 0x00, 0x3c };
    block[2 + 9] = 1;       /* values 36…39: entry 1, and with bit 8 257 */
    block[74 + 4] = 1 << 4; /* sign of value 36 */
    block[106] = 3 << 4;    /* scale of values 32…63: 7 */
    fj_quant_iq3_s.decode(block, y, 256);
    CHECK(y[36] == -7 * 3 && y[37] == 7 && y[32] == 7 && y[0] == 1); /* entry 1 starts with the level 3 */
    block[66 + 1] = 1 << 1;
    fj_quant_iq3_s.decode(block, y, 256);
    CHECK(y[36] != -7 * 3 && y[32] == 7);
}

TEST(iq3_xxs_is_read_at_odd_addresses)
{
    CHECK(odd_addresses_read(&fj_quant_iq3_xxs));
}

TEST(iq3_xxs_reads_any_bytes)
{
    CHECK(any_bytes_decode(&fj_quant_iq3_xxs));
}

TEST(iq3_s_is_read_at_odd_addresses)
{
    CHECK(odd_addresses_read(&fj_quant_iq3_s));
}

TEST(iq3_s_reads_any_bytes)
{
    CHECK(any_bytes_decode(&fj_quant_iq3_s));
}
