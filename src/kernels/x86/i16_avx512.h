/* SPDX-License-Identifier: Apache-2.0
 * Sixteen integers of 32 bits, beside v16_avx512.h. i16_avx2.h has the same names over two AVX registers. */
#ifndef FJ_KERNELS_X86_I16_AVX512_H
#define FJ_KERNELS_X86_I16_AVX512_H

#include "kernels/x86/v16_avx512.h"

typedef __m512i i16;

INLINE float half_value(uint16_t half)
{
    return _cvtsh_ss(half);
}

INLINE i16 i16_load_bytes(const uint8_t *p)
{
    return _mm512_cvtepu8_epi32(_mm_loadu_si128((const __m128i *)p));
}

INLINE i16 i16_load_signed(const uint8_t *p)
{
    return _mm512_cvtepi8_epi32(_mm_loadu_si128((const __m128i *)p));
}

/* The 16 halves of 8 bytes, high before low. */
INLINE i16 i16_load_nibbles(const uint8_t *p)
{
    const __m512i shift = _mm512_set_epi32(0, 4, 0, 4, 0, 4, 0, 4, 0, 4, 0, 4, 0, 4, 0, 4);
    __m128i bytes = _mm_loadl_epi64((const __m128i *)p);
    __m512i twice = _mm512_cvtepu8_epi32(_mm_unpacklo_epi8(bytes, bytes));
    return _mm512_and_si512(_mm512_srlv_epi32(twice, shift), _mm512_set1_epi32(15));
}

/* a in lanes 0…7, b in lanes 8…15. */
INLINE i16 i16_pair(uint32_t a, uint32_t b)
{
    return _mm512_inserti64x4(_mm512_set1_epi32((int)a), _mm256_set1_epi32((int)b), 1);
}

INLINE i16 i16_and(i16 v, int mask)
{
    return _mm512_and_si512(v, _mm512_set1_epi32(mask));
}

INLINE i16 i16_add(i16 a, i16 b)
{
    return _mm512_add_epi32(a, b);
}

INLINE i16 i16_shift_right(i16 v, int n)
{
    return _mm512_srli_epi32(v, (unsigned)n);
}

INLINE i16 i16_shift_left(i16 v, int n)
{
    return _mm512_slli_epi32(v, (unsigned)n);
}

/* Lane i and lane i + 8 to the right by i * n. */
INLINE i16 i16_spread(i16 v, int n)
{
    const __m512i lane = _mm512_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7, 0, 1, 2, 3, 4, 5, 6, 7);
    return _mm512_srlv_epi32(v, _mm512_mullo_epi32(lane, _mm512_set1_epi32(n)));
}

INLINE v16 v16_of_int(i16 v)
{
    return _mm512_cvtepi32_ps(v);
}

/* table[index] of each lane, index in 0…15. */
INLINE v16 v16_look_up(const float table[16], i16 index)
{
    return _mm512_permutexvar_ps(index, _mm512_loadu_ps(table));
}

/* The same for 0…7. */
INLINE v16 v16_look_up8(const float table[8], i16 index)
{
    return _mm512_permutexvar_ps(index, _mm512_castps256_ps512(_mm256_loadu_ps(table)));
}

/* -v in the lanes whose bit is set. */
INLINE v16 v16_negate(v16 v, unsigned bits)
{
    return _mm512_mask_xor_ps(v, (__mmask16)bits, v, _mm512_set1_ps(-0.0f));
}

/* a in lanes 0…7, b in lanes 8…15. */
INLINE v16 v16_pair(float a, float b)
{
    return _mm512_insertf32x8(_mm512_set1_ps(a), _mm256_set1_ps(b), 1);
}

#endif
