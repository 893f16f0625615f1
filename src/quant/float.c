/* SPDX-License-Identifier: Apache-2.0
 * Plain numbers: IEEE binary16 (1 sign, 5 exponent, 10 fraction bits), bfloat16 (the upper half of binary32), binary32.
 * Source: IEEE 754-2008, 3.4 and 4.3.1 (round to nearest, ties to even). */

#include "quant/quant_internal.h"

static uint32_t bits_of(float x)
{
    uint32_t u;
    memcpy(&u, &x, sizeof u);
    return u;
}

static float float_of(uint32_t u)
{
    float x;
    memcpy(&x, &u, sizeof x);
    return x;
}

float fj_f16_to_f32(uint16_t h)
{
    uint32_t sign = (uint32_t)(h & 0x8000) << 16, exponent = (h >> 10) & 31, fraction = h & 1023;
    if (exponent == 31)
        return float_of(sign | 0x7f800000 | fraction << 13);
    if (exponent == 0) /* zero and subnormals: fraction * 2^-24, exact */
        return float_of(sign | bits_of((float)fraction * 0x1p-24f));
    return float_of(sign | (exponent + 112) << 23 | fraction << 13);
}

uint16_t fj_f32_to_f16(float x)
{
    uint32_t u = bits_of(x), sign = u >> 16 & 0x8000, size = u & 0x7fffffff;
    if (size > 0x7f800000) /* NaN stays NaN, made quiet */
        return (uint16_t)(sign | 0x7e00 | (size >> 13 & 0x1ff));
    if (size >= 0x477ff000) /* 65520 and more round to infinity */
        return (uint16_t)(sign | 0x7c00);
    if (size < 0x38800000) /* below 2^-14: adding 0.5 leaves the multiple of 2^-24, rounded by the addition itself */
        return (uint16_t)(sign | (bits_of(float_of(size) + 0.5f) - 0x3f000000));
    size += 0xfff + (size >> 13 & 1);
    return (uint16_t)(sign | (size - 0x38000000) >> 13);
}

float fj_bf16_to_f32(uint16_t h)
{
    return float_of((uint32_t)h << 16);
}

uint16_t fj_f32_to_bf16(float x)
{
    uint32_t u = bits_of(x);
    if ((u & 0x7fffffff) > 0x7f800000)
        return (uint16_t)(u >> 16 | 0x40);
    return (uint16_t)((u + 0x7fff + (u >> 16 & 1)) >> 16);
}

uint16_t fj_half_saturated(float x)
{
    if (x != x)
        return 0;
    if (x > 65504.0f)
        return 0x7bff;
    return x < -65504.0f ? 0xfbff : fj_f32_to_f16(x);
}

static void decode_f32(const void *src, float *dst, int64_t n)
{
    memcpy(dst, src, (size_t)n * sizeof *dst);
}

static void encode_f32(const float *src, void *dst, int64_t n, const float *importance)
{
    (void)importance;
    memcpy(dst, src, (size_t)n * sizeof *src);
}

static void decode_f16(const void *src, float *dst, int64_t n)
{
    const uint8_t *p = src;
    for (int64_t i = 0; i < n; i++)
        dst[i] = fj_half_load(p + 2 * i);
}

/* As everyone narrows weights: what is beyond 65504 becomes infinite. */
static void encode_f16(const float *src, void *dst, int64_t n, const float *importance)
{
    (void)importance;
    uint8_t *p = dst;
    for (int64_t i = 0; i < n; i++)
        fj_half_store(p + 2 * i, fj_f32_to_f16(src[i]));
}

static void decode_bf16(const void *src, float *dst, int64_t n)
{
    const uint8_t *p = src;
    for (int64_t i = 0; i < n; i++) {
        uint16_t h;
        memcpy(&h, p + 2 * i, sizeof h);
        dst[i] = fj_bf16_to_f32(h);
    }
}

static void encode_bf16(const float *src, void *dst, int64_t n, const float *importance)
{
    (void)importance;
    uint8_t *p = dst;
    for (int64_t i = 0; i < n; i++)
        fj_half_store(p + 2 * i, fj_f32_to_bf16(src[i]));
}

const fj_quant fj_quant_f32 = {
    .dtype = &fj_f32,
    .decode = decode_f32,
    .encode = encode_f32,
    .about = "32 bits, as it is",
};

const fj_quant fj_quant_f16 = {
    .dtype = &fj_f16,
    .decode = decode_f16,
    .encode = encode_f16,
    .about = "16 bits, up to 65504 with 11 significant bits",
};

const fj_quant fj_quant_bf16 = {
    .dtype = &fj_bf16,
    .decode = decode_bf16,
    .encode = encode_bf16,
    .about = "16 bits, range of F32 with 8 significant bits",
};
