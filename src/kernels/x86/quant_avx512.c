/* SPDX-License-Identifier: Apache-2.0
 * Quantized rows to values and activations to int8 with AVX-512. Every value is exact or rounded once, so the bits
 * are those of fj_quant.decode; file layouts as stated in quant/. */
#include <immintrin.h>

#include "kernels/kernels_internal.h"
#include "kernels/tile_internal.h"

/* ---- decoding ---------------------------------------------------------------------------------- */

FJ_INLINE __m512 scalar_f16(const uint8_t *p)
{
    uint16_t half;
    memcpy(&half, p, sizeof half);
    return _mm512_cvtph_ps(_mm256_set1_epi16((short)half));
}

FJ_INLINE __m512i load_codes(const uint8_t *p)
{
    return _mm512_cvtepu8_epi32(_mm_loadu_si128((const __m128i *)p));
}

FJ_INLINE __m512i low_nibbles(__m512i codes)
{
    return _mm512_and_si512(codes, _mm512_set1_epi32(15));
}

static void decode_q8_0(const void *src, float *dst, int64_t n)
{
    const uint8_t *p = src;
    for (int64_t i = 0; i < n; i += FJ_BLOCK, p += 34) {
        __m512 d = scalar_f16(p);
        for (int h = 0; h < 32; h += 16) {
            __m512i q = _mm512_cvtepi8_epi32(_mm_loadu_si128((const __m128i *)(p + 2 + h)));
            _mm512_storeu_ps(dst + i + h, _mm512_mul_ps(_mm512_cvtepi32_ps(q), d));
        }
    }
}

/* Q4_0 Q4_1 Q5_0 Q5_1 */
FJ_INLINE void decode_nibbles(fj_form f, const uint8_t *p, float *dst, int64_t n)
{
    const int scales = fj_has_min(f) ? 4 : 2, high_bytes = f.bits == 5 ? 4 : 0;
    for (int64_t i = 0; i < n; i += FJ_BLOCK, p += scales + high_bytes + 16) {
        __m512 d = scalar_f16(p), m = fj_has_min(f) ? scalar_f16(p + 2) : _mm512_setzero_ps();
        __m512i codes = load_codes(p + scales + high_bytes);
        __m512i q[2] = { low_nibbles(codes), _mm512_srli_epi32(codes, 4) };
        for (int h = 0; h < 2; h++) {
            if (f.bits == 5) {
                __mmask16 high = (__mmask16)(fj_load_u32(p + scales) >> (16 * h));
                q[h] = _mm512_mask_add_epi32(q[h], high, q[h], _mm512_set1_epi32(16));
            }
            __m512 value = _mm512_cvtepi32_ps(_mm512_sub_epi32(q[h], _mm512_set1_epi32(f.offset)));
            value = fj_has_min(f) ? _mm512_fmadd_ps(value, d, m) : _mm512_mul_ps(value, d);
            _mm512_storeu_ps(dst + i + 16 * h, value);
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
    __m256i a8 = _mm256_cvtepu8_epi32(_mm_loadl_epi64((const __m128i *)scale));
    __m256i b8 = _mm256_cvtepu8_epi32(_mm_loadl_epi64((const __m128i *)min));
    _mm256_storeu_ps(a, _mm256_mul_ps(_mm256_cvtepi32_ps(a8), _mm512_castps512_ps256(scalar_f16(block))));
    _mm256_storeu_ps(b, _mm256_mul_ps(_mm256_cvtepi32_ps(b8), _mm512_castps512_ps256(scalar_f16(block + 2))));
}

/* Q4_K Q5_K */
FJ_INLINE void decode_k(fj_form f, const uint8_t *block, float *dst, int64_t n)
{
    const int first = f.bits == 5 ? 48 : 16;
    for (int64_t i = 0; i < n; i += 256, block += first + 128, dst += 256) {
        float a[8], b[8];
        k_scales(block, a, b);
        for (int half = 0; half < 2; half++) {
            __m512i high = f.bits == 5 ? load_codes(block + 16 + 16 * half) : _mm512_setzero_si512();
            for (int s = 0; s < 8; s++) {
                __m512i q = load_codes(block + first + 32 * (s / 2) + 16 * half);
                q = s % 2 ? _mm512_srli_epi32(q, 4) : low_nibbles(q);
                if (f.bits == 5) {
                    __mmask16 bit = _mm512_test_epi32_mask(high, _mm512_set1_epi32(1 << s));
                    q = _mm512_mask_add_epi32(q, bit, q, _mm512_set1_epi32(16));
                }
                __m512 value = _mm512_fmsub_ps(_mm512_cvtepi32_ps(q), _mm512_set1_ps(a[s]), _mm512_set1_ps(b[s]));
                _mm512_storeu_ps(dst + 32 * s + 16 * half, value);
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
        __m512i scales = _mm512_cvtepi8_epi32(_mm_loadu_si128((const __m128i *)(block + 192)));
        _mm512_storeu_ps(scale, _mm512_mul_ps(_mm512_cvtepi32_ps(scales), scalar_f16(block + 208)));
        for (int part = 0; part < 4; part++) { /* 16 bytes of qh: bits 4, 5 of 4 times 16 values */
            int run = part / 2, half = part % 2;
            const uint8_t *low = block + 64 * run + 16 * half;
            __m512i high = load_codes(block + 128 + 16 * part);
            for (int s = 0; s < 4; s++) {
                __m512i q = load_codes(low + 32 * (s % 2));
                q = s >= 2 ? _mm512_srli_epi32(q, 4) : low_nibbles(q);
                __m512i top = _mm512_and_si512(_mm512_slli_epi32(_mm512_srli_epi32(high, (unsigned)(2 * s)), 4),
                                               _mm512_set1_epi32(48));
                q = _mm512_sub_epi32(_mm512_or_si512(q, top), _mm512_set1_epi32(32));
                __m512 d = _mm512_set1_ps(scale[8 * run + 2 * s + half]);
                _mm512_storeu_ps(dst + 128 * run + 32 * s + 16 * half, _mm512_mul_ps(_mm512_cvtepi32_ps(q), d));
            }
        }
    }
}

/* ---- activations ------------------------------------------------------------------------------- */

static void quantize_row_q8(const float *x, fj_q8_block *out, int64_t k)
{
    const __m512i magnitude = _mm512_set1_epi32(0x7fffffff);
    for (int64_t b = 0; b < k / FJ_BLOCK; b++, x += FJ_BLOCK, out++) {
        __m512 x0 = _mm512_loadu_ps(x), x1 = _mm512_loadu_ps(x + 16);
        __m512i abs0 = _mm512_and_si512(_mm512_castps_si512(x0), magnitude),
                abs1 = _mm512_and_si512(_mm512_castps_si512(x1), magnitude);
        uint32_t amax = _mm512_reduce_max_epu32(_mm512_max_epu32(abs0, abs1));
        float scale, inverse;
        if (!fj_q8_scale(amax, &scale, &inverse)) {
            memset(out, 0, sizeof *out);
            memcpy(&out->scale, &scale, sizeof scale);
            continue;
        }
        __m512i q0 = _mm512_cvtps_epi32(_mm512_mul_ps(x0, _mm512_set1_ps(inverse)));
        __m512i q1 = _mm512_cvtps_epi32(_mm512_mul_ps(x1, _mm512_set1_ps(inverse)));
        int16_t sum[2] = { (int16_t)_mm512_reduce_add_epi32(q0), (int16_t)_mm512_reduce_add_epi32(q1) };
        memcpy(&out->scale, &scale, sizeof scale);
        memcpy(out->sum, sum, sizeof sum);
        _mm_storeu_si128((__m128i *)out->q, _mm512_cvtepi32_epi8(q0));
        _mm_storeu_si128((__m128i *)(out->q + 16), _mm512_cvtepi32_epi8(q1));
    }
}

void fj_kernels_init_quant_avx512(fj_kernels *k)
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
