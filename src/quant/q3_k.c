/* SPDX-License-Identifier: Apache-2.0
 * Q3_K: 256 values in 16 runs of 16, each with a 6-bit scale, 110 bytes, 3.4375 bits a value.
 *   high    32 bytes: bit b of byte l is the top bit of value 32 b + l
 *   low     64 bytes: 32 a half of 128 values: byte l has two bits of values l, 32 + l, 64 + l, 96 + l at shifts 0, 2, 4, 6
 *   scales  12 bytes: 16 numbers, 32 above the scale: byte j < 8 has the low nibbles of numbers j and j + 8, byte 8 + j the
 *           top two bits of numbers j, 4 + j, 8 + j, 12 + j at shifts 0, 2, 4, 6
 *   d        2 bytes, half
 * value = (d * scale) * (q - 4).  Source: ggml's block_q3_K; the GGUF specification. */

#include "quant/k_scales.h"
#include "quant/quant_internal.h"

enum { VALUES = 256, RUN = 16, RUNS = 16, BYTES = 110, AT_LOW = 32, AT_SCALES = 96, AT_D = 108, MIDDLE = 32 };

static int scale_of(const uint8_t scales[12], int run)
{
    int low = scales[run % 8] >> run / 8 * 4 & 15, high = scales[8 + run % 4] >> run / 4 * 2 & 3;
    return (low | high << 4) - MIDDLE;
}

FJ_LEVELS static void decode(const void *src, float *dst, int64_t n)
{
    const uint8_t *block = src;
    for (; n > 0; n -= VALUES, block += BYTES, dst += VALUES) {
        float d = fj_half_load(block + AT_D);
        for (int run = 0; run < RUNS; run++) {
            const uint8_t *low = block + AT_LOW + run / 8 * 32 + run % 2 * RUN, *high = block + run % 2 * RUN;
            int shift = run % 8 / 2 * 2, bit = run / 2;
            float step = d * (float)scale_of(block + AT_SCALES, run);
            for (int i = 0; i < RUN; i++)
                dst[run * RUN + i] = step * (float)((low[i] >> shift & 3) + (high[i] >> bit & 1) * 4 - 4);
        }
    }
}

FJ_LEVELS static void store_block(const fj_scales *s, uint8_t *block)
{
    memset(block, 0, BYTES);
    fj_half_store(block + AT_D, s->d);
    for (int run = 0; run < RUNS; run++) {
        int number = s->scale[run] + MIDDLE;
        block[AT_SCALES + run % 8] |= (uint8_t)((number & 15) << run / 8 * 4);
        block[AT_SCALES + 8 + run % 4] |= (uint8_t)(number >> 4 << run / 4 * 2);
    }
    for (int half = 0; half < 2; half++) {
        const uint8_t *q = s->codes + half * 128;
        uint8_t *low = block + AT_LOW + half * 32;
        for (int i = 0; i < 32; i++) {
            low[i] = (uint8_t)((q[i] & 3) | (q[i + 32] & 3) << 2 | (q[i + 64] & 3) << 4 | (q[i + 96] & 3) << 6);
            int high = q[i] >> 2 | q[i + 32] >> 2 << 1 | q[i + 64] >> 2 << 2 | q[i + 96] >> 2 << 3;
            block[i] |= (uint8_t)(high << 4 * half);
        }
    }
}

static void encode(const float *src, void *dst, int64_t n, const float *importance)
{
    fj_scales_encode(src, importance, n, &fj_scales_form_q3_k, dst, BYTES, store_block);
}

const fj_quant fj_quant_q3_k = {
    .dtype = &fj_q3_k,
    .decode = decode,
    .encode = encode,
    .about = "3.4375 bits, 256 values: 16 runs with a scale each",
};
