/* SPDX-License-Identifier: Apache-2.0
 * Q5_K: 256 values in 8 runs of 32, each with a 6-bit scale and a 6-bit min, 176 bytes, 5.5 bits a value.
 *   d        2 bytes, half
 *   dmin     2 bytes, half
 *   scales  12 bytes: 8 scales and 8 mins (k_lines.h)
 *   high    32 bytes: bit r of byte l is the fifth bit of value 32 r + l
 *   q      128 bytes: byte l of the p-th 32 holds four bits of value 64 p + l (low nibble) and of 64 p + 32 + l (high)
 * value = (d * scale) * q - (dmin * min).  Source: ggml's block_q5_K; the GGUF specification. */

#include "quant/k_lines.h"
#include "quant/lanes.h"
#include "quant/quant_internal.h"

enum { BYTES = 176, AT_SCALES = 4, AT_HIGH = 16, AT_CODES = 48 };

FJ_LEVELS static void decode(const void *src, float *dst, int64_t n)
{
    const uint8_t *block = src;
    for (; n > 0; n -= FJ_K_VALUES, block += BYTES, dst += FJ_K_VALUES) {
        uint8_t scale[FJ_K_RUNS], min[FJ_K_RUNS];
        const uint8_t *high = block + AT_HIGH;
        float d = fj_half_load(block), dmin = fj_half_load(block + 2);
        fj_k_scales_unpack(block + AT_SCALES, scale, min);

        for (int run = 0; run < FJ_K_RUNS; run++) {
            const uint8_t *q = block + AT_CODES + run / 2 * FJ_K_RUN;
            int shift = run % 2 * 4;
            float step = d * (float)scale[run], low = dmin * (float)min[run];
            for (int i = 0; i < FJ_K_RUN; i++) {
                int code = (q[i] >> shift & 15) | (high[i] >> run & 1) << 4;
                dst[run * FJ_K_RUN + i] = step * (float)code - low;
            }
        }
    }
}

FJ_LEVELS static void store_block(const fj_k_lines *lines, uint8_t *block)
{
    memset(block, 0, BYTES);
    fj_half_store(block, lines->d);
    fj_half_store(block + 2, lines->dmin);
    fj_k_scales_pack(lines, block + AT_SCALES);

    for (int pair = 0; pair < FJ_K_RUNS / 2; pair++) {
        const uint8_t *q = lines->codes + pair * 2 * FJ_K_RUN;
        uint8_t *low = block + AT_CODES + pair * FJ_K_RUN, *high = block + AT_HIGH;
        for (int i = 0; i < FJ_K_RUN; i++) {
            low[i] = (uint8_t)((q[i] & 15) | (q[i + FJ_K_RUN] & 15) << 4);
            high[i] |= (uint8_t)((q[i] >> 4 | q[i + FJ_K_RUN] >> 4 << 1) << 2 * pair);
        }
    }
}

static void encode(const float *src, void *dst, int64_t n, const float *importance)
{
    fj_k_lines_encode(src, importance, n, &fj_k_form_q5_k, dst, BYTES, store_block);
}

const fj_quant fj_quant_q5_k = {
    .dtype = &fj_q5_k,
    .decode = decode,
    .encode = encode,
    .about = "5.5 bits, 256 values: 8 runs with a scale and a min each",
};
