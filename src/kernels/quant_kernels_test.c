/* SPDX-License-Identifier: Apache-2.0
 * int8 products, decoding and quantized activations: every level against ref, ref against arithmetic in double. */
#include <float.h>
#include <stdlib.h>

#include "kernels/test_blocks.h"

enum { MOST_M = 17, MOST_N = 64, MOST_K = 12544, LD_Y = MOST_N + 3 };

/* A product: random weights of one type and quantized activations, both ending at a fence. */
typedef struct product {
    const fj_pack *pack;
    int index;
    int64_t m, n, k;
    size_t x_bytes, row_bytes;
    uint8_t *rows, *tiles, *x;
    test_fence tile_fence, x_fence;
} product;

static product product_open(int index, int64_t m, int64_t n, int64_t k)
{
    product p = { .pack = fj_packs[index], .index = index, .m = m, .n = n, .k = k };
    int64_t n_tiles = (n + 15) / 16;
    size_t tile_bytes = p.pack->tile_bytes(k);
    p.row_bytes = test_row_bytes(p.pack->dtype, k);
    p.x_bytes = (size_t)(k / 32) * sizeof(fj_q8_block);
    p.rows = malloc((size_t)n * p.row_bytes);
    p.tile_fence = test_fence_open((size_t)n_tiles * tile_bytes);
    p.x_fence = test_fence_open((size_t)m * p.x_bytes);
    p.tiles = (uint8_t *)p.tile_fence.pages + p.tile_fence.size - (size_t)n_tiles * tile_bytes;
    p.x = (uint8_t *)p.x_fence.pages + p.x_fence.size - (size_t)m * p.x_bytes;
    CHECK(p.rows != NULL);
    test_fill_blocks(p.pack->dtype, p.rows, (size_t)n * p.row_bytes, (uint32_t)k);
    for (int64_t t = 0; t < n_tiles; t++)
        p.pack->pack(p.rows + (size_t)(16 * t) * p.row_bytes, p.row_bytes, (int)(n - 16 * t < 16 ? n - 16 * t : 16), k,
                     p.tiles + (size_t)t * tile_bytes);
    fj_kernels ref;
    fj_kernels_init(&ref, 0);
    float *row = malloc((size_t)k * sizeof *row);
    CHECK(row != NULL);
    for (int64_t i = 0; i < m; i++) {
        test_fill(row, k, (uint64_t)(100 + i), 1.0f);
        ref.quantize_row_q8(row, (fj_q8_block *)(void *)(p.x + (size_t)i * p.x_bytes), k);
    }
    free(row);
    return p;
}

static void product_close(product *p)
{
    free(p->rows);
    test_fence_close(&p->tile_fence);
    test_fence_close(&p->x_fence);
}

static void run(const fj_kernels *k, const product *p, float *y, int64_t m, int64_t n)
{
    for (int64_t i = 0; i < m * LD_Y; i++)
        y[i] = -77;
    k->gemm_q[p->index](y, LD_Y, p->x, p->x_bytes, p->tiles, m, n, p->k);
}

/* The first m rows and n columns as in want, everything else untouched. */
static bool agrees(const float *y, const float *want, int64_t m, int64_t n)
{
    for (int64_t i = 0; i < m; i++) {
        if (!test_same_bits(y + i * LD_Y, want + i * LD_Y, n))
            return false;
        for (int64_t j = n; j < LD_Y; j++)
            if (y[i * LD_Y + j] != -77)
                return false;
    }
    return true;
}

TEST(int8_products_have_the_bits_of_the_reference_at_every_level_and_size)
{
    static const int64_t ks[] = { 32, 64, 96, 256, 512, 576, 768 };
    static const int64_t ms[] = { 1, 2, 3, 4, 5, 8, 9, 12, 13, 17 }, ns[] = { 1, 15, 16, 17, 33, 64 };
    static float want[MOST_M * LD_Y], y[MOST_M * LD_Y];
    fj_kernels tables[TEST_TABLES];
    int n_tables = test_tables(tables);
    for (int type = 0; type < FJ_PACK_TYPES; type++)
        for (size_t s = 0; s < sizeof ks / sizeof *ks; s++) {
            if (ks[s] % fj_packs[type]->dtype->block_len != 0)
                continue;
            product p = product_open(type, MOST_M, MOST_N, ks[s]);
            run(&tables[0], &p, want, MOST_M, MOST_N);
            for (int t = 1; t < n_tables; t++)
                for (size_t a = 0; a < sizeof ms / sizeof *ms; a++)
                    for (size_t b = 0; b < sizeof ns / sizeof *ns; b++) {
                        run(&tables[t], &p, y, ms[a], ns[b]);
                        CHECK(agrees(y, want, ms[a], ns[b]));
                    }
            product_close(&p);
        }
}

/* Longer than the panels of 12, 4 and 1 rows, and more tiles than one run holds. */
TEST(long_rows_are_summed_in_the_same_order)
{
    static const int64_t sizes[][3] = {
        { 13, 17, 1280 }, { 12, 33, 2304 }, { 4, 17, 3328 }, { 1, 40, MOST_K }, { 2, 64, 6400 }
    };
    static float want[MOST_M * LD_Y], y[MOST_M * LD_Y];
    fj_kernels tables[TEST_TABLES];
    int n_tables = test_tables(tables);
    for (int type = 0; type < FJ_PACK_TYPES; type++)
        for (size_t s = 0; s < sizeof sizes / sizeof *sizes; s++) {
            product p = product_open(type, sizes[s][0], sizes[s][1], sizes[s][2]);
            run(&tables[0], &p, want, p.m, p.n);
            for (int t = 1; t < n_tables; t++) {
                run(&tables[t], &p, y, p.m, p.n);
                CHECK(agrees(y, want, p.m, p.n));
            }
            product_close(&p);
        }
}

TEST(a_row_of_an_int8_product_has_its_bits_wherever_it_stands)
{
    static float all[MOST_M * LD_Y], one[MOST_M * LD_Y];
    fj_kernels tables[TEST_TABLES];
    int n_tables = test_tables(tables);
    for (int type = 0; type < FJ_PACK_TYPES; type++) {
        product p = product_open(type, MOST_M, MOST_N, 512);
        for (int t = 0; t < n_tables; t++) {
            run(&tables[t], &p, all, MOST_M, MOST_N);
            for (int64_t i = 0; i < MOST_M; i++)
                for (int64_t tile = 0; tile < MOST_N / 16; tile++) {
                    tables[t].gemm_q[type](one, LD_Y, p.x + (size_t)i * p.x_bytes, p.x_bytes,
                                           p.tiles + (size_t)tile * p.pack->tile_bytes(512), 1, 11, 512);
                    CHECK(test_same_bits(one, all + i * LD_Y + 16 * tile, 11));
                }
        }
        product_close(&p);
    }
}

/* The exact product of decoded weights and quantized activations, and the largest that a partial sum can be. */
static double exact_product(const product *p, const float *w, const fj_q8_block *x, int64_t j, double *magnitude)
{
    fj_form form = fj_forms[p->index];
    const uint8_t *tile = p->tiles + (size_t)(j / 16) * p->pack->tile_bytes(p->k);
    double sum = 0, largest = form.book ? 127 : form.offset ? form.offset : (1 << form.bits) - 1;
    *magnitude = 0;
    for (int64_t b = 0; b < p->k / 32; b++) {
        float scale[2], min[2];
        fj_block_scales(form, tile, b, (int)(j % 16), scale, min);
        for (int i = 0; i < 32; i++) {
            double value = (double)x[b].scale * x[b].q[i];
            sum += value * (double)w[b * 32 + i];
            *magnitude += fabs(value) * (largest * fabs((double)scale[i / 16]) + fabs((double)min[i / 16]));
        }
    }
    return sum;
}

/* Each block adds one to three terms: a rounding of each sum, and at most three of each term (scales, their product,
 * the halves); the decoded weight of a type with minimums was rounded once itself, that of INT8 twice. */
TEST(int8_products_are_those_of_decoded_weights_and_quantized_activations)
{
    const int64_t m = 3, n = 33, k = 768;
    static float y[MOST_M * LD_Y], w[768];
    fj_kernels tables[TEST_TABLES];
    int n_tables = test_tables(tables);
    for (int type = 0; type < FJ_PACK_TYPES; type++) {
        product p = product_open(type, m, n, k);
        for (int t = 0; t < n_tables; t++) {
            run(&tables[t], &p, y, m, n);
            for (int64_t j = 0; j < n; j++) {
                fj_quant_of(p.pack->dtype)->decode(p.rows + (size_t)j * p.row_bytes, w, k);
                for (int64_t i = 0; i < m; i++) {
                    double magnitude;
                    double want = exact_product(&p, w, (const fj_q8_block *)(void *)(p.x + (size_t)i * p.x_bytes), j,
                                                &magnitude);
                    CHECK(fabs((double)y[i * LD_Y + j] - want) <=
                          (3.0 * k / 32 + 4) * (double)test_epsilon * magnitude);
                }
            }
        }
        product_close(&p);
    }
}

/* Blocks of one byte, with scales of 1 where the form has them apart from codes. */
static void fill_extreme(int type, int byte, uint8_t *row, size_t size)
{
    static const uint8_t ones[4] = { 0x00, 0x3c, 0x00, 0x3c };
    static const float unit = 1;
    const fj_dtype *dtype = fj_packs[type]->dtype;
    memset(row, byte, size);
    if ((type == FJ_ROW_Q8_0 || type == FJ_ROW_INT8) && byte == 0xff)
        memset(row, 0x80, size); /* -128 */
    for (size_t at = 0; at + (size_t)dtype->block_bytes <= test_row_bytes(dtype, 256);
         at += (size_t)dtype->block_bytes) {
        uint8_t *block = row + at;
        if (type == FJ_ROW_MXFP4)
            block[0] = 128;
        else if (type == FJ_ROW_INT8)
            memcpy(block, &unit, sizeof unit);
        else if (type == FJ_ROW_IQ1_M)
            block[55] = (uint8_t)((block[55] & 15) | 0x30), block[53] = (uint8_t)((block[53] & 15) | 0xc0);
        else
            memcpy(block + test_half_at(type), ones, fj_forms[type].top == FJ_TOP_HALF_MIN ? 4 : 2);
        if (test_has_zero(type))
            block[2] = block[3] = 0;
    }
}

/* The largest codes against the largest activations: 16-bit sums that saturate would show. The reference is exact where
 * scales are 1, and near the decoded product for INT8 (thirds of a rounding) and IQ1_M (d is not 1); all levels have its bits. */
TEST(int8_products_of_extreme_codes_do_not_saturate)
{
    fj_kernels tables[TEST_TABLES];
    int n_tables = test_tables(tables);
    for (int type = 0; type < FJ_PACK_TYPES; type++)
        for (int byte = 0x00; byte <= 0xff; byte += byte == 0 ? 0x7f : 0x80)
            for (int sign = -1; sign <= 1; sign += 2) {
                const fj_dtype *dtype = fj_packs[type]->dtype;
                uint8_t row[512], tile[16 * 512];
                float x[256], w[256], y[2] = { 0, 0 }, first = 0;
                fj_q8_block q8[8];
                double want = 0;
                fill_extreme(type, byte, row, sizeof row);
                for (int i = 0; i < 256; i++)
                    x[i] = (float)(127 * sign);
                fj_packs[type]->pack(row, sizeof row, 1, 256, tile);
                fj_quant_of(dtype)->decode(row, w, 256);
                for (int i = 0; i < 256; i++)
                    want += (double)w[i] * (double)x[i];
                for (int t = 0; t < n_tables; t++) {
                    tables[t].quantize_row_q8(x, q8, 256);
                    tables[t].gemm_q[type](y, 1, q8, sizeof q8, tile, 1, 1, 256);
                    first = t == 0 ? y[0] : first;
                    CHECK(y[0] == first && y[1] == 0);
                    CHECK(fabs((double)y[0] - want) <=
                          (type == FJ_ROW_INT8 || type == FJ_ROW_IQ1_M ? 32 * (double)test_epsilon * fabs(want) : 0));
                }
            }
}

TEST(decoding_has_the_bits_of_decode_at_every_level)
{
    static uint8_t blocks[4096];
    static float want[1536], got[1536 + TEST_GUARD];
    fj_kernels tables[TEST_TABLES];
    int n_tables = test_tables(tables);
    test_fence fence = test_fence_open(sizeof blocks);
    for (int type = 0; type < FJ_PACK_TYPES; type++) {
        const fj_dtype *dtype = fj_packs[type]->dtype;
        for (int64_t n = dtype->block_len; n <= 5 * dtype->block_len; n += dtype->block_len) {
            size_t bytes = test_row_bytes(dtype, n);
            uint8_t *src = (uint8_t *)fence.pages + fence.size - bytes;
            test_fill_blocks(dtype, src, bytes, (uint32_t)n);
            fj_quant_of(dtype)->decode(src, want, n);
            memcpy(blocks + 1, src, bytes);
            for (int t = 0; t < n_tables; t++)
                for (int shift = 0; shift < 2; shift++) {
                    test_guard_put(got + shift + n);
                    tables[t].decode_row[type](shift ? blocks + 1 : src, got + shift, n);
                    CHECK(test_same_bits(got + shift, want, n));
                    CHECK(test_guard_ok(got + shift + n));
                }
        }
    }
    test_fence_close(&fence);
}

static void check_block(const fj_q8_block *q8, const float *x)
{
    float amax = 0;
    int sum[2] = { 0, 0 };
    for (int i = 0; i < 32; i++)
        amax = fmaxf(amax, fabsf(x[i]));
    CHECK(q8->scale == amax / 127);
    for (int i = 0; i < 32; i++) {
        double off = (double)x[i] - (double)q8->q[i] * (double)q8->scale;
        CHECK(fabs(off) <= (0.5 + 127 * 3 * (double)test_epsilon) * (double)q8->scale);
        sum[i / 16] += q8->q[i];
    }
    CHECK(q8->sum[0] == sum[0] && q8->sum[1] == sum[1]);
}

TEST(activations_are_rounded_to_the_nearest_at_every_level)
{
    enum { K = 32 * 40 };
    static const float scales[] = { 1, 1e-6f, 1e-28f, 3e38f };
    fj_q8_block want[40], got[41];
    fj_kernels tables[TEST_TABLES];
    int n_tables = test_tables(tables);
    test_fence fence = test_fence_open(K * sizeof(float));
    float *x = test_floats(&fence, K);
    for (size_t s = 0; s < sizeof scales / sizeof *scales; s++) {
        test_fill(x, K, 5 + s, 1);
        for (int i = 0; i < K; i++)
            x[i] = i < 64 ? (float)(i - 32) * 0.5f * 127 / 16 : x[i]; /* ties */
        for (int i = 0; i < K; i++)
            x[i] = fmaxf(-1, fminf(1, x[i] / (i < 64 ? 127 : 4))) * scales[s];
        for (int t = 0; t < n_tables; t++) {
            memset(got, 0x33, sizeof got);
            tables[t].quantize_row_q8(x, got, K);
            if (t == 0)
                memcpy(want, got, sizeof want);
            CHECK(memcmp(got, want, sizeof want) == 0);
            CHECK(got[40].q[0] == 0x33 && got[40].sum[0] == 0x3333);
        }
        for (int b = 0; b < 40; b++)
            check_block(&want[b], x + 32 * b);
    }
    test_fence_close(&fence);
}

TEST(a_block_of_activations_that_is_not_finite_shows_in_every_product)
{
    static const float odd[] = { NAN, INFINITY, -INFINITY };
    fj_kernels tables[TEST_TABLES];
    int n_tables = test_tables(tables);
    for (int t = 0; t < n_tables; t++)
        for (size_t s = 0; s < sizeof odd / sizeof *odd; s++) {
            float x[64] = { 1, 2, 3 }, y[1] = { 0 };
            uint8_t row[2][34] = { { 0 } }, tile[2048];
            fj_q8_block q8[2];
            x[40] = odd[s];
            fj_pack_q8_0.pack(row, sizeof row, 1, 64, tile);
            tables[t].quantize_row_q8(x, q8, 64);
            CHECK(q8[0].scale == 3.0f / 127 && isnan(q8[1].scale));
            for (int i = 0; i < 32; i++)
                CHECK(q8[1].q[i] == 0);
            tables[t].gemm_q[FJ_ROW_Q8_0](y, 1, q8, sizeof q8, tile, 1, 1, 64);
            CHECK(isnan(y[0]));
        }
}

TEST(activations_of_zero_or_next_to_nothing_become_zeros)
{
    fj_kernels tables[TEST_TABLES];
    int n_tables = test_tables(tables);
    for (int t = 0; t < n_tables; t++) {
        float x[64] = { [33] = 1e-40f, [50] = -FLT_MIN };
        fj_q8_block got[2];
        const fj_q8_block zero = { 0 };
        memset(got, 0x33, sizeof got);
        tables[t].quantize_row_q8(x, got, 64);
        CHECK(memcmp(&got[0], &zero, sizeof zero) == 0 && memcmp(&got[1], &zero, sizeof zero) == 0);
    }
}
