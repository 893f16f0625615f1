/* SPDX-License-Identifier: Apache-2.0
 * Q4_K: 256 values in 8 runs of 32, each with a 6-bit scale and a 6-bit min, 144 bytes, 4.5 bits a value.
 *   d        2 bytes, half
 *   dmin     2 bytes, half
 *   scales  12 bytes: 8 scales and 8 mins (k_lines.h)
 *   q      128 bytes: byte l of the p-th 32 holds value 64 p + l in its low nibble, 64 p + 32 + l in its high one
 * value = (d * scale) * q - (dmin * min).  Source: ggml's block_q4_K; the GGUF specification. */

#include "quant/k_lines.h"
#include "quant/lanes.h"
#include "quant/quant_internal.h"

enum { BYTES = 144, AT_SCALES = 4, AT_CODES = 16 };

FJ_LEVELS static void decode(const void *src, float *dst, int64_t n)
{
    const uint8_t *block = src;
    for (; n > 0; n -= FJ_K_VALUES, block += BYTES, dst += FJ_K_VALUES) {
        uint8_t scale[FJ_K_RUNS], min[FJ_K_RUNS];
        float d = fj_half_load(block), dmin = fj_half_load(block + 2);
        fj_k_scales_unpack(block + AT_SCALES, scale, min);

        for (int run = 0; run < FJ_K_RUNS; run++) {
            const uint8_t *q = block + AT_CODES + run / 2 * FJ_K_RUN;
            int shift = run % 2 * 4;
            float step = d * (float)scale[run], low = dmin * (float)min[run];
            for (int i = 0; i < FJ_K_RUN; i++)
                dst[run * FJ_K_RUN + i] = step * (float)(q[i] >> shift & 15) - low;
        }
    }
}

FJ_LEVELS static void store_block(const fj_k_lines *lines, uint8_t *block)
{
    fj_half_store(block, lines->d);
    fj_half_store(block + 2, lines->dmin);
    fj_k_scales_pack(lines, block + AT_SCALES);

    for (int pair = 0; pair < FJ_K_RUNS / 2; pair++) {
        const uint8_t *low = lines->codes + pair * 2 * FJ_K_RUN, *high = low + FJ_K_RUN;
        uint8_t *q = block + AT_CODES + pair * FJ_K_RUN;
        for (int i = 0; i < FJ_K_RUN; i++)
            q[i] = (uint8_t)(low[i] | high[i] << 4);
    }
}

static void encode(const float *src, void *dst, int64_t n, const float *importance)
{
    fj_k_lines_encode(src, importance, n, &fj_k_form_q4_k, dst, BYTES, store_block);
}

const fj_quant fj_quant_q4_k = {
    .dtype = &fj_q4_k,
    .decode = decode,
    .encode = encode,
    .about = "4.5 bits, 256 values: 8 runs with a scale and a min each",
};
