/* SPDX-License-Identifier: Apache-2.0
 * Q4_1: 32 values share a scale and a min, 20 bytes, 5.0 bits a value.
 *   d     2 bytes, half
 *   m     2 bytes, half
 *   q    16 bytes: byte j holds value j in its low nibble and value j + 16 in its high one
 * value = d * q + m, q in 0…15. m is the least value, d = (greatest - least) / 15, q rounded half up.
 * Source: ggml's block_q4_1; the GGUF specification. */

#include "quant/fit.h"
#include "quant/plain.h"

enum { BLOCK = 32, BYTES = 20, AT_CODES = 4, TOP = 15 };

FJ_LEVELS static void decode(const void *src, float *dst, int64_t n)
{
    const uint8_t *block = src;
    for (; n > 0; n -= BLOCK, block += BYTES, dst += BLOCK) {
        const uint8_t *q = block + AT_CODES;
        float d = fj_half_load(block), m = fj_half_load(block + 2);
        for (int i = 0; i < BLOCK / 2; i++) {
            dst[i] = d * (float)(q[i] & 15) + m;
            dst[i + 16] = d * (float)(q[i] >> 4) + m;
        }
    }
}

FJ_INLINE void store_codes(const uint8_t codes[BLOCK], uint8_t *block)
{
    fj_plain_nibbles(codes, block + AT_CODES);
}

FJ_LEVELS static void encode_plain(const float *x, uint8_t *block, int64_t n)
{
    for (; n > 0; n -= BLOCK, x += BLOCK, block += BYTES) {
        uint8_t codes[BLOCK];
        fj_plain_line(x, TOP, block, codes);
        store_codes(codes, block);
    }
}

/* The lines of least weighted error instead, of n blocks at once. */
static void encode_weighted(const float *src, const float *importance, int n, uint8_t *block)
{
    fj_fit_blocks b;
    uint8_t codes[BLOCK];
    fj_lines lines;
    fj_fit_blocks_take(&b, src, importance, n, TOP + 1);
    fj_fit_lines(&b.runs, TOP, false, &lines);
    for (int i = 0; i < n; i++, block += BYTES) {
        fj_line line;
        fj_half_store(block, fj_fit_half(lines.scale.v[i], b.exponent[i], &line.scale));
        fj_half_store(block + 2, fj_fit_half(lines.offset.v[i], b.exponent[i], &line.offset));
        fj_fit_codes(b.x[i], BLOCK, line, 0, TOP, codes);
        store_codes(codes, block);
    }
}

static void encode(const float *src, void *dst, int64_t n, const float *importance)
{
    fj_plain_encode(src, dst, n, importance, BYTES, encode_plain, encode_weighted);
}

const fj_quant fj_quant_q4_1 = {
    .dtype = &fj_q4_1,
    .decode = decode,
    .encode = encode,
    .about = "5.0 bits, 32 values share a scale and a min",
};
