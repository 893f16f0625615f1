/* SPDX-License-Identifier: Apache-2.0
 * Products, as plain as the equation: the oracle of all other versions. Sums in double, in order, rounded once. */
#include "kernels/kernels_internal.h"
#include "quant/quant.h"

static void gemm_f32(float *y, int64_t ldy, const float *x, int64_t ldx, const float *w, int64_t ldw, int64_t m,
                     int64_t n, int64_t k)
{
    for (int64_t i = 0; i < m; i++)
        for (int64_t j = 0; j < n; j++) {
            double sum = 0;
            for (int64_t p = 0; p < k; p++)
                sum += (double)x[i * ldx + p] * w[j * ldw + p];
            y[i * ldy + j] = (float)sum;
        }
}

static void gemm_f32_f16(float *y, int64_t ldy, const float *x, int64_t ldx, const uint16_t *w, int64_t ldw, int64_t m,
                         int64_t n, int64_t k)
{
    for (int64_t i = 0; i < m; i++)
        for (int64_t j = 0; j < n; j++) {
            double sum = 0;
            for (int64_t p = 0; p < k; p++)
                sum += (double)x[i * ldx + p] * fj_f16_to_f32(w[j * ldw + p]);
            y[i * ldy + j] = (float)sum;
        }
}

static void gemm_f32_bf16(float *y, int64_t ldy, const float *x, int64_t ldx, const uint16_t *w, int64_t ldw, int64_t m,
                          int64_t n, int64_t k)
{
    for (int64_t i = 0; i < m; i++)
        for (int64_t j = 0; j < n; j++) {
            double sum = 0;
            for (int64_t p = 0; p < k; p++)
                sum += (double)x[i * ldx + p] * fj_bf16_to_f32(w[j * ldw + p]);
            y[i * ldy + j] = (float)sum;
        }
}

static void gemm_bf16(float *y, int64_t ldy, const uint16_t *x, int64_t ldx, const uint16_t *w, int64_t ldw, int64_t m,
                      int64_t n, int64_t k)
{
    for (int64_t i = 0; i < m; i++)
        for (int64_t j = 0; j < n; j++) {
            double sum = 0;
            for (int64_t p = 0; p < k; p++)
                sum += (double)fj_bf16_to_f32(x[i * ldx + p]) * fj_bf16_to_f32(w[j * ldw + p]);
            y[i * ldy + j] = (float)sum;
        }
}

static void gemm_rows_f32(float *c, int64_t ldc, const float *a, int64_t a_row, int64_t a_col, const float *b,
                          int64_t ldb, int64_t m, int64_t n, int64_t p, bool add)
{
    for (int64_t i = 0; i < m; i++)
        for (int64_t j = 0; j < n; j++) {
            double sum = add ? c[i * ldc + j] : 0;
            for (int64_t q = 0; q < p; q++)
                sum += (double)a[i * a_row + q * a_col] * b[q * ldb + j];
            c[i * ldc + j] = (float)sum;
        }
}

static void pack_pairs_bf16(uint16_t *dst, const uint16_t *b, int64_t ldb, int64_t p, int64_t n)
{
    for (int64_t q = 0; q < p; q += 2)
        for (int64_t j = 0; j < n; j++) {
            dst[q * n + 2 * j] = b[q * ldb + j];
            dst[q * n + 2 * j + 1] = q + 1 < p ? b[(q + 1) * ldb + j] : 0;
        }
}

static void gemm_pairs_bf16(float *c, int64_t ldc, const uint16_t *a, int64_t lda, const uint16_t *b_pairs, int64_t m,
                            int64_t n, int64_t p, bool add)
{
    for (int64_t i = 0; i < m; i++)
        for (int64_t j = 0; j < n; j++) {
            double sum = add ? c[i * ldc + j] : 0;
            for (int64_t q = 0; q < p; q++)
                sum += (double)fj_bf16_to_f32(a[i * lda + q]) * fj_bf16_to_f32(b_pairs[q / 2 * 2 * n + 2 * j + q % 2]);
            c[i * ldc + j] = (float)sum;
        }
}

void fj_kernels_init_gemm_ref(fj_kernels *k)
{
    k->gemm_f32 = gemm_f32;
    k->gemm_f32_f16 = gemm_f32_f16;
    k->gemm_f32_bf16 = gemm_f32_bf16;
    k->gemm_bf16 = gemm_bf16;
    k->gemm_rows_f32 = gemm_rows_f32;
    k->pack_pairs_bf16 = pack_pairs_bf16;
    k->gemm_pairs_bf16 = gemm_pairs_bf16;
}
