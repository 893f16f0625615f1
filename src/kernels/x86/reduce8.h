/* SPDX-License-Identifier: Apache-2.0
 * What AVX2 and AVX-512 share: the last steps of the summing tree, 8 → 4 → 2 → 1, lane i is added to lane i + half; and an
 * interleaving of rows. */
#ifndef FJ_KERNELS_X86_REDUCE8_H
#define FJ_KERNELS_X86_REDUCE8_H

#include <immintrin.h>
#include <stdint.h>

static inline __attribute__((always_inline, unused)) float v8_sum(__m256 v)
{
    __m128 four = _mm_add_ps(_mm256_castps256_ps128(v), _mm256_extractf128_ps(v, 1));
    __m128 two = _mm_add_ps(four, _mm_movehl_ps(four, four));
    return _mm_cvtss_f32(_mm_add_ss(two, _mm_movehdup_ps(two)));
}

static inline __attribute__((always_inline, unused)) float v8_max_all(__m256 v)
{
    __m128 four = _mm_max_ps(_mm256_castps256_ps128(v), _mm256_extractf128_ps(v, 1));
    __m128 two = _mm_max_ps(four, _mm_movehl_ps(four, four));
    return _mm_cvtss_f32(_mm_max_ss(two, _mm_movehdup_ps(two)));
}

static inline __attribute__((always_inline, unused)) double v4d_sum(__m256d v)
{
    __m128d two = _mm_add_pd(_mm256_castpd256_pd128(v), _mm256_extractf128_pd(v, 1));
    return _mm_cvtsd_f64(_mm_add_sd(two, _mm_unpackhi_pd(two, two)));
}

/* Lane i of the result is v8_sum(v[i]): the same additions, eight trees at once.
 *   8 → 4: registers i and i+4 share one: [v_i, v_i+4]     4 → 2: [v_i, v_i+1 | v_i+4, v_i+5]     2 → 1: all in order */
static inline __attribute__((always_inline, unused)) __m256 v8_sum8(const __m256 v[8])
{
    __m256 four[4], two[2];
#pragma GCC unroll 4
    for (int i = 0; i < 4; i++)
        four[i] = _mm256_add_ps(_mm256_permute2f128_ps(v[i], v[i + 4], 0x20), _mm256_permute2f128_ps(v[i], v[i + 4], 0x31));
#pragma GCC unroll 2
    for (int i = 0; i < 2; i++) {
        __m256d a = _mm256_castps_pd(four[2 * i]), b = _mm256_castps_pd(four[2 * i + 1]);
        two[i] = _mm256_add_ps(_mm256_castpd_ps(_mm256_unpacklo_pd(a, b)), _mm256_castpd_ps(_mm256_unpackhi_pd(a, b)));
    }
    return _mm256_add_ps(_mm256_shuffle_ps(two[0], two[1], 0x88), _mm256_shuffle_ps(two[0], two[1], 0xdd));
}

/* Four words of each of six rows, the words of one place side by side. at: bytes from where the rows begin. */
static inline __attribute__((always_inline, unused)) void store_four_of_six(float *to, const char *const from[6], int64_t at)
{
    __m128 r[6];
    for (int i = 0; i < 6; i++)
        r[i] = _mm_loadu_ps((const float *)(const void *)(from[i] + at));
    __m128 low = _mm_unpacklo_ps(r[4], r[5]), high = _mm_unpackhi_ps(r[4], r[5]);
    _MM_TRANSPOSE4_PS(r[0], r[1], r[2], r[3]);
    for (int i = 0; i < 4; i++)
        _mm_storeu_ps(to + 6 * i, r[i]);
    _mm_storel_pi((__m64 *)(void *)(to + 4), low);
    _mm_storeh_pi((__m64 *)(void *)(to + 10), low);
    _mm_storel_pi((__m64 *)(void *)(to + 16), high);
    _mm_storeh_pi((__m64 *)(void *)(to + 22), high);
}

#endif
