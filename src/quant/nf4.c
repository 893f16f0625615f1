/* SPDX-License-Identifier: Apache-2.0
 * NF4 and FP4: 64 values share a scale, 36 bytes, 4.5 bits a value; codes are values between -1 and 1, those of NF4 denser
 * around zero, as weights are.
 *   scale  4 bytes, float: the largest magnitude
 *   q     32 bytes: byte j holds value 2j in its high nibble and value 2j + 1 in its low one
 * value = scale * values[q].  The code is that of the nearest value, of the lower one in the middle between two.
 * bitsandbytes keeps scales and codes apart and lets blocks cross rows; where rows are multiples of 64 the bytes are these.
 * Source: Dettmers et al. 2023 (QLoRA); bitsandbytes, quantize_4bit. */
#include "quant/nf4.h"

#include <math.h>

#include "quant/book.h"
#include "quant/quant_internal.h"

enum { BLOCK = 64, BYTES = 36, AT_CODES = 4 };

/* Sign, exponent, fraction; twelfths. Code 8 is zero without a sign. */
const float fj_fp4_values[16] = { 0.0f, 0.0625f / 12,  8.0f / 12,  1.0f,  4.0f / 12,  0.5f,  2.0f / 12,  0.25f,
                                  0.0f, -0.0625f / 12, -8.0f / 12, -1.0f, -4.0f / 12, -0.5f, -2.0f / 12, -0.25f };

/* The codes of the levels of fj_book_fp4. */
static const uint8_t fp4_order[16] = { 11, 10, 13, 12, 15, 14, 9, 0, 8, 1, 6, 7, 4, 5, 2, 3 };

static void decode(const float values[16], const void *src, float *dst, int64_t n)
{
    const uint8_t *block = src;
    for (; n > 0; n -= BLOCK, block += BYTES, dst += BLOCK) {
        float scale;
        memcpy(&scale, block, sizeof scale);
        for (int j = 0; j < BLOCK / 2; j++) {
            dst[2 * j] = scale * values[block[AT_CODES + j] >> 4];
            dst[2 * j + 1] = scale * values[block[AT_CODES + j] & 15];
        }
    }
}

static void decode_nf4(const void *src, float *dst, int64_t n)
{
    decode(fj_book_nf4.level, src, dst, n);
}

static void decode_fp4(const void *src, float *dst, int64_t n)
{
    decode(fj_fp4_values, src, dst, n);
}

/* order: the codes of the book's levels; NULL: their places. */
static void encode(const fj_book *book, const uint8_t *order, const float *src, uint8_t *block, int64_t n)
{
    for (; n > 0; n -= BLOCK, block += BYTES, src += BLOCK) {
        uint8_t codes[BLOCK];
        float scale = 0;
        for (int i = 0; i < BLOCK; i++)
            scale = fmaxf(scale, fabsf(src[i]));
        memcpy(block, &scale, sizeof scale);
        fj_book_codes(src, BLOCK, fmaxf(scale, 1e-38f), book, codes);
        for (int i = 0; order && i < BLOCK; i++)
            codes[i] = order[codes[i]];
        for (int j = 0; j < BLOCK / 2; j++)
            block[AT_CODES + j] = (uint8_t)(codes[2 * j] << 4 | codes[2 * j + 1]);
    }
}

/* importance is not used: the scale is the largest magnitude whatever the columns weigh. */
static void encode_nf4(const float *src, void *dst, int64_t n, const float *importance)
{
    (void)importance;
    encode(&fj_book_nf4, NULL, src, dst, n);
}

static void encode_fp4(const float *src, void *dst, int64_t n, const float *importance)
{
    (void)importance;
    encode(&fj_book_fp4, fp4_order, src, dst, n);
}

const fj_quant fj_quant_nf4 = {
    .dtype = &fj_nf4,
    .decode = decode_nf4,
    .encode = encode_nf4,
    .about = "4.5 bits, 64 values share a scale; uneven levels, QLoRA's",
};

const fj_quant fj_quant_fp4 = {
    .dtype = &fj_fp4,
    .decode = decode_fp4,
    .encode = encode_fp4,
    .about = "4.5 bits, 64 values share a scale; levels with an exponent",
};
