/* SPDX-License-Identifier: Apache-2.0
 * Sixteen floats, as one AVX-512 register. v16_avx2.h has the same names over two AVX registers and arm/v16_neon.h over four,
 * lane for lane with the same roundings, so that a body written with them (kernels/v16) gives the same bits on all.
 * An n of 1…16 says how many lanes there are; memory behind them is not touched. n = 16 as a constant costs nothing. */
#ifndef FJ_KERNELS_X86_V16_AVX512_H
#define FJ_KERNELS_X86_V16_AVX512_H

#include <immintrin.h>
#include <stdint.h>

#include "kernels/x86/reduce8.h"

#define INLINE static inline __attribute__((always_inline, unused))

typedef __m512  v16;
typedef __m512d v8d;

INLINE __mmask16 lanes(int n)
{
    return (__mmask16)((1u << n) - 1);
}

INLINE v16 v16_set1(float x)
{
    return _mm512_set1_ps(x);
}

INLINE v16 v16_zero(void)
{
    return _mm512_setzero_ps();
}

/* Absent lanes are +0. */
INLINE v16 v16_load(const float *p, int n)
{
    return n == 16 ? _mm512_loadu_ps(p) : _mm512_maskz_loadu_ps(lanes(n), p);
}

INLINE void v16_store(float *p, v16 v, int n)
{
    if (n == 16)
        _mm512_storeu_ps(p, v);
    else
        _mm512_mask_storeu_ps(p, lanes(n), v);
}

INLINE v16 v16_add(v16 a, v16 b)
{
    return _mm512_add_ps(a, b);
}

INLINE v16 v16_sub(v16 a, v16 b)
{
    return _mm512_sub_ps(a, b);
}

INLINE v16 v16_mul(v16 a, v16 b)
{
    return _mm512_mul_ps(a, b);
}

INLINE v16 v16_div(v16 a, v16 b)
{
    return _mm512_div_ps(a, b);
}

INLINE v16 v16_sqrt(v16 a)
{
    return _mm512_sqrt_ps(a);
}

/* a * b + c, rounded once; absent lanes keep c */
INLINE v16 v16_fma(v16 a, v16 b, v16 c, int n)
{
    return n == 16 ? _mm512_fmadd_ps(a, b, c) : _mm512_mask3_fmadd_ps(a, b, c, lanes(n));
}

/* a > b ? a : b, so b where a is NaN; absent lanes keep b */
INLINE v16 v16_max(v16 a, v16 b, int n)
{
    return n == 16 ? _mm512_max_ps(a, b) : _mm512_mask_max_ps(b, lanes(n), a, b);
}

/* a < b ? x : y */
INLINE v16 v16_if_less(v16 a, v16 b, v16 x, v16 y)
{
    return _mm512_mask_blend_ps(_mm512_cmp_ps_mask(a, b, _CMP_LT_OQ), y, x);
}

INLINE v16 v16_round(v16 a)
{
    return _mm512_roundscale_ps(a, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC);
}

/* a * 2^e for whole e, by adding to the exponent bits: a and the result must be normal numbers */
INLINE v16 v16_shift_exponent(v16 a, v16 e)
{
    return _mm512_castsi512_ps(_mm512_add_epi32(_mm512_castps_si512(a), _mm512_slli_epi32(_mm512_cvtps_epi32(e), 23)));
}

/* The tree of kernels.h: halves are added, 16 → 8 → 4 → 2 → 1. */
INLINE float v16_sum(v16 v)
{
    return v8_sum(_mm256_add_ps(_mm512_castps512_ps256(v), _mm512_extractf32x8_ps(v, 1)));
}

INLINE float v16_max_all(v16 v)
{
    return v8_max_all(_mm256_max_ps(_mm512_castps512_ps256(v), _mm512_extractf32x8_ps(v, 1)));
}

/* p[i] = v16_sum(v[i]) of eight registers at once. */
INLINE void v16_store_sum8(float *p, const v16 v[8])
{
    __m256 half[8];
#pragma GCC unroll 8
    for (int i = 0; i < 8; i++)
        half[i] = _mm256_add_ps(_mm512_castps512_ps256(v[i]), _mm512_extractf32x8_ps(v[i], 1));
    _mm256_storeu_ps(p, v8_sum8(half));
}

/* ---- other number formats ------------------------------------------------------------------------------------------ */

INLINE __m256i load_u16(const uint16_t *p, int n)
{
    return n == 16 ? _mm256_loadu_si256((const void *)p) : _mm256_maskz_loadu_epi16(lanes(n), p);
}

INLINE void store_u16(uint16_t *p, __m256i v, int n)
{
    if (n == 16)
        _mm256_storeu_si256((void *)p, v);
    else
        _mm256_mask_storeu_epi16(p, lanes(n), v);
}

INLINE v16 v16_load_f16(const uint16_t *p, int n)
{
    return _mm512_cvtph_ps(load_u16(p, n));
}

INLINE v16 v16_load_bf16(const uint16_t *p, int n)
{
    return _mm512_castsi512_ps(_mm512_slli_epi32(_mm512_cvtepu16_epi32(load_u16(p, n)), 16));
}

INLINE void v16_store_f16(uint16_t *p, v16 v, int n)
{
    store_u16(p, _mm512_cvtps_ph(v, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC), n);
}

/* Nearest even by integers: VCVTNEPS2BF16 would flush subnormal values. */
INLINE void v16_store_bf16(uint16_t *p, v16 v, int n)
{
    __m512i bits = _mm512_castps_si512(v), high = _mm512_srli_epi32(bits, 16);
    __m512i odd = _mm512_and_si512(high, _mm512_set1_epi32(1));
    __m512i near = _mm512_srli_epi32(_mm512_add_epi32(bits, _mm512_add_epi32(odd, _mm512_set1_epi32(0x7fff))), 16);
    __m512i quiet = _mm512_or_si512(high, _mm512_set1_epi32(0x40));
    __m512i out = _mm512_mask_blend_epi32(_mm512_cmp_ps_mask(v, v, _CMP_UNORD_Q), near, quiet);
    store_u16(p, _mm512_cvtepi32_epi16(out), n);
}

/* ---- words of two bf16: n counts values (1…32) ---------------------------------------------------------------------- */

INLINE v16 v16_load_pairs(const uint16_t *p, int n)
{
    __mmask32 mask = (__mmask32)((1ull << n) - 1);
    return _mm512_castsi512_ps(n == 32 ? _mm512_loadu_si512(p) : _mm512_maskz_loadu_epi16(mask, p));
}

/* The first (low) or second value of each word as a float. */
INLINE v16 v16_first_of_pairs(v16 words)
{
    return _mm512_castsi512_ps(_mm512_slli_epi32(_mm512_castps_si512(words), 16));
}

INLINE v16 v16_second_of_pairs(v16 words)
{
    return _mm512_castsi512_ps(_mm512_and_si512(_mm512_castps_si512(words), _mm512_set1_epi32((int)0xffff0000u)));
}

/* Words (b0[j], b1[j]) of 16 columns. */
INLINE void v16_store_interleaved(uint16_t *dst, const uint16_t *b0, const uint16_t *b1, int n)
{
    __m512i low = _mm512_cvtepu16_epi32(load_u16(b0, n));
    __m512i high = b1 ? _mm512_slli_epi32(_mm512_cvtepu16_epi32(load_u16(b1, n)), 16) : _mm512_setzero_si512();
    _mm512_mask_storeu_epi32(dst, lanes(n), _mm512_or_si512(low, high));
}

/* ---- rotation of pairs that lie side by side ------------------------------------------------------------------------- */

/* p[0], p[0], p[1], p[1], … : n/2 values are read */
INLINE v16 v16_load_doubled(const float *p, int n)
{
    const __m512i twice = _mm512_set_epi32(7, 7, 6, 6, 5, 5, 4, 4, 3, 3, 2, 2, 1, 1, 0, 0);
    return _mm512_permutexvar_ps(twice, _mm512_maskz_loadu_ps(lanes(n / 2), p));
}

INLINE v16 v16_swap_neighbours(v16 v)
{
    return _mm512_permute_ps(v, 0xb1);
}

/* -v[0], v[1], -v[2], v[3], … */
INLINE v16 v16_negate_even(v16 v)
{
    return _mm512_castsi512_ps(_mm512_xor_si512(_mm512_castps_si512(v), _mm512_set1_epi64(0x80000000ll)));
}

/* ---- eight doubles --------------------------------------------------------------------------------------------------- */

INLINE v8d v8d_zero(void)
{
    return _mm512_setzero_pd();
}

/* c + x^2 of n (1…8) floats; absent lanes keep c */
INLINE v8d v8d_add_squares(v8d c, const float *x, int n)
{
    __mmask8 mask = (__mmask8)((1u << n) - 1);
    __m512d  d = _mm512_cvtps_pd(_mm256_maskz_loadu_ps(mask, x));
    return _mm512_mask3_fmadd_pd(d, d, c, mask);
}

INLINE double v8d_sum(v8d v)
{
    return v4d_sum(_mm256_add_pd(_mm512_castpd512_pd256(v), _mm512_extractf64x4_pd(v, 1)));
}

#endif
