/* SPDX-License-Identifier: Apache-2.0
 * Packing of the types with super-blocks of 256: Q4_K Q5_K Q6_K. The tile: tile_internal.h. File blocks (ggml):
 *   Q4_K  d dmin f16, 12 bytes of 6-bit scales and minimums, then 4 runs of 64 values: 32 bytes, low nibbles first
 *   Q5_K  the same with 32 bytes qh before the nibbles: bit s of qh[i] is bit 4 of value i of sub-block s
 *   Q6_K  2 runs of 128 values: ql 64 bytes each, then qh 32 bytes each; 16 int8 scales; d f16 */
#include "kernels/tile_internal.h"

enum { K_BLOCK_Q4 = 144, K_BLOCK_Q5 = 176, K_BLOCK_Q6 = 210 };

/* Sub-block s of a Q4_K or Q5_K block. */
FJ_INLINE void min_sub_block(fj_form f, const uint8_t *block, int s, int r, uint8_t *head)
{
    const uint8_t *nibbles = block + (f.bits == 5 ? 48 : 16) + 32 * (s / 2), *high = block + 16;
    uint32_t group[8];
    fj_k_scale_min(block + 4, s, head + r, head + 16 + r);
#pragma GCC unroll 8
    for (int g = 0; g < 8; g++) {
        group[g] = (fj_load_u32(nibbles + 4 * g) >> (s % 2 * 4)) & 0x0f0f0f0fu;
        if (f.bits == 5)
            group[g] |= ((fj_load_u32(high + 4 * g) >> s) & 0x01010101u) << 4;
    }
    fj_codes_put(f, head + fj_block_head(f), r, group);
}

/* Sub-block s of a Q6_K block: quarter s%4 of run s/4. */
FJ_INLINE void q6_sub_block(fj_form f, const uint8_t *block, int s, int r, uint8_t *head)
{
    const uint8_t *low = block + 64 * (s / 4) + 32 * (s % 2), *high = block + 128 + 32 * (s / 4);
    uint32_t group[8];
    head[r] = block[192 + 2 * s];
    head[16 + r] = block[192 + 2 * s + 1];
#pragma GCC unroll 8
    for (int g = 0; g < 8; g++) {
        group[g] = (fj_load_u32(low + 4 * g) >> (s % 4 / 2 * 4)) & 0x0f0f0f0fu;
        group[g] |= ((fj_load_u32(high + 4 * g) >> (s % 4 * 2)) & 0x03030303u) << 4;
    }
    fj_codes_put(f, head + fj_block_head(f), r, group);
}

FJ_INLINE void pack_rows(fj_form f, const uint8_t *rows, size_t row_bytes, int n_rows, int64_t k, uint8_t *tile)
{
    static const uint8_t zero_block[K_BLOCK_Q6] = { 0 }; /* scales of zero */
    const int file_block = f.bits == 4 ? K_BLOCK_Q4 : f.bits == 5 ? K_BLOCK_Q5 : K_BLOCK_Q6;
    const int64_t n_supers = k / FJ_BLOCK / FJ_SUPER_BLOCKS;
    for (int64_t b = 0; b < n_supers; b++) {
        uint8_t *first = tile + fj_super_head(f);
        for (int r = 0; r < FJ_TILE_ROWS; r++) {
            const uint8_t *src = r < n_rows ? rows + (size_t)r * row_bytes + (size_t)b * (size_t)file_block
                                            : zero_block;
            memcpy(tile + 2 * r, f.has_min ? src : src + 208, 2);
            if (f.has_min)
                memcpy(tile + 32 + 2 * r, src + 2, 2);
#pragma GCC unroll 8
            for (int s = 0; s < FJ_SUPER_BLOCKS; s++) {
                if (f.has_min)
                    min_sub_block(f, src, s, r, first + s * fj_block_bytes(f));
                else
                    q6_sub_block(f, src, s, r, first + s * fj_block_bytes(f));
            }
        }
        tile = first + FJ_SUPER_BLOCKS * fj_block_bytes(f);
    }
    if (n_supers % 2 != 0 && fj_super_head(f) % 64 != 0)
        memset(tile, 0, 32); /* the padding */
}

static size_t tile_bytes_q4_k(int64_t k)
{
    return fj_tile_size(fj_forms[FJ_ROW_Q4_K], k);
}

static void pack_q4_k(const void *rows, size_t row_bytes, int n_rows, int64_t k, void *tile)
{
    pack_rows(fj_forms[FJ_ROW_Q4_K], rows, row_bytes, n_rows, k, tile);
}

static void unpack_q4_k(const void *tile, int64_t k, int r, float *dst)
{
    fj_tile_unpack(fj_forms[FJ_ROW_Q4_K], tile, k, r, dst);
}

static size_t tile_bytes_q5_k(int64_t k)
{
    return fj_tile_size(fj_forms[FJ_ROW_Q5_K], k);
}

static void pack_q5_k(const void *rows, size_t row_bytes, int n_rows, int64_t k, void *tile)
{
    pack_rows(fj_forms[FJ_ROW_Q5_K], rows, row_bytes, n_rows, k, tile);
}

static void unpack_q5_k(const void *tile, int64_t k, int r, float *dst)
{
    fj_tile_unpack(fj_forms[FJ_ROW_Q5_K], tile, k, r, dst);
}

static size_t tile_bytes_q6_k(int64_t k)
{
    return fj_tile_size(fj_forms[FJ_ROW_Q6_K], k);
}

static void pack_q6_k(const void *rows, size_t row_bytes, int n_rows, int64_t k, void *tile)
{
    pack_rows(fj_forms[FJ_ROW_Q6_K], rows, row_bytes, n_rows, k, tile);
}

static void unpack_q6_k(const void *tile, int64_t k, int r, float *dst)
{
    fj_tile_unpack(fj_forms[FJ_ROW_Q6_K], tile, k, r, dst);
}

const fj_pack fj_pack_q4_k = { &fj_q4_k, tile_bytes_q4_k, pack_q4_k, unpack_q4_k };
const fj_pack fj_pack_q5_k = { &fj_q5_k, tile_bytes_q5_k, pack_q5_k, unpack_q5_k };
const fj_pack fj_pack_q6_k = { &fj_q6_k, tile_bytes_q6_k, pack_q6_k, unpack_q6_k };
