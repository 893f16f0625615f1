/* SPDX-License-Identifier: Apache-2.0
 * Q5_0: 32 values share a scale, 22 bytes, 5.5 bits a value.
 *   d     2 bytes, half
 *   high  4 bytes: bit j of the 32-bit number is the fifth bit of value j
 *   q    16 bytes: byte j holds the lower four bits of value j (low nibble) and of value j + 16 (high nibble)
 * value = d * (q - 16), q in 0…31. The value of largest size gives d = it / -16, so that it is code 0 exactly; the
 * others are rounded half up.  Source: ggml's block_q5_0; the GGUF specification. */

#include <math.h>

#include "quant/fit.h"
#include "quant/quant_internal.h"

enum { BLOCK = 32, BYTES = 22, AT_HIGH = 2, AT_CODES = 6, MIDDLE = 16, TOP = 31 };

static void decode(const void *src, float *dst, int64_t n)
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

static void store_codes(const uint8_t codes[BLOCK], uint8_t *block)
{
    uint32_t high = 0;
    for (int i = 0; i < BLOCK; i++)
        high |= (uint32_t)(codes[i] >> 4) << i;
    memcpy(block + AT_HIGH, &high, sizeof high);
    for (int i = 0; i < BLOCK / 2; i++)
        block[AT_CODES + i] = (uint8_t)((codes[i] & 15) | (codes[i + 16] & 15) << 4);
}

/* ggml's own: the quotient is taken with the scale before it became a half, and product and sum are one operation (as
 * compiled with FMA): in double the product is exact. A scale that has no reciprocal makes a block of zeros. */
static void encode_plain(const float *x, uint8_t *block)
{
    float peak = 0;
    for (int i = 0; i < BLOCK; i++)
        if (fabsf(x[i]) > fabsf(peak))
            peak = x[i];
    float d = fmaxf(-65504.0f, fminf(65504.0f, peak / -MIDDLE));
    double inverse = fj_inverse(d);
    uint8_t codes[BLOCK];

    fj_half_store(block, fj_half_saturated(d));
    for (int i = 0; i < BLOCK; i++)
        codes[i] = fj_code((float)((double)x[i] * inverse + (MIDDLE + 0.5)), TOP);
    store_codes(codes, block);
}

/* The scale of least weighted error instead. */
static void encode_weighted(const float *src, const float *importance, uint8_t *block)
{
    float x[BLOCK], w[BLOCK];
    uint8_t codes[BLOCK];
    bool is_zero;
    fj_line line = { 0 };

    int exponent = fj_fit_unit(src, importance, BLOCK, MIDDLE, x, w, &is_zero);
    if (!is_zero)
        line.scale = fj_fit_scale(x, w, BLOCK, -MIDDLE, TOP - MIDDLE);
    fj_half_store(block, fj_fit_half(line.scale, exponent, &line.scale));
    fj_fit_codes(x, BLOCK, line, -MIDDLE, TOP - MIDDLE, codes);
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

const fj_quant fj_quant_q5_0 = {
    .dtype = &fj_q5_0,
    .decode = decode,
    .encode = encode,
    .about = "5.5 bits, 32 values share a scale",
};
