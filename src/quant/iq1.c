/* SPDX-License-Identifier: Apache-2.0
 * IQ1_S, IQ1_M: 256 values in groups of 8; a group is an entry of a code book of 2048 (grids.h) of -1, 0 and 1, all moved
 * by an eighth up or down.
 *
 *   IQ1_S  50 bytes, 1.5625 bits:  d half, 32 bytes: low 8 bits of the entries; 8 times u16, for 32 values: at bit 3g the
 *            top three bits of group g, at bit 12 the scale s (3 bits), at bit 15 whether they move down
 *   IQ1_M  56 bytes, 1.75 bits:    32 bytes: low 8 bits of the entries; 16 bytes: a nibble a group, lower first: top three
 *            bits, and whether it moves down; 4 times u16: at bit 3j the scale s of 16 values, at bit 12 a nibble of the
 *            half d, lowest first
 *
 * value = d * (2 s + 1) * (level ± 0.125).  Source: ggml's block_iq1_s, block_iq1_m; the gguf package. Read only, as IQ2. */

#include "quant/grids.h"
#include "quant/quant_internal.h"

enum { VALUES = 256, GROUP = 8, GROUPS = 32 };

static void put_group(float *dst, float step, unsigned entry, bool moves_down)
{
    float shift = moves_down ? -1.125f : -0.875f;
    for (int i = 0; i < GROUP; i++)
        dst[i] = step * ((float)(entry >> 2 * i & 3) + shift);
}

static unsigned load_u16(const uint8_t *p)
{
    return p[0] | (unsigned)p[1] << 8;
}

static void decode_s(const void *src, float *dst, int64_t n)
{
    enum { BYTES = 50, AT_CODES = 2, AT_HIGH = 34 };
    const uint8_t *block = src;
    for (; n > 0; n -= VALUES, block += BYTES) {
        float d = fj_half_load(block);
        for (int g = 0; g < GROUPS; g++, dst += GROUP) {
            unsigned high = load_u16(block + AT_HIGH + g / 4 * 2);
            float step = d * (float)(2 * (high >> 12 & 7) + 1);
            unsigned entry = block[AT_CODES + g] | (high >> g % 4 * 3 & 7) << 8;
            put_group(dst, step, fj_grid_iq1_s[entry], high >> 15 & 1);
        }
    }
}

static void decode_m(const void *src, float *dst, int64_t n)
{
    enum { BYTES = 56, AT_HIGH = 32, AT_SCALES = 48 };
    const uint8_t *block = src;
    for (; n > 0; n -= VALUES, block += BYTES) {
        unsigned half = 0;
        for (int i = 0; i < 4; i++)
            half |= load_u16(block + AT_SCALES + 2 * i) >> 12 << 4 * i;
        float d = fj_f16_to_f32((uint16_t)half);
        for (int g = 0; g < GROUPS; g++, dst += GROUP) {
            unsigned high = block[AT_HIGH + g / 2] >> g % 2 * 4;
            unsigned scale = load_u16(block + AT_SCALES + g / 8 * 2) >> g / 2 % 4 * 3 & 7;
            put_group(dst, d * (float)(2 * scale + 1), fj_grid_iq1_s[block[g] | (high & 7) << 8], high >> 3 & 1);
        }
    }
}

const fj_quant fj_quant_iq1_s = {
    .dtype = &fj_iq1_s,
    .decode = decode_s,
    .about = "1.5625 bits, 256 values: 8 at a time from a book of 2048",
};

const fj_quant fj_quant_iq1_m = {
    .dtype = &fj_iq1_m,
    .decode = decode_m,
    .about = "1.75 bits, 256 values: 8 at a time from a book of 2048",
};
