/* SPDX-License-Identifier: Apache-2.0
 * Q6_K: 256 values in 16 runs of 16, each with an 8-bit scale, 210 bytes, 6.5625 bits a value.
 *   low    128 bytes  64 a half of 128 values: byte l has four bits of value l (low nibble) and of 64 + l (high nibble)
 *   high    64 bytes  32 a half: byte l has the top two bits of values l, 32 + l, 64 + l, 96 + l at shifts 0, 2, 4, 6
 *   scale   16 bytes  int8
 *   d        2 bytes  half
 * value = (d * scale) * (q - 32).  Source: ggml's block_q6_K; the GGUF specification.
 * The rms error of what k_scales.c fits is 0.94 to 0.98 of that of ggml's reference encoder (nine distributions). */

#include "quant/k_scales.h"
#include "quant/quant_internal.h"

enum { VALUES = 256, HALF = 128, RUNS = 16, RUN = 16, BYTES = 210, AT_HIGH = 128, AT_SCALES = 192, AT_D = 208 };

FJ_LEVELS static void decode(const void *src, float *dst, int64_t n)
{
    const uint8_t *block = src;
    for (; n > 0; n -= VALUES, block += BYTES, dst += VALUES) {
        float d = fj_half_load(block + AT_D);
        for (int i = 0; i < VALUES; i++) {
            int half = i / HALF, at = i % HALF;
            int low = block[half * 64 + at % 64] >> at / 64 * 4 & 15;
            int high = block[AT_HIGH + half * 32 + at % 32] >> at / 32 * 2 & 3;
            int scale = (int8_t)block[AT_SCALES + i / RUN];
            dst[i] = d * (float)scale * (float)((low | high << 4) - 32);
        }
    }
}

FJ_LEVELS static void store_block(const fj_scales *s, uint8_t *block)
{
    fj_half_store(block + AT_D, s->d);
    memcpy(block + AT_SCALES, s->scale, RUNS);
    for (int half = 0; half < VALUES / HALF; half++) {
        const uint8_t *q = s->codes + half * HALF;
        uint8_t *low = block + half * 64, *high = block + AT_HIGH + half * 32;
        for (int i = 0; i < 64; i++)
            low[i] = (uint8_t)((q[i] & 15) | (q[i + 64] & 15) << 4);
        for (int i = 0; i < 32; i++)
            high[i] = (uint8_t)(q[i] >> 4 | q[i + 32] >> 4 << 2 | q[i + 64] >> 4 << 4 | q[i + 96] >> 4 << 6);
    }
}

static void encode(const float *src, void *dst, int64_t n, const float *importance)
{
    fj_scales_encode(src, importance, n, &fj_scales_form_q6_k, dst, BYTES, store_block);
}

const fj_quant fj_quant_q6_k = {
    .dtype = &fj_q6_k,
    .decode = decode,
    .encode = encode,
    .about = "6.5625 bits, 256 values: 16 runs with a scale each",
};
