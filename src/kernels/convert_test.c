/* SPDX-License-Identifier: Apache-2.0
 * Conversions of rows: every half-precision number, ties, and the ends of the ranges. */
#include "kernels/test_rows.h"

static uint32_t bits_of(float x)
{
    uint32_t bits;
    memcpy(&bits, &x, sizeof bits);
    return bits;
}

static float float_of(uint32_t bits)
{
    float x;
    memcpy(&x, &bits, sizeof x);
    return x;
}

TEST(every_half_precision_number_widens_as_in_the_reference_and_comes_back)
{
    enum { ALL = 1 << 16, ROW = 331 }; /* rows of 331: tails, and every alignment */
    fj_kernels tables[TEST_TABLES];
    int n_tables = test_tables(tables);
    for (int t = 0; t < n_tables; t++)
        for (uint32_t first = 0; first < ALL; first += ROW) {
            uint16_t h[ROW], back[ROW];
            float wide[ROW], want[ROW];
            for (uint32_t i = 0; i < ROW; i++)
                h[i] = (uint16_t)(first + i);
            tables[t].bf16_to_f32_row(wide, h, ROW);
            tables[t].f32_to_bf16_row(back, wide, ROW);
            for (int i = 0; i < ROW; i++) {
                CHECK(bits_of(wide[i]) == (uint32_t)h[i] << 16);
                CHECK(back[i] == h[i] || (isnan(wide[i]) && back[i] == (h[i] | 0x40)));
            }
            tables[0].f16_to_f32_row(want, h, ROW);
            tables[t].f16_to_f32_row(wide, h, ROW);
            tables[t].f32_to_f16_row(back, wide, ROW);
            for (int i = 0; i < ROW; i++) {
                CHECK(wide[i] == want[i] || (isnan(wide[i]) && isnan(want[i])));
                CHECK(back[i] == h[i] || (isnan(wide[i]) && (back[i] & 0x7fff) > 0x7c00));
            }
        }
}

/* Numbers with every exponent, at, just below and just above ties of both formats. */
static float edge(uint32_t i)
{
    static const uint32_t tails[] = { 0, 1, 0x7fff, 0x8000, 0x8001, 0x18000, 0xfff, 0x1000, 0x1001, 0x3000, 0x7fffff };
    return float_of(i / FJ_LEN(tails) << 23 | tails[i % FJ_LEN(tails)]);
}

TEST(narrowing_rounds_to_the_nearest_even_and_keeps_nan_and_infinity)
{
    enum { N = 512 * 11 };
    fj_kernels tables[TEST_TABLES];
    int n_tables = test_tables(tables);
    float x[N];
    uint16_t want[N], got[N];
    for (uint32_t i = 0; i < N; i++)
        x[i] = edge(i);
    for (int t = 0; t < n_tables; t++) {
        tables[0].f32_to_bf16_row(want, x, N);
        tables[t].f32_to_bf16_row(got, x, N);
        for (int i = 0; i < N; i++)
            CHECK(got[i] == want[i] || (isnan(x[i]) && isnan(float_of((uint32_t)got[i] << 16))));
        tables[0].f32_to_f16_row(want, x, N);
        tables[t].f32_to_f16_row(got, x, N);
        for (int i = 0; i < N; i++)
            CHECK(got[i] == want[i] || (isnan(x[i]) && (got[i] & 0x7fff) > 0x7c00));
    }
}

TEST(known_numbers_narrow_to_known_bits)
{
    fj_kernels tables[TEST_TABLES];
    int n_tables = test_tables(tables);
    for (int t = 0; t < n_tables; t++) {
        const float x[] = { 1, 1.00390625f, 1.01171875f, 65504, 65520, 1e-8f, -0.0f };
        uint16_t b[7], h[7];
        tables[t].f32_to_bf16_row(b, x, 7);
        tables[t].f32_to_f16_row(h, x, 7);
        CHECK(b[0] == 0x3f80 && b[1] == 0x3f80 && b[2] == 0x3f82 &&
              b[6] == 0x8000); /* ties: down to even, up to even */
        CHECK(h[0] == 0x3c00 && h[3] == 0x7bff && h[4] == 0x7c00 && h[5] == 0 && h[6] == 0x8000);
    }
}

TEST(conversions_stay_within_their_rows)
{
    fj_kernels tables[TEST_TABLES];
    int n_tables = test_tables(tables);
    test_fence wide = test_fence_open(400), narrow = test_fence_open(400);
    for (int64_t n = 1; n <= 70; n++)
        for (int t = 0; t < n_tables; t++) {
            float *x = test_floats(&wide, n), want[70];
            uint16_t *h = test_halves(&narrow, n);
            test_fill(want, n, 3, 1);
            memcpy(x, want, (size_t)n * sizeof *x);
            x[-1] = 12345, h[-1] = 123;
            tables[t].f32_to_f16_row(h, x, n);
            tables[t].f16_to_f32_row(x, h, n);
            for (int64_t i = 0; i < n; i++)
                CHECK(fabsf(x[i] - want[i]) <= 0x1p-11f * fabsf(want[i]) + 0x1p-25f);
            tables[t].f32_to_bf16_row(h, want, n);
            tables[t].bf16_to_f32_row(x, h, n);
            for (int64_t i = 0; i < n; i++)
                CHECK(fabsf(x[i] - want[i]) <= 0x1p-8f * fabsf(want[i]));
            CHECK(x[-1] == 12345 && h[-1] == 123);
        }
    test_fence_close(&wide);
    test_fence_close(&narrow);
}
