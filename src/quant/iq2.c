/* SPDX-License-Identifier: Apache-2.0
 * IQ2_XXS, IQ2_XS, IQ2_S: 256 values in groups of 8; a group is an entry of a code book (grids.h) and 8 signs.
 *
 *   IQ2_XXS  66 bytes, 2.0625 bits:  d half, then 8 times, for 32 values:
 *              4 bytes: entry of each group; 4 bytes: at bit 7g the signs of group g (fj_even_signs), at bit 28 the scale s
 *   IQ2_XS   74 bytes, 2.3125 bits:  d half, 32 times u16: entry (9 bits), signs (7 bits)
 *              then 8 bytes: nibbles with the scale s of each 16 values, lower first
 *   IQ2_S    82 bytes, 2.5625 bits:  d half, 32 bytes: low 8 bits of the entries; 32 bytes: signs
 *              8 bytes: bits 8, 9 of the entries of 4 groups, lower first; 8 bytes: scales as IQ2_XS
 *
 * value = d * (0.5 + s) / 4 * level, negative where its sign bit is set.  Source: ggml's block_iq2_xxs …; the gguf package.
 * IQ2_XS is written too (iq2_xs_encode.c), the others are only read. */

#include "quant/grids.h"
#include "quant/iq2.h"
#include "quant/quant_internal.h"

enum { VALUES = 256, GROUP = 8, GROUPS = 32 };

/* One group: product of 11, 5 and 6 significant bits, so nothing is rounded. */
static void put_group(float *dst, float step, unsigned entry, unsigned signs)
{
    static const float levels[4] = { 8, 25, 43, 0 };
    for (int i = 0; i < GROUP; i++) {
        float value = step * levels[entry >> 2 * i & 3];
        dst[i] = signs >> i & 1 ? -value : value;
    }
}

static float step_of(float d, unsigned scale)
{
    return d * (0.5f + (float)scale) * 0.25f;
}

static void decode_xxs(const void *src, float *dst, int64_t n)
{
    enum { BYTES = 66 };
    const uint8_t *block = src;
    for (; n > 0; n -= VALUES, block += BYTES) {
        float d = fj_half_load(block);
        for (const uint8_t *p = block + 2; p < block + BYTES; p += 8) {
            uint32_t word;
            memcpy(&word, p + 4, sizeof word);
            float step = step_of(d, word >> 28);
            for (int g = 0; g < 4; g++, dst += GROUP)
                put_group(dst, step, fj_grid_iq2_xxs[p[g]], fj_even_signs(word >> 7 * g & 127));
        }
    }
}

static void decode_xs(const void *src, float *dst, int64_t n)
{
    enum { BYTES = 74, AT_SCALES = 66 };
    const uint8_t *block = src;
    for (; n > 0; n -= VALUES, block += BYTES) {
        float d = fj_half_load(block);
        for (int g = 0; g < GROUPS; g++, dst += GROUP) {
            unsigned code = block[2 + 2 * g] | (unsigned)block[3 + 2 * g] << 8;
            float step = step_of(d, block[AT_SCALES + g / 4] >> g / 2 % 2 * 4 & 15);
            put_group(dst, step, fj_grid_iq2_xs[code & 511], fj_even_signs(code >> 9));
        }
    }
}

static void decode_s(const void *src, float *dst, int64_t n)
{
    enum { BYTES = 82, AT_SIGNS = 34, AT_HIGH = 66, AT_SCALES = 74 };
    const uint8_t *block = src;
    for (; n > 0; n -= VALUES, block += BYTES) {
        float d = fj_half_load(block);
        for (int g = 0; g < GROUPS; g++, dst += GROUP) {
            unsigned high = block[AT_HIGH + g / 4] >> g % 4 * 2 & 3;
            float step = step_of(d, block[AT_SCALES + g / 4] >> g / 2 % 2 * 4 & 15);
            put_group(dst, step, fj_grid_iq2_s[block[2 + g] | high << 8], block[AT_SIGNS + g]);
        }
    }
}

const fj_quant fj_quant_iq2_xxs = {
    .dtype = &fj_iq2_xxs,
    .decode = decode_xxs,
    .about = "2.0625 bits, 256 values: 8 at a time from a book of 256",
};

const fj_quant fj_quant_iq2_xs = {
    .dtype = &fj_iq2_xs,
    .decode = decode_xs,
    .encode = fj_iq2_xs_encode,
    .about = "2.3125 bits, 256 values: 8 at a time from a book of 512",
};

const fj_quant fj_quant_iq2_s = {
    .dtype = &fj_iq2_s,
    .decode = decode_s,
    .about = "2.5625 bits, 256 values: 8 at a time from a book of 1024",
};
