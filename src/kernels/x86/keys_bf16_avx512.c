/* SPDX-License-Identifier: Apache-2.0
 * What attention in bf16 reads, rounded by VCVTNE2PS2BF16. A word is a pair; keys are turned by blocks of 16 rows and 16 words. */
#include "kernels/x86/v16_avx512.h"

#include "kernels/kernels_internal.h"
#include "kernels/v16/exp_body.h"

typedef enum kind { F32, F16 } kind;

INLINE v16 load(kind k, const void *row, int64_t at, int n)
{
    return k == F32 ? v16_load((const float *)row + at, n) : v16_load_f16((const uint16_t *)row + at, n);
}

/* Row j of rows that lie ld values apart. */
INLINE const void *row_of(kind k, const void *rows, int64_t ld, int64_t j)
{
    return (const char *)rows + j * ld * (k == F32 ? 4 : 2);
}

/* The low lanes come from the second operand. */
INLINE __m512i round_both(v16 high, v16 low)
{
    return (__m512i)_mm512_cvtne2ps_pbh(high, low);
}

/* ---- keys -------------------------------------------------------------------------------------------------------------- */

INLINE v16 load_less(kind k, const void *row, const float *less, int64_t at, int n)
{
    return v16_sub(load(k, row, at, n), v16_load(less + at, n));
}

/* n (1…32) values of a row in order. */
INLINE __m512i load_words(kind k, const void *row, const float *less, int64_t at, int64_t n)
{
    v16 low = load_less(k, row, less, at, n < 16 ? (int)n : 16);
    return round_both(n > 16 ? load_less(k, row, less, at + 16, n < 32 ? (int)(n - 16) : 16) : v16_zero(), low);
}

/* Word w of row r becomes word r of row w. */
INLINE void turn_words(__m512i r[16])
{
    __m512i t[16];
#pragma GCC unroll 8
    for (int i = 0; i < 16; i += 2) {
        t[i] = _mm512_unpacklo_epi32(r[i], r[i + 1]);
        t[i + 1] = _mm512_unpackhi_epi32(r[i], r[i + 1]);
    }
#pragma GCC unroll 4
    for (int i = 0; i < 16; i += 4) {
        r[i] = _mm512_unpacklo_epi64(t[i], t[i + 2]);
        r[i + 1] = _mm512_unpackhi_epi64(t[i], t[i + 2]);
        r[i + 2] = _mm512_unpacklo_epi64(t[i + 1], t[i + 3]);
        r[i + 3] = _mm512_unpackhi_epi64(t[i + 1], t[i + 3]);
    }
    /* quarter q of r[4i + c] is now word 4q + c of rows 4i … 4i + 3 */
#pragma GCC unroll 4
    for (int c = 0; c < 4; c++) {
        __m512i low_even = _mm512_shuffle_i32x4(r[c], r[4 + c], 0x88),
                low_odd = _mm512_shuffle_i32x4(r[c], r[4 + c], 0xdd);
        __m512i high_even = _mm512_shuffle_i32x4(r[8 + c], r[12 + c], 0x88);
        __m512i high_odd = _mm512_shuffle_i32x4(r[8 + c], r[12 + c], 0xdd);
        r[c] = _mm512_shuffle_i32x4(low_even, high_even, 0x88);
        r[8 + c] = _mm512_shuffle_i32x4(low_even, high_even, 0xdd);
        r[4 + c] = _mm512_shuffle_i32x4(low_odd, high_odd, 0x88);
        r[12 + c] = _mm512_shuffle_i32x4(low_odd, high_odd, 0xdd);
    }
}

/* Words of values at… of m (at most 16) rows, as 16 columns of dst. */
INLINE void turn_block(kind k, uint16_t *dst, const void *rows, int64_t ld, const float *less, int64_t m, int64_t at,
                       int64_t n)
{
    __m512i r[16];
#pragma GCC unroll 16
    for (int i = 0; i < 16; i++)
        r[i] = i < m ? load_words(k, row_of(k, rows, ld, i), less, at, n) : _mm512_setzero_si512();
    turn_words(r);
#pragma GCC unroll 16
    for (int w = 0; w < 16; w++)
        if (2 * w < n)
            _mm512_storeu_si512(dst + w * FJ_KEY_COLUMNS * 2, r[w]);
}

INLINE void pack_keys(kind k, uint16_t *dst, const void *keys, int64_t ldk, const float *less, int64_t n, int64_t d)
{
    for (int64_t j = 0; j < FJ_KEY_COLUMNS; j += 16)
        for (int64_t at = 0; at < d; at += 32) {
            uint16_t *to = dst + (at / 2 * FJ_KEY_COLUMNS + j) * 2;
            const void *from = row_of(k, keys, ldk, j);
            if (j + 16 <= n && at + 32 <= d)
                turn_block(k, to, from, ldk, less, 16, at, 32);
            else
                turn_block(k, to, from, ldk, less, n - j, at, FJ_MIN(32, d - at));
        }
}

static void pack_keys_f16(uint16_t *dst, const uint16_t *k, int64_t ldk, const float *less, int64_t n, int64_t d)
{
    pack_keys(F16, dst, k, ldk, less, n, d);
}

static void pack_keys_f32(uint16_t *dst, const float *k, int64_t ldk, const float *less, int64_t n, int64_t d)
{
    pack_keys(F32, dst, k, ldk, less, n, d);
}

/* ---- values ------------------------------------------------------------------------------------------------------------ */

/* Words (a[i], b[i]) of n (1…16) columns; b may be NULL: zeros. */
INLINE void pair_rows(kind k, uint16_t *dst, const void *a, const void *b, int64_t at, int n)
{
    static const uint16_t pairs[32] = { 0, 16, 1, 17, 2,  18, 3,  19, 4,  20, 5,  21, 6,  22, 7,  23,
                                        8, 24, 9, 25, 10, 26, 11, 27, 12, 28, 13, 29, 14, 30, 15, 31 };
    __m512i both = round_both(b ? load(k, b, at, n) : v16_zero(), load(k, a, at, n));
    _mm512_mask_storeu_epi32(dst, lanes(n), _mm512_permutexvar_epi16(_mm512_loadu_si512(pairs), both));
}

INLINE void pack_values(kind k, uint16_t *dst, const void *values, int64_t ldv, int64_t n, int64_t d)
{
    for (int64_t j = 0; j < n; j += 2, dst += 2 * d) {
        const void *a = row_of(k, values, ldv, j), *b = j + 1 < n ? row_of(k, values, ldv, j + 1) : NULL;
        int64_t at = 0;
        for (; at + 16 <= d && b; at += 16)
            pair_rows(k, dst + 2 * at, a, b, at, 16);
        for (; at < d; at += 16)
            pair_rows(k, dst + 2 * at, a, b, at, (int)FJ_MIN(16, d - at));
    }
}

static void pack_values_f16(uint16_t *dst, const uint16_t *v, int64_t ldv, int64_t n, int64_t d)
{
    pack_values(F16, dst, v, ldv, n, d);
}

static void pack_values_f32(uint16_t *dst, const float *v, int64_t ldv, int64_t n, int64_t d)
{
    pack_values(F32, dst, v, ldv, n, d);
}

/* ---- weights ----------------------------------------------------------------------------------------------------------- */

INLINE v16 exp_step(uint16_t *y, const float *x, v16 scale, v16 minus_max, v16 sum, int n)
{
    v16 e = v16_exp(v16_fma(scale, v16_load(x, n), minus_max, 16));
    store_u16(y, (__m256i)_mm512_cvtneps_pbh(e), n);
    return v16_fma(e, v16_set1(1.0f), sum, n);
}

static float exp_row_bf16(uint16_t *y, const float *x, float scale, float max, int64_t n)
{
    v16 sum = v16_zero(), scales = v16_set1(scale), minus_max = v16_set1(-max);
    int64_t i = 0;
    for (; i + 16 <= n; i += 16)
        sum = exp_step(y + i, x + i, scales, minus_max, sum, 16);
    if (i < n)
        sum = exp_step(y + i, x + i, scales, minus_max, sum, (int)(n - i));
    return v16_sum(sum);
}

void fj_kernels_init_keys_bf16_avx512(fj_kernels *k)
{
    k->pack_keys_f16 = pack_keys_f16;
    k->pack_keys_f32 = pack_keys_f32;
    k->pack_values_f16 = pack_values_f16;
    k->pack_values_f32 = pack_values_f32;
    k->exp_row_bf16 = exp_row_bf16;
}
