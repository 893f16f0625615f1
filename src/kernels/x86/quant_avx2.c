/* SPDX-License-Identifier: Apache-2.0
 * Quantized rows to values and activations to int8 with AVX2. Every value is exact or rounded once, so the bits are
 * those of fj_quant.decode; file layouts as stated in quant/. */
#include <immintrin.h>

#include "kernels/kernels_internal.h"
#include "kernels/tile_internal.h"

/* ---- decoding ---------------------------------------------------------------------------------- */

FJ_INLINE __m256 scalar_f16(const uint8_t *p)
{
    uint16_t half;
    memcpy(&half, p, sizeof half);
    return _mm256_cvtph_ps(_mm_set1_epi16((short)half));
}

FJ_INLINE __m256i load_codes(const uint8_t *p)
{
    return _mm256_cvtepu8_epi32(_mm_loadl_epi64((const __m128i *)p));
}

FJ_INLINE __m256i low_nibbles(__m256i codes)
{
    return _mm256_and_si256(codes, _mm256_set1_epi32(15));
}

static void decode_q8_0(const void *src, float *dst, int64_t n)
{
    const uint8_t *p = src;
    for (int64_t i = 0; i < n; i += FJ_BLOCK, p += 34) {
        __m256 d = scalar_f16(p);
        for (int h = 0; h < 32; h += 8) {
            __m256i q = _mm256_cvtepi8_epi32(_mm_loadl_epi64((const __m128i *)(p + 2 + h)));
            _mm256_storeu_ps(dst + i + h, _mm256_mul_ps(_mm256_cvtepi32_ps(q), d));
        }
    }
}

/* Q4_0 Q4_1 Q5_0 Q5_1 */
FJ_INLINE void decode_nibbles(fj_form f, const uint8_t *p, float *dst, int64_t n)
{
    const int scales = fj_has_min(f) ? 4 : 2, high_bytes = f.bits == 5 ? 4 : 0;
    const __m256i lane = _mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7);
    for (int64_t i = 0; i < n; i += FJ_BLOCK, p += scales + high_bytes + 16) {
        __m256 d = scalar_f16(p), m = fj_has_min(f) ? scalar_f16(p + 2) : _mm256_setzero_ps();
        for (int h = 0; h < 32; h += 8) {
            __m256i q = load_codes(p + scales + high_bytes + h % 16);
            q = h < 16 ? low_nibbles(q) : _mm256_srli_epi32(q, 4);
            if (f.bits == 5) {
                __m256i high = _mm256_srlv_epi32(_mm256_set1_epi32((int)(fj_load_u32(p + scales) >> h)), lane);
                q = _mm256_or_si256(q, _mm256_slli_epi32(_mm256_and_si256(high, _mm256_set1_epi32(1)), 4));
            }
            __m256 value = _mm256_cvtepi32_ps(_mm256_sub_epi32(q, _mm256_set1_epi32(f.offset)));
            value = fj_has_min(f) ? _mm256_fmadd_ps(value, d, m) : _mm256_mul_ps(value, d);
            _mm256_storeu_ps(dst + i + h, value);
        }
    }
}

static void decode_q4_0(const void *src, float *dst, int64_t n)
{
    decode_nibbles(fj_forms[FJ_ROW_Q4_0], src, dst, n);
}

static void decode_q4_1(const void *src, float *dst, int64_t n)
{
    decode_nibbles(fj_forms[FJ_ROW_Q4_1], src, dst, n);
}

static void decode_q5_0(const void *src, float *dst, int64_t n)
{
    decode_nibbles(fj_forms[FJ_ROW_Q5_0], src, dst, n);
}

static void decode_q5_1(const void *src, float *dst, int64_t n)
{
    decode_nibbles(fj_forms[FJ_ROW_Q5_1], src, dst, n);
}

/* The 8 scales (a) and minimums (b) of Q4_K and Q5_K times d and dmin; products of 17 bits are exact. */
FJ_INLINE void k_scales(const uint8_t *block, float a[8], float b[8])
{
    uint8_t scale[8], min[8];
    for (int s = 0; s < 8; s++)
        fj_k_scale_min(block + 4, s, scale + s, min + s);
    _mm256_storeu_ps(a, _mm256_mul_ps(_mm256_cvtepi32_ps(load_codes(scale)), scalar_f16(block)));
    _mm256_storeu_ps(b, _mm256_mul_ps(_mm256_cvtepi32_ps(load_codes(min)), scalar_f16(block + 2)));
}

/* Q4_K Q5_K */
FJ_INLINE void decode_k(fj_form f, const uint8_t *block, float *dst, int64_t n)
{
    const int first = f.bits == 5 ? 48 : 16;
    for (int64_t i = 0; i < n; i += 256, block += first + 128, dst += 256) {
        float a[8], b[8];
        k_scales(block, a, b);
        for (int part = 0; part < 32; part += 8) {
            __m256i high = f.bits == 5 ? load_codes(block + 16 + part) : _mm256_setzero_si256();
            for (int s = 0; s < 8; s++) {
                __m256i q = load_codes(block + first + 32 * (s / 2) + part);
                q = s % 2 ? _mm256_srli_epi32(q, 4) : low_nibbles(q);
                if (f.bits == 5) {
                    __m256i bit = _mm256_and_si256(_mm256_srli_epi32(high, s), _mm256_set1_epi32(1));
                    q = _mm256_or_si256(q, _mm256_slli_epi32(bit, 4));
                }
                __m256 value = _mm256_fmsub_ps(_mm256_cvtepi32_ps(q), _mm256_set1_ps(a[s]), _mm256_set1_ps(b[s]));
                _mm256_storeu_ps(dst + 32 * s + part, value);
            }
        }
    }
}

static void decode_q4_k(const void *src, float *dst, int64_t n)
{
    decode_k(fj_forms[FJ_ROW_Q4_K], src, dst, n);
}

static void decode_q5_k(const void *src, float *dst, int64_t n)
{
    decode_k(fj_forms[FJ_ROW_Q5_K], src, dst, n);
}

static void decode_q6_k(const void *src, float *dst, int64_t n)
{
    const uint8_t *block = src;
    for (int64_t i = 0; i < n; i += 256, block += 210, dst += 256) {
        float scale[16];
        __m256 d = scalar_f16(block + 208);
        for (int h = 0; h < 16; h += 8) {
            __m256i scales = _mm256_cvtepi8_epi32(_mm_loadl_epi64((const __m128i *)(block + 192 + h)));
            _mm256_storeu_ps(scale + h, _mm256_mul_ps(_mm256_cvtepi32_ps(scales), d));
        }
        for (int part = 0; part < 8; part++) { /* 8 bytes of qh: bits 4, 5 of 4 times 8 values */
            int run = part / 4, at = part % 4 * 8;
            const uint8_t *low = block + 64 * run + at;
            __m256i high = load_codes(block + 128 + 8 * part);
            for (int s = 0; s < 4; s++) {
                __m256i q = load_codes(low + 32 * (s % 2));
                q = s >= 2 ? _mm256_srli_epi32(q, 4) : low_nibbles(q);
                __m256i top = _mm256_and_si256(_mm256_slli_epi32(_mm256_srli_epi32(high, 2 * s), 4),
                                               _mm256_set1_epi32(48));
                q = _mm256_sub_epi32(_mm256_or_si256(q, top), _mm256_set1_epi32(32));
                __m256 value = _mm256_mul_ps(_mm256_cvtepi32_ps(q), _mm256_set1_ps(scale[8 * run + 2 * s + at / 16]));
                _mm256_storeu_ps(dst + 128 * run + 32 * s + at, value);
            }
        }
    }
}

/* ---- activations ------------------------------------------------------------------------------- */

FJ_INLINE uint32_t max_of_lanes(__m256i v)
{
    __m128i m = _mm_max_epu32(_mm256_castsi256_si128(v), _mm256_extracti128_si256(v, 1));
    m = _mm_max_epu32(m, _mm_shuffle_epi32(m, 0x4e));
    m = _mm_max_epu32(m, _mm_shuffle_epi32(m, 0xb1));
    return (uint32_t)_mm_cvtsi128_si32(m);
}

FJ_INLINE int sum_of_lanes(__m256i v)
{
    __m128i s = _mm_add_epi32(_mm256_castsi256_si128(v), _mm256_extracti128_si256(v, 1));
    s = _mm_add_epi32(s, _mm_shuffle_epi32(s, 0x4e));
    s = _mm_add_epi32(s, _mm_shuffle_epi32(s, 0xb1));
    return _mm_cvtsi128_si32(s);
}

static void quantize_row_q8(const float *x, fj_q8_block *out, int64_t k)
{
    const __m256i magnitude = _mm256_set1_epi32(0x7fffffff);
    for (int64_t b = 0; b < k / FJ_BLOCK; b++, x += FJ_BLOCK, out++) {
        __m256i amax = _mm256_setzero_si256(), q[4];
        float scale, inverse;
        for (int h = 0; h < 4; h++)
            amax = _mm256_max_epu32(amax,
                                    _mm256_and_si256(_mm256_loadu_si256((const __m256i *)(x + 8 * h)), magnitude));
        if (!fj_q8_scale(max_of_lanes(amax), &scale, &inverse)) {
            memset(out, 0, sizeof *out);
            memcpy(&out->scale, &scale, sizeof scale);
            continue;
        }
        for (int h = 0; h < 4; h++)
            q[h] = _mm256_cvtps_epi32(_mm256_mul_ps(_mm256_loadu_ps(x + 8 * h), _mm256_set1_ps(inverse)));
        int16_t sum[2] = { (int16_t)sum_of_lanes(_mm256_add_epi32(q[0], q[1])),
                           (int16_t)sum_of_lanes(_mm256_add_epi32(q[2], q[3])) };
        memcpy(&out->scale, &scale, sizeof scale);
        memcpy(out->sum, sum, sizeof sum);
        __m256i bytes = _mm256_packs_epi16(_mm256_packs_epi32(q[0], q[1]), _mm256_packs_epi32(q[2], q[3]));
        bytes = _mm256_permutevar8x32_epi32(bytes,
                                            _mm256_setr_epi32(0, 4, 1, 5, 2, 6, 3, 7)); /* the packs work in halves */
        _mm256_storeu_si256((__m256i *)out->q, bytes);
    }
}

void fj_kernels_init_quant_avx2(fj_kernels *k)
{
    k->quantize_row_q8 = quantize_row_q8;
    k->decode_row[FJ_ROW_Q8_0] = decode_q8_0;
    k->decode_row[FJ_ROW_Q4_0] = decode_q4_0;
    k->decode_row[FJ_ROW_Q4_1] = decode_q4_1;
    k->decode_row[FJ_ROW_Q5_0] = decode_q5_0;
    k->decode_row[FJ_ROW_Q5_1] = decode_q5_1;
    k->decode_row[FJ_ROW_Q4_K] = decode_q4_k;
    k->decode_row[FJ_ROW_Q5_K] = decode_q5_k;
    k->decode_row[FJ_ROW_Q6_K] = decode_q6_k;
}
