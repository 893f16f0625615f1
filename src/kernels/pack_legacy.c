/* SPDX-License-Identifier: Apache-2.0
 * Packing of the types with blocks of 32: Q8_0 Q4_0 Q4_1 Q5_0 Q5_1, and IQ4_NL, which lies as Q4_0 does. File blocks
 * (ggml): d f16, [m f16], [qh 32 bits], codes; byte j of 4-bit codes holds value j low and j+16 high, which is the plane's
 * order already. The tile: tile_internal.h. */
#include "kernels/tile_internal.h"

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
            group[g] |= fj_spread_bits((high >> (4 * g)) & 15) << 4;
    }
}

FJ_INLINE void put(fj_form f, const uint8_t *block, int r, uint8_t *top)
{
    const int scales = fj_has_min(f) ? 4 : 2; /* bytes of d and m */
    uint32_t group[8];
    memcpy(top + 2 * r, block, 2);
    if (fj_has_min(f))
        memcpy(top + 32 + 2 * r, block + 2, 2);
    file_codes(f, block + scales, group);
    fj_codes_put(f, top + fj_top_bytes(f), r, group);
}

FJ_PACK(Q8_0, q8_0, put, 34)
FJ_PACK(Q4_0, q4_0, put, 18)
FJ_PACK(Q4_1, q4_1, put, 20)
FJ_PACK(Q5_0, q5_0, put, 22)
FJ_PACK(Q5_1, q5_1, put, 24)
FJ_PACK(IQ4_NL, iq4_nl, put, 18)
