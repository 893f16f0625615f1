/* SPDX-License-Identifier: Apache-2.0
 * Q4_0: 32 values share a scale, 18 bytes, 4.5 bits a value.
 *   d  2 bytes, half
 *   q 16 bytes: byte j holds value j in its low nibble and value j + 16 in its high one
 * value = d * (q - 8), q in 0…15. The value of largest size gives d = it / -8, so that it is code 0 exactly; the others
 * are rounded half up.  Source: ggml's block_q4_0; the GGUF specification. */

#include <math.h>

#include "quant/fit.h"
#include "quant/quant_internal.h"

enum { BLOCK = 32, BYTES = 18, AT_CODES = 2, MIDDLE = 8, TOP = 15 };

static void decode(const void *src, float *dst, int64_t n)
{
    const uint8_t *block = src;
    for (; n > 0; n -= BLOCK, block += BYTES, dst += BLOCK) {
        const uint8_t *q = block + AT_CODES;
        float d = fj_half_load(block);
        for (int i = 0; i < BLOCK / 2; i++) {
            dst[i] = d * (float)((q[i] & 15) - MIDDLE);
            dst[i + 16] = d * (float)((q[i] >> 4) - MIDDLE);
        }
    }
}

static void store_codes(const uint8_t codes[BLOCK], uint8_t *block)
{
    for (int i = 0; i < BLOCK / 2; i++)
        block[AT_CODES + i] = (uint8_t)(codes[i] | codes[i + 16] << 4);
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

const fj_quant fj_quant_q4_0 = {
    .dtype = &fj_q4_0,
    .decode = decode,
    .encode = encode,
    .about = "4.5 bits, 32 values share a scale",
};
