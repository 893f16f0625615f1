/* SPDX-License-Identifier: Apache-2.0
 * Packing of the IQ types with super-blocks of 256: the books of groups are looked up here, once, and each value gets the code of its own
 * level (fj_levels_...). File blocks: quant/iq4_xs.c, quant/iq3.c, quant/iq2.c, quant/iq1.c. Scales of 16 or 32 values are odd numbers
 * times d, or 32 below a number (IQ4_XS). The tile: tile_internal.h. */
#include "kernels/tile_internal.h"
#include "quant/grids.h"

/* 8 codes as two words of bytes from 2 bits each, and 4 as one from 4 bits each: halves move apart until each is alone. */
FJ_INLINE void spread_2(uint32_t entry, uint32_t group[2])
{
    uint64_t x = entry;
    x = (x | x << 24) & 0x000000ff000000ffu;
    x = (x | x << 12) & 0x000f000f000f000fu;
    x = (x | x << 6) & 0x0303030303030303u;
    group[0] = (uint32_t)x;
    group[1] = (uint32_t)(x >> 32);
}

FJ_INLINE uint32_t spread_4(uint32_t entry)
{
    uint32_t x = (entry | entry << 8) & 0x00ff00ffu;
    return (x | x << 4) & 0x0f0f0f0fu;
}

/* 8 bits, one a code, shifted to where codes have them. */
FJ_INLINE void add_bits(uint32_t group[2], unsigned eight, int shift)
{
    group[0] |= fj_spread_bits(eight & 15) << shift;
    group[1] |= fj_spread_bits(eight >> 4) << shift;
}

FJ_INLINE void put_float(uint8_t *top, int r, float d)
{
    memcpy(top + 4 * r, &d, sizeof d);
}

FJ_INLINE float half_at(const uint8_t *p)
{
    return fj_f16_to_f32(fj_load_u16(p));
}

/* Where the scales of sub-block s are. */
FJ_INLINE uint8_t *sub_at(fj_form f, uint8_t *top, int s)
{
    return top + fj_top_bytes(f) + s * fj_block_bytes(f);
}

FJ_INLINE void put_iq4_xs(fj_form f, const uint8_t *block, int r, uint8_t *top)
{
    unsigned high = fj_load_u16(block + 2);
    uint32_t low = fj_load_u32(block + 4);
    memcpy(top + 2 * r, block, 2);
    for (int s = 0; s < 8; s++) {
        uint8_t *sub = sub_at(f, top, s);
        uint32_t group[8];
        sub[r] = (uint8_t)((low >> 4 * s & 15) + (high >> 2 * s & 3) * 16 - 32);
#pragma GCC unroll 4
        for (int p = 0; p < 4; p++) {
            uint32_t word = fj_load_u32(block + 8 + 16 * s + 4 * p);
            group[p] = word & 0x0f0f0f0fu;
            group[p + 4] = (word >> 4) & 0x0f0f0f0fu;
        }
        fj_codes_put(f, sub + fj_sub_bytes(f), r, group);
    }
}

FJ_INLINE void put_iq3_s(fj_form f, const uint8_t *block, int r, uint8_t *top)
{
    put_float(top, r, half_at(block));
    for (int s = 0; s < 8; s++) {
        uint8_t *sub = sub_at(f, top, s);
        uint32_t group[8];
        sub[r] = (uint8_t)(1 + 2 * (block[106 + s / 2] >> s % 2 * 4 & 15));
        for (int g = 0; g < 8; g++)
            group[g] = spread_4(fj_grid_iq3_s[block[2 + 8 * s + g] | (block[66 + s] >> g & 1) << 8]);
        for (int i = 0; i < 4; i++)
            add_bits(group + 2 * i, block[74 + 4 * s + i], 3);
        fj_codes_put(f, sub + fj_sub_bytes(f), r, group);
    }
}

FJ_INLINE void put_iq3_xxs(fj_form f, const uint8_t *block, int r, uint8_t *top)
{
    put_float(top, r, half_at(block) * 0.25f);
    for (int s = 0; s < 8; s++) {
        uint8_t *sub = sub_at(f, top, s);
        uint32_t group[8], word = fj_load_u32(block + 66 + 4 * s);
        sub[r] = (uint8_t)(1 + 2 * (word >> 28));
        for (int g = 0; g < 8; g++)
            group[g] = spread_4(fj_grid_iq3_xxs[block[2 + 8 * s + g]]);
        for (int i = 0; i < 4; i++)
            add_bits(group + 2 * i, fj_even_signs(word >> 7 * i & 127), 3);
        fj_codes_put(f, sub + fj_sub_bytes(f), r, group);
    }
}

FJ_INLINE void put_iq2_xxs(fj_form f, const uint8_t *block, int r, uint8_t *top)
{
    put_float(top, r, half_at(block) * 0.125f);
    for (int s = 0; s < 8; s++) {
        const uint8_t *entries = block + 2 + 8 * s;
        uint8_t *sub = sub_at(f, top, s);
        uint32_t group[8], word = fj_load_u32(entries + 4);
        sub[r] = (uint8_t)(1 + 2 * (word >> 28));
        for (int i = 0; i < 4; i++) {
            spread_2(fj_grid_iq2_xxs[entries[i]], group + 2 * i);
            add_bits(group + 2 * i, fj_even_signs(word >> 7 * i & 127), 2);
        }
        fj_codes_put(f, sub + fj_sub_bytes(f), r, group);
    }
}

/* Scales of the halves of sub-block s from a byte of two nibbles. */
FJ_INLINE void put_halves(uint8_t *sub, int r, unsigned byte)
{
    sub[r] = (uint8_t)(1 + 2 * (byte & 15));
    sub[16 + r] = (uint8_t)(1 + 2 * (byte >> 4));
}

FJ_INLINE void put_iq2_xs(fj_form f, const uint8_t *block, int r, uint8_t *top)
{
    put_float(top, r, half_at(block) * 0.125f);
    for (int s = 0; s < 8; s++) {
        uint8_t *sub = sub_at(f, top, s);
        uint32_t group[8];
        put_halves(sub, r, block[66 + s]);
        for (int i = 0; i < 4; i++) {
            unsigned code = fj_load_u16(block + 2 + 8 * s + 2 * i);
            spread_2(fj_grid_iq2_xs[code & 511], group + 2 * i);
            add_bits(group + 2 * i, fj_even_signs(code >> 9), 2);
        }
        fj_codes_put(f, sub + fj_sub_bytes(f), r, group);
    }
}

FJ_INLINE void put_iq2_s(fj_form f, const uint8_t *block, int r, uint8_t *top)
{
    put_float(top, r, half_at(block) * 0.125f);
    for (int s = 0; s < 8; s++) {
        uint8_t *sub = sub_at(f, top, s);
        uint32_t group[8];
        put_halves(sub, r, block[74 + s]);
        for (int i = 0; i < 4; i++) {
            spread_2(fj_grid_iq2_s[block[2 + 4 * s + i] | (block[66 + s] >> 2 * i & 3) << 8], group + 2 * i);
            add_bits(group + 2 * i, block[34 + 4 * s + i], 2);
        }
        fj_codes_put(f, sub + fj_sub_bytes(f), r, group);
    }
}

/* A group of 8 values of IQ1. high: three bits of the entry. */
FJ_INLINE void iq1_group(unsigned low, unsigned high, bool moves_down, uint32_t group[2])
{
    spread_2(fj_grid_iq1_s[low | high << 8], group);
    add_bits(group, moves_down ? 255 : 0, 2);
}

FJ_INLINE void put_iq1_s(fj_form f, const uint8_t *block, int r, uint8_t *top)
{
    put_float(top, r, half_at(block) * 0.125f);
    for (int s = 0; s < 8; s++) {
        uint8_t *sub = sub_at(f, top, s);
        uint32_t group[8];
        unsigned word = fj_load_u16(block + 34 + 2 * s);
        sub[r] = (uint8_t)(1 + 2 * (word >> 12 & 7));
        for (int i = 0; i < 4; i++)
            iq1_group(block[2 + 4 * s + i], word >> 3 * i & 7, word >> 15, group + 2 * i);
        fj_codes_put(f, sub + fj_sub_bytes(f), r, group);
    }
}

FJ_INLINE void put_iq1_m(fj_form f, const uint8_t *block, int r, uint8_t *top)
{
    unsigned half = 0;
    for (int i = 0; i < 4; i++)
        half |= (unsigned)(block[49 + 2 * i] >> 4) << 4 * i;
    put_float(top, r, fj_f16_to_f32((uint16_t)half) * 0.125f);
    for (int s = 0; s < 8; s++) {
        uint8_t *sub = sub_at(f, top, s);
        uint32_t group[8];
        unsigned scales = fj_load_u16(block + 48 + s / 2 * 2) >> s % 2 * 6;
        sub[r] = (uint8_t)(1 + 2 * (scales & 7));
        sub[16 + r] = (uint8_t)(1 + 2 * (scales >> 3 & 7));
        for (int i = 0; i < 4; i++) {
            unsigned high = block[32 + 2 * s + i / 2] >> i % 2 * 4;
            iq1_group(block[4 * s + i], high & 7, high >> 3 & 1, group + 2 * i);
        }
        fj_codes_put(f, sub + fj_sub_bytes(f), r, group);
    }
}

FJ_PACK(IQ4_XS, iq4_xs, put_iq4_xs, 136)
FJ_PACK(IQ3_S, iq3_s, put_iq3_s, 110)
FJ_PACK(IQ3_XXS, iq3_xxs, put_iq3_xxs, 98)
FJ_PACK(IQ2_S, iq2_s, put_iq2_s, 82)
FJ_PACK(IQ2_XS, iq2_xs, put_iq2_xs, 74)
FJ_PACK(IQ2_XXS, iq2_xxs, put_iq2_xxs, 66)
FJ_PACK(IQ1_M, iq1_m, put_iq1_m, 56)
FJ_PACK(IQ1_S, iq1_s, put_iq1_s, 50)
