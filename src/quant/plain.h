/* SPDX-License-Identifier: Apache-2.0
 * What the plain encoders of 32 values share, to be inlined into functions of FJ_LEVELS. */
#ifndef FJ_QUANT_PLAIN_H
#define FJ_QUANT_PLAIN_H

#include <math.h>

#include "quant/lanes.h"
#include "quant/quant_internal.h"

enum { FJ_PLAIN = 32 };

/* Bits that order as the numbers do, as integers, whose maxima compilers find in vectors; and back. -0 is below 0. */
FJ_INLINE int32_t fj_plain_key(float x)
{
    int32_t bits;
    memcpy(&bits, &x, sizeof bits);
    return bits ^ (bits >> 31 & 0x7fffffff);
}

FJ_INLINE float fj_plain_of_key(int32_t key)
{
    float x;
    key ^= key >> 31 & 0x7fffffff;
    memcpy(&x, &key, sizeof x);
    return x;
}

/* The least and the largest of 32 finite values. */
FJ_INLINE void fj_plain_range(const float *x, float *low, float *high)
{
    int32_t least = INT32_MAX, most = INT32_MIN;
    for (int i = 0; i < FJ_PLAIN; i++) {
        int32_t key = fj_plain_key(x[i]);
        least = key < least ? key : least;
        most = key > most ? key : most;
    }
    *low = fj_plain_of_key(least);
    *high = fj_plain_of_key(most);
}

/* The value of largest size, the first where two differ in sign alone; 0 for zeros of either sign. */
FJ_INLINE float fj_plain_peak(const float *x)
{
    float low, high, peak = 0;
    fj_plain_range(x, &low, &high);
    if (high != -low)
        return high > -low ? high : low;
    for (int i = 0; i < FJ_PLAIN; i++)
        peak = fabsf(x[i]) > fabsf(peak) ? x[i] : peak;
    return peak;
}

/* x kept in low…high. Encoders cut values rather than codes: compilers make branches of bounds that are constants. */
FJ_INLINE float fj_plain_cut(float x, float low, float high)
{
    x = x > low ? x : low;
    return x < high ? x : high;
}

/* ggml's own codes of 32 values that share a scale (Q4_0, Q5_0), and the scale as a half at d. The quotient is taken with the scale before
 * it became a half, and product and sum are one operation (as compiled with FMA): in double the product is exact. A scale that has
 * no reciprocal makes a block of zeros. */
FJ_INLINE void fj_plain_scale(const float *x, const int middle, uint8_t *d_half, uint8_t codes[FJ_PLAIN])
{
    float d = fj_plain_peak(x) / (float)-middle;
    d = d < 65504.0f ? d : 65504.0f;
    d = d > -65504.0f ? d : -65504.0f;
    double inverse = (double)fj_inverse(d);
    float most = fabsf(d) * (float)middle;
    fj_half_store(d_half, fj_half_saturated(d));
    for (int i = 0; i < FJ_PLAIN; i++) {
        int code = (int)(float)((double)fj_plain_cut(x[i], -most, most) * inverse + (middle + 0.5));
        codes[i] = (uint8_t)FJ_MIN(code, 2 * middle - 1);
    }
}

/* ggml's own codes of 32 values that share a scale and a min (Q4_1, Q5_1), and both as halves. Codes are taken with scale and min before
 * they became halves, in f32, each operation rounded. Halves that would be infinite are first brought to the end of their range; a
 * scale that has no reciprocal makes a block of equal values. */
FJ_INLINE void fj_plain_line(const float *x, const int top, uint8_t *halves, uint8_t codes[FJ_PLAIN])
{
    float low, high;
    fj_plain_range(x, &low, &high);
    float d = (high - low) / (float)top;
    for (int i = FJ_PLAIN - 1; low == 0 && i >= 0; i--)
        low = x[i] == 0 ? x[i] : low; /* the sign of the first */
    d = d < 65504.0f ? d : 65504.0f;
    float m = low < 65504.0f ? low : 65504.0f;
    m = m > -65504.0f ? m : -65504.0f;
    float inverse = fj_inverse(d), most = m + d * (float)top;
    fj_half_store(halves, fj_half_saturated(d));
    fj_half_store(halves + 2, fj_half_saturated(m));
    for (int i = 0; i < FJ_PLAIN; i++) {
        int code = (int)((fj_plain_cut(x[i], m, most) - m) * inverse + 0.5f);
        codes[i] = (uint8_t)FJ_MIN(code, top);
    }
}

/* An encoder of blocks of `bytes`: without importance all at once, with it as many blocks at a time as there are lanes. */
static inline void fj_plain_encode(const float *src, uint8_t *block, int64_t n, const float *importance, int bytes,
                                   void plain(const float *, uint8_t *, int64_t),
                                   void weighted(const float *, const float *, int, uint8_t *))
{
    if (!importance)
        plain(src, block, n);
    for (int64_t at = 0, count; importance && at < n; at += count * FJ_PLAIN, block += count * bytes) {
        count = FJ_MIN(FJ_LANES, (n - at) / FJ_PLAIN);
        weighted(src + at, importance + at, (int)count, block);
    }
}

/* Sixteen bytes: the low halves of codes j and j + 16. */
FJ_INLINE void fj_plain_nibbles(const uint8_t codes[FJ_PLAIN], uint8_t *bytes)
{
    for (int i = 0; i < FJ_PLAIN / 2; i++)
        bytes[i] = (uint8_t)((codes[i] & 15) | codes[i + 16] << 4);
}

/* Four bytes: bit 4 of each code. The product brings the lowest bits of eight bytes together in the last one. */
FJ_INLINE void fj_plain_high_bits(const uint8_t codes[FJ_PLAIN], uint8_t *bytes)
{
    for (int i = 0; i < FJ_PLAIN / 8; i++) {
        uint64_t eight;
        memcpy(&eight, codes + 8 * i, sizeof eight);
        bytes[i] = (uint8_t)((eight >> 4 & 0x0101010101010101) * 0x0102040810204080 >> 56);
    }
}

#endif
