/* SPDX-License-Identifier: Apache-2.0
 * Q2_K: 256 values in 16 runs of 16, each with a 4-bit scale and a 4-bit min, 84 bytes, 2.625 bits a value.
 *   scales  16 bytes: scale in the low nibble, min in the high one
 *   q       64 bytes: 32 a half of 128 values: byte l has values l, 32 + l, 64 + l, 96 + l at shifts 0, 2, 4, 6
 *   d        2 bytes, half
 *   dmin     2 bytes, half
 * value = (d * scale) * q - (dmin * min).  Source: ggml's block_q2_K; the GGUF specification. */

#include "quant/k_lines.h"
#include "quant/lanes.h"
#include "quant/quant_internal.h"

enum { BYTES = 84, RUN = 16, RUNS = 16, AT_CODES = 16, AT_D = 80, AT_DMIN = 82 };

FJ_LEVELS static void decode(const void *src, float *dst, int64_t n)
{
    const uint8_t *block = src;
    for (; n > 0; n -= FJ_K_VALUES, block += BYTES, dst += FJ_K_VALUES) {
        float d = fj_half_load(block + AT_D), dmin = fj_half_load(block + AT_DMIN);
        for (int run = 0; run < RUNS; run++) {
            const uint8_t *q = block + AT_CODES + run / 8 * 32 + run % 2 * RUN;
            int shift = run % 8 / 2 * 2;
            float step = d * (float)(block[run] & 15), low = dmin * (float)(block[run] >> 4);
            for (int i = 0; i < RUN; i++)
                dst[run * RUN + i] = step * (float)(q[i] >> shift & 3) - low;
        }
    }
}

FJ_LEVELS static void store_block(const fj_k_lines *lines, uint8_t *block)
{
    memset(block, 0, BYTES);
    fj_half_store(block + AT_D, lines->d);
    fj_half_store(block + AT_DMIN, lines->dmin);
    for (int run = 0; run < RUNS; run++) {
        uint8_t *q = block + AT_CODES + run / 8 * 32 + run % 2 * RUN;
        block[run] = (uint8_t)(lines->scale[run] | lines->min[run] << 4);
        for (int i = 0; i < RUN; i++)
            q[i] |= (uint8_t)(lines->codes[run * RUN + i] << run % 8 / 2 * 2);
    }
}

static void encode(const float *src, void *dst, int64_t n, const float *importance)
{
    fj_k_lines_encode(src, importance, n, &fj_k_form_q2_k, dst, BYTES, store_block);
}

const fj_quant fj_quant_q2_k = {
    .dtype = &fj_q2_k,
    .decode = decode,
    .encode = encode,
    .about = "2.625 bits, 256 values: 16 runs with a scale and a min each",
};
