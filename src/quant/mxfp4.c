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
FJ_LEVELS static bool to_unit(const float *src, float *x, int *exponent)
{
    fj_lanes largest = fj_lanes_all(0);
    for (int i = 0; i < BLOCK; i += FJ_LANES)
        for (int j = 0; j < FJ_LANES; j++) {
            float t = src[i + j] < 3.4e38f ? src[i + j] : 3.4e38f;
            t = t > -3.4e38f ? t : -3.4e38f;
            t = src[i + j] == src[i + j] ? t : 0;
            x[i + j] = t;
            largest.v[j] = fabsf(t) > largest.v[j] ? fabsf(t) : largest.v[j];
        }
    float amax = fj_lanes_max(&largest);
    frexpf(amax, exponent);
    double unit = ldexp(1, -*exponent); /* which can be beyond a float's range */
    for (int i = 0; i < BLOCK; i++)
        x[i] = (float)((double)x[i] * unit);
    return amax > 0;
}

static void store_block(const float *x, int e, int exponent, uint8_t *block)
{
    enum { FIRST_CODE = 7 }; /* of level 0 in the book */
    uint8_t codes[BLOCK];
    block[0] = (uint8_t)e;
    fj_book_codes(x, BLOCK, ldexpf(1, e - BIAS - exponent), &fj_book_e2m1, codes);
    for (int i = 0; i < BLOCK; i++) {
        int level = codes[i] - FIRST_CODE;
        codes[i] = (uint8_t)(level < 0 ? 8 - level : level);
    }
    for (int i = 0; i < BLOCK / 2; i++)
        block[AT_CODES + i] = (uint8_t)(codes[i] | codes[i + 16] << 4);
}

/* n blocks. The OCP rule gives the largest value 4 to 8 of the levels' 12: the scale of half and of double that are tried too, and
 * the least error wins. */
static void encode_blocks(const float *src, const float *importance, int n, uint8_t *block)
{
    float x[FJ_LANES][BLOCK], w[FJ_LANES][BLOCK];
    int exponent[FJ_LANES];
    bool is_there[FJ_LANES];
    fj_lanes turned[BLOCK], weights[BLOCK], least = fj_lanes_all(INFINITY), best = fj_lanes_all(0), error,
                                            e = fj_lanes_all(0), scale = fj_lanes_all(1);
    for (int j = 0; j < n; j++) {
        is_there[j] = to_unit(src + j * BLOCK, x[j], &exponent[j]);
        fj_fit_weights(importance ? importance + j * BLOCK : NULL, BLOCK, w[j]);
    }
    fj_fit_turn(x[0], n, BLOCK, turned);
    fj_fit_turn(w[0], n, BLOCK, weights);
    for (int t = 0; t < 3; t++) {
        for (int j = 0; j < n; j++) {
            int wanted = exponent[j] - 3 + (BIAS - 1) + (t == 2 ? 1 : -t), kept = FJ_MAX(0, FJ_MIN(TOP_E, wanted));
            e.v[j] = (float)kept;
            scale.v[j] = ldexpf(1, kept - BIAS - exponent[j]);
        }
        fj_book_errors(&(fj_runs){ turned, weights, BLOCK }, &scale, &fj_book_e2m1, &error);
        fj_lanes_keep(&error, &least, &e, &best);
    }
    for (int j = 0; j < n; j++, block += BYTES) {
        memset(block, 0, BYTES);
        if (is_there[j])
            store_block(x[j], (int)best.v[j], exponent[j], block);
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

const fj_quant fj_quant_mxfp4 = {
    .dtype = &fj_mxfp4,
    .decode = decode,
    .encode = encode,
    .about = "4.25 bits, 32 values of 4-bit floats share a power of two",
};
