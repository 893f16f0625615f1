/* SPDX-License-Identifier: Apache-2.0
 * The packed tile: 16 rows of weights in the order in which every ISA reads them; and the panel of activations.
 *
 * A tile is a run of blocks of 32 values along k. Row r of the tile is byte lane r of what follows, little-endian:
 *
 *   legacy block   [d f16 x16] [m f16 x16, with minimums] [codes]
 *   super-block    [d f16 x16] [dmin f16 x16, with minimums] then 8 times [a u8 x16] [b u8 x16] [codes]
 *                  a, b: scale and minimum of the 32 values; without minimums the int8 scales of the two halves of 16
 *
 * Codes are unsigned. Group g (0…7) of a block is k = 4g…4g+3; a plane is 64 bytes, row r's four values at byte 4r:
 *
 *   4 bits   4 planes: plane p has group p in the low nibbles and group p+4 in the high ones
 *   5 bits   the same, then a plane with bit 4 of group g at bit g
 *   6 bits   the same, then two planes with bits 4, 5 of group g at bits 2(g%4), 2(g%4)+1 of plane g/4
 *   8 bits   8 planes, one a group
 *
 * So one plane is one zmm, 16 int32 lanes of VPDPBUSD, unpacked by two or three instructions for all activations.
 * Tiles are padded to a multiple of 64 bytes. Their size a weight is the file's within 3 %.
 *
 * Order of summation, the same bits for every ISA and any m, n (S: exact integer sum of a block, offset taken off;
 * x: scale_x):
 *   offset types   acc = fma(S, d * x, acc)                                          block after block
 *   minimum types  acc = fma(S, d * x, acc), then acc = fma(m, x * sum(q), acc)   K types: d*a for d, -(dmin*b) for m
 *   q6_k           acc = fma(fma(S1, d*b, S0 * (d*a)), x, acc)                    S0, S1: the halves of 16
 * Products of scales (d*a, d*b, dmin*b) are exact in float. */
#ifndef FJ_KERNELS_TILE_INTERNAL_H
#define FJ_KERNELS_TILE_INTERNAL_H

#include <math.h>
#include <string.h>

#include "kernels/kernels.h"

#define FJ_INLINE static inline __attribute__((always_inline)) /* bodies that fold on constant arguments */

enum { FJ_TILE_ROWS = 16, FJ_BLOCK = 32, FJ_SUPER_BLOCKS = 8 };

/* Rows of FJ_PACK tables: fj_pack_index of each type. */
enum { FJ_ROW_Q8_0, FJ_ROW_Q4_0, FJ_ROW_Q4_1, FJ_ROW_Q5_0, FJ_ROW_Q5_1, FJ_ROW_Q4_K, FJ_ROW_Q5_K, FJ_ROW_Q6_K };

/* What the bytes of a tile are. Passed by value with constants, so that each kernel folds to its own type. */
typedef struct fj_form {
    int  bits;   /* of a code: 4, 5, 6 or 8 */
    int  offset; /* to subtract from a code; 0 with minimums */
    bool has_min;
    bool is_super; /* super-blocks of 256 */
} fj_form;

static const fj_form fj_forms[FJ_PACK_TYPES] = {
    [FJ_ROW_Q8_0] = { 8, 128, false, false }, [FJ_ROW_Q4_0] = { 4, 8, false, false },
    [FJ_ROW_Q4_1] = { 4, 0, true, false },    [FJ_ROW_Q5_0] = { 5, 16, false, false },
    [FJ_ROW_Q5_1] = { 5, 0, true, false },    [FJ_ROW_Q4_K] = { 4, 0, true, true },
    [FJ_ROW_Q5_K] = { 5, 0, true, true },     [FJ_ROW_Q6_K] = { 6, 32, false, true },
};

/* The types' descriptors, in the order of the rows: pack_legacy.c, pack_k.c. */
extern const fj_pack fj_pack_q8_0, fj_pack_q4_0, fj_pack_q4_1, fj_pack_q5_0, fj_pack_q5_1, fj_pack_q4_k, fj_pack_q5_k,
    fj_pack_q6_k;
extern const fj_pack *const fj_packs[FJ_PACK_TYPES];

/* Bytes before the codes: of a block, and of a super-block before its first block. */
FJ_INLINE int fj_block_head(fj_form f)
{
    return f.is_super || !f.has_min ? 32 : 64;
}

FJ_INLINE int fj_super_head(fj_form f)
{
    if (!f.is_super)
        return 0;
    return f.has_min ? 64 : 32;
}

FJ_INLINE int fj_block_bytes(fj_form f)
{
    return fj_block_head(f) + 64 * f.bits;
}

/* Where block b of a tile begins, its head first. */
FJ_INLINE size_t fj_block_at(fj_form f, int64_t b)
{
    size_t supers = f.is_super ? (size_t)(b / FJ_SUPER_BLOCKS) + 1 : 0;
    return (size_t)b * (size_t)fj_block_bytes(f) + supers * (size_t)fj_super_head(f);
}

/* Where the f16 scales of a super-block begin, b any of its blocks. */
FJ_INLINE size_t fj_super_at(fj_form f, int64_t b)
{
    int64_t first = b / FJ_SUPER_BLOCKS * FJ_SUPER_BLOCKS;
    return (size_t)first * (size_t)fj_block_bytes(f) + (size_t)(first / FJ_SUPER_BLOCKS) * (size_t)fj_super_head(f);
}

FJ_INLINE size_t fj_tile_size(fj_form f, int64_t k)
{
    int64_t n_blocks = k / FJ_BLOCK;
    size_t  supers = f.is_super ? (size_t)(n_blocks / FJ_SUPER_BLOCKS) : 0;
    size_t  bytes = (size_t)n_blocks * (size_t)fj_block_bytes(f) + supers * (size_t)fj_super_head(f);
    return (bytes + 63) / 64 * 64;
}

FJ_INLINE uint32_t fj_load_u32(const void *p)
{
    uint32_t v;
    memcpy(&v, p, sizeof v);
    return v;
}

FJ_INLINE void fj_store_u32(void *p, uint32_t v)
{
    memcpy(p, &v, sizeof v);
}

/* The 32 codes of row r as 8 words of 4 bytes, group after group; codes: the planes of a block. */
FJ_INLINE void fj_codes_get(fj_form f, const uint8_t *codes, int r, uint32_t group[8])
{
#pragma GCC unroll 8
    for (int g = 0; g < 8; g++) {
        if (f.bits == 8) {
            group[g] = fj_load_u32(codes + 64 * g + 4 * r);
            continue;
        }
        group[g] = (fj_load_u32(codes + 64 * (g & 3) + 4 * r) >> (g & 4)) & 0x0f0f0f0fu;
        if (f.bits == 5)
            group[g] |= ((fj_load_u32(codes + 256 + 4 * r) >> g) & 0x01010101u) << 4;
        if (f.bits == 6)
            group[g] |= ((fj_load_u32(codes + 256 + 64 * (g >> 2) + 4 * r) >> (2 * (g & 3))) & 0x03030303u) << 4;
    }
}

/* The opposite. Writes row r's bytes of each plane only. */
FJ_INLINE void fj_codes_put(fj_form f, uint8_t *codes, int r, const uint32_t group[8])
{
    if (f.bits == 8) {
#pragma GCC unroll 8
        for (int g = 0; g < 8; g++)
            fj_store_u32(codes + 64 * g + 4 * r, group[g]);
        return;
    }
#pragma GCC unroll 4
    for (int p = 0; p < 4; p++)
        fj_store_u32(codes + 64 * p + 4 * r, (group[p] & 0x0f0f0f0fu) | (group[p + 4] & 0x0f0f0f0fu) << 4);
    uint32_t high[2] = { 0, 0 };
#pragma GCC unroll 8
    for (int g = 0; g < 8; g++) {
        if (f.bits == 5)
            high[0] |= ((group[g] >> 4) & 0x01010101u) << g;
        if (f.bits == 6)
            high[g >> 2] |= ((group[g] >> 4) & 0x03030303u) << (2 * (g & 3));
    }
    if (f.bits >= 5)
        fj_store_u32(codes + 256 + 4 * r, high[0]);
    if (f.bits == 6)
        fj_store_u32(codes + 320 + 4 * r, high[1]);
}

/* Scale and minimum of sub-block s of a Q4_K or Q5_K file block from its 12 packed bytes: 6 bits each, the
 * upper four have their top bits with the lower. */
FJ_INLINE void fj_k_scale_min(const uint8_t *packed, int s, uint8_t *scale, uint8_t *min)
{
    if (s < 4) {
        *scale = packed[s] & 63;
        *min = packed[s + 4] & 63;
        return;
    }
    *scale = (uint8_t)((packed[s + 4] & 15) | (packed[s - 4] >> 6) << 4);
    *min = (uint8_t)((packed[s + 4] >> 4) | (packed[s] >> 6) << 4);
}

/* Scales of the two halves of block b for row r, and what a code of 0 is worth before the offset. All exact. */
FJ_INLINE void fj_block_scales(fj_form f, const uint8_t *tile, int64_t b, int r, float scale[2], float *min)
{
    const uint8_t *head = tile + fj_block_at(f, b), *super = f.is_super ? tile + fj_super_at(f, b) : head;
    uint16_t       half;
    memcpy(&half, super + 2 * r, sizeof half);
    scale[0] = scale[1] = fj_f16_to_f32(half);
    *min = 0;
    if (f.has_min) {
        memcpy(&half, super + 32 + 2 * r, sizeof half);
        *min = fj_f16_to_f32(half);
    }
    if (f.is_super && f.has_min) {
        scale[0] = scale[1] = scale[0] * (float)head[r];
        *min = -(*min * (float)head[16 + r]);
    } else if (f.is_super) {
        scale[0] *= (float)(int8_t)head[r];
        scale[1] *= (float)(int8_t)head[16 + r];
    }
}

/* Row r of a tile as values: fj_pack.unpack_row of every type. The product is exact or rounded once, as in decode. */
FJ_INLINE void fj_tile_unpack(fj_form f, const uint8_t *tile, int64_t k, int r, float *dst)
{
    for (int64_t b = 0; b < k / FJ_BLOCK; b++, dst += FJ_BLOCK) {
        uint32_t group[8];
        uint8_t  code[FJ_BLOCK];
        float    scale[2], min;
        fj_codes_get(f, tile + fj_block_at(f, b) + fj_block_head(f), r, group);
        memcpy(code, group, sizeof code);
        fj_block_scales(f, tile, b, r, scale, &min);
        for (int i = 0; i < FJ_BLOCK; i++) {
            float value = scale[i / 16] * (float)(code[i] - f.offset);
            dst[i] = f.has_min ? value + min : value;
        }
    }
}

/* ---- activations ------------------------------------------------------------------------------------------------
 * A panel is up to 12 quantized rows and some blocks of each, laid so that kernels reach all of it from one pointer and
 * find broadcast operands ready. Built once and used for every tile of a run. Per block, with R rows, words of 4 bytes:
 *   q (R,8) four int8 each | scale (R) f32 | start (2,R) int32 | scaled_sum (R) f32
 * start: -offset * sum, of the whole block or of the halves of q6_k: the sums begin there (offset types).
 * scaled_sum: scale * sum (minimum types). What a type's kernels do not read is not written. */
enum { FJ_PANEL_ROWS = 12, FJ_PANEL_ROW_WORDS = 12, FJ_PANEL_WORDS = 32 * FJ_PANEL_ROWS * FJ_PANEL_ROW_WORDS };

typedef union fj_word {
    int32_t i;
    float   f;
} fj_word;

/* Where row r's words begin in a block of a panel of R = rows rows: q, scale, start of half h, scaled_sum. */
FJ_INLINE int fj_panel_q(int r)
{
    return 8 * r;
}

FJ_INLINE int fj_panel_scale(int rows, int r)
{
    return 8 * rows + r;
}

FJ_INLINE int fj_panel_start(int rows, int h, int r)
{
    return (9 + h) * rows + r;
}

FJ_INLINE int fj_panel_scaled_sum(int rows, int r)
{
    return 11 * rows + r;
}

/* What a block of largest magnitude amax (its bits without the sign) is stored with: false when all q are zero, which
 * is so for less than 2^-100 (scale 0) and for a block that holds an inf or NaN (scale NaN, so that every product shows it). */
FJ_INLINE bool fj_q8_scale(uint32_t amax_bits, float *scale, float *inverse)
{
    float amax;
    *scale = *inverse = 0;
    if (amax_bits >= 0x7f800000u) {
        *scale = NAN;
        return false;
    }
    if (amax_bits < 0x0d800000u)
        return false;
    memcpy(&amax, &amax_bits, sizeof amax);
    *scale = amax / 127.0f;
    *inverse = 127.0f / amax;
    return true;
}

/* One panel times one tile, over some blocks: what an ISA writes. y continues when first_block > 0, else starts at 0. */
typedef struct fj_tile_work {
    float         *y;
    int64_t        ldy;
    int            m, rows; /* rows to store (1…rows); rows to compute: 1, 2, 4, 8 or 12 */
    int            n;       /* columns to store, 1…16 */
    const fj_word *panel;
    const uint8_t *tile;
    int64_t        first_block, n_blocks;
} fj_tile_work;

typedef void fj_tile_fn(const fj_tile_work *work);

/* The whole product in terms of fn, whose largest panel has max_rows (1, 2, 4, 8, 12) rows. gemm_q.c */
void fj_gemm_q_tiles(fj_form form, fj_tile_fn *fn, int max_rows, float *y, int64_t ldy, const void *x, size_t x_bytes,
                     const void *tiles, int64_t m, int64_t n, int64_t k);

#endif
