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
FJ_INLINE float add_block(fj_form f, const fj_q8_block *x, const int code[FJ_BLOCK], const float scale[2],
                          const float min[2], float acc)
{
    int32_t sum[2] = { 0, 0 };
    for (int i = 0; i < FJ_BLOCK; i++)
        sum[i / 16] += code[i] * x->q[i];
    if (fj_has_halves(f))
        acc = fmaf(fmaf((float)sum[1], scale[1], (float)sum[0] * scale[0]), x->scale, acc);
    else
        acc = fmaf((float)(sum[0] + sum[1]), scale[0] * x->scale, acc);
    if (fj_has_min(f) && !fj_has_half_mins(f))
        return fmaf(min[0], x->scale * (float)(x->sum[0] + x->sum[1]), acc);
    for (int h = 0; fj_has_half_mins(f) && h < 2; h++)
        acc = fmaf(min[h], x->scale * (float)x->sum[h], acc);
    return acc;
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
            float scale[2], min[2];
            fj_codes_get(f, tile + fj_block_at(f, b) + fj_sub_bytes(f), r, group);
            for (int i = 0; i < FJ_BLOCK; i++)
                code[i] = fj_code_value(f, (uint8_t)(group[i / 4] >> (8 * (i % 4))));
            fj_block_scales(f, tile, b, r, scale, min);
            if (f.sub == FJ_SUB_NIBBLES) {
                const uint8_t *sub = tile + fj_block_at(f, b);
                scale[0] = fj_top_scale(f, tile + fj_super_at(f, b), r);
                for (int i = 0; i < FJ_BLOCK; i++)
                    code[i] *= sub[16 * (i / 16) + r] & 15;
            }
            for (int64_t i = 0; i < m; i++) {
                fj_q8_block q8;
                memcpy(&q8, x + (size_t)i * x_bytes + (size_t)b * sizeof q8, sizeof q8);
                y[i * ldy + j] = add_block(f, &q8, code, scale, min, y[i * ldy + j]);
            }
        }
    }
}

#define REF_GEMM(TYPE, TILE)                                                                                    \
    static void gemm_##TYPE(float *y, int64_t ldy, const void *x, size_t x_bytes, const void *tiles, int64_t m, \
                            int64_t n, int64_t k)                                                               \
    {                                                                                                           \
        gemm(fj_forms[FJ_ROW_##TYPE], y, ldy, x, x_bytes, tiles, m, n, k);                                      \
    }
FJ_EACH_PACK(REF_GEMM)

void fj_kernels_init_quant_ref(fj_kernels *k)
{
    k->quantize_row_q8 = quantize_row_q8;
    FJ_EACH_PACK(FJ_GEMM_ROW)
}
