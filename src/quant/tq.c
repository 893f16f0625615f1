/* SPDX-License-Identifier: Apache-2.0
 * TQ1_0, TQ2_0: 256 values of -1, 0 and 1 times a half, for models trained so (BitNet).
 *
 *   TQ2_0  66 bytes, 2.0625 bits:  q 64 bytes: 32 a half of 128 values: byte l has values l, 32 + l, 64 + l, 96 + l at shifts
 *            0, 2, 4, 6; d half                                                  value = d * (q - 1)
 *   TQ1_0  54 bytes, 1.6875 bits:  five base-3 digits a byte, d half at the end
 *            32 bytes: digit m of byte j is value 32 m + j; 16 bytes: value 160 + 16 m + j; 4 bytes of four digits: value
 *            240 + 4 m + j
 *
 * A byte is ceil(256 t / 243) where t has the digits q of 0…2, the first the most significant: then digit m is the whole
 * part of 3 / 256 times (byte * 3^m mod 256).  Source: ggml's block_tq1_0, block_tq2_0; the gguf package. Without importance
 * the bytes are ggml's: d is the largest size; so ternary values are exact. */

#include <math.h>

#include "quant/fit.h"
#include "quant/quant_internal.h"

enum { VALUES = 256 };

/* Codes 0…2 of 256 values and the half. */
static uint16_t fit(const float *src, const float *importance, uint8_t *codes)
{
    float x[VALUES], w[VALUES], scale = 0;
    fj_lanes turned[VALUES], weights[VALUES], scales; /* the one run in all lanes */
    bool is_zero;
    if (!importance) {
        for (int i = 0; i < VALUES; i++)
            scale = fmaxf(scale, fabsf(src[i]));
        float inverse = fj_inverse(scale);
        for (int i = 0; i < VALUES; i++)
            codes[i] = fj_code(roundf(src[i] * inverse) + 1, 2);
        return fj_half_saturated(scale);
    }
    int exponent = fj_fit_unit(src, importance, VALUES, 1, x, w, &is_zero);
    fj_fit_turn(x, 1, VALUES, turned);
    fj_fit_turn(w, 1, VALUES, weights);
    fj_fit_scales(&(fj_runs){ turned, weights, VALUES }, -1, 1, &scales);
    uint16_t half = fj_fit_half(fabsf(scales.v[0]), exponent, &scale);
    fj_fit_codes(x, VALUES, (fj_line){ scale, 0 }, -1, 1, codes);
    return half;
}

/* ---- TQ2_0 ------------------------------------------------------------------------------------- */

enum { BYTES_2 = 66, AT_D_2 = 64 };

static void decode_2(const void *src, float *dst, int64_t n)
{
    const uint8_t *block = src;
    for (; n > 0; n -= VALUES, block += BYTES_2, dst += VALUES) {
        float d = fj_half_load(block + AT_D_2);
        for (int i = 0; i < VALUES; i++)
            dst[i] = d * (float)((block[i / 128 * 32 + i % 32] >> i % 128 / 32 * 2 & 3) - 1);
    }
}

static void encode_2(const float *src, void *dst, int64_t n, const float *importance)
{
    uint8_t *block = dst, codes[VALUES];
    for (int64_t at = 0; at < n; at += VALUES, block += BYTES_2) {
        memset(block, 0, BYTES_2);
        fj_half_store(block + AT_D_2, fit(src + at, importance ? importance + at : NULL, codes));
        for (int i = 0; i < VALUES; i++)
            block[i / 128 * 32 + i % 32] |= (uint8_t)(codes[i] << i % 128 / 32 * 2);
    }
}

/* ---- TQ1_0 ------------------------------------------------------------------------------------- */

enum { BYTES_1 = 54, AT_D_1 = 52, PARTS = 3 };

/* The three parts: bytes, digits a byte. */
static const struct {
    int at, bytes, digits, value;
} parts[PARTS] = { { 0, 32, 5, 0 }, { 32, 16, 5, 160 }, { 48, 4, 4, 240 } };

static void decode_1(const void *src, float *dst, int64_t n)
{
    static const uint8_t power[5] = { 1, 3, 9, 27, 81 };
    const uint8_t *block = src;
    for (; n > 0; n -= VALUES, block += BYTES_1) {
        float d = fj_half_load(block + AT_D_1);
        for (int p = 0; p < PARTS; p++)
            for (int m = 0; m < parts[p].digits; m++)
                for (int j = 0; j < parts[p].bytes; j++)
                    *dst++ = d * (float)(((uint8_t)(block[parts[p].at + j] * power[m]) * 3 >> 8) - 1);
    }
}

static void encode_1(const float *src, void *dst, int64_t n, const float *importance)
{
    uint8_t *block = dst, codes[VALUES];
    for (int64_t at = 0; at < n; at += VALUES, block += BYTES_1) {
        fj_half_store(block + AT_D_1, fit(src + at, importance ? importance + at : NULL, codes));
        for (int p = 0; p < PARTS; p++)
            for (int j = 0; j < parts[p].bytes; j++) {
                int t = 0;
                for (int m = 0; m < 5; m++)
                    t = 3 * t + (m < parts[p].digits ? codes[parts[p].value + m * parts[p].bytes + j] : 0);
                block[parts[p].at + j] = (uint8_t)((t * 256 + 242) / 243);
            }
    }
}

const fj_quant fj_quant_tq1_0 = {
    .dtype = &fj_tq1_0,
    .decode = decode_1,
    .encode = encode_1,
    .about = "1.6875 bits, 256 values of -1, 0, 1 share a scale",
};

const fj_quant fj_quant_tq2_0 = {
    .dtype = &fj_tq2_0,
    .decode = decode_2,
    .encode = encode_2,
    .about = "2.0625 bits, 256 values of -1, 0, 1 share a scale",
};
