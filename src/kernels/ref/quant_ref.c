/* SPDX-License-Identifier: Apache-2.0
 * int8 products, plainly. Unlike the other references these sum in float: sums of blocks are exact integers and the
 * order of the rest is stated (tile_internal.h), so all levels agree in every bit. */
#include "kernels/kernels_internal.h"
#include "kernels/tile_internal.h"

/* scale = amax/127; q = x * (127/amax) to the nearest, ties to even. */
static void quantize_row_q8(const float *x, fj_q8_block *out, int64_t k)
{
    for (int64_t b = 0; b < k / FJ_BLOCK; b++, x += FJ_BLOCK) {
        fj_q8_block q8 = { 0 };
        uint32_t amax = 0;
        float inverse;
        for (int i = 0; i < FJ_BLOCK; i++) {
            uint32_t bits = fj_load_u32(x + i) & 0x7fffffffu;
            amax = bits > amax ? bits : amax;
        }
        if (fj_q8_scale(amax, &q8.scale, &inverse))
            for (int i = 0; i < FJ_BLOCK; i++) {
                q8.q[i] = (int8_t)lrintf(x[i] * inverse);
                q8.sum[i / 16] = (int16_t)(q8.sum[i / 16] + q8.q[i]);
            }
        memcpy(out + b, &q8, sizeof q8);
    }
}

/* acc plus one block's share of one output. */
FJ_INLINE float add_block(fj_form f, const fj_q8_block *x, const int code[FJ_BLOCK], const float scale[2], float min,
                          float acc)
{
    int32_t sum[2] = { 0, 0 };
    for (int i = 0; i < FJ_BLOCK; i++)
        sum[i / 16] += code[i] * x->q[i];
    if (f.is_super && !f.has_min)
        return fmaf(fmaf((float)sum[1], scale[1], (float)sum[0] * scale[0]), x->scale, acc);
    acc = fmaf((float)(sum[0] + sum[1]), scale[0] * x->scale, acc);
    return f.has_min ? fmaf(min, x->scale * (float)(x->sum[0] + x->sum[1]), acc) : acc;
}

FJ_INLINE void gemm(fj_form f, float *y, int64_t ldy, const uint8_t *x, size_t x_bytes, const uint8_t *tiles, int64_t m,
                    int64_t n, int64_t k)
{
    size_t tile_bytes = fj_tile_size(f, k);
    for (int64_t j = 0; j < n; j++) {
        const uint8_t *tile = tiles + (size_t)(j / FJ_TILE_ROWS) * tile_bytes;
        int r = (int)(j % FJ_TILE_ROWS);
        for (int64_t i = 0; i < m; i++)
            y[i * ldy + j] = 0;
        for (int64_t b = 0; b < k / FJ_BLOCK; b++) {
            uint32_t group[8];
            int code[FJ_BLOCK];
            float scale[2], min;
            fj_codes_get(f, tile + fj_block_at(f, b) + fj_block_head(f), r, group);
            for (int i = 0; i < FJ_BLOCK; i++)
                code[i] = (int)(group[i / 4] >> (8 * (i % 4)) & 255) - f.offset;
            fj_block_scales(f, tile, b, r, scale, &min);
            for (int64_t i = 0; i < m; i++) {
                fj_q8_block q8;
                memcpy(&q8, x + (size_t)i * x_bytes + (size_t)b * sizeof q8, sizeof q8);
                y[i * ldy + j] = add_block(f, &q8, code, scale, min, y[i * ldy + j]);
            }
        }
    }
}

static void gemm_q8_0(float *y, int64_t ldy, const void *x, size_t x_bytes, const void *tiles, int64_t m, int64_t n,
                      int64_t k)
{
    gemm(fj_forms[FJ_ROW_Q8_0], y, ldy, x, x_bytes, tiles, m, n, k);
}

static void gemm_q4_0(float *y, int64_t ldy, const void *x, size_t x_bytes, const void *tiles, int64_t m, int64_t n,
                      int64_t k)
{
    gemm(fj_forms[FJ_ROW_Q4_0], y, ldy, x, x_bytes, tiles, m, n, k);
}

static void gemm_q4_1(float *y, int64_t ldy, const void *x, size_t x_bytes, const void *tiles, int64_t m, int64_t n,
                      int64_t k)
{
    gemm(fj_forms[FJ_ROW_Q4_1], y, ldy, x, x_bytes, tiles, m, n, k);
}

static void gemm_q5_0(float *y, int64_t ldy, const void *x, size_t x_bytes, const void *tiles, int64_t m, int64_t n,
                      int64_t k)
{
    gemm(fj_forms[FJ_ROW_Q5_0], y, ldy, x, x_bytes, tiles, m, n, k);
}

static void gemm_q5_1(float *y, int64_t ldy, const void *x, size_t x_bytes, const void *tiles, int64_t m, int64_t n,
                      int64_t k)
{
    gemm(fj_forms[FJ_ROW_Q5_1], y, ldy, x, x_bytes, tiles, m, n, k);
}

static void gemm_q4_k(float *y, int64_t ldy, const void *x, size_t x_bytes, const void *tiles, int64_t m, int64_t n,
                      int64_t k)
{
    gemm(fj_forms[FJ_ROW_Q4_K], y, ldy, x, x_bytes, tiles, m, n, k);
}

static void gemm_q5_k(float *y, int64_t ldy, const void *x, size_t x_bytes, const void *tiles, int64_t m, int64_t n,
                      int64_t k)
{
    gemm(fj_forms[FJ_ROW_Q5_K], y, ldy, x, x_bytes, tiles, m, n, k);
}

static void gemm_q6_k(float *y, int64_t ldy, const void *x, size_t x_bytes, const void *tiles, int64_t m, int64_t n,
                      int64_t k)
{
    gemm(fj_forms[FJ_ROW_Q6_K], y, ldy, x, x_bytes, tiles, m, n, k);
}

void fj_kernels_init_quant_ref(fj_kernels *k)
{
    static fj_gemm_q_fn *const gemms[FJ_PACK_TYPES] = {
        [FJ_ROW_Q8_0] = gemm_q8_0, [FJ_ROW_Q4_0] = gemm_q4_0, [FJ_ROW_Q4_1] = gemm_q4_1, [FJ_ROW_Q5_0] = gemm_q5_0,
        [FJ_ROW_Q5_1] = gemm_q5_1, [FJ_ROW_Q4_K] = gemm_q4_k, [FJ_ROW_Q5_K] = gemm_q5_k, [FJ_ROW_Q6_K] = gemm_q6_k,
    };
    k->quantize_row_q8 = quantize_row_q8;
    for (int i = 0; i < FJ_PACK_TYPES; i++)
        k->gemm_q[i] = gemms[i];
}
