/* SPDX-License-Identifier: Apache-2.0
 * The packed tile: 16 rows of weights in the order in which every ISA reads them; and the panel of activations.
 *
 * A tile is a run of super-blocks along k: 1, 2, 4 or 8 blocks of 32 values behind scales that they share. Row r of the tile is lane r
 * of what follows, little-endian:
 *
 *   super-block    [top] then each block: [sub] [codes]
 *   top            d f16 x16, d f16 and m f16 x16, d f16 and zero u16 x16, d f32 x16, or e u8 x16 (d = 2^(e-128)): fj_top
 *   sub            scales of the 32 values, or of the two halves of 16, in units of the top ones, or nothing: fj_sub
 *
 * Codes are unsigned. Group g (0…7) of a block is k = 4g…4g+3; a plane is 64 bytes, row r's four values at byte 4r:
 *
 *   2 bits   2 planes: plane p has group p + 2i at bits 2i
 *   3 bits   the same, then a plane with bit 2 of group g at bit g
 *   4 bits   4 planes: plane p has group p in the low nibbles and group p+4 in the high ones
 *   5 bits   the same, then a plane with bit 4 of group g at bit g
 *   6 bits   the same, then two planes with bits 4, 5 of group g at bits 2(g%4), 2(g%4)+1 of plane g/4
 *   8 bits   8 planes, one a group
 *
 * So one plane is one zmm, 16 int32 lanes of VPDPBUSD, unpacked by two or three instructions for all activations. A form with a book
 * has codes that stand for int8 levels, which one more instruction looks up. Tiles are padded to a multiple of 64 bytes. Their size a
 * weight is the file's within 4 %, but for the IQ1, IQ2, IQ3 types and TQ1_0: these find groups of values in large books, which costs
 * far more than reading; here each value has 3 or 4 (2 for TQ1_0) bits of its own, and a tile is 1.2 to 2.2 times the file's rows.
 *
 * Order of summation, the same bits for every ISA and any m, n (S: exact integer sum of a block, offset taken off, S0, S1: of its
 * halves; x: scale_x; d, d0, d1: scales of the block or the halves):
 *   scales of blocks   acc = fma(S, d * x, acc)                          block after block
 *   scales of halves   acc = fma(fma(S1, d1, S0 * d0), x, acc)
 *   with minimums      then acc = fma(m, x * sum(q), acc), of the block, or of both halves one after the other
 * In Q2_K, whose codes times the halves' scales are below 46, S is the sum of those, and d that of the super-block.
 * Products of scales (d*a, m*b) are exact in float, but for INT8's (d/127) and a zero's (-(zero*d)) beyond those of files. */
#ifndef FJ_KERNELS_TILE_INTERNAL_H
#define FJ_KERNELS_TILE_INTERNAL_H

#include <math.h>
#include <string.h>

#include "kernels/kernels_internal.h"
#include "quant/quant.h"

#define FJ_INLINE static inline __attribute__((always_inline)) /* bodies that fold on constant arguments */

enum { FJ_TILE_ROWS = 16, FJ_BLOCK = 32, FJ_MOST_BLOCKS = 8 };

/* Scales that the blocks of a super-block share. */
typedef enum fj_top {
    FJ_TOP_HALF,      /* d f16 */
    FJ_TOP_HALF_MIN,  /* d f16, then m f16, which is added (behind no sub) or, times the sub-minimum, subtracted */
    FJ_TOP_HALF_ZERO, /* d f16, then the code u16 that stands for 0 */
    FJ_TOP_FLOAT,     /* d f32 */
    FJ_TOP_ROW,       /* the same, 1/127 of it counts: INT8 */
    FJ_TOP_POWER,     /* e u8, d = 2^(e-128) */
} fj_top;

/* Scales of a block, or of its halves. */
typedef enum fj_sub {
    FJ_SUB_NONE,
    FJ_SUB_MIN,       /* a u8, then b u8: d*a and -(m*b) */
    FJ_SUB_INT8,      /* a int8 */
    FJ_SUB_HALVES,    /* a int8 of the first half, then of the second */
    FJ_SUB_NIBBLES,   /* of each half: a in the low nibble and b in the high one; codes are multiplied by a before all else */
} fj_sub;

/* What the bytes of a tile are. Passed by value with constants, so that each kernel folds to its own form. */
typedef struct fj_form {
    int           bits;   /* of a code: 2, 3, 4, 5, 6 or 8 */
    int           offset; /* to subtract from a code; 128: VPDPBUSD alone wants an offset, codes or levels are int8 elsewhere */
    int           blocks; /* of a super-block */
    fj_top        top;
    fj_sub        sub;
    int           largest; /* magnitude of what is multiplied where 16 bits hold sums: codes, or int8 */
    const int8_t *book;    /* 16 levels, or NULL. A kernel takes the levels from its work: types share kernels */
} fj_form;

/* Levels of codes. IQ3: bit 3 is the sign; IQ2: bit 2; IQ1, in eighths: bit 2 moves down. */
static const int8_t fj_levels_iq4[16] = { -127, -104, -83, -65, -49, -35, -22, -10, 1, 13, 25, 38, 53, 69, 89, 113 };
static const int8_t fj_levels_e2m1[16] = { 0, 1, 2, 3, 4, 6, 8, 12, 0, -1, -2, -3, -4, -6, -8, -12 };
static const int8_t fj_levels_iq3_s[16] = { 1, 3, 5, 7, 9, 11, 13, 15, -1, -3, -5, -7, -9, -11, -13, -15 };
static const int8_t fj_levels_iq3_xxs[16] = { 4, 12, 20, 28, 36, 44, 52, 62, -4, -12, -20, -28, -36, -44, -52, -62 };
static const int8_t fj_levels_iq2[16] = { 8, 25, 43, 0, -8, -25, -43, 0 };
static const int8_t fj_levels_iq1[16] = { -7, 1, 9, 0, -9, -1, 7, 0 };

static const fj_form fj_forms[FJ_PACK_TYPES] = {
    [FJ_ROW_Q8_0] = { 8, 128, 1, FJ_TOP_HALF, FJ_SUB_NONE, 128, NULL },
    [FJ_ROW_Q4_0] = { 4, 8, 1, FJ_TOP_HALF, FJ_SUB_NONE, 15, NULL },
    [FJ_ROW_Q4_1] = { 4, 0, 1, FJ_TOP_HALF_MIN, FJ_SUB_NONE, 15, NULL },
    [FJ_ROW_Q5_0] = { 5, 16, 1, FJ_TOP_HALF, FJ_SUB_NONE, 31, NULL },
    [FJ_ROW_Q5_1] = { 5, 0, 1, FJ_TOP_HALF_MIN, FJ_SUB_NONE, 31, NULL },
    [FJ_ROW_Q4_K] = { 4, 0, 8, FJ_TOP_HALF_MIN, FJ_SUB_MIN, 15, NULL },
    [FJ_ROW_Q5_K] = { 5, 0, 8, FJ_TOP_HALF_MIN, FJ_SUB_MIN, 31, NULL },
    [FJ_ROW_Q6_K] = { 6, 32, 8, FJ_TOP_HALF, FJ_SUB_HALVES, 63, NULL },
    [FJ_ROW_Q3_K] = { 3, 4, 8, FJ_TOP_HALF, FJ_SUB_HALVES, 7, NULL },
    [FJ_ROW_Q2_K] = { 2, 0, 8, FJ_TOP_HALF_MIN, FJ_SUB_NIBBLES, 45, NULL },
    [FJ_ROW_IQ4_NL] = { 4, 128, 1, FJ_TOP_HALF, FJ_SUB_NONE, 127, fj_levels_iq4 },
    [FJ_ROW_IQ4_XS] = { 4, 128, 8, FJ_TOP_HALF, FJ_SUB_INT8, 127, fj_levels_iq4 },
    [FJ_ROW_MXFP4] = { 4, 128, 1, FJ_TOP_POWER, FJ_SUB_NONE, 12, fj_levels_e2m1 },
    [FJ_ROW_TQ2_0] = { 2, 1, 8, FJ_TOP_HALF, FJ_SUB_NONE, 3, NULL },
    [FJ_ROW_TQ1_0] = { 2, 1, 8, FJ_TOP_HALF, FJ_SUB_NONE, 3, NULL },
    [FJ_ROW_INT8] = { 8, 128, 2, FJ_TOP_ROW, FJ_SUB_NONE, 128, NULL },
    [FJ_ROW_U8_128] = { 8, 128, 4, FJ_TOP_HALF_ZERO, FJ_SUB_NONE, 128, NULL },
    [FJ_ROW_U8_32] = { 8, 128, 1, FJ_TOP_HALF_ZERO, FJ_SUB_NONE, 128, NULL },
    [FJ_ROW_U4_128] = { 4, 0, 4, FJ_TOP_HALF_ZERO, FJ_SUB_NONE, 15, NULL },
    [FJ_ROW_U4_32] = { 4, 0, 1, FJ_TOP_HALF_ZERO, FJ_SUB_NONE, 15, NULL },
    [FJ_ROW_U3_32] = { 3, 0, 1, FJ_TOP_HALF_ZERO, FJ_SUB_NONE, 7, NULL },
    [FJ_ROW_U2_32] = { 2, 0, 1, FJ_TOP_HALF_ZERO, FJ_SUB_NONE, 3, NULL },
    [FJ_ROW_IQ3_S] = { 4, 128, 8, FJ_TOP_FLOAT, FJ_SUB_INT8, 62, fj_levels_iq3_s },
    [FJ_ROW_IQ3_XXS] = { 4, 128, 8, FJ_TOP_FLOAT, FJ_SUB_INT8, 62, fj_levels_iq3_xxs },
    [FJ_ROW_IQ2_S] = { 3, 128, 8, FJ_TOP_FLOAT, FJ_SUB_HALVES, 43, fj_levels_iq2 },
    [FJ_ROW_IQ2_XS] = { 3, 128, 8, FJ_TOP_FLOAT, FJ_SUB_HALVES, 43, fj_levels_iq2 },
    [FJ_ROW_IQ2_XXS] = { 3, 128, 8, FJ_TOP_FLOAT, FJ_SUB_INT8, 43, fj_levels_iq2 },
    [FJ_ROW_IQ1_M] = { 3, 128, 8, FJ_TOP_FLOAT, FJ_SUB_HALVES, 43, fj_levels_iq1 },
    [FJ_ROW_IQ1_S] = { 3, 128, 8, FJ_TOP_FLOAT, FJ_SUB_INT8, 43, fj_levels_iq1 },
};

/* The forms that differ in more than their levels: a kernel each. */
#define FJ_EACH_TILE(DO)                                                                                                            \
    DO(Q8_0) DO(Q4_0) DO(Q4_1) DO(Q5_0) DO(Q5_1) DO(Q4_K) DO(Q5_K) DO(Q6_K) DO(Q3_K) DO(Q2_K) DO(IQ4_NL) DO(IQ4_XS) DO(MXFP4)       \
    DO(TQ2_0) DO(INT8) DO(U8_128) DO(U8_32) DO(U4_128) DO(U4_32) DO(U3_32) DO(U2_32) DO(IQ3_S) DO(IQ2_S) DO(IQ2_XXS)

/* Every type, and whose kernel it has. */
#define FJ_EACH_PACK(DO)                                                                                                            \
    DO(Q8_0, Q8_0) DO(Q4_0, Q4_0) DO(Q4_1, Q4_1) DO(Q5_0, Q5_0) DO(Q5_1, Q5_1) DO(Q4_K, Q4_K) DO(Q5_K, Q5_K) DO(Q6_K, Q6_K)         \
    DO(Q3_K, Q3_K) DO(Q2_K, Q2_K) DO(IQ4_NL, IQ4_NL) DO(IQ4_XS, IQ4_XS) DO(MXFP4, MXFP4) DO(TQ2_0, TQ2_0) DO(TQ1_0, TQ2_0)          \
    DO(INT8, INT8) DO(U8_128, U8_128) DO(U8_32, U8_32) DO(U4_128, U4_128) DO(U4_32, U4_32) DO(U3_32, U3_32) DO(U2_32, U2_32)        \
    DO(IQ3_S, IQ3_S) DO(IQ3_XXS, IQ3_S) DO(IQ2_S, IQ2_S) DO(IQ2_XS, IQ2_S) DO(IQ2_XXS, IQ2_XXS) DO(IQ1_M, IQ2_S) DO(IQ1_S, IQ2_XXS)

/* What a file that includes an ISA's tile(form, work) makes of the lists: kernels, products, rows of the table. */
#define FJ_TILE_FN(TYPE)                                                                                                            \
    static void tile_##TYPE(const fj_tile_work *work)                                                                               \
    {                                                                                                                               \
        tile(fj_forms[FJ_ROW_##TYPE], work);                                                                                        \
    }
#define FJ_GEMM_FN(TYPE, TILE)                                                                                                      \
    static void gemm_##TYPE(float *y, int64_t ldy, const void *x, size_t x_bytes, const void *tiles, int64_t m, int64_t n, int64_t k) \
    {                                                                                                                               \
        fj_gemm_q_tiles(fj_forms[FJ_ROW_##TYPE], tile_##TILE, most_rows(fj_forms[FJ_ROW_##TYPE]), y, ldy, x, x_bytes, tiles, m, n, k);                        \
    }
#define FJ_GEMM_ROW(TYPE, TILE) k->gemm_q[FJ_ROW_##TYPE] = gemm_##TYPE;

/* The types' descriptors: pack_legacy.c, pack_k.c, pack_groups.c, pack_books.c. */
extern const fj_pack fj_pack_q8_0, fj_pack_q4_0, fj_pack_q4_1, fj_pack_q5_0, fj_pack_q5_1, fj_pack_q4_k, fj_pack_q5_k,
    fj_pack_q6_k, fj_pack_q3_k, fj_pack_q2_k, fj_pack_iq4_nl, fj_pack_iq4_xs, fj_pack_mxfp4, fj_pack_tq2_0, fj_pack_tq1_0,
    fj_pack_int8, fj_pack_u8_128, fj_pack_u8_32, fj_pack_u4_128, fj_pack_u4_32, fj_pack_u3_32, fj_pack_u2_32, fj_pack_iq3_s,
    fj_pack_iq3_xxs, fj_pack_iq2_s, fj_pack_iq2_xs, fj_pack_iq2_xxs, fj_pack_iq1_m, fj_pack_iq1_s;
extern const fj_pack *const fj_packs[FJ_PACK_TYPES];

FJ_INLINE bool fj_has_min(fj_form f)
{
    return f.top == FJ_TOP_HALF_MIN || f.top == FJ_TOP_HALF_ZERO;
}

/* Whether the minimum is taken off: m*b, or what the zero stands for. */
FJ_INLINE bool fj_min_is_negative(fj_form f)
{
    return f.top == FJ_TOP_HALF_ZERO || f.sub != FJ_SUB_NONE;
}

/* Whether the halves of a block have sums of their own, and minimums. */
FJ_INLINE bool fj_has_halves(fj_form f)
{
    return f.sub == FJ_SUB_HALVES;
}

FJ_INLINE bool fj_has_half_mins(fj_form f)
{
    return f.sub == FJ_SUB_NIBBLES;
}

/* Codes or levels that are int8 where VPDPBUSD does not ask for unsigned ones. */
FJ_INLINE bool fj_is_signed(fj_form f)
{
    return f.offset == 128;
}

FJ_INLINE int fj_sub_bytes(fj_form f)
{
    return f.sub == FJ_SUB_NONE ? 0 : f.sub == FJ_SUB_INT8 ? 16 : 32;
}

FJ_INLINE int fj_top_bytes(fj_form f)
{
    return f.top == FJ_TOP_HALF ? 32 : f.top == FJ_TOP_POWER ? 16 : 64;
}

/* Of a block: its scales, then its codes. */
FJ_INLINE int fj_block_bytes(fj_form f)
{
    return fj_sub_bytes(f) + 64 * f.bits;
}

FJ_INLINE int fj_super_bytes(fj_form f)
{
    return fj_top_bytes(f) + f.blocks * fj_block_bytes(f);
}

/* Where the super-block of block b begins in a tile, and where block b itself does. */
FJ_INLINE size_t fj_super_at(fj_form f, int64_t b)
{
    return (size_t)(b / f.blocks) * (size_t)fj_super_bytes(f);
}

FJ_INLINE size_t fj_block_at(fj_form f, int64_t b)
{
    return fj_super_at(f, b) + (size_t)fj_top_bytes(f) + (size_t)(b % f.blocks) * (size_t)fj_block_bytes(f);
}

FJ_INLINE size_t fj_tile_size(fj_form f, int64_t k)
{
    return (fj_super_at(f, k / FJ_BLOCK) + 63) / 64 * 64;
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
        if (f.bits == 8)
            group[g] = fj_load_u32(codes + 64 * g + 4 * r);
        else if (f.bits <= 3)
            group[g] = (fj_load_u32(codes + 64 * (g & 1) + 4 * r) >> (g & 6)) & 0x03030303u;
        else
            group[g] = (fj_load_u32(codes + 64 * (g & 3) + 4 * r) >> (g & 4)) & 0x0f0f0f0fu;
        if (f.bits == 3)
            group[g] |= ((fj_load_u32(codes + 128 + 4 * r) >> g) & 0x01010101u) << 2;
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
    const uint32_t low = f.bits <= 3 ? 0x03030303u : 0x0f0f0f0fu;
    const int planes = f.bits <= 3 ? 2 : 4, shift = f.bits <= 3 ? 2 : 4;
#pragma GCC unroll 4
    for (int p = 0; p < planes; p++) {
        uint32_t plane = 0;
#pragma GCC unroll 4
        for (int i = 0; p + planes * i < 8; i++)
            plane |= (group[p + planes * i] & low) << shift * i;
        fj_store_u32(codes + 64 * p + 4 * r, plane);
    }
    uint32_t high[2] = { 0, 0 };
#pragma GCC unroll 8
    for (int g = 0; g < 8; g++) {
        if (f.bits == 3)
            high[0] |= ((group[g] >> 2) & 0x01010101u) << g;
        if (f.bits == 5)
            high[0] |= ((group[g] >> 4) & 0x01010101u) << g;
        if (f.bits == 6)
            high[g >> 2] |= ((group[g] >> 4) & 0x03030303u) << (2 * (g & 3));
    }
    if (f.bits == 3 || f.bits == 5 || f.bits == 6)
        fj_store_u32(codes + 64 * planes + 4 * r, high[0]);
    if (f.bits == 6)
        fj_store_u32(codes + 320 + 4 * r, high[1]);
}

/* Bits 0…3 to bit 0 of bytes 0…3: four copies, 7 bits apart, never overlap. */
FJ_INLINE uint32_t fj_spread_bits(uint32_t four)
{
    return (four * 0x00204081u) & 0x01010101u;
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

/* 2^(e - 128): below 2^-126 a number without exponent bits. */
FJ_INLINE float fj_power(uint8_t e)
{
    uint32_t bits = e < 2 ? 0x00200000u << e : (e - 1u) << 23;
    float    power;
    memcpy(&power, &bits, sizeof power);
    return power;
}

FJ_INLINE uint16_t fj_load_u16(const void *p)
{
    uint16_t v;
    memcpy(&v, p, sizeof v);
    return v;
}

/* The shared scale of row r; top: a super-block. */
FJ_INLINE float fj_top_scale(fj_form f, const uint8_t *top, int r)
{
    float scale;
    if (f.top == FJ_TOP_POWER)
        return fj_power(top[r]);
    if (f.top != FJ_TOP_FLOAT && f.top != FJ_TOP_ROW)
        return fj_f16_to_f32(fj_load_u16(top + 2 * r));
    memcpy(&scale, top + 4 * r, sizeof scale);
    return scale;
}

/* Scales of the two halves of block b for row r, and what a code of 0 is worth before the offset. */
FJ_INLINE void fj_block_scales(fj_form f, const uint8_t *tile, int64_t b, int r, float scale[2], float min[2])
{
    const uint8_t *top = tile + fj_super_at(f, b), *sub = tile + fj_block_at(f, b);
    scale[0] = scale[1] = fj_top_scale(f, top, r);
    min[0] = min[1] = 0;
    if (f.top == FJ_TOP_ROW)
        scale[0] = scale[1] = scale[0] * FJ_INT8_STEP;
    if (f.top == FJ_TOP_HALF_ZERO)
        min[0] = min[1] = -((float)(fj_load_u16(top + 32 + 2 * r) - f.offset) * scale[0]);
    if (f.top == FJ_TOP_HALF_MIN)
        min[0] = min[1] = fj_f16_to_f32(fj_load_u16(top + 32 + 2 * r));
    if (f.sub == FJ_SUB_MIN) {
        scale[0] = scale[1] = scale[0] * (float)sub[r];
        min[0] = min[1] = -(min[0] * (float)sub[16 + r]);
    }
    if (f.sub == FJ_SUB_INT8)
        scale[0] = scale[1] = scale[0] * (float)(int8_t)sub[r];
    for (int h = 0; h < 2; h++) {
        if (f.sub == FJ_SUB_HALVES)
            scale[h] *= (float)(int8_t)sub[16 * h + r];
        if (f.sub == FJ_SUB_NIBBLES) {
            scale[h] *= (float)(sub[16 * h + r] & 15);
            min[h] = -(min[h] * (float)(sub[16 * h + r] >> 4));
        }
    }
}

/* What a code is worth in units of the scale. */
FJ_INLINE int fj_code_value(fj_form f, uint8_t code)
{
    return f.book ? f.book[code] : code - f.offset;
}

/* Row r of a tile as values: fj_pack.unpack_row of every type. The product is exact or rounded as in decode. */
FJ_INLINE void fj_tile_unpack(fj_form f, const uint8_t *tile, int64_t k, int r, float *dst)
{
    for (int64_t b = 0; b < k / FJ_BLOCK; b++, dst += FJ_BLOCK) {
        uint32_t       group[8];
        uint8_t        code[FJ_BLOCK];
        float          scale[2], min[2];
        const uint8_t *top = tile + fj_super_at(f, b);
        fj_codes_get(f, tile + fj_block_at(f, b) + fj_sub_bytes(f), r, group);
        memcpy(code, group, sizeof code);
        fj_block_scales(f, tile, b, r, scale, min);
        for (int i = 0; i < FJ_BLOCK; i++) {
            float value = (float)fj_code_value(f, code[i]);
            if (f.top == FJ_TOP_ROW)
                dst[i] = value * fj_top_scale(f, top, r) * FJ_INT8_STEP;
            else if (f.top == FJ_TOP_HALF_ZERO)
                dst[i] = (float)(code[i] - fj_load_u16(top + 32 + 2 * r)) * scale[0];
            else
                dst[i] = f.top == FJ_TOP_HALF_MIN ? scale[i / 16] * value + min[i / 16] : scale[i / 16] * value;
        }
    }
}

/* ---- packing: what a type's file is made of --------------------------------------------------------------------- */

/* Puts row r of a super-block: top, and of each block sub and codes, from one block of the file. */
typedef void fj_put_fn(fj_form f, const uint8_t *block, int r, uint8_t *top);

/* fj_pack.pack in terms of put; a file's block of `file_bytes` is a super-block. */
FJ_INLINE void fj_pack_rows(fj_form f, fj_put_fn *put, size_t file_bytes, const uint8_t *rows, size_t row_bytes, int n_rows,
                            int64_t k, uint8_t *tile)
{
    static const uint8_t zero_block[256] = { 0 }; /* scales of zero */
    const int64_t n_supers = k / FJ_BLOCK / f.blocks;
    for (int64_t b = 0; b < n_supers; b++, tile += fj_super_bytes(f))
        for (int r = 0; r < FJ_TILE_ROWS; r++) {
            const uint8_t *block = r < n_rows ? rows + (size_t)r * row_bytes + (size_t)b * file_bytes : zero_block;
            __builtin_prefetch(block + FJ_TILE_ROWS * row_bytes); /* short rows: of the next tile */
            put(f, block, r, tile);
        }
    size_t used = (size_t)n_supers * (size_t)fj_super_bytes(f);
    memset(tile, 0, (used + 63) / 64 * 64 - used); /* the padding */
}

/* The descriptor of a type and its functions. */
#define FJ_PACK(TYPE, NAME, PUT, FILE_BYTES)                                                                                        \
    static size_t tile_bytes_##NAME(int64_t k)                                                                                      \
    {                                                                                                                               \
        return fj_tile_size(fj_forms[FJ_ROW_##TYPE], k);                                                                            \
    }                                                                                                                               \
    static void pack_##NAME(const void *rows, size_t row_bytes, int n_rows, int64_t k, void *tile)                                  \
    {                                                                                                                               \
        fj_pack_rows(fj_forms[FJ_ROW_##TYPE], PUT, FILE_BYTES, rows, row_bytes, n_rows, k, tile);                                   \
    }                                                                                                                               \
    static void unpack_##NAME(const void *tile, int64_t k, int r, float *dst)                                                       \
    {                                                                                                                               \
        fj_tile_unpack(fj_forms[FJ_ROW_##TYPE], tile, k, r, dst);                                                                   \
    }                                                                                                                               \
    const fj_pack fj_pack_##NAME = { &fj_##NAME, tile_bytes_##NAME, pack_##NAME, unpack_##NAME };

/* ---- activations ------------------------------------------------------------------------------------------------
 * A panel is up to 12 quantized rows and some blocks of each, laid so that kernels reach all of it from one pointer and
 * find broadcast operands ready. Built once and used for every tile of a run. Per block, with R rows, words of 4 bytes:
 *   q (R,8) four int8 each | scale (R) f32 | three words (3,R): start 0, start 1 or scaled sum 1, scaled sum 0
 * start: -offset * sum, int32, of the whole block or of each half: the sums begin there (forms with an offset).
 * scaled sum: scale * sum, of the whole block or of each half (forms with minimums). What a form's kernels do not read is not
 * written. */
enum { FJ_PANEL_ROWS = 12, FJ_PANEL_ROW_WORDS = 12, FJ_PANEL_WORDS = 32 * FJ_PANEL_ROWS * FJ_PANEL_ROW_WORDS };

typedef union fj_word {
    int32_t i;
    float   f;
} fj_word;

/* Where row r's words begin in a block of a panel of R = rows rows: q, scale, start of half h, scaled sum of half h. */
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

FJ_INLINE int fj_panel_scaled_sum(int rows, int h, int r)
{
    return (11 - h) * rows + r;
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
    int64_t        first_block, n_blocks; /* whole super-blocks */
    const int8_t  *book;
} fj_tile_work;

typedef void fj_tile_fn(const fj_tile_work *work);

/* The whole product in terms of fn, whose largest panel has max_rows (1, 2, 4, 8, 12) rows. gemm_q.c */
void fj_gemm_q_tiles(fj_form form, fj_tile_fn *fn, int max_rows, float *y, int64_t ldy, const void *x, size_t x_bytes,
                     const void *tiles, int64_t m, int64_t n, int64_t k);

#endif
