/* SPDX-License-Identifier: Apache-2.0
 * Products in dot form: against ref at all tails, and the same bits whatever stands beside a result. */
#include "kernels/test_rows.h"

enum { MOST_K = 2100, MOST_M = 300, MOST_N = 23 };

typedef enum product { GEMM_F32, GEMM_F32_F16, GEMM_F32_BF16, GEMM_BF16, PRODUCTS } product;

/* One product in every number format; ldx, ldw, ldy are larger than the rows. */
typedef struct dots_case {
    test_fence fx, fw, fx16, fw16, fh16, fy;
    float *x, *w, *y;
    uint16_t *x16, *w16, *h16; /* bf16, bf16, f16 */
    int64_t m, n, k, ldx, ldw, ldy;
} dots_case;

static dots_case open_case(void)
{
    size_t x = (size_t)MOST_M * (MOST_K + 3) * 4, w = (size_t)MOST_N * (MOST_K + 3) * 4;
    return (dots_case){ .fx = test_fence_open(x),
                        .fw = test_fence_open(w),
                        .fx16 = test_fence_open(x),
                        .fw16 = test_fence_open(w),
                        .fh16 = test_fence_open(w),
                        .fy = test_fence_open((size_t)MOST_M * (MOST_N + 2) * 4) };
}

static void close_case(dots_case *c)
{
    test_fence_close(&c->fx);
    test_fence_close(&c->fw);
    test_fence_close(&c->fx16);
    test_fence_close(&c->fw16);
    test_fence_close(&c->fh16);
    test_fence_close(&c->fy);
}

/* Fills the inputs; the first row and column are so small that each of their products is -0 or just above. */
static void shape_case(dots_case *c, const fj_kernels *ref, int64_t m, int64_t n, int64_t k)
{
    c->m = m, c->n = n, c->k = k, c->ldx = k + 3, c->ldw = k + 1, c->ldy = n + 2;
    int64_t nx = (m - 1) * c->ldx + k, nw = (n - 1) * c->ldw + k;
    c->x = test_floats(&c->fx, nx);
    c->w = test_floats(&c->fw, nw);
    c->y = test_floats(&c->fy, (m - 1) * c->ldy + n);
    c->x16 = test_halves(&c->fx16, nx);
    c->w16 = test_halves(&c->fw16, nw);
    c->h16 = test_halves(&c->fh16, nw);
    test_fill_matrix(c->x, c->ldx, m, k, 1);
    test_fill_matrix(c->w, c->ldw, n, k, 2);
    for (int64_t p = 0; p < k && m > 1 && n > 1; p++)
        c->x[p] = -1e-30f, c->w[p] = 1e-30f;
    ref->f32_to_bf16_row(c->x16, c->x, nx);
    ref->f32_to_bf16_row(c->w16, c->w, nw);
    ref->f32_to_f16_row(c->h16, c->w, nw);
}

/* Rows i0… and columns j0… of the product into y. */
static void run(const fj_kernels *k, product p, const dots_case *c, float *y, int64_t ldy, int64_t i0, int64_t m,
                int64_t j0, int64_t n)
{
    const float *x = c->x + i0 * c->ldx;
    const uint16_t *x16 = c->x16 + i0 * c->ldx;
    int64_t at = j0 * c->ldw;
    if (p == GEMM_F32)
        k->gemm_f32(y, ldy, x, c->ldx, c->w + at, c->ldw, m, n, c->k);
    else if (p == GEMM_F32_F16)
        k->gemm_f32_f16(y, ldy, x, c->ldx, c->h16 + at, c->ldw, m, n, c->k);
    else if (p == GEMM_F32_BF16)
        k->gemm_f32_bf16(y, ldy, x, c->ldx, c->w16 + at, c->ldw, m, n, c->k);
    else
        k->gemm_bf16(y, ldy, x16, c->ldx, c->w16 + at, c->ldw, m, n, c->k);
}

/* Each of k/16 FMAs of a lane, the tree's 4 additions and ref's own last rounding err by half a unit of a partial sum, which is
 * at most the sum of |x w|; VDPBF16PS rounds twice for 32 summands, BFDOT
 * too, to odd, which errs by up to a whole unit. One more covers the squares of these terms. */
static double bound(const fj_kernels *k, product p, const dots_case *c, int64_t i, int64_t j)
{
    double sum = 0;
    for (int64_t q = 0; q < c->k; q++)
        sum += fabs((double)c->x[i * c->ldx + q] * c->w[j * c->ldw + q]) * 1.02; /* 1.02: x and w rounded to bf16 */
    double steps = p == GEMM_BF16 ? ceil((double)c->k / 32) * (k->cpu & FJ_CPU_NEON ? 4 : 2) : ceil((double)c->k / 16);
    return (steps + 6) * test_epsilon * sum;
}

static void check_products(const fj_kernels *ref, const fj_kernels *k, product p, dots_case *c)
{
    float want[17 * 17];
    run(ref, p, c, want, c->n, 0, c->m, 0, c->n);
    for (int64_t i = 0; i < (c->m - 1) * c->ldy + c->n; i++)
        c->y[i] = 12345;
    run(k, p, c, c->y, c->ldy, 0, c->m, 0, c->n);
    for (int64_t i = 0; i < c->m; i++)
        for (int64_t j = 0; j < c->ldy && i * c->ldy + j < (c->m - 1) * c->ldy + c->n; j++) {
            float got = c->y[i * c->ldy + j];
            if (j < c->n)
                CHECK(fabs((double)got - want[i * c->n + j]) <= bound(k, p, c, i, j));
            else
                CHECK(got == 12345);
        }
}

TEST(dot_products_agree_with_the_reference_at_all_tails_and_stay_within_their_rows)
{
    static const int64_t depths[] = { 1, 7, 15, 16, 17, 31, 32, 33, 64, 65, 576, 769 };
    static const int64_t counts[] = { 1, 2, 3, 5, 8, 17 };
    fj_kernels tables[TEST_TABLES];
    int n_tables = test_tables(tables);
    dots_case c = open_case();
    for (size_t d = 0; d < FJ_LEN(depths); d++)
        for (size_t e = 0; e < FJ_LEN(counts) * FJ_LEN(counts); e++) {
            shape_case(&c, &tables[0], counts[e % FJ_LEN(counts)], counts[e / FJ_LEN(counts)], depths[d]);
            for (int t = 0; t < n_tables; t++)
                for (int p = 0; p < PRODUCTS; p++)
                    check_products(&tables[0], &tables[t], (product)p, &c);
        }
    close_case(&c);
}

/* All at once against each result alone: another number of rows and columns, another place in every tile. */
static void check_alone(const fj_kernels *k, product p, const dots_case *c)
{
    run(k, p, c, c->y, c->ldy, 0, c->m, 0, c->n);
    for (int64_t i = 0; i<c->m; i += c->m> 64 ? 31 : 1) {
        float row[MOST_N];
        run(k, p, c, row, c->n, i, 1, 0, c->n);
        CHECK(test_same_bits(row, c->y + i * c->ldy, c->n));
    }
    for (int64_t j = 0; j < c->n; j++) {
        float column[MOST_M], alone;
        run(k, p, c, column, 1, 0, c->m, j, 1);
        for (int64_t i = 0; i < c->m; i++)
            CHECK(test_same_bits(&column[i], &c->y[i * c->ldy + j], 1));
        run(k, p, c, &alone, 1, j % c->m, 1, j, 1);
        CHECK(test_same_bits(&alone, &column[j % c->m], 1));
    }
}

TEST(dot_products_have_the_same_bits_whatever_rows_and_columns_stand_beside_them)
{
    static const int64_t shapes[][3] = { { 2, 2, 17 },     { 5, 8, 33 },     { 9, 7, 576 },
                                         { 37, 23, 769 },  { 17, 6, 1535 },  { 300, 13, 576 },
                                         { 101, 7, 1600 }, { 98, 12, 2079 }, { 10, 6, 31 } };
    fj_kernels tables[TEST_TABLES];
    int n_tables = test_tables(tables);
    dots_case c = open_case();
    for (size_t s = 0; s < FJ_LEN(shapes); s++) {
        shape_case(&c, &tables[0], shapes[s][0], shapes[s][1], shapes[s][2]);
        for (int t = 1; t < n_tables; t++)
            for (int p = 0; p < PRODUCTS; p++)
                check_alone(&tables[t], (product)p, &c);
    }
    close_case(&c);
}

TEST(dot_products_have_the_same_bits_at_every_level)
{
    static const int64_t shapes[][3] = { { 1, 7, 1 }, { 3, 5, 31 }, { 17, 23, 577 }, { 40, 9, 1700 } };
    fj_kernels tables[TEST_TABLES];
    int n_tables = test_tables(tables);
    uint64_t hash = 0;
    dots_case c = open_case();
    for (size_t s = 0; s < FJ_LEN(shapes); s++) {
        int64_t m = shapes[s][0], n = shapes[s][1];
        shape_case(&c, &tables[0], m, n, shapes[s][2]);
        for (int p = 0; p < PRODUCTS && n_tables > 1; p++) {
            float first[40 * MOST_N];
            run(&tables[1], (product)p, &c, first, n, 0, m, 0, n);
            test_hash(&hash, first, (size_t)(m * n) * sizeof *first);
        }
        for (int t = 2; t < n_tables; t++)
            for (int p = 0; p < PRODUCTS; p++) {
                float first[40 * MOST_N], other[40 * MOST_N];
                if (p == GEMM_BF16 && tables[t].cpu & FJ_CPU_BF16)
                    continue; /* instructions for bf16 round in their own way */
                run(&tables[1], (product)p, &c, first, n, 0, m, 0, n);
                run(&tables[t], (product)p, &c, other, n, 0, m, 0, n);
                CHECK(test_same_bits(first, other, m * n));
            }
    }
    if (n_tables > 1)
        assert_int_equal(hash, 0x2a89f0dbed5bb151u);
    close_case(&c);
}

TEST(products_with_half_precision_weights_equal_the_product_with_widened_weights_bit_for_bit)
{
    static const int64_t rows[] = { 1, 5, 20 };
    fj_kernels tables[TEST_TABLES];
    int n_tables = test_tables(tables);
    dots_case c = open_case();
    for (size_t r = 0; r < FJ_LEN(rows); r++) {
        shape_case(&c, &tables[0], rows[r], 13, 801);
        for (int t = 0; t < n_tables; t++) {
            float half[20 * 13], widened[20 * 13];
            int64_t nw = 12 * c.ldw + c.k, m = rows[r];
            const fj_kernels *k = &tables[t];
            run(k, GEMM_F32_F16, &c, half, 13, 0, m, 0, 13);
            k->f16_to_f32_row(c.w, c.h16, nw);
            run(k, GEMM_F32, &c, widened, 13, 0, m, 0, 13);
            CHECK(test_same_bits(half, widened, m * 13));
            run(k, GEMM_F32_BF16, &c, half, 13, 0, m, 0, 13);
            k->bf16_to_f32_row(c.w, c.w16, nw);
            run(k, GEMM_F32, &c, widened, 13, 0, m, 0, 13);
            CHECK(test_same_bits(half, widened, m * 13));
        }
    }
    close_case(&c);
}

TEST(a_product_over_nothing_is_zero)
{
    fj_kernels tables[TEST_TABLES];
    int n_tables = test_tables(tables);
    for (int t = 0; t < n_tables; t++) {
        float y[20 * 7], x = NAN;
        for (int i = 0; i < 20 * 7; i++)
            y[i] = 1;
        tables[t].gemm_f32(y, 7, &x, 0, &x, 0, 20, 7, 0);
        for (int i = 0; i < 20 * 7; i++)
            CHECK(y[i] == 0);
    }
}
