/* SPDX-License-Identifier: Apache-2.0
 * IQ3_XXS, IQ3_S: 256 values in groups of 8; a group is two entries of a code book (grids.h), 4 values each, and 8 signs.
 *
 *   IQ3_XXS  98 bytes, 3.0625 bits:  d half, 64 bytes: entries; 8 times u32, for 32 values: at bit 7g the signs of group g
 *              (fj_even_signs), at bit 28 the scale s               value = d * (0.5 + s) / 2 * level
 *   IQ3_S   110 bytes, 3.4375 bits:  d half, 64 bytes: low 8 bits of the entries; 8 bytes: bit 8 of 8 entries, lower first;
 *              32 bytes: signs; 4 bytes: nibbles with the scale s of each 32 values     value = d * (1 + 2 s) * level
 *
 * Negative where the sign bit is set.  Source: ggml's block_iq3_xxs, block_iq3_s; the gguf package. Read only, as IQ2. */

#include "quant/grids.h"
#include "quant/quant_internal.h"

enum { VALUES = 256, GROUP = 8, GROUPS = 32 };

static void put_group(float *dst, float step, const float levels[8], unsigned first, unsigned second, unsigned signs)
{
    unsigned entries = first | second << 16;
    for (int i = 0; i < GROUP; i++) {
        float value = step * levels[entries >> 4 * i & 7];
        dst[i] = signs >> i & 1 ? -value : value;
    }
}

static void decode_xxs(const void *src, float *dst, int64_t n)
{
    enum { BYTES = 98, AT_CODES = 2, AT_SIGNS = 66 };
    static const float levels[8] = { 4, 12, 20, 28, 36, 44, 52, 62 };
    const uint8_t *block = src;
    for (; n > 0; n -= VALUES, block += BYTES) {
        float d = fj_half_load(block);
        for (int g = 0; g < GROUPS; g++, dst += GROUP) {
            uint32_t word;
            memcpy(&word, block + AT_SIGNS + g / 4 * 4, sizeof word);
            const uint8_t *q = block + AT_CODES + 2 * g;
            put_group(dst, d * (0.5f + (float)(word >> 28)) * 0.5f, levels, fj_grid_iq3_xxs[q[0]],
                      fj_grid_iq3_xxs[q[1]], fj_even_signs(word >> g % 4 * 7 & 127));
        }
    }
}

static void decode_s(const void *src, float *dst, int64_t n)
{
    enum { BYTES = 110, AT_CODES = 2, AT_HIGH = 66, AT_SIGNS = 74, AT_SCALES = 106 };
    static const float levels[8] = { 1, 3, 5, 7, 9, 11, 13, 15 };
    const uint8_t *block = src;
    for (; n > 0; n -= VALUES, block += BYTES) {
        float d = fj_half_load(block);
        for (int g = 0; g < GROUPS; g++, dst += GROUP) {
            const uint8_t *q = block + AT_CODES + 2 * g;
            unsigned high = block[AT_HIGH + g / 4] >> g % 4 * 2;
            float step = d * (float)(1 + 2 * (block[AT_SCALES + g / 8] >> g / 4 % 2 * 4 & 15));
            put_group(dst, step, levels, fj_grid_iq3_s[q[0] | (high & 1) << 8], fj_grid_iq3_s[q[1] | (high & 2) << 7],
                      block[AT_SIGNS + g]);
        }
    }
}

const fj_quant fj_quant_iq3_xxs = {
    .dtype = &fj_iq3_xxs,
    .decode = decode_xxs,
    .about = "3.0625 bits, 256 values: 4 at a time from a book of 256",
};

const fj_quant fj_quant_iq3_s = {
    .dtype = &fj_iq3_s,
    .decode = decode_s,
    .about = "3.4375 bits, 256 values: 4 at a time from a book of 512",
};
