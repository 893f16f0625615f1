/* SPDX-License-Identifier: Apache-2.0 */

#include "quant/block_test.h"
#include "quant/groups.h"
#include "quant/quant_internal.h"
#include "tests/test.h"

static const fj_quant *const types[] = { &fj_quant_u8_128, &fj_quant_u8_32, &fj_quant_u4_128,
                                         &fj_quant_u4_32,  &fj_quant_u3_32, &fj_quant_u2_32 };
static const int bits[] = { 8, 8, 4, 4, 3, 2 };

TEST(groups_of_codes_come_back_as_they_were_put)
{
    for (size_t t = 0; t < FJ_LEN(types); t++) {
        const fj_dtype *dtype = types[t]->dtype;
        uint8_t codes[128], block[132];
        float y[128];
        for (int i = 0; i < dtype->block_len; i++)
            codes[i] = (uint8_t)((i * 37 + i / 8) & ((1 << bits[t]) - 1));
        fj_groups_put(dtype, fj_f32_to_f16(0.0124f), 5, codes, block);
        types[t]->decode(block, y, dtype->block_len);
        for (int i = 0; i < dtype->block_len; i++)
            CHECK(y[i] == (float)(codes[i] - 5) * fj_f16_to_f32(fj_f32_to_f16(0.0124f)));
    }
}

TEST(groups_get_the_largest_block_that_divides_them)
{
    CHECK(fj_groups_type(4, 128) == &fj_u4_128 && fj_groups_type(4, 4096) == &fj_u4_128);
    CHECK(fj_groups_type(4, 64) == &fj_u4_32 && fj_groups_type(4, 32) == &fj_u4_32 && !fj_groups_type(4, 48));
    CHECK(fj_groups_type(8, 128) == &fj_u8_128 && fj_groups_type(8, 32) == &fj_u8_32);
    CHECK(fj_groups_type(3, 128) == &fj_u3_32 && fj_groups_type(2, 64) == &fj_u2_32);
}

TEST(groups_are_read_at_odd_addresses)
{
    for (size_t t = 0; t < FJ_LEN(types); t++)
        CHECK(odd_addresses_read(types[t]));
}

TEST(groups_read_any_bytes)
{
    for (size_t t = 0; t < FJ_LEN(types); t++)
        CHECK(any_bytes_decode(types[t]));
}
