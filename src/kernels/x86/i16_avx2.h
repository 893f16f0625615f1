/* SPDX-License-Identifier: Apache-2.0
 * Sixteen integers of 32 bits, as two AVX registers: lanes 0…7 and 8…15. The names of i16_avx512.h. */
#ifndef FJ_KERNELS_X86_I16_AVX2_H
#define FJ_KERNELS_X86_I16_AVX2_H

#include "kernels/x86/v16_avx2.h"

typedef struct i16 {
    __m256i lo, hi;
} i16;

INLINE float half_value(uint16_t half)
{
    return _cvtsh_ss(half);
}

INLINE i16 i16_load_bytes(const uint8_t *p)
{
    __m128i bytes = _mm_loadu_si128((const __m128i *)p);
    return (i16){ _mm256_cvtepu8_epi32(bytes), _mm256_cvtepu8_epi32(_mm_srli_si128(bytes, 8)) };
}

INLINE i16 i16_load_signed(const uint8_t *p)
{
    __m128i bytes = _mm_loadu_si128((const __m128i *)p);
    return (i16){ _mm256_cvtepi8_epi32(bytes), _mm256_cvtepi8_epi32(_mm_srli_si128(bytes, 8)) };
}

/* The 16 halves of 8 bytes, high before low. */
INLINE i16 i16_load_nibbles(const uint8_t *p)
{
    const __m256i shift = _mm256_set_epi32(0, 4, 0, 4, 0, 4, 0, 4), low = _mm256_set1_epi32(15);
    __m128i bytes = _mm_loadl_epi64((const __m128i *)p), twice = _mm_unpacklo_epi8(bytes, bytes);
    __m256i first = _mm256_cvtepu8_epi32(twice), second = _mm256_cvtepu8_epi32(_mm_srli_si128(twice, 8));
    return (i16){ _mm256_and_si256(_mm256_srlv_epi32(first, shift), low),
                  _mm256_and_si256(_mm256_srlv_epi32(second, shift), low) };
}

INLINE i16 i16_pair(uint32_t a, uint32_t b)
{
    return (i16){ _mm256_set1_epi32((int)a), _mm256_set1_epi32((int)b) };
}

INLINE i16 i16_and(i16 v, int mask)
{
    __m256i m = _mm256_set1_epi32(mask);
    return (i16){ _mm256_and_si256(v.lo, m), _mm256_and_si256(v.hi, m) };
}

INLINE i16 i16_add(i16 a, i16 b)
{
    return (i16){ _mm256_add_epi32(a.lo, b.lo), _mm256_add_epi32(a.hi, b.hi) };
}

INLINE i16 i16_shift_right(i16 v, int n)
{
    return (i16){ _mm256_srli_epi32(v.lo, n), _mm256_srli_epi32(v.hi, n) };
}

INLINE i16 i16_shift_left(i16 v, int n)
{
    return (i16){ _mm256_slli_epi32(v.lo, n), _mm256_slli_epi32(v.hi, n) };
}

INLINE i16 i16_spread(i16 v, int n)
{
    const __m256i count = _mm256_mullo_epi32(_mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7), _mm256_set1_epi32(n));
    return (i16){ _mm256_srlv_epi32(v.lo, count), _mm256_srlv_epi32(v.hi, count) };
}

INLINE v16 v16_of_int(i16 v)
{
    return v16_of(_mm256_cvtepi32_ps(v.lo), _mm256_cvtepi32_ps(v.hi));
}

/* Bit 3 of an index chooses between the halves of the table. */
INLINE __m256 look_up16(__m256 low, __m256 high, __m256i index)
{
    __m256 from_low = _mm256_permutevar8x32_ps(low, index), from_high = _mm256_permutevar8x32_ps(high, index);
    return _mm256_blendv_ps(from_low, from_high, _mm256_castsi256_ps(_mm256_slli_epi32(index, 28)));
}

INLINE v16 v16_look_up(const float table[16], i16 index)
{
    __m256 low = _mm256_loadu_ps(table), high = _mm256_loadu_ps(table + 8);
    return v16_of(look_up16(low, high, index.lo), look_up16(low, high, index.hi));
}

INLINE v16 v16_look_up8(const float table[8], i16 index)
{
    __m256 all = _mm256_loadu_ps(table);
    return v16_of(_mm256_permutevar8x32_ps(all, index.lo), _mm256_permutevar8x32_ps(all, index.hi));
}

/* The bit of a lane becomes its sign. */
INLINE __m256 negate8(__m256 v, unsigned bits)
{
    const __m256i count = _mm256_setr_epi32(31, 30, 29, 28, 27, 26, 25, 24);
    __m256i signs = _mm256_sllv_epi32(_mm256_set1_epi32((int)bits), count);
    return _mm256_xor_ps(v, _mm256_and_ps(_mm256_castsi256_ps(signs), _mm256_set1_ps(-0.0f)));
}

INLINE v16 v16_negate(v16 v, unsigned bits)
{
    return v16_of(negate8(v.lo, bits), negate8(v.hi, bits >> 8));
}

INLINE v16 v16_pair(float a, float b)
{
    return v16_of(_mm256_set1_ps(a), _mm256_set1_ps(b));
}

#endif
