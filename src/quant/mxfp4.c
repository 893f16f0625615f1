/* SPDX-License-Identifier: Apache-2.0
 * MXFP4: 32 values share a power of two, 17 bytes, 4.25 bits a value; codes are floats of 4 bits (E2M1).
 *   e  1 byte: the scale is 2^(e - 128), as the levels are doubled
 *   q 16 bytes: byte j holds value j in its low nibble and value j + 16 in its high one; bit 3 of a code is the sign, the
 *               rest one of 0 1 2 3 4 6 8 12
 * Source: OCP Microscaling Formats 1.0; ggml's block_mxfp4 (which has no NaN at e = 255). */

#include <math.h>

#include "quant/book.h"
#include "quant/quant_internal.h"

enum { BLOCK = 32, BYTES = 17, AT_CODES = 1, BIAS = 128, TOP_E = 252 }; /* 12 * 2^(253-128) would be infinite */

static void decode(const void *src, float *dst, int64_t n)
{
    static const float level[16] = { 0, 1, 2, 3, 4, 6, 8, 12, 0, -1, -2, -3, -4, -6, -8, -12 };
    const uint8_t *block = src;
    for (; n > 0; n -= BLOCK, block += BYTES, dst += BLOCK) {
        const uint8_t *q = block + AT_CODES;
        float d = ldexpf(1, block[0] - BIAS);
        for (int i = 0; i < BLOCK / 2; i++) {
            dst[i] = d * level[q[i] & 15];
            dst[i + 16] = d * level[q[i] >> 4];
        }
    }
}

/* Values times 2^-*exponent, the largest in [0.5, 1); false when all are zero or none is a number. */
static bool to_unit(const float *src, float *x, int *exponent)
{
    float amax = 0;
    for (int i = 0; i < BLOCK; i++) {
        x[i] = src[i] == src[i] ? fmaxf(-3.4e38f, fminf(3.4e38f, src[i])) : 0;
        amax = fmaxf(amax, fabsf(x[i]));
    }
    frexpf(amax, exponent);
    for (int i = 0; i < BLOCK; i++)
        x[i] = ldexpf(x[i], -*exponent);
    return amax > 0;
}

/* The OCP rule gives the largest value 4 to 8 of the levels' 12: the scale of half and of double that are tried too, and
 * the least error wins. */
static void encode_block(const float *src, const float *importance, uint8_t *block)
{
    enum { FIRST_CODE = 7 }; /* of level 0 in the book */
    float x[BLOCK], w[BLOCK], least = INFINITY;
    uint8_t codes[BLOCK];
    int exponent, best = 0;

    memset(block, 0, BYTES);
    if (!to_unit(src, x, &exponent))
        return;
    fj_fit_weights(importance, BLOCK, w);
    for (int t = 0; t < 3; t++) {
        int e = exponent - 3 + (BIAS - 1) + (t == 2 ? 1 : -t);
        e = FJ_MAX(0, FJ_MIN(TOP_E, e));
        float error = fj_book_sums(x, w, BLOCK, ldexpf(1, e - BIAS - exponent), &fj_book_e2m1).rr;
        if (error < least) {
            least = error;
            best = e;
        }
    }
    block[0] = (uint8_t)best;
    fj_book_codes(x, BLOCK, ldexpf(1, best - BIAS - exponent), &fj_book_e2m1, codes);
    for (int i = 0; i < BLOCK; i++) {
        int level = codes[i] - FIRST_CODE;
        int code = level < 0 ? 8 - level : level;
        block[AT_CODES + i % 16] |= (uint8_t)(code << i / 16 * 4);
    }
}

static void encode(const float *src, void *dst, int64_t n, const float *importance)
{
    uint8_t *block = dst;
    for (int64_t at = 0; at < n; at += BLOCK, block += BYTES)
        encode_block(src + at, importance ? importance + at : NULL, block);
}

const fj_quant fj_quant_mxfp4 = {
    .dtype = &fj_mxfp4,
    .decode = decode,
    .encode = encode,
    .about = "4.25 bits, 32 values of 4-bit floats share a power of two",
};
