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
