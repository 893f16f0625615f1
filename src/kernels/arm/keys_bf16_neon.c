/* SPDX-License-Identifier: Apache-2.0
 * What attention in bf16 reads, for processors that have BFDOT. Keys: 32 values are rounded, then their words go to their columns. */
#include "kernels/arm/v16_neon.h"

#include <string.h>

#include "kernels/kernels_internal.h"
#include "kernels/v16/exp_body.h"

typedef enum kind { F32, F16 } kind;

enum { SOME = 32 };

/* n (1…SOME) values at… of row j as bf16, less those of `less` unless that is NULL; the rest of `to` is zero. */
INLINE void round_some(kind k, uint16_t to[SOME], const void *rows, int64_t ld, const float *less, int64_t j,
                       int64_t at, int64_t n)
{
    const float *floats = (const float *)rows + j * ld + at;
    const uint16_t *halves = (const uint16_t *)rows + j * ld + at;
    memset(to, 0, SOME * sizeof *to);
    for (int64_t i = 0; i < n; i += 16) {
        int m = (int)FJ_MIN(16, n - i);
        v16 v = k == F32 ? v16_load(floats + i, m) : v16_load_f16(halves + i, m);
        v16_store_bf16(to + i, less ? v16_sub(v, v16_load(less + at + i, m)) : v, m);
    }
}

INLINE void pack_keys(kind k, uint16_t *dst, const void *keys, int64_t ldk, const float *less, int64_t n, int64_t d)
{
    memset(dst, 0, (size_t)((d + 1) / 2 * FJ_KEY_COLUMNS * 2) * sizeof *dst);
    for (int64_t j = 0; j < n; j++)
        for (int64_t at = 0; at < d; at += SOME) {
            uint16_t some[SOME];
            round_some(k, some, keys, ldk, less, j, at, FJ_MIN(SOME, d - at));
            for (int64_t w = 0; w < SOME / 2 && at + 2 * w < d; w++)
                memcpy(dst + ((at / 2 + w) * FJ_KEY_COLUMNS + j) * 2, some + 2 * w, 2 * sizeof *dst);
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

INLINE void pack_values(kind k, uint16_t *dst, const void *values, int64_t ldv, int64_t n, int64_t d)
{
    for (int64_t j = 0; j < n; j += 2, dst += 2 * d)
        for (int64_t at = 0; at < d; at += SOME) {
            uint16_t a[SOME], b[SOME] = { 0 };
            int64_t m = FJ_MIN(SOME, d - at);
            round_some(k, a, values, ldv, NULL, j, at, m);
            if (j + 1 < n)
                round_some(k, b, values, ldv, NULL, j + 1, at, m);
            for (int64_t i = 0; i < m; i += 16)
                v16_store_interleaved(dst + 2 * (at + i), a + i, b + i, (int)FJ_MIN(16, m - i));
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

static float exp_row_bf16(uint16_t *y, const float *x, float scale, float max, int64_t n)
{
    v16 sum = v16_zero(), scales = v16_set1(scale), minus_max = v16_set1(-max);
    for (int64_t i = 0; i < n; i += 16) {
        int m = (int)FJ_MIN(16, n - i);
        v16 e = v16_exp(v16_fma(scales, v16_load(x + i, m), minus_max, 16));
        v16_store_bf16(y + i, e, m);
        sum = v16_fma(e, v16_set1(1.0f), sum, m);
    }
    return v16_sum(sum);
}

void fj_kernels_init_keys_bf16_neon(fj_kernels *k)
{
    k->pack_keys_f16 = pack_keys_f16;
    k->pack_keys_f32 = pack_keys_f32;
    k->pack_values_f16 = pack_values_f16;
    k->pack_values_f32 = pack_values_f32;
    k->exp_row_bf16 = exp_row_bf16;
}
