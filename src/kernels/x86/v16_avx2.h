/* SPDX-License-Identifier: Apache-2.0
 * Sixteen floats, as two AVX registers: lanes 0…7 and 8…15. The names and the roundings of v16_avx512.h.
 * An n of 1…16 says how many lanes there are; memory behind them is not touched. n = 16 as a constant costs nothing. */
#ifndef FJ_KERNELS_X86_V16_AVX2_H
#define FJ_KERNELS_X86_V16_AVX2_H

#include <immintrin.h>
#include <stdint.h>
#include <string.h>

#include "kernels/x86/reduce8.h"

#define INLINE static inline __attribute__((always_inline, unused))

typedef struct v16 {
    __m256 lo, hi;
} v16;

typedef struct v8d {
    __m256d lo, hi;
} v8d;

/* All bits set in the lanes that are there, of lanes 0…7 (first = 0) or 8…15 (first = 8). */
INLINE __m256i lanes(int n, int first)
{
    return _mm256_cmpgt_epi32(_mm256_set1_epi32(n - first), _mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7));
}

INLINE v16 v16_of(__m256 lo, __m256 hi)
{
    return (v16){ lo, hi };
}

INLINE v16 v16_set1(float x)
{
    return v16_of(_mm256_set1_ps(x), _mm256_set1_ps(x));
}

INLINE v16 v16_zero(void)
{
    return v16_of(_mm256_setzero_ps(), _mm256_setzero_ps());
}

INLINE v16 v16_load(const float *p, int n)
{
    if (n == 16)
        return v16_of(_mm256_loadu_ps(p), _mm256_loadu_ps(p + 8));
    return v16_of(_mm256_maskload_ps(p, lanes(n, 0)), _mm256_maskload_ps(p + 8, lanes(n, 8)));
}

INLINE void v16_store(float *p, v16 v, int n)
{
    if (n == 16) {
        _mm256_storeu_ps(p, v.lo);
        _mm256_storeu_ps(p + 8, v.hi);
    } else {
        _mm256_maskstore_ps(p, lanes(n, 0), v.lo);
        _mm256_maskstore_ps(p + 8, lanes(n, 8), v.hi);
    }
}

/* The present lanes of v, the others of rest. */
INLINE v16 v16_present(v16 v, v16 rest, int n)
{
    if (n == 16)
        return v;
    return v16_of(_mm256_blendv_ps(rest.lo, v.lo, _mm256_castsi256_ps(lanes(n, 0))),
                  _mm256_blendv_ps(rest.hi, v.hi, _mm256_castsi256_ps(lanes(n, 8))));
}

INLINE v16 v16_add(v16 a, v16 b)
{
    return v16_of(_mm256_add_ps(a.lo, b.lo), _mm256_add_ps(a.hi, b.hi));
}

INLINE v16 v16_sub(v16 a, v16 b)
{
    return v16_of(_mm256_sub_ps(a.lo, b.lo), _mm256_sub_ps(a.hi, b.hi));
}

INLINE v16 v16_mul(v16 a, v16 b)
{
    return v16_of(_mm256_mul_ps(a.lo, b.lo), _mm256_mul_ps(a.hi, b.hi));
}

INLINE v16 v16_div(v16 a, v16 b)
{
    return v16_of(_mm256_div_ps(a.lo, b.lo), _mm256_div_ps(a.hi, b.hi));
}

INLINE v16 v16_sqrt(v16 a)
{
    return v16_of(_mm256_sqrt_ps(a.lo), _mm256_sqrt_ps(a.hi));
}

INLINE v16 v16_fma(v16 a, v16 b, v16 c, int n)
{
    return v16_present(v16_of(_mm256_fmadd_ps(a.lo, b.lo, c.lo), _mm256_fmadd_ps(a.hi, b.hi, c.hi)), c, n);
}

INLINE v16 v16_max(v16 a, v16 b, int n)
{
    return v16_present(v16_of(_mm256_max_ps(a.lo, b.lo), _mm256_max_ps(a.hi, b.hi)), b, n);
}

INLINE v16 v16_if_less(v16 a, v16 b, v16 x, v16 y)
{
    return v16_of(_mm256_blendv_ps(y.lo, x.lo, _mm256_cmp_ps(a.lo, b.lo, _CMP_LT_OQ)),
                  _mm256_blendv_ps(y.hi, x.hi, _mm256_cmp_ps(a.hi, b.hi, _CMP_LT_OQ)));
}

INLINE v16 v16_round(v16 a)
{
    return v16_of(_mm256_round_ps(a.lo, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC),
                  _mm256_round_ps(a.hi, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC));
}

INLINE __m256 v8_shift_exponent(__m256 a, __m256 e)
{
    return _mm256_castsi256_ps(_mm256_add_epi32(_mm256_castps_si256(a), _mm256_slli_epi32(_mm256_cvtps_epi32(e), 23)));
}

INLINE v16 v16_shift_exponent(v16 a, v16 e)
{
    return v16_of(v8_shift_exponent(a.lo, e.lo), v8_shift_exponent(a.hi, e.hi));
}

INLINE float v16_sum(v16 v)
{
    return v8_sum(_mm256_add_ps(v.lo, v.hi));
}

INLINE float v16_max_all(v16 v)
{
    return v8_max_all(_mm256_max_ps(v.lo, v.hi));
}

INLINE void v16_store_sum8(float *p, const v16 v[8])
{
    __m256 half[8];
#pragma GCC unroll 8
    for (int i = 0; i < 8; i++)
        half[i] = _mm256_add_ps(v[i].lo, v[i].hi);
    _mm256_storeu_ps(p, v8_sum8(half));
}

/* ---- other number formats ------------------------------------------------------------------------------------------ */

/* AVX2 has no masked loads of 16-bit values: a tail goes over the stack. */
INLINE __m256i load_u16(const uint16_t *p, int n)
{
    uint16_t part[16] = { 0 };
    if (n == 16)
        return _mm256_loadu_si256((const void *)p);
    memcpy(part, p, (size_t)n * sizeof *p);
    return _mm256_loadu_si256((const void *)part);
}

INLINE void store_u16(uint16_t *p, __m256i v, int n)
{
    uint16_t part[16];
    if (n == 16) {
        _mm256_storeu_si256((void *)p, v);
        return;
    }
    _mm256_storeu_si256((void *)part, v);
    memcpy(p, part, (size_t)n * sizeof *p);
}

INLINE v16 v16_load_f16(const uint16_t *p, int n)
{
    __m256i h = load_u16(p, n);
    return v16_of(_mm256_cvtph_ps(_mm256_castsi256_si128(h)), _mm256_cvtph_ps(_mm256_extracti128_si256(h, 1)));
}

INLINE __m256i widen_u16(__m128i h)
{
    return _mm256_cvtepu16_epi32(h);
}

INLINE v16 v16_load_bf16(const uint16_t *p, int n)
{
    __m256i h = load_u16(p, n);
    return v16_of(_mm256_castsi256_ps(_mm256_slli_epi32(widen_u16(_mm256_castsi256_si128(h)), 16)),
                  _mm256_castsi256_ps(_mm256_slli_epi32(widen_u16(_mm256_extracti128_si256(h, 1)), 16)));
}

INLINE void v16_store_f16(uint16_t *p, v16 v, int n)
{
    __m128i lo = _mm256_cvtps_ph(v.lo, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC);
    __m128i hi = _mm256_cvtps_ph(v.hi, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC);
    store_u16(p, _mm256_set_m128i(hi, lo), n);
}

INLINE __m256i round_to_bf16(__m256 v)
{
    __m256i bits = _mm256_castps_si256(v), high = _mm256_srli_epi32(bits, 16);
    __m256i odd = _mm256_and_si256(high, _mm256_set1_epi32(1));
    __m256i near = _mm256_srli_epi32(_mm256_add_epi32(bits, _mm256_add_epi32(odd, _mm256_set1_epi32(0x7fff))), 16);
    __m256i quiet = _mm256_or_si256(high, _mm256_set1_epi32(0x40));
    return _mm256_blendv_epi8(near, quiet, _mm256_castps_si256(_mm256_cmp_ps(v, v, _CMP_UNORD_Q)));
}

INLINE void v16_store_bf16(uint16_t *p, v16 v, int n)
{
    __m256i packed = _mm256_packus_epi32(round_to_bf16(v.lo), round_to_bf16(v.hi));
    store_u16(p, _mm256_permute4x64_epi64(packed, 0xd8), n);
}

/* ---- words of two bf16: n counts values (1…32) ---------------------------------------------------------------------- */

INLINE v16 v16_load_pairs(const uint16_t *p, int n)
{
    uint16_t        part[32] = { 0 };
    const uint16_t *from = p;
    if (n != 32) {
        memcpy(part, p, (size_t)n * sizeof *p);
        from = part;
    }
    return v16_of(_mm256_castsi256_ps(_mm256_loadu_si256((const void *)from)),
                  _mm256_castsi256_ps(_mm256_loadu_si256((const void *)(from + 16))));
}

INLINE v16 v16_first_of_pairs(v16 words)
{
    return v16_of(_mm256_castsi256_ps(_mm256_slli_epi32(_mm256_castps_si256(words.lo), 16)),
                  _mm256_castsi256_ps(_mm256_slli_epi32(_mm256_castps_si256(words.hi), 16)));
}

INLINE v16 v16_second_of_pairs(v16 words)
{
    __m256 upper = _mm256_castsi256_ps(_mm256_set1_epi32((int)0xffff0000u));
    return v16_of(_mm256_and_ps(words.lo, upper), _mm256_and_ps(words.hi, upper));
}

INLINE void v16_store_interleaved(uint16_t *dst, const uint16_t *b0, const uint16_t *b1, int n)
{
    __m256i low = load_u16(b0, n), high = b1 ? load_u16(b1, n) : _mm256_setzero_si256();
    __m256i a = _mm256_unpacklo_epi16(low, high), b = _mm256_unpackhi_epi16(low, high);
    _mm256_maskstore_epi32((void *)dst, lanes(n, 0), _mm256_permute2x128_si256(a, b, 0x20));
    _mm256_maskstore_epi32((void *)(dst + 16), lanes(n, 8), _mm256_permute2x128_si256(a, b, 0x31));
}

/* ---- rotation of pairs that lie side by side ------------------------------------------------------------------------- */

INLINE v16 v16_load_doubled(const float *p, int n)
{
    __m256 v = _mm256_maskload_ps(p, lanes(n / 2, 0));
    return v16_of(_mm256_permutevar8x32_ps(v, _mm256_setr_epi32(0, 0, 1, 1, 2, 2, 3, 3)),
                  _mm256_permutevar8x32_ps(v, _mm256_setr_epi32(4, 4, 5, 5, 6, 6, 7, 7)));
}

INLINE v16 v16_swap_neighbours(v16 v)
{
    return v16_of(_mm256_permute_ps(v.lo, 0xb1), _mm256_permute_ps(v.hi, 0xb1));
}

INLINE v16 v16_negate_even(v16 v)
{
    __m256 signs = _mm256_castsi256_ps(_mm256_set1_epi64x(0x80000000ll));
    return v16_of(_mm256_xor_ps(v.lo, signs), _mm256_xor_ps(v.hi, signs));
}

/* ---- eight doubles --------------------------------------------------------------------------------------------------- */

INLINE v8d v8d_zero(void)
{
    return (v8d){ _mm256_setzero_pd(), _mm256_setzero_pd() };
}

/* An absent lane adds +0 to a sum of squares, which is never -0: its bits stay. */
INLINE v8d v8d_add_squares(v8d c, const float *x, int n)
{
    __m256  v = n == 8 ? _mm256_loadu_ps(x) : _mm256_maskload_ps(x, lanes(n, 0));
    __m256d lo = _mm256_cvtps_pd(_mm256_castps256_ps128(v)), hi = _mm256_cvtps_pd(_mm256_extractf128_ps(v, 1));
    return (v8d){ _mm256_fmadd_pd(lo, lo, c.lo), _mm256_fmadd_pd(hi, hi, c.hi) };
}

INLINE double v8d_sum(v8d v)
{
    return v4d_sum(_mm256_add_pd(v.lo, v.hi));
}

#endif
