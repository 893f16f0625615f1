/* SPDX-License-Identifier: Apache-2.0
 * Rows of the types that quant_avx*.c and quant_neon.c do not decode, to values: sixteen at a time in v16 and i16.
 * Included behind an i16 header. Every value is exact, or rounded once (Q2_K), so the bits are those of
 * fj_quant.decode; file layouts as stated in quant/. */
#ifndef FJ_KERNELS_V16_DECODE_BODY_H
#define FJ_KERNELS_V16_DECODE_BODY_H

#include <string.h>

#include "kernels/kernels_internal.h"
#include "quant/book.h"
#include "quant/grids.h"
#include "quant/nf4.h"
#include "quant/quant.h"

INLINE float half_at(const uint8_t *p)
{
    uint16_t h;
    memcpy(&h, p, sizeof h);
    return half_value(h);
}

INLINE uint32_t u32_at(const uint8_t *p)
{
    uint32_t x;
    memcpy(&x, p, sizeof x);
    return x;
}

INLINE unsigned u16_at(const uint8_t *p)
{
    uint16_t x;
    memcpy(&x, p, sizeof x);
    return x;
}

/* ---- Q2_K, Q3_K, TQ2_0 --------------------------------------------------------------------------- */

static void decode_q2_k(const void *src, float *dst, int64_t n)
{
    const uint8_t *block = src;
    for (; n > 0; n -= 256, block += 84, dst += 256) {
        float scale[16], min[16];
        i16 bytes = i16_load_bytes(block);
        v16_store(scale, v16_mul(v16_of_int(i16_and(bytes, 15)), v16_set1(half_at(block + 80))), 16);
        v16_store(min, v16_mul(v16_of_int(i16_shift_right(bytes, 4)), v16_set1(half_at(block + 82))), 16);
        for (int part = 0; part < 4; part++) {
            i16 codes = i16_load_bytes(block + 16 + 16 * part);
            for (int s = 0; s < 4; s++) {
                int run = part / 2 * 8 + 2 * s + part % 2;
                v16 q = v16_of_int(i16_and(i16_shift_right(codes, 2 * s), 3));
                v16_store(dst + 16 * run, v16_fma(q, v16_set1(scale[run]), v16_set1(-min[run]), 16), 16);
            }
        }
    }
}

/* The 16 scales of Q3_K times d. */
INLINE void q3_k_scales(const uint8_t *block, float scale[16])
{
    uint8_t number[16];
    for (int j = 0; j < 4; j++)
        for (int part = 0; part < 4; part++) {
            int low = block[96 + part % 2 * 4 + j] >> part / 2 * 4 & 15, high = block[104 + j] >> 2 * part & 3;
            number[4 * part + j] = (uint8_t)(low | high << 4);
        }
    v16 centered = v16_sub(v16_of_int(i16_load_bytes(number)), v16_set1(32));
    v16_store(scale, v16_mul(centered, v16_set1(half_at(block + 108))), 16);
}

static void decode_q3_k(const void *src, float *dst, int64_t n)
{
    const uint8_t *block = src;
    for (; n > 0; n -= 256, block += 110, dst += 256) {
        float scale[16];
        q3_k_scales(block, scale);
        for (int part = 0; part < 4; part++) {
            i16 low = i16_load_bytes(block + 32 + 16 * part), high = i16_load_bytes(block + part % 2 * 16);
            for (int s = 0; s < 4; s++) {
                int run = part / 2 * 8 + 2 * s + part % 2;
                i16 top = i16_and(i16_shift_left(i16_shift_right(high, part / 2 * 4 + s), 2), 4);
                i16 code = i16_add(i16_and(i16_shift_right(low, 2 * s), 3), top);
                v16 q = v16_sub(v16_of_int(code), v16_set1(4));
                v16_store(dst + 16 * run, v16_mul(v16_set1(scale[run]), q), 16);
            }
        }
    }
}

static void decode_tq2_0(const void *src, float *dst, int64_t n)
{
    const uint8_t *block = src;
    for (; n > 0; n -= 256, block += 66, dst += 256) {
        v16 d = v16_set1(half_at(block + 64));
        for (int part = 0; part < 4; part++) {
            i16 codes = i16_load_bytes(block + 16 * part);
            for (int s = 0; s < 4; s++) {
                v16 q = v16_sub(v16_of_int(i16_and(i16_shift_right(codes, 2 * s), 3)), v16_set1(1));
                v16_store(dst + part / 2 * 128 + 32 * s + part % 2 * 16, v16_mul(d, q), 16);
            }
        }
    }
}

/* ---- 16 levels: IQ4_NL, IQ4_XS, MXFP4 -------------------------------------------------------------- */

static const float iq4_levels[16] = { -127, -104, -83, -65, -49, -35, -22, -10, 1, 13, 25, 38, 53, 69, 89, 113 };
static const float e2m1_levels[16] = { 0, 1, 2, 3, 4, 6, 8, 12, 0, -1, -2, -3, -4, -6, -8, -12 };

/* 16 bytes of codes: low nibbles are the first 16 values, high ones the next. */
INLINE void put_nibbles(float *dst, const uint8_t *codes, float scale, const float levels[16])
{
    i16 bytes = i16_load_bytes(codes);
    v16_store(dst, v16_mul(v16_set1(scale), v16_look_up(levels, i16_and(bytes, 15))), 16);
    v16_store(dst + 16, v16_mul(v16_set1(scale), v16_look_up(levels, i16_shift_right(bytes, 4))), 16);
}

static void decode_iq4_nl(const void *src, float *dst, int64_t n)
{
    const uint8_t *block = src;
    for (; n > 0; n -= 32, block += 18, dst += 32)
        put_nibbles(dst, block + 2, half_at(block), iq4_levels);
}

static void decode_iq4_xs(const void *src, float *dst, int64_t n)
{
    const uint8_t *block = src;
    for (; n > 0; n -= 256, block += 136, dst += 256) {
        float d = half_at(block);
        uint32_t low = u32_at(block + 4);
        unsigned high = u16_at(block + 2);
        for (int run = 0; run < 8; run++) {
            int number = (int)((low >> 4 * run & 15) | (high >> 2 * run & 3) << 4);
            put_nibbles(dst + 32 * run, block + 8 + 16 * run, d * (float)(number - 32), iq4_levels);
        }
    }
}

/* 2^(e - 128): below 2^-126 a number without exponent bits. */
static void decode_mxfp4(const void *src, float *dst, int64_t n)
{
    const uint8_t *block = src;
    for (; n > 0; n -= 32, block += 17, dst += 32) {
        uint32_t bits = block[0] < 2 ? 0x00200000u << block[0] : (block[0] - 1u) << 23;
        float scale;
        memcpy(&scale, &bits, sizeof scale);
        put_nibbles(dst, block + 1, scale, e2m1_levels);
    }
}

/* ---- scales in float: NF4, FP4, INT8 ---------------------------------------------------------------- */

INLINE float f32_at(const uint8_t *p)
{
    float x;
    memcpy(&x, p, sizeof x);
    return x;
}

INLINE void decode_4_bit(const float values[16], const uint8_t *block, float *dst, int64_t n)
{
    for (; n > 0; n -= 64, block += 36, dst += 64) {
        v16 scale = v16_set1(f32_at(block));
        for (int i = 0; i < 4; i++)
            v16_store(dst + 16 * i, v16_mul(scale, v16_look_up(values, i16_load_nibbles(block + 4 + 8 * i))), 16);
    }
}

static void decode_nf4(const void *src, float *dst, int64_t n)
{
    decode_4_bit(fj_book_nf4.level, src, dst, n);
}

static void decode_fp4(const void *src, float *dst, int64_t n)
{
    decode_4_bit(fj_fp4_values, src, dst, n);
}

static void decode_int8(const void *src, float *dst, int64_t n)
{
    const v16 part = v16_set1(FJ_INT8_STEP);
    const uint8_t *block = src;
    for (; n > 0; n -= 64, block += 68, dst += 64) {
        v16 scale = v16_set1(f32_at(block));
        for (int i = 0; i < 64; i += 16) {
            v16 q = v16_of_int(i16_load_signed(block + 4 + i));
            v16_store(dst + i, v16_mul(v16_mul(q, scale), part), 16);
        }
    }
}

/* ---- codes with a zero of their own: GPTQ's and AWQ's ------------------------------------------------ */

/* (q - zero) * scale: the difference is exact. */
INLINE v16 from_zero(i16 q, v16 zero, v16 scale)
{
    return v16_mul(v16_sub(v16_of_int(q), zero), scale);
}

INLINE void decode_u4(const int len, const uint8_t *block, float *dst, int64_t n)
{
    for (; n > 0; n -= len, block += 4 + len / 2, dst += len) {
        v16 scale = v16_set1(half_at(block)), zero = v16_set1((float)u16_at(block + 2));
        for (int i = 0; i < len; i += 32) {
            i16 bytes = i16_load_bytes(block + 4 + i / 2);
            v16_store(dst + i, from_zero(i16_and(bytes, 15), zero, scale), 16);
            v16_store(dst + i + 16, from_zero(i16_shift_right(bytes, 4), zero, scale), 16);
        }
    }
}

INLINE void decode_u8(const int len, const uint8_t *block, float *dst, int64_t n)
{
    for (; n > 0; n -= len, block += 4 + len, dst += len) {
        v16 scale = v16_set1(half_at(block)), zero = v16_set1((float)u16_at(block + 2));
        for (int i = 0; i < len; i += 16)
            v16_store(dst + i, from_zero(i16_load_bytes(block + 4 + i), zero, scale), 16);
    }
}

static void decode_u4_32(const void *src, float *dst, int64_t n)
{
    decode_u4(32, src, dst, n);
}

static void decode_u4_128(const void *src, float *dst, int64_t n)
{
    decode_u4(128, src, dst, n);
}

static void decode_u8_32(const void *src, float *dst, int64_t n)
{
    decode_u8(32, src, dst, n);
}

static void decode_u8_128(const void *src, float *dst, int64_t n)
{
    decode_u8(128, src, dst, n);
}

/* ---- code books: two groups of 8 values at once --------------------------------------------------- */

static const float iq2_levels[8] = { 8, 25, 43 };
static const float iq3_xxs_levels[8] = { 4, 12, 20, 28, 36, 44, 52, 62 };
static const float iq3_s_levels[8] = { 1, 3, 5, 7, 9, 11, 13, 15 };

/* a, b: entries of the groups; signs: of the first in the low byte. */
INLINE void put_iq2(float *dst, float step, unsigned a, unsigned b, unsigned signs)
{
    v16 level = v16_look_up8(iq2_levels, i16_and(i16_spread(i16_pair(a, b), 2), 3));
    v16_store(dst, v16_negate(v16_mul(v16_set1(step), level), signs), 16);
}

/* a, b: both entries of a group, the second in the high half. */
INLINE void put_iq3(float *dst, float step, const float levels[8], uint32_t a, uint32_t b, unsigned signs)
{
    v16 level = v16_look_up8(levels, i16_and(i16_spread(i16_pair(a, b), 4), 7));
    v16_store(dst, v16_negate(v16_mul(v16_set1(step), level), signs), 16);
}

INLINE unsigned two_signs(uint32_t fourteen)
{
    return fj_even_signs(fourteen & 127) | fj_even_signs(fourteen >> 7 & 127) << 8;
}

static void decode_iq2_xxs(const void *src, float *dst, int64_t n)
{
    const uint8_t *block = src;
    for (; n > 0; n -= 256, block += 66) {
        float d = half_at(block);
        for (int run = 0; run < 8; run++, dst += 32) {
            const uint8_t *p = block + 2 + 8 * run;
            uint32_t word = u32_at(p + 4);
            float step = d * (0.5f + (float)(word >> 28)) * 0.25f;
            put_iq2(dst, step, fj_grid_iq2_xxs[p[0]], fj_grid_iq2_xxs[p[1]], two_signs(word));
            put_iq2(dst + 16, step, fj_grid_iq2_xxs[p[2]], fj_grid_iq2_xxs[p[3]], two_signs(word >> 14));
        }
    }
}

/* The scale of 16 values: nibbles of 8 bytes, lower first. */
INLINE float iq2_step(float d, const uint8_t *scales, int pair)
{
    return d * (0.5f + (float)(scales[pair / 2] >> pair % 2 * 4 & 15)) * 0.25f;
}

static void decode_iq2_xs(const void *src, float *dst, int64_t n)
{
    const uint8_t *block = src;
    for (; n > 0; n -= 256, block += 74) {
        float d = half_at(block);
        for (int pair = 0; pair < 16; pair++, dst += 16) {
            uint32_t codes = u32_at(block + 2 + 4 * pair);
            unsigned signs = fj_even_signs(codes >> 9 & 127) | fj_even_signs(codes >> 25) << 8;
            put_iq2(dst, iq2_step(d, block + 66, pair), fj_grid_iq2_xs[codes & 511], fj_grid_iq2_xs[codes >> 16 & 511],
                    signs);
        }
    }
}

static void decode_iq2_s(const void *src, float *dst, int64_t n)
{
    const uint8_t *block = src;
    for (; n > 0; n -= 256, block += 82) {
        float d = half_at(block);
        for (int pair = 0; pair < 16; pair++, dst += 16) {
            const uint8_t *low = block + 2 + 2 * pair;
            unsigned high = (unsigned)block[66 + pair / 2] >> pair % 2 * 4;
            put_iq2(dst, iq2_step(d, block + 74, pair), fj_grid_iq2_s[low[0] | (high & 3) << 8],
                    fj_grid_iq2_s[low[1] | (high & 12) << 6], u16_at(block + 34 + 2 * pair));
        }
    }
}

static void decode_iq3_xxs(const void *src, float *dst, int64_t n)
{
    const uint16_t *grid = fj_grid_iq3_xxs;
    const uint8_t *block = src;
    for (; n > 0; n -= 256, block += 98) {
        float d = half_at(block);
        for (int pair = 0; pair < 16; pair++, dst += 16) {
            const uint8_t *q = block + 2 + 4 * pair;
            uint32_t word = u32_at(block + 66 + pair / 2 * 4);
            put_iq3(dst, d * (0.5f + (float)(word >> 28)) * 0.5f, iq3_xxs_levels, grid[q[0]] | (uint32_t)grid[q[1]] << 16,
                    grid[q[2]] | (uint32_t)grid[q[3]] << 16, two_signs(word >> pair % 2 * 14));
        }
    }
}

static void decode_iq3_s(const void *src, float *dst, int64_t n)
{
    const uint16_t *grid = fj_grid_iq3_s;
    const uint8_t *block = src;
    for (; n > 0; n -= 256, block += 110) {
        float d = half_at(block);
        for (int pair = 0; pair < 16; pair++, dst += 16) {
            const uint8_t *q = block + 2 + 4 * pair;
            unsigned high = (unsigned)block[66 + pair / 2] >> pair % 2 * 4;
            float step = d * (float)(1 + 2 * (block[106 + pair / 4] >> pair / 2 % 2 * 4 & 15));
            put_iq3(dst, step, iq3_s_levels, grid[q[0] | (high & 1) << 8] | (uint32_t)grid[q[1] | (high & 2) << 7] << 16,
                    grid[q[2] | (high & 4) << 6] | (uint32_t)grid[q[3] | (high & 8) << 5] << 16,
                    u16_at(block + 74 + 2 * pair));
        }
    }
}

/* ---- IQ1: the same, moved by an eighth ------------------------------------------------------------- */

/* a, b: entries; down_a, down_b: which way. */
INLINE void put_iq1(float *dst, float step, unsigned a, unsigned b, bool down_a, bool down_b)
{
    v16 code = v16_of_int(i16_and(i16_spread(i16_pair(a, b), 2), 3));
    v16 shift = v16_pair(down_a ? -1.125f : -0.875f, down_b ? -1.125f : -0.875f);
    v16_store(dst, v16_mul(v16_set1(step), v16_add(code, shift)), 16);
}

static void decode_iq1_s(const void *src, float *dst, int64_t n)
{
    const uint8_t *block = src;
    for (; n > 0; n -= 256, block += 50) {
        float d = half_at(block);
        for (int pair = 0; pair < 16; pair++, dst += 16) {
            const uint8_t *low = block + 2 + 2 * pair;
            unsigned word = u16_at(block + 34 + pair / 2 * 2), high = word >> pair % 2 * 6;
            put_iq1(dst, d * (float)(2 * (word >> 12 & 7) + 1), fj_grid_iq1_s[low[0] | (high & 7) << 8],
                    fj_grid_iq1_s[low[1] | (high & 56) << 5], word >> 15, word >> 15);
        }
    }
}

static void decode_iq1_m(const void *src, float *dst, int64_t n)
{
    const uint8_t *block = src;
    for (; n > 0; n -= 256, block += 56) {
        unsigned half = 0;
        for (int i = 0; i < 4; i++)
            half |= u16_at(block + 48 + 2 * i) >> 12 << 4 * i;
        float d = half_value((uint16_t)half);
        for (int pair = 0; pair < 16; pair++, dst += 16) {
            const uint8_t *low = block + 2 * pair;
            unsigned high = block[32 + pair], scale = u16_at(block + 48 + pair / 4 * 2) >> pair % 4 * 3 & 7;
            put_iq1(dst, d * (float)(2 * scale + 1), fj_grid_iq1_s[low[0] | (high & 7) << 8],
                    fj_grid_iq1_s[low[1] | (high & 112) << 4], high >> 3 & 1, high >> 7);
        }
    }
}

static void init_decode(fj_kernels *k)
{
    k->decode_row[FJ_ROW_Q2_K] = decode_q2_k;
    k->decode_row[FJ_ROW_Q3_K] = decode_q3_k;
    k->decode_row[FJ_ROW_TQ2_0] = decode_tq2_0;
    k->decode_row[FJ_ROW_IQ4_NL] = decode_iq4_nl;
    k->decode_row[FJ_ROW_IQ4_XS] = decode_iq4_xs;
    k->decode_row[FJ_ROW_MXFP4] = decode_mxfp4;
    k->decode_row[FJ_ROW_NF4] = decode_nf4;
    k->decode_row[FJ_ROW_FP4] = decode_fp4;
    k->decode_row[FJ_ROW_INT8] = decode_int8;
    k->decode_row[FJ_ROW_U8_128] = decode_u8_128;
    k->decode_row[FJ_ROW_U8_32] = decode_u8_32;
    k->decode_row[FJ_ROW_U4_128] = decode_u4_128;
    k->decode_row[FJ_ROW_U4_32] = decode_u4_32;
    k->decode_row[FJ_ROW_IQ3_S] = decode_iq3_s;
    k->decode_row[FJ_ROW_IQ3_XXS] = decode_iq3_xxs;
    k->decode_row[FJ_ROW_IQ2_S] = decode_iq2_s;
    k->decode_row[FJ_ROW_IQ2_XS] = decode_iq2_xs;
    k->decode_row[FJ_ROW_IQ2_XXS] = decode_iq2_xxs;
    k->decode_row[FJ_ROW_IQ1_M] = decode_iq1_m;
    k->decode_row[FJ_ROW_IQ1_S] = decode_iq1_s;
}

#endif
