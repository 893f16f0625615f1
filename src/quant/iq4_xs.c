/* SPDX-License-Identifier: Apache-2.0
 * IQ4_XS: 256 values in 8 runs of 32, each with a 6-bit scale, 136 bytes, 4.25 bits a value; levels as IQ4_NL (book.c).
 *   d         2 bytes, half
 *   scales_h  2 bytes: top two bits of number b at bit 2b, numbers are 32 above the scales
 *   scales_l  4 bytes: nibbles of the numbers, lower first
 *   q       128 bytes: 16 a run: byte j holds value j in its low nibble and value j + 16 in its high one
 * value = (d * scale) * level[q].  Source: ggml's block_iq4_xs; the gguf package. */

#include "quant/k_scales.h"
#include "quant/quant_internal.h"

enum { VALUES = 256, RUN = 32, RUNS = 8, BYTES = 136, AT_HIGH = 2, AT_LOW = 4, AT_CODES = 8, MIDDLE = 32 };

static void decode(const void *src, float *dst, int64_t n)
{
    const float *level = fj_book_iq4.level;
    const uint8_t *block = src;
    for (; n > 0; n -= VALUES, block += BYTES, dst += VALUES) {
        float d = fj_half_load(block);
        for (int run = 0; run < RUNS; run++) {
            const uint8_t *q = block + AT_CODES + run * RUN / 2;
            int low = block[AT_LOW + run / 2] >> run % 2 * 4 & 15, high = block[AT_HIGH + run / 4] >> run % 4 * 2 & 3;
            float step = d * (float)((low | high << 4) - MIDDLE);
            for (int i = 0; i < RUN / 2; i++) {
                dst[run * RUN + i] = step * level[q[i] & 15];
                dst[run * RUN + i + 16] = step * level[q[i] >> 4];
            }
        }
    }
}

static void store_block(const fj_scales *s, uint8_t *block)
{
    memset(block, 0, BYTES);
    fj_half_store(block, s->d);
    for (int run = 0; run < RUNS; run++) {
        int number = s->scale[run] + MIDDLE;
        block[AT_HIGH + run / 4] |= (uint8_t)(number >> 4 << run % 4 * 2);
        block[AT_LOW + run / 2] |= (uint8_t)((number & 15) << run % 2 * 4);
        for (int i = 0; i < RUN / 2; i++)
            block[AT_CODES + run * RUN / 2 + i] = (uint8_t)(s->codes[run * RUN + i] | s->codes[run * RUN + i + 16]
                                                                                          << 4);
    }
}

static void encode(const float *src, void *dst, int64_t n, const float *importance)
{
    fj_scales_encode(src, importance, n, &fj_scales_form_iq4_xs, dst, BYTES, store_block);
}

const fj_quant fj_quant_iq4_xs = {
    .dtype = &fj_iq4_xs,
    .decode = decode,
    .encode = encode,
    .about = "4.25 bits, 256 values: 8 runs with a scale each; uneven levels",
};
