/* SPDX-License-Identifier: Apache-2.0
 * IQ4_NL: 32 values share a scale, 18 bytes, 4.5 bits a value; codes are levels that lie closer around zero (book.c).
 *   d  2 bytes, half
 *   q 16 bytes: byte j holds value j in its low nibble and value j + 16 in its high one
 * value = d * level[q].  Source: ggml's block_iq4_nl; the gguf package. */

#include "quant/book.h"
#include "quant/quant_internal.h"

enum { BLOCK = 32, BYTES = 18, AT_CODES = 2 };

static void decode(const void *src, float *dst, int64_t n)
{
    const float *level = fj_book_iq4.level;
    const uint8_t *block = src;
    for (; n > 0; n -= BLOCK, block += BYTES, dst += BLOCK) {
        const uint8_t *q = block + AT_CODES;
        float d = fj_half_load(block);
        for (int i = 0; i < BLOCK / 2; i++) {
            dst[i] = d * level[q[i] & 15];
            dst[i + 16] = d * level[q[i] >> 4];
        }
    }
}

static void encode_blocks(const float *src, const float *importance, int n, uint8_t *block)
{
    fj_fit_blocks b;
    fj_lanes scale;
    uint8_t codes[BLOCK];
    fj_fit_blocks_take(&b, src, importance, n, 127);
    if (!importance)
        fj_book_weigh(b.turned, BLOCK, b.weights);
    fj_book_scales(&b.runs, &fj_book_iq4, &scale);
    for (int i = 0; i < n; i++, block += BYTES) {
        float d;
        fj_half_store(block, fj_fit_half(scale.v[i], b.exponent[i], &d));
        fj_book_codes(b.x[i], BLOCK, d, &fj_book_iq4, codes);
        for (int j = 0; j < BLOCK / 2; j++)
            block[AT_CODES + j] = (uint8_t)(codes[j] | codes[j + 16] << 4);
    }
}

static void encode(const float *src, void *dst, int64_t n, const float *importance)
{
    uint8_t *block = dst;
    for (int64_t at = 0, count; at < n; at += count * BLOCK, block += count * BYTES) {
        count = FJ_MIN(FJ_LANES, (n - at) / BLOCK);
        encode_blocks(src + at, importance ? importance + at : NULL, (int)count, block);
    }
}

const fj_quant fj_quant_iq4_nl = {
    .dtype = &fj_iq4_nl,
    .decode = decode,
    .encode = encode,
    .about = "4.5 bits, 32 values share a scale; uneven levels",
};
