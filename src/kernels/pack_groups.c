/* SPDX-License-Identifier: Apache-2.0
 * Packing of MXFP4, of bitsandbytes' INT8 and of the codes of GPTQ and AWQ, whose bytes quant/mxfp4.c, quant/int8.c and quant/groups.c
 * say. The tile: tile_internal.h. */
#include "kernels/tile_internal.h"

/* 4 bits: byte j has value j low and j + 16 high, the plane's order. */
FJ_INLINE void nibbles(const uint8_t *src, uint32_t group[8])
{
#pragma GCC unroll 4
    for (int p = 0; p < 4; p++) {
        uint32_t word = fj_load_u32(src + 4 * p);
        group[p] = word & 0x0f0f0f0fu;
        group[p + 4] = (word >> 4) & 0x0f0f0f0fu;
    }
}

FJ_INLINE void put_mxfp4(fj_form f, const uint8_t *block, int r, uint8_t *top)
{
    uint32_t group[8];
    top[r] = block[0];
    nibbles(block + 1, group);
    fj_codes_put(f, top + fj_top_bytes(f), r, group);
}

FJ_INLINE void put_int8(fj_form f, const uint8_t *block, int r, uint8_t *top)
{
    memcpy(top + 4 * r, block, 4);
#pragma GCC unroll 2
    for (int b = 0; b < f.blocks; b++) {
        uint32_t group[8];
#pragma GCC unroll 8
        for (int g = 0; g < 8; g++)
            group[g] = fj_load_u32(block + 4 + 32 * b + 4 * g) ^ 0x80808080u; /* q + 128 */
        fj_codes_put(f, top + fj_top_bytes(f) + b * fj_block_bytes(f), r, group);
    }
}

/* 32 codes of 8, 4, 3 or 2 bits. */
FJ_INLINE void group_codes(const int bits, const uint8_t *src, uint32_t group[8])
{
    if (bits == 8) {
        memcpy(group, src, 32);
        return;
    }
    if (bits == 4) {
        nibbles(src, group);
        return;
    }
#pragma GCC unroll 8
    for (int g = 0; g < 8; g++) {
        group[g] = (fj_load_u32(src + 4 * (g & 1)) >> (g & 6)) & 0x03030303u;
        if (bits == 3)
            group[g] |= fj_spread_bits((fj_load_u32(src + 8) >> (4 * g)) & 15) << 2;
    }
}

FJ_INLINE void put_group(fj_form f, const uint8_t *block, int r, uint8_t *top)
{
    memcpy(top + 2 * r, block, 2);
    memcpy(top + 32 + 2 * r, block + 2, 2);
#pragma GCC unroll 4
    for (int b = 0; b < f.blocks; b++) {
        uint32_t group[8];
        group_codes(f.bits, block + 4 + 4 * f.bits * b, group);
        fj_codes_put(f, top + fj_top_bytes(f) + b * fj_block_bytes(f), r, group);
    }
}

FJ_PACK(MXFP4, mxfp4, put_mxfp4, 17)
FJ_PACK(INT8, int8, put_int8, 68)
FJ_PACK(U8_128, u8_128, put_group, 132)
FJ_PACK(U8_32, u8_32, put_group, 36)
FJ_PACK(U4_128, u4_128, put_group, 68)
FJ_PACK(U4_32, u4_32, put_group, 20)
FJ_PACK(U3_32, u3_32, put_group, 16)
FJ_PACK(U2_32, u2_32, put_group, 12)
