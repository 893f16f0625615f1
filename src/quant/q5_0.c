/* SPDX-License-Identifier: Apache-2.0
 * Q5_0: 32 values share a scale, 22 bytes, 5.5 bits a value.
 *   d     2 bytes, half
 *   high  4 bytes: bit j of the 32-bit number is the fifth bit of value j
 *   q    16 bytes: byte j holds the lower four bits of value j (low nibble) and of value j + 16 (high nibble)
 * value = d * (q - 16), q in 0…31. The value of largest size gives d = it / -16, so that it is code 0 exactly; the
 * others are rounded half up.  Source: ggml's block_q5_0; the GGUF specification. */

#include "quant/fit.h"
#include "quant/plain.h"

enum { BLOCK = 32, BYTES = 22, AT_HIGH = 2, AT_CODES = 6, MIDDLE = 16, TOP = 31 };

FJ_LEVELS static void decode(const void *src, float *dst, int64_t n)
{
    const uint8_t *block = src;
    for (; n > 0; n -= BLOCK, block += BYTES, dst += BLOCK) {
        const uint8_t *q = block + AT_CODES;
        float d = fj_half_load(block);
        uint32_t high;
        memcpy(&high, block + AT_HIGH, sizeof high);
        for (int i = 0; i < BLOCK / 2; i++) {
            dst[i] = d * (float)((int)((q[i] & 15) | (high >> i & 1) << 4) - MIDDLE);
            dst[i + 16] = d * (float)((int)(q[i] >> 4 | (high >> (i + 16) & 1) << 4) - MIDDLE);
        }
    }
}

FJ_INLINE void store_codes(const uint8_t codes[BLOCK], uint8_t *block)
{
    fj_plain_high_bits(codes, block + AT_HIGH);
    fj_plain_nibbles(codes, block + AT_CODES);
}

FJ_LEVELS static void encode_plain(const float *x, uint8_t *block, int64_t n)
{
    for (; n > 0; n -= BLOCK, x += BLOCK, block += BYTES) {
        uint8_t codes[BLOCK];
        fj_plain_scale(x, MIDDLE, block, codes);
        store_codes(codes, block);
    }
}

/* The scales of least weighted error instead, of n blocks at once. */
static void encode_weighted(const float *src, const float *importance, int n, uint8_t *block)
{
    fj_fit_blocks b;
    uint8_t codes[BLOCK];
    fj_lanes scale;
    fj_fit_blocks_take(&b, src, importance, n, MIDDLE);
    fj_fit_scales(&b.runs, -MIDDLE, TOP - MIDDLE, &scale);
    for (int i = 0; i < n; i++, block += BYTES) {
        fj_line line = { 0 };
        fj_half_store(block, fj_fit_half(scale.v[i], b.exponent[i], &line.scale));
        fj_fit_codes(b.x[i], BLOCK, line, -MIDDLE, TOP - MIDDLE, codes);
        store_codes(codes, block);
    }
}

static void encode(const float *src, void *dst, int64_t n, const float *importance)
{
    fj_plain_encode(src, dst, n, importance, BYTES, encode_plain, encode_weighted);
}

const fj_quant fj_quant_q5_0 = {
    .dtype = &fj_q5_0,
    .decode = decode,
    .encode = encode,
    .about = "5.5 bits, 32 values share a scale",
};
