/* SPDX-License-Identifier: Apache-2.0
 * Products in row form: against ref at all tails, and the same bits whatever stands beside a result. */
#include "kernels/test_rows.h"

enum { MOST_M = 200, MOST_N = 600, MOST_P = 300 };

/* How a is laid out: rows of dy for dx, rows of dy read as columns for dW, bf16 rows with b in pairs. */
typedef enum form { FORM_ROWS, FORM_COLUMNS, FORM_PAIRS, FORMS } form;

typedef struct rows_case {
    test_fence fa, fb, fa16, fpairs, fc;
    float *a[2], *b, *c; /* a as rows and as columns: the same numbers */
    uint16_t *a16, *b16, *pairs;
    int64_t m, n, p, lda, ldt, ldb, ldc;
    test_fence ft, fb16;
} rows_case;

static rows_case open_case(void)
{
    size_t a = (size_t)(MOST_M + 3) * (MOST_P + 3) * 4, b = (size_t)(MOST_P + 1) * (MOST_N + 3) * 4;
    return (rows_case){ .fa = test_fence_open(a),
                        .ft = test_fence_open(a),
                        .fa16 = test_fence_open(a),
                        .fb = test_fence_open(b),
                        .fb16 = test_fence_open(b),
                        .fpairs = test_fence_open(b),
                        .fc = test_fence_open((size_t)MOST_M * (MOST_N + 3) * 4) };
}

static void close_case(rows_case *c)
{
    test_fence_close(&c->fa);
    test_fence_close(&c->ft);
    test_fence_close(&c->fa16);
    test_fence_close(&c->fb);
    test_fence_close(&c->fb16);
    test_fence_close(&c->fpairs);
    test_fence_close(&c->fc);
}

static void shape_case(rows_case *c, const fj_kernels *ref, int64_t m, int64_t n, int64_t p)
{
    c->m = m, c->n = n, c->p = p, c->lda = p + 3, c->ldt = m + 1, c->ldb = n + 2, c->ldc = n + 3;
    int64_t na = (m - 1) * c->lda + p, nb = (p - 1) * c->ldb + n;
    c->a[0] = test_floats(&c->fa, na);
    c->a[1] = test_floats(&c->ft, (p - 1) * c->ldt + m);
    c->b = test_floats(&c->fb, nb);
    c->c = test_floats(&c->fc, (m - 1) * c->ldc + n);
    c->a16 = test_halves(&c->fa16, na);
    c->b16 = test_halves(&c->fb16, nb);
    c->pairs = test_halves(&c->fpairs, (p + 1) / 2 * 2 * n);
    test_fill_matrix(c->a[0], c->lda, m, p, 3);
    test_fill_matrix(c->b, c->ldb, p, n, 4);
    for (int64_t i = 0; i < m; i++)
        for (int64_t q = 0; q < p; q++)
            c->a[1][q * c->ldt + i] = c->a[0][i * c->lda + q];
    ref->f32_to_bf16_row(c->a16, c->a[0], na);
    ref->f32_to_bf16_row(c->b16, c->b, nb);
    ref->pack_pairs_bf16(c->pairs, c->b16, c->ldb, p, n);
}

/* What c holds before: the same number at the same place, so that parts can be compared. */
static float before(int64_t i, int64_t j)
{
    return (float)(i % 7) - 0.25f * (float)(j % 11);
}

/* Rows i0 … i0 + m of the product into y, all columns; f32 forms also take a part of the columns. */
static void run(const fj_kernels *k, form f, const rows_case *c, float *y, int64_t ldy, int64_t i0, int64_t m,
                int64_t j0, int64_t n, bool add)
{
    for (int64_t i = 0; i < m; i++)
        for (int64_t j = 0; j < n; j++)
            y[i * ldy + j] = add ? before(i0 + i, j0 + j) : NAN;
    if (f == FORM_ROWS)
        k->gemm_rows_f32(y, ldy, c->a[0] + i0 * c->lda, c->lda, 1, c->b + j0, c->ldb, m, n, c->p, add);
    else if (f == FORM_COLUMNS)
        k->gemm_rows_f32(y, ldy, c->a[1] + i0, 1, c->ldt, c->b + j0, c->ldb, m, n, c->p, add);
    else
        k->gemm_pairs_bf16(y, ldy, c->a16 + i0 * c->lda, c->lda, c->pairs, m, n, c->p, add);
}

/* p FMAs and ref's last rounding, each half a unit of a partial sum, at most |c| + sum |a b|. BFDOT rounds
 * to odd twice for a pair, which errs by up to a whole unit each time. */
static double bound(const fj_kernels *k, form f, const rows_case *c, int64_t i, int64_t j)
{
    double sum = fabs(before(i, j));
    for (int64_t q = 0; q < c->p; q++)
        sum += fabs((double)c->a[0][i * c->lda + q] * c->b[q * c->ldb + j]) * 1.02;
    double steps = (double)c->p * (f == FORM_PAIRS && k->cpu & FJ_CPU_NEON ? 2 : 1);
    return (steps + 3) * test_epsilon * sum;
}

static void check_products(const fj_kernels *ref, const fj_kernels *k, form f, rows_case *c, bool add)
{
    static const float guard = 12345;
    float want[50 * 150];
    run(ref, f, c, want, c->n, 0, c->m, 0, c->n, add);
    for (int64_t i = 0; i < (c->m - 1) * c->ldc + c->n; i++)
        c->c[i] = guard;
    run(k, f, c, c->c, c->ldc, 0, c->m, 0, c->n, add);
    for (int64_t i = 0; i < c->m; i++) {
        for (int64_t j = 0; j < c->n; j++)
            CHECK(fabs((double)c->c[i * c->ldc + j] - want[i * c->n + j]) <= bound(k, f, c, i, j));
        for (int64_t j = c->n; j < c->ldc && i + 1 < c->m; j++)
            CHECK(c->c[i * c->ldc + j] == guard);
    }
}

TEST(row_products_agree_with_the_reference_at_all_tails_and_stay_within_their_rows)
{
    static const int64_t depths[] = { 1, 2, 7, 17, 130 }, widths[] = { 1, 2, 5, 8, 16, 17, 64, 65, 150 };
    static const int64_t heights[] = { 1, 2, 3, 5, 8, 17, 50 };
    fj_kernels tables[TEST_TABLES];
    int n_tables = test_tables(tables);
    rows_case c = open_case();
    for (size_t e = 0; e < FJ_LEN(depths) * FJ_LEN(widths) * FJ_LEN(heights); e++) {
        size_t d = e % FJ_LEN(depths), w = e / FJ_LEN(depths) % FJ_LEN(widths), h = e / FJ_LEN(depths) / FJ_LEN(widths);
        shape_case(&c, &tables[0], heights[h], widths[w], depths[d]);
        for (int t = 0; t < n_tables; t++)
            for (int f = 0; f < FORMS; f++)
                check_products(&tables[0], &tables[t], (form)f, &c, (e + (size_t)f) % 2);
    }
    close_case(&c);
}

static void check_alone(const fj_kernels *k, form f, const rows_case *c, bool add)
{
    static const int64_t from[] = { 0, 1, 17, 63 };
    run(k, f, c, c->c, c->ldc, 0, c->m, 0, c->n, add);
    for (int64_t i = 0; i<c->m; i += c->m> 64 ? 17 : 1) {
        float row[MOST_N];
        run(k, f, c, row, c->n, i, 1, 0, c->n, add);
        CHECK(test_same_bits(row, c->c + i * c->ldc, c->n));
        for (size_t s = 0; s < FJ_LEN(from) && f != FORM_PAIRS; s++) {
            int64_t j = from[s] % c->n, n = FJ_MIN(c->n - j, 21);
            run(k, f, c, row, n, i, 1, j, n, add);
            CHECK(test_same_bits(row, c->c + i * c->ldc + j, n));
        }
    }
}

TEST(row_products_have_the_same_bits_whatever_rows_and_columns_stand_beside_them)
{
    static const int64_t shapes[][3] = { { 3, 5, 7 },      { 8, 64, 31 },    { 50, 100, 129 },
                                         { 13, 300, 257 }, { 200, 65, 300 }, { 49, 600, 130 } };
    fj_kernels tables[TEST_TABLES];
    int n_tables = test_tables(tables);
    rows_case c = open_case();
    for (size_t s = 0; s < FJ_LEN(shapes); s++) {
        shape_case(&c, &tables[0], shapes[s][0], shapes[s][1], shapes[s][2]);
        for (int t = 1; t < n_tables; t++)
            for (int f = 0; f < FORMS; f++)
                check_alone(&tables[t], (form)f, &c, s % 2);
    }
    close_case(&c);
}

TEST(row_products_have_the_same_bits_at_every_level_and_for_both_layouts_of_a)
{
    fj_kernels tables[TEST_TABLES];
    int n_tables = test_tables(tables);
    uint64_t hash = 0;
    rows_case c = open_case();
    shape_case(&c, &tables[0], 49, 100, 131);
    for (int f = 0; f < FORMS && n_tables > 1; f++) {
        float first[49 * 100];
        run(&tables[1], (form)f, &c, first, 100, 0, 49, 0, 100, true);
        test_hash(&hash, first, sizeof first);
    }
    if (n_tables > 1)
        assert_int_equal(hash, 0x3c0ce2182b5bc5a8u);
    for (int t = 2; t < n_tables; t++)
        for (int f = 0; f < FORMS; f++) {
            float first[49 * 100], other[49 * 100];
            if (f == FORM_PAIRS && tables[t].cpu & FJ_CPU_BF16)
                continue; /* instructions for bf16 round in their own way */
            run(&tables[1], f == FORM_PAIRS ? FORM_PAIRS : FORM_ROWS, &c, first, 100, 0, 49, 0, 100, true);
            run(&tables[t], (form)f, &c, other, 100, 0, 49, 0, 100, true);
            CHECK(test_same_bits(first, other, 49 * 100));
        }
    close_case(&c);
}

TEST(a_row_product_over_nothing_clears_or_keeps_c)
{
    fj_kernels tables[TEST_TABLES];
    int n_tables = test_tables(tables);
    for (int t = 0; t < n_tables; t++) {
        float c[60], nothing = NAN;
        for (int i = 0; i < 60; i++)
            c[i] = 3;
        tables[t].gemm_rows_f32(c, 20, &nothing, 0, 1, &nothing, 20, 3, 20, 0, true);
        CHECK(c[0] == 3 && c[59] == 3);
        tables[t].gemm_rows_f32(c, 20, &nothing, 0, 1, &nothing, 20, 3, 20, 0, false);
        CHECK(c[0] == 0 && c[59] == 0);
    }
}

TEST(pairs_are_packed_with_a_zero_where_the_last_row_is_missing)
{
    static const int64_t widths[] = { 1, 2, 15, 16, 17, 33, 65 };
    fj_kernels tables[TEST_TABLES];
    int n_tables = test_tables(tables);
    test_fence from = test_fence_open(8 * 70 * 2), to = test_fence_open(8 * 70 * 2);
    for (size_t w = 0; w < FJ_LEN(widths); w++)
        for (int64_t p = 1; p <= 5; p++)
            for (int t = 0; t < n_tables; t++) {
                int64_t n = widths[w], ldb = n + 3, words = (p + 1) / 2 * n;
                uint16_t *b = test_halves(&from, (p - 1) * ldb + n), *pairs = test_halves(&to, 2 * words);
                for (int64_t i = 0; i < (p - 1) * ldb + n; i++)
                    b[i] = (uint16_t)(i + 1);
                tables[t].pack_pairs_bf16(pairs, b, ldb, p, n);
                for (int64_t i = 0; i < 2 * words; i++) {
                    int64_t row = i / (2 * n) * 2 + i % 2, column = i % (2 * n) / 2;
                    CHECK(pairs[i] == (row < p ? row * ldb + column + 1 : 0));
                }
            }
    test_fence_close(&from);
    test_fence_close(&to);
}
