/* SPDX-License-Identifier: Apache-2.0
 * Q8_0: 32 values share a scale, 34 bytes, 8.5 bits a value.
 *   d  2 bytes, half
 *   q 32 bytes, int8                    value i = d * q[i]
 * d = max |x| / 127, q = x / d rounded half away from zero.  Source: ggml's block_q8_0; the GGUF specification. */

#include <math.h>

#include "quant/quant_internal.h"

enum { BLOCK = 32, BYTES = 34 };

static void decode(const void *src, float *dst, int64_t n)
{
    const uint8_t *block = src;
    for (; n > 0; n -= BLOCK, block += BYTES, dst += BLOCK) {
        float d = fj_half_load(block);
        for (int i = 0; i < BLOCK; i++)
            dst[i] = d * (float)(int8_t)block[2 + i];
    }
}

/* The quotient is taken with the scale before it became a half, as ggml does. A scale beyond the half's range is first
 * brought to its end; one too small to have a reciprocal makes a block of zeros. */
static void encode_block(const float *x, uint8_t *block)
{
    float amax = 0;
    for (int i = 0; i < BLOCK; i++)
        amax = fabsf(x[i]) > amax ? fabsf(x[i]) : amax; /* fmaxf is a call */
    float d = fminf(amax / 127.0f, 65504.0f);
    float inverse = fj_inverse(d);

    fj_half_store(block, fj_half_saturated(d));
    for (int i = 0; i < BLOCK; i++) {
        float q = roundf(x[i] * inverse);
        block[2 + i] = (uint8_t)(int8_t)(q > 127 ? 127 : q < -127 ? -127 : q == q ? q : 0);
    }
}

/* importance is not used: eight bits leave nothing to trade between columns. */
static void encode(const float *src, void *dst, int64_t n, const float *importance)
{
    (void)importance;
    uint8_t *block = dst;
    for (; n > 0; n -= BLOCK, src += BLOCK, block += BYTES)
        encode_block(src, block);
}

const fj_quant fj_quant_q8_0 = {
    .dtype = &fj_q8_0,
    .decode = decode,
    .encode = encode,
    .about = "8.5 bits, 32 values share a scale",
};
