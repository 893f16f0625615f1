/* SPDX-License-Identifier: Apache-2.0
 * Packing of the types with blocks of 32: Q8_0 Q4_0 Q4_1 Q5_0 Q5_1. File blocks (ggml): d f16, [m f16], [qh 32 bits],
 * codes; byte j of 4-bit codes holds value j low and j+16 high, which is the plane's order already. The tile:
 * tile_internal.h. */
#include "kernels/tile_internal.h"

/* Bits 0…3 to bit 0 of bytes 0…3: four copies, 7 bits apart, never overlap. */
FJ_INLINE uint32_t spread_bits(uint32_t four)
{
    return (four * 0x00204081u) & 0x01010101u;
}

/* The 32 codes of a file block, src past its scales. */
FJ_INLINE void file_codes(fj_form f, const uint8_t *src, uint32_t group[8])
{
    if (f.bits == 8) {
#pragma GCC unroll 8
        for (int g = 0; g < 8; g++)
            group[g] = fj_load_u32(src + 4 * g) ^ 0x80808080u; /* q + 128 */
        return;
    }
    const uint8_t *nibbles = f.bits == 5 ? src + 4 : src;
#pragma GCC unroll 4
    for (int p = 0; p < 4; p++) {
        uint32_t word = fj_load_u32(nibbles + 4 * p);
        group[p] = word & 0x0f0f0f0fu;
        group[p + 4] = (word >> 4) & 0x0f0f0f0fu;
    }
    if (f.bits == 5) {
        uint32_t high = fj_load_u32(src);
#pragma GCC unroll 8
        for (int g = 0; g < 8; g++)
            group[g] |= spread_bits((high >> (4 * g)) & 15) << 4;
    }
}

FJ_INLINE void pack_rows(fj_form f, const uint8_t *rows, size_t row_bytes, int n_rows, int64_t k, uint8_t *tile)
{
    const int scales = f.has_min ? 4 : 2; /* bytes of d and m */
    const int file_block = scales + 4 * f.bits;
    const uint16_t zero = 0;
    for (int64_t b = 0; b < k / FJ_BLOCK; b++, tile += fj_block_bytes(f)) {
        const uint8_t *src = rows + b * file_block;
        for (int r = 0; r < n_rows; r++, src += row_bytes) {
            uint32_t group[8];
            __builtin_prefetch(src + FJ_TILE_ROWS * row_bytes); /* short rows: of the next tile */
            memcpy(tile + 2 * r, src, 2);
            if (f.has_min)
                memcpy(tile + 32 + 2 * r, src + 2, 2);
            file_codes(f, src + scales, group);
            fj_codes_put(f, tile + fj_block_head(f), r, group);
        }
        for (int r = n_rows; r < FJ_TILE_ROWS; r++) {
            uint32_t group[8];
            memcpy(tile + 2 * r, &zero, 2);
            if (f.has_min)
                memcpy(tile + 32 + 2 * r, &zero, 2);
#pragma GCC unroll 8
            for (int g = 0; g < 8; g++)
                group[g] = (uint32_t)f.offset * 0x01010101u;
            fj_codes_put(f, tile + fj_block_head(f), r, group);
        }
    }
    if (k / FJ_BLOCK % 2 != 0 && fj_block_bytes(f) % 64 != 0)
        memset(tile, 0, 32); /* the padding */
}

static size_t tile_bytes_q8_0(int64_t k)
{
    return fj_tile_size(fj_forms[FJ_ROW_Q8_0], k);
}

static void pack_q8_0(const void *rows, size_t row_bytes, int n_rows, int64_t k, void *tile)
{
    pack_rows(fj_forms[FJ_ROW_Q8_0], rows, row_bytes, n_rows, k, tile);
}

static void unpack_q8_0(const void *tile, int64_t k, int r, float *dst)
{
    fj_tile_unpack(fj_forms[FJ_ROW_Q8_0], tile, k, r, dst);
}

static size_t tile_bytes_q4_0(int64_t k)
{
    return fj_tile_size(fj_forms[FJ_ROW_Q4_0], k);
}

static void pack_q4_0(const void *rows, size_t row_bytes, int n_rows, int64_t k, void *tile)
{
    pack_rows(fj_forms[FJ_ROW_Q4_0], rows, row_bytes, n_rows, k, tile);
}

static void unpack_q4_0(const void *tile, int64_t k, int r, float *dst)
{
    fj_tile_unpack(fj_forms[FJ_ROW_Q4_0], tile, k, r, dst);
}

static size_t tile_bytes_q4_1(int64_t k)
{
    return fj_tile_size(fj_forms[FJ_ROW_Q4_1], k);
}

static void pack_q4_1(const void *rows, size_t row_bytes, int n_rows, int64_t k, void *tile)
{
    pack_rows(fj_forms[FJ_ROW_Q4_1], rows, row_bytes, n_rows, k, tile);
}

static void unpack_q4_1(const void *tile, int64_t k, int r, float *dst)
{
    fj_tile_unpack(fj_forms[FJ_ROW_Q4_1], tile, k, r, dst);
}

static size_t tile_bytes_q5_0(int64_t k)
{
    return fj_tile_size(fj_forms[FJ_ROW_Q5_0], k);
}

static void pack_q5_0(const void *rows, size_t row_bytes, int n_rows, int64_t k, void *tile)
{
    pack_rows(fj_forms[FJ_ROW_Q5_0], rows, row_bytes, n_rows, k, tile);
}

static void unpack_q5_0(const void *tile, int64_t k, int r, float *dst)
{
    fj_tile_unpack(fj_forms[FJ_ROW_Q5_0], tile, k, r, dst);
}

static size_t tile_bytes_q5_1(int64_t k)
{
    return fj_tile_size(fj_forms[FJ_ROW_Q5_1], k);
}

static void pack_q5_1(const void *rows, size_t row_bytes, int n_rows, int64_t k, void *tile)
{
    pack_rows(fj_forms[FJ_ROW_Q5_1], rows, row_bytes, n_rows, k, tile);
}

static void unpack_q5_1(const void *tile, int64_t k, int r, float *dst)
{
    fj_tile_unpack(fj_forms[FJ_ROW_Q5_1], tile, k, r, dst);
}

const fj_pack fj_pack_q8_0 = { &fj_q8_0, tile_bytes_q8_0, pack_q8_0, unpack_q8_0 };
const fj_pack fj_pack_q4_0 = { &fj_q4_0, tile_bytes_q4_0, pack_q4_0, unpack_q4_0 };
const fj_pack fj_pack_q4_1 = { &fj_q4_1, tile_bytes_q4_1, pack_q4_1, unpack_q4_1 };
const fj_pack fj_pack_q5_0 = { &fj_q5_0, tile_bytes_q5_0, pack_q5_0, unpack_q5_0 };
const fj_pack fj_pack_q5_1 = { &fj_q5_1, tile_bytes_q5_1, pack_q5_1, unpack_q5_1 };
