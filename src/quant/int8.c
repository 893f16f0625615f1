/* SPDX-License-Identifier: Apache-2.0
 * INT8: a scale for a whole row, 68 bytes for 64 values of it, 8.5 bits a value.
 *   scale  4 bytes, float: the largest magnitude of the row, the same in all its blocks, so that any part of a row can be read
 *   q     64 bytes, int8
 * value = (q * scale) * (1/127), rounded twice;  q = x * (127 / scale) to the nearest, ties to even.
 * Source: Dettmers et al. 2022 (LLM.int8()); bitsandbytes, int8_vectorwise_quant: there q is a matrix and the scales a vector. */
#include <float.h>
#include <math.h>

#include "quant/quant_internal.h"

enum { BLOCK = 64, BYTES = 68, AT_CODES = 4 };

static void decode(const void *src, float *dst, int64_t n)
{
    const uint8_t *block = src;
    for (; n > 0; n -= BLOCK, block += BYTES, dst += BLOCK) {
        float scale;
        memcpy(&scale, block, sizeof scale);
        for (int i = 0; i < BLOCK; i++)
            dst[i] = (float)(int8_t)block[AT_CODES + i] * scale * FJ_INT8_STEP;
    }
}

/* The n values are one row. importance is not used. */
static void encode(const float *src, void *dst, int64_t n, const float *importance)
{
    (void)importance;
    uint8_t *block = dst;
    float scale = 0;
    for (int64_t i = 0; i < n; i++)
        scale = fmaxf(scale, fabsf(src[i]));
    scale = fminf(scale, FLT_MAX / 128); /* q * scale must not overflow */
    float inverse = 127.0f / scale;      /* infinite for zeros and what is hardly more: they become 0 */
    if (!(inverse <= FLT_MAX))
        inverse = 0;
    for (; n > 0; n -= BLOCK, src += BLOCK, block += BYTES) {
        memcpy(block, &scale, sizeof scale);
        for (int i = 0; i < BLOCK; i++) {
            float q = rintf(src[i] * inverse);
            block[AT_CODES + i] = (uint8_t)(int8_t)(q > 127 ? 127 : q < -127 ? -127 : q == q ? q : 0);
        }
    }
}

const fj_quant fj_quant_int8 = {
    .dtype = &fj_int8,
    .decode = decode,
    .encode = encode,
    .about = "8.5 bits, a row shares a scale; LLM.int8's",
};
