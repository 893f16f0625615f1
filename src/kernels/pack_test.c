/* SPDX-License-Identifier: Apache-2.0
 * Packed tiles: nothing is lost, nothing is written outside, the layout is the one stated. */
#include "kernels/test_blocks.h"

enum { MOST_K = 1536, MOST_TILE = 16 * 2 * MOST_K };

static const int64_t ks[] = { 32, 64, 96, 256, 512, 768, 1536 };

/* Rows at an odd address, farther apart than their length. */
static void check_round_trip(const fj_pack *pack, int64_t k, int n_rows)
{
    uint8_t tile[2][MOST_TILE + TEST_GUARD], rows[16 * 2 * MOST_K];
    float want[MOST_K], got[MOST_K + TEST_GUARD];
    const size_t row_bytes = test_row_bytes(pack->dtype, k) + 5, tile_bytes = pack->tile_bytes(k);
    uint8_t *first = rows + 1;
    CHECK(tile_bytes % 64 == 0 && tile_bytes <= MOST_TILE);
    for (int r = 0; r < n_rows; r++)
        test_fill_blocks(pack->dtype, first + (size_t)r * row_bytes, row_bytes - 5, (uint32_t)r);
    for (int i = 0; i < 2; i++) {
        memset(tile[i], i ? 0xaa : 0x55, sizeof tile[i]);
        test_guard_put(tile[i] + tile_bytes);
        pack->pack(first, row_bytes, n_rows, k, tile[i]);
        CHECK(test_guard_ok(tile[i] + tile_bytes));
    }
    CHECK(memcmp(tile[0], tile[1], tile_bytes) == 0); /* every byte is written */
    for (int r = 0; r < 16; r++) {
        test_guard_put(got + k);
        pack->unpack_row(tile[0], k, r, got);
        CHECK(test_guard_ok(got + k));
        if (r < n_rows)
            fj_quant_of(pack->dtype)->decode(first + (size_t)r * row_bytes, want, k);
        if (r < n_rows)
            CHECK(test_same_bits(got, want, k));
    }
}

TEST(packed_rows_unpack_to_the_values_that_decode_gives)
{
    for (int i = 0; i < FJ_PACK_TYPES; i++)
        for (size_t s = 0; s < sizeof ks / sizeof *ks; s++) {
            if (ks[s] % fj_packs[i]->dtype->block_len != 0)
                continue;
            check_round_trip(fj_packs[i], ks[s], 16);
            check_round_trip(fj_packs[i], ks[s], 7);
            check_round_trip(fj_packs[i], ks[s], 1);
        }
}

TEST(missing_rows_of_a_tile_unpack_to_zeros)
{
    for (int i = 0; i < FJ_PACK_TYPES; i++) {
        uint8_t row[512], tile[16 * 512];
        float got[256];
        test_fill_blocks(fj_packs[i]->dtype, row, test_row_bytes(fj_packs[i]->dtype, 256), 3);
        memset(tile, 0xff, sizeof tile);
        fj_packs[i]->pack(row, sizeof row, 1, 256, tile);
        for (int r = 1; r < 16; r++) {
            fj_packs[i]->unpack_row(tile, 256, r, got);
            for (int j = 0; j < 256; j++)
                CHECK(got[j] == 0);
        }
    }
}

/* Types whose groups of values stand in books, and the most that their tiles take of the file's bytes (tile_internal.h). */
static double most_of_file(int index)
{
    switch (index) {
    case FJ_ROW_TQ1_0: return 1.23;
    case FJ_ROW_IQ3_S: return 1.28;
    case FJ_ROW_IQ3_XXS: return 1.43;
    case FJ_ROW_IQ2_S: return 1.42;
    case FJ_ROW_IQ2_XS: return 1.57;
    case FJ_ROW_IQ2_XXS: return 1.64;
    case FJ_ROW_IQ1_M: return 2.08;
    case FJ_ROW_IQ1_S: return 2.16;
    default: return 1.04;
    }
}

TEST(tiles_are_hardly_larger_than_the_rows_of_the_file)
{
    for (int i = 0; i < FJ_PACK_TYPES; i++) {
        double rows = 16.0 * (double)test_row_bytes(fj_packs[i]->dtype, 1536);
        CHECK((double)fj_packs[i]->tile_bytes(1536) <= most_of_file(i) * rows);
    }
}

TEST(a_packed_form_is_found_by_its_type_and_plain_types_have_none)
{
    bool seen[FJ_PACK_TYPES] = { false };
    for (int i = 0; fj_dtypes[i]; i++) {
        int at = fj_pack_index(fj_dtypes[i]);
        CHECK(at < 0 || fj_dtypes[i]->is_quantized);
        CHECK((fj_pack_of(fj_dtypes[i]) != NULL) == (at >= 0));
        if (at < 0)
            continue;
        CHECK(fj_pack_of(fj_dtypes[i])->dtype == fj_dtypes[i]);
        seen[at] = true;
    }
    for (int i = 0; i < FJ_PACK_TYPES; i++)
        CHECK(seen[i]);
}

/* One value at a time: Q5_0, row 3, value 22 = group 5, byte 2. */
TEST(a_tile_has_four_values_of_each_row_side_by_side)
{
    uint8_t block[4][22] = { { 0 } }, tile[384];
    block[3][1] = 0x3c;                 /* d = 1 */
    block[3][2 + 22 / 8] = 1 << 22 % 8; /* its bit 4 */
    block[3][6 + 6] = 0x90;             /* its low four bits: 9, in the high nibble */
    fj_pack_q5_0.pack(block, 22, 4, 32, tile);
    CHECK(fj_pack_q5_0.tile_bytes(32) == 384);
    CHECK(tile[2 * 3] == 0x00 && tile[2 * 3 + 1] == 0x3c);
    CHECK(tile[32 + 64 * 1 + 4 * 3 + 2] == 0x90); /* plane 1: group 1 low, group 5 high */
    CHECK(tile[32 + 256 + 4 * 3 + 2] == 1 << 5);  /* bit plane: group 5 */
    CHECK(tile[32 + 256 + 4 * 3 + 1] == 0 && tile[32 + 256 + 4 * 2 + 2] == 0);
}
