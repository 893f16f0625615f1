/* SPDX-License-Identifier: Apache-2.0
 * Packing of the K types, Q2_K to Q6_K, and of TQ2_0 and TQ1_0, super-blocks of 256 all. The tile: tile_internal.h. File blocks (ggml):
 *   Q4_K  d dmin f16, 12 bytes of 6-bit scales and minimums, then 4 runs of 64 values: 32 bytes, low nibbles first
 *   Q5_K  the same with 32 bytes qh before the nibbles: bit s of qh[i] is bit 4 of value i of sub-block s
 *   Q6_K  2 runs of 128 values: ql 64 bytes each, then qh 32 bytes each; 16 int8 scales; d f16
 *   Q3_K, Q2_K, TQ2_0, TQ1_0  as quant/q3_k.c, quant/q2_k.c, quant/tq.c say */
#include "kernels/tile_internal.h"

/* Q4_K, Q5_K */
FJ_INLINE void put_min(fj_form f, const uint8_t *block, int r, uint8_t *top)
{
    memcpy(top + 2 * r, block, 2);
    memcpy(top + 32 + 2 * r, block + 2, 2);
    uint8_t *sub = top + fj_top_bytes(f);
#pragma GCC unroll 8
    for (int s = 0; s < 8; s++, sub += fj_block_bytes(f)) {
        const uint8_t *nibbles = block + (f.bits == 5 ? 48 : 16) + 32 * (s / 2), *high = block + 16;
        uint32_t group[8];
        fj_k_scale_min(block + 4, s, sub + r, sub + 16 + r);
#pragma GCC unroll 8
        for (int g = 0; g < 8; g++) {
            group[g] = (fj_load_u32(nibbles + 4 * g) >> (s % 2 * 4)) & 0x0f0f0f0fu;
            if (f.bits == 5)
                group[g] |= ((fj_load_u32(high + 4 * g) >> s) & 0x01010101u) << 4;
        }
        fj_codes_put(f, sub + fj_sub_bytes(f), r, group);
    }
}

/* Sub-block s is quarter s%4 of run s/4. */
FJ_INLINE void put_q6(fj_form f, const uint8_t *block, int r, uint8_t *top)
{
    memcpy(top + 2 * r, block + 208, 2);
    uint8_t *sub = top + fj_top_bytes(f);
#pragma GCC unroll 8
    for (int s = 0; s < 8; s++, sub += fj_block_bytes(f)) {
        const uint8_t *low = block + 64 * (s / 4) + 32 * (s % 2), *high = block + 128 + 32 * (s / 4);
        uint32_t group[8];
        sub[r] = block[192 + 2 * s];
        sub[16 + r] = block[192 + 2 * s + 1];
#pragma GCC unroll 8
        for (int g = 0; g < 8; g++) {
            group[g] = (fj_load_u32(low + 4 * g) >> (s % 4 / 2 * 4)) & 0x0f0f0f0fu;
            group[g] |= ((fj_load_u32(high + 4 * g) >> (s % 4 * 2)) & 0x03030303u) << 4;
        }
        fj_codes_put(f, sub + fj_sub_bytes(f), r, group);
    }
}

/* Two bits of each value of sub-block s: a byte has one of each sub-block of a half of 128 values. */
FJ_INLINE void two_bits(const uint8_t *codes, int s, uint32_t group[8])
{
#pragma GCC unroll 8
    for (int g = 0; g < 8; g++)
        group[g] = (fj_load_u32(codes + 32 * (s / 4) + 4 * g) >> (2 * (s % 4))) & 0x03030303u;
}

FJ_INLINE void put_q3(fj_form f, const uint8_t *block, int r, uint8_t *top)
{
    const uint8_t *scales = block + 96;
    memcpy(top + 2 * r, block + 108, 2);
    uint8_t *sub = top + fj_top_bytes(f);
#pragma GCC unroll 8
    for (int s = 0; s < 8; s++, sub += fj_block_bytes(f)) {
        uint32_t group[8];
        for (int run = 2 * s; run < 2 * s + 2; run++) {
            int low = scales[run % 8] >> run / 8 * 4 & 15, high = scales[8 + run % 4] >> run / 4 * 2 & 3;
            sub[16 * (run % 2) + r] = (uint8_t)((low | high << 4) - 32);
        }
        two_bits(block + 32, s, group);
#pragma GCC unroll 8
        for (int g = 0; g < 8; g++)
            group[g] |= ((fj_load_u32(block + 4 * g) >> s) & 0x01010101u) << 2;
        fj_codes_put(f, sub + fj_sub_bytes(f), r, group);
    }
}

FJ_INLINE void put_q2(fj_form f, const uint8_t *block, int r, uint8_t *top)
{
    memcpy(top + 2 * r, block + 80, 2);
    memcpy(top + 32 + 2 * r, block + 82, 2);
    uint8_t *sub = top + fj_top_bytes(f);
#pragma GCC unroll 8
    for (int s = 0; s < 8; s++, sub += fj_block_bytes(f)) {
        uint32_t group[8];
        sub[r] = block[2 * s];
        sub[16 + r] = block[2 * s + 1];
        two_bits(block + 16, s, group);
        fj_codes_put(f, sub + fj_sub_bytes(f), r, group);
    }
}

FJ_INLINE void put_tq2(fj_form f, const uint8_t *block, int r, uint8_t *top)
{
    memcpy(top + 2 * r, block + 64, 2);
    uint8_t *codes = top + fj_top_bytes(f);
#pragma GCC unroll 8
    for (int s = 0; s < 8; s++, codes += fj_block_bytes(f)) {
        uint32_t group[8];
        two_bits(block, s, group);
        fj_codes_put(f, codes, r, group);
    }
}

/* Digit m of a byte: what is whole in 3 times the byte's fraction of 256 behind m digits. */
FJ_INLINE void digits(const uint8_t *bytes, int n, int n_digits, uint8_t *code)
{
    static const uint8_t power[5] = { 1, 3, 9, 27, 81 };
    for (int m = 0; m < n_digits; m++)
        for (int j = 0; j < n; j++)
            code[n * m + j] = (uint8_t)((uint8_t)(bytes[j] * power[m]) * 3 >> 8);
}

FJ_INLINE void put_tq1(fj_form f, const uint8_t *block, int r, uint8_t *top)
{
    uint8_t code[256];
    memcpy(top + 2 * r, block + 52, 2);
    digits(block, 32, 5, code);
    digits(block + 32, 16, 5, code + 160);
    digits(block + 48, 4, 4, code + 240);
    for (int s = 0; s < 8; s++) {
        uint32_t group[8];
        memcpy(group, code + 32 * s, sizeof group);
        fj_codes_put(f, top + fj_top_bytes(f) + s * fj_block_bytes(f), r, group);
    }
}

FJ_PACK(Q4_K, q4_k, put_min, 144)
FJ_PACK(Q5_K, q5_k, put_min, 176)
FJ_PACK(Q6_K, q6_k, put_q6, 210)
FJ_PACK(Q3_K, q3_k, put_q3, 110)
FJ_PACK(Q2_K, q2_k, put_q2, 84)
FJ_PACK(TQ2_0, tq2_0, put_tq2, 66)
FJ_PACK(TQ1_0, tq1_0, put_tq1, 54)
