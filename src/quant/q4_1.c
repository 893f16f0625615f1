/* SPDX-License-Identifier: Apache-2.0
 * Q4_1: 32 values share a scale and a min, 20 bytes, 5.0 bits a value.
 *   d     2 bytes, half
 *   m     2 bytes, half
 *   q    16 bytes: byte j holds value j in its low nibble and value j + 16 in its high one
 * value = d * q + m, q in 0…15. m is the least value, d = (greatest - least) / 15, q rounded half up.
 * Source: ggml's block_q4_1; the GGUF specification. */

#include <math.h>

#include "quant/fit.h"
#include "quant/quant_internal.h"

enum { BLOCK = 32, BYTES = 20, AT_CODES = 4, TOP = 15 };

static void decode(const void *src, float *dst, int64_t n)
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

static void store_codes(const uint8_t codes[BLOCK], uint8_t *block)
{
    for (int i = 0; i < BLOCK / 2; i++)
        block[AT_CODES + i] = (uint8_t)(codes[i] | codes[i + 16] << 4);
}

/* ggml's own: codes are taken with scale and min before they became halves, in f32, each operation rounded. Halves that
 * would be infinite are first brought to the end of their range; a scale that has no reciprocal makes a block of equal
 * values. */
static void encode_plain(const float *x, uint8_t *block)
{
    float low = x[0], high = x[0];
    for (int i = 1; i < BLOCK; i++) {
        low = fminf(low, x[i]);
        high = fmaxf(high, x[i]);
    }
    float d = fminf((high - low) / TOP, 65504.0f);
    float m = fmaxf(-65504.0f, fminf(65504.0f, low));
    float inverse = fj_inverse(d);
    uint8_t codes[BLOCK];

    fj_half_store(block, fj_half_saturated(d));
    fj_half_store(block + 2, fj_half_saturated(m));
    for (int i = 0; i < BLOCK; i++) {
        float t = (x[i] - m) * inverse;
        codes[i] = fj_code(t + 0.5f, TOP);
    }
    store_codes(codes, block);
}

/* The line of least weighted error instead. */
static void encode_weighted(const float *src, const float *importance, uint8_t *block)
{
    float x[BLOCK], w[BLOCK];
    uint8_t codes[BLOCK];
    bool is_zero;
    fj_line line = { 0 };

    int exponent = fj_fit_unit(src, importance, BLOCK, TOP + 1, x, w, &is_zero);
    if (!is_zero)
        line = fj_fit_line(x, w, BLOCK, TOP, false);
    fj_half_store(block, fj_fit_half(line.scale, exponent, &line.scale));
    fj_half_store(block + 2, fj_fit_half(line.offset, exponent, &line.offset));
    fj_fit_codes(x, BLOCK, line, 0, TOP, codes);
    store_codes(codes, block);
}

static void encode(const float *src, void *dst, int64_t n, const float *importance)
{
    uint8_t *block = dst;
    for (int64_t at = 0; at < n; at += BLOCK, block += BYTES) {
        if (importance)
            encode_weighted(src + at, importance + at, block);
        else
            encode_plain(src + at, block);
    }
}

const fj_quant fj_quant_q4_1 = {
    .dtype = &fj_q4_1,
    .decode = decode,
    .encode = encode,
    .about = "5.0 bits, 32 values share a scale and a min",
};
