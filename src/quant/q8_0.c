/* SPDX-License-Identifier: Apache-2.0
 * Q8_0: 32 values share a scale, 34 bytes, 8.5 bits a value.
 *   d  2 bytes, half
 *   q 32 bytes, int8                    value i = d * q[i]
 * d = max |x| / 127, q = x / d rounded half away from zero.  Source: ggml's block_q8_0; the GGUF specification. */

#include "quant/plain.h"

enum { BLOCK = 32, BYTES = 34 };

FJ_LEVELS static void decode(const void *src, float *dst, int64_t n)
{
    const uint8_t *block = src;
    for (; n > 0; n -= BLOCK, block += BYTES, dst += BLOCK) {
        float d = fj_half_load(block);
        for (int i = 0; i < BLOCK; i++)
            dst[i] = d * (float)(int8_t)block[2 + i];
    }
}

/* The quotient is taken with the scale before it became a half, as ggml does. A scale beyond the half's range is first
 * brought to its end; one too small to have a reciprocal makes a block of zeros. Adding the number below a half and cutting is
 * roundf. */
FJ_LEVELS static void encode_blocks(const float *x, uint8_t *block, int64_t n)
{
    for (; n > 0; n -= BLOCK, x += BLOCK, block += BYTES) {
        float d = fabsf(fj_plain_peak(x)) / 127.0f;
        d = d < 65504.0f ? d : 65504.0f;
        float inverse = fj_inverse(d), most = 127 * d;
        int8_t codes[BLOCK];

        fj_half_store(block, fj_half_saturated(d));
        for (int i = 0; i < BLOCK; i++) {
            float t = fj_plain_cut(x[i], -most, most) * inverse;
            codes[i] = (int8_t)(int)(t + copysignf(0x1.fffffep-2f, t));
        }
        memcpy(block + 2, codes, BLOCK);
    }
}

/* importance is not used: eight bits leave nothing to trade between columns. */
static void encode(const float *src, void *dst, int64_t n, const float *importance)
{
    (void)importance;
    encode_blocks(src, dst, n);
}

const fj_quant fj_quant_q8_0 = {
    .dtype = &fj_q8_0,
    .decode = decode,
    .encode = encode,
    .about = "8.5 bits, 32 values share a scale",
};
