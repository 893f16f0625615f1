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

static void encode_block(const float *src, const float *importance, uint8_t *block)
{
    float x[BLOCK], w[BLOCK], scale = 0;
    uint8_t codes[BLOCK];
    bool is_zero;

    int exponent = fj_fit_unit(src, importance, BLOCK, 127, x, w, &is_zero);
    if (!is_zero)
        scale = fj_book_scale(x, w, BLOCK, &fj_book_iq4);
    fj_half_store(block, fj_fit_half(scale, exponent, &scale));
    fj_book_codes(x, BLOCK, scale, &fj_book_iq4, codes);
    for (int i = 0; i < BLOCK / 2; i++)
        block[AT_CODES + i] = (uint8_t)(codes[i] | codes[i + 16] << 4);
}

static void encode(const float *src, void *dst, int64_t n, const float *importance)
{
    uint8_t *block = dst;
    for (int64_t at = 0; at < n; at += BLOCK, block += BYTES)
        encode_block(src + at, importance ? importance + at : NULL, block);
}

const fj_quant fj_quant_iq4_nl = {
    .dtype = &fj_iq4_nl,
    .decode = decode,
    .encode = encode,
    .about = "4.5 bits, 32 values share a scale; uneven levels",
};
