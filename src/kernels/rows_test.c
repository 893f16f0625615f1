/* SPDX-License-Identifier: Apache-2.0
 * Rows of activations: against ref at all tails, in place where that is allowed, the same bits at every level. */
#include "kernels/test_rows.h"

enum { MOST = 1024, INPUTS = 4, OUTPUTS = 2 };

static const int64_t sizes[] = { 1, 7, 15, 16, 17, 31, 32, 33, 64, 65, 576, 769 };

/* Rows before the fence: inputs, results, and what the results of ref are. */
typedef struct rows_case {
    test_fence fence[INPUTS + OUTPUTS];
    float *in[INPUTS], *out[OUTPUTS], want[OUTPUTS][MOST];
    int64_t n;
    bool add;
} rows_case;

/* One kernel: writes out[…] from in[…]; returns its sum, or 0. */
typedef double row_fn(const fj_kernels *k, float *const *out, float *const *in, int64_t n, bool add);

static double rms_norm(const fj_kernels *k, float *const *out, float *const *in, int64_t n, bool add)
{
    float rstd;
    (void)add;
    k->rms_norm_row(out[0], &rstd, in[0], in[1], n, 1e-5f);
    return rstd;
}

static double rms_norm_grad(const fj_kernels *k, float *const *out, float *const *in, int64_t n, bool add)
{
    k->rms_norm_grad_row(out[0], in[0], in[1], in[2], 0.75f, n, add);
    return 0;
}

/* The mean is taken out before the squares are summed: in the sums both count, so the test looks at twice rstd and mean. */
static double layer_norm(const fj_kernels *k, float *const *out, float *const *in, int64_t n, bool add)
{
    float rstd, mean;
    k->layer_norm_row(out[0], &mean, &rstd, in[0], in[1], add ? in[2] : NULL, n, 1.0f);
    return (double)mean + rstd;
}

static double layer_norm_grad(const fj_kernels *k, float *const *out, float *const *in, int64_t n, bool add)
{
    k->layer_norm_grad_row(out[0], in[0], in[1], in[2], 0.25f, 0.75f, n, add);
    return 0;
}

static double sigmoid_rows(const fj_kernels *k, float *const *out, float *const *in, int64_t n, bool add)
{
    (void)add;
    k->sigmoid_row(out[0], in[0], -1.3f, n);
    return 0;
}

static double tanh_rows(const fj_kernels *k, float *const *out, float *const *in, int64_t n, bool add)
{
    (void)add;
    k->tanh_row(out[0], in[0], 1.3f, n);
    return 0;
}

static double normal_rows(const fj_kernels *k, float *const *out, float *const *in, int64_t n, bool add)
{
    k->normal_row(out[0], add ? out[1] : NULL, in[0], n);
    return 0;
}

static double softplus_rows(const fj_kernels *k, float *const *out, float *const *in, int64_t n, bool add)
{
    (void)add;
    k->softplus_row(out[0], in[0], n);
    return 0;
}

/* One state of the channels; y and the state are read and written. */
static double scan(const fj_kernels *k, float *const *out, float *const *in, int64_t n, bool add)
{
    const float b = 0.7f, c = -1.1f;
    k->scan_row(out[0], in[3], n, add ? out[1] : NULL, in[0], in[1], in[2], n, &b, &c, 1, n);
    return 0;
}

static double add_rows(const fj_kernels *k, float *const *out, float *const *in, int64_t n, bool add)
{
    (void)add;
    k->add_row(out[0], in[0], in[1], n);
    return 0;
}

static double axpy(const fj_kernels *k, float *const *out, float *const *in, int64_t n, bool add)
{
    (void)add;
    k->axpy_row(out[0], in[0], -1.3f, n);
    return 0;
}

static double scale(const fj_kernels *k, float *const *out, float *const *in, int64_t n, bool add)
{
    (void)add;
    k->scale_row(out[0], in[0], -1.3f, n);
    return 0;
}

static double mul(const fj_kernels *k, float *const *out, float *const *in, int64_t n, bool add)
{
    k->mul_row(out[0], in[0], in[1], n, add);
    return 0;
}

static double silu_mul(const fj_kernels *k, float *const *out, float *const *in, int64_t n, bool add)
{
    (void)add;
    k->silu_mul_row(out[0], in[0], in[1], n);
    return 0;
}

static double silu_mul_grad(const fj_kernels *k, float *const *out, float *const *in, int64_t n, bool add)
{
    k->silu_mul_grad_row(out[0], out[1], in[0], in[1], in[2], n, add, !add);
    return 0;
}

static double silu_mul_grad_of_gate(const fj_kernels *k, float *const *out, float *const *in, int64_t n, bool add)
{
    k->silu_mul_grad_row(out[0], NULL, in[0], in[1], in[2], n, add, false);
    return 0;
}

static double silu_mul_grad_of_up(const fj_kernels *k, float *const *out, float *const *in, int64_t n, bool add)
{
    k->silu_mul_grad_row(NULL, out[1], in[0], in[1], in[2], n, false, add);
    return 0;
}

static double rope_half(const fj_kernels *k, float *const *out, float *const *in, int64_t n, bool add)
{
    int64_t r = n / 2 * 2;
    k->rope_head(out[0] + n - r, in[0] + n - r, in[1] + n - r / 2, in[2] + n - r / 2, r, true, false, add);
    return 0;
}

static double rope_half_back(const fj_kernels *k, float *const *out, float *const *in, int64_t n, bool add)
{
    int64_t r = n / 2 * 2;
    k->rope_head(out[0] + n - r, in[0] + n - r, in[1] + n - r / 2, in[2] + n - r / 2, r, true, true, add);
    return 0;
}

static double rope_pairs(const fj_kernels *k, float *const *out, float *const *in, int64_t n, bool add)
{
    int64_t r = n / 2 * 2;
    k->rope_head(out[0] + n - r, in[0] + n - r, in[1] + n - r / 2, in[2] + n - r / 2, r, false, false, add);
    return 0;
}

static double rope_pairs_back(const fj_kernels *k, float *const *out, float *const *in, int64_t n, bool add)
{
    int64_t r = n / 2 * 2;
    k->rope_head(out[0] + n - r, in[0] + n - r, in[1] + n - r / 2, in[2] + n - r / 2, r, false, true, add);
    return 0;
}

static double max(const fj_kernels *k, float *const *out, float *const *in, int64_t n, bool add)
{
    (void)out, (void)add;
    return k->max_row(in[0], n);
}

static double exp_of(const fj_kernels *k, float *const *out, float *const *in, int64_t n, bool add)
{
    (void)add;
    return k->exp_row(out[0], in[0], 2.5f, 0.5f, n);
}

static double dot(const fj_kernels *k, float *const *out, float *const *in, int64_t n, bool add)
{
    (void)out, (void)add;
    return k->dot_row(in[0], in[1], n);
}

static double sum_squares(const fj_kernels *k, float *const *out, float *const *in, int64_t n, bool add)
{
    (void)out, (void)add;
    return k->sum_squares_row(in[0], n);
}

/* The bound of a value is `steps` half units of the largest number on its way (all inputs are in (-2, 2)), that of a sum
 * n/16 + 5 more of the sum of its terms; largest: of a value's terms, by hand from the equation. */
static const struct {
    const char *name;
    row_fn *run;
    double steps, largest, sum_largest; /* sum_largest 0: no sum enters a value */
    bool returns_sum;
} kernels[] = {
    { "rms_norm", rms_norm, 5, 16, 4, true }, /* rstd and y: n/16 roundings of the mean, halved by the root */
    { "rms_norm_grad", rms_norm_grad, 8, 8, 4, false },
    { "layer_norm", layer_norm, 6, 10, 4, true }, /* eps 1 keeps rstd below 1, so y below 4 * 2 + 2 */
    { "layer_norm_grad", layer_norm_grad, 10, 16, 8, false },
    { "sigmoid", sigmoid_rows, 8, 1, 0, false },
    { "tanh", tanh_rows, 8, 1, 0, false },
    { "normal", normal_rows, 3, 1, 0, false },
    { "softplus", softplus_rows, 4, 2.2, 0, false },
    { "scan", scan, 8, 112, 0, false }, /* exp of up to 4 with its argument rounded, twice a state below 2 */
    { "add", add_rows, 0, 4, 0, false },
    { "axpy", axpy, 2, 5, 0, false },
    { "scale", scale, 0, 3, 0, false },
    { "mul", mul, 2, 6, 0, false },
    { "silu_mul", silu_mul, 6, 4, 0, false },
    { "silu_mul_grad", silu_mul_grad, 10, 24, 0, false },
    { "silu_mul_grad_of_gate", silu_mul_grad_of_gate, 10, 24, 0, false },
    { "silu_mul_grad_of_up", silu_mul_grad_of_up, 10, 24, 0, false },
    { "rope_half", rope_half, 4, 10, 0, false },
    { "rope_half_back", rope_half_back, 4, 10, 0, false },
    { "rope_pairs", rope_pairs, 4, 10, 0, false },
    { "rope_pairs_back", rope_pairs_back, 4, 10, 0, false },
    { "max", max, 0, 0, 0, false },
    { "exp", exp_of, 4, 91, 91, true },
    { "dot", dot, 0, 0, 4, true },
    { "sum_squares", sum_squares, 0, 0, 0x1p-26,
      true }, /* in double: the last rounding of f32 counts as nothing here */
};

static void open_case(rows_case *c)
{
    for (int i = 0; i < INPUTS + OUTPUTS; i++)
        c->fence[i] = test_fence_open(MOST * sizeof(float));
}

static void close_case(rows_case *c)
{
    for (int i = 0; i < INPUTS + OUTPUTS; i++)
        test_fence_close(&c->fence[i]);
}

static void shape_case(rows_case *c, int64_t n)
{
    c->n = n;
    for (int i = 0; i < INPUTS; i++) {
        c->in[i] = test_floats(&c->fence[i], n);
        test_fill(c->in[i], n, (uint64_t)(i + 1), 2);
    }
    for (int o = 0; o < OUTPUTS; o++)
        c->out[o] = test_floats(&c->fence[INPUTS + o], n);
}

/* Runs into out, whose old values are always the same; a guard stands in front of each row, the fence behind it. */
static double run(rows_case *c, row_fn *fn, const fj_kernels *k)
{
    for (int o = 0; o < OUTPUTS; o++) {
        test_fill(c->out[o], c->n, (uint64_t)(o + 9), 2);
        c->out[o][-1] = 12345;
    }
    double sum = fn(k, c->out, c->in, c->n, c->add);
    for (int o = 0; o < OUTPUTS; o++)
        CHECK(c->out[o][-1] == 12345);
    return sum;
}

static void check_against_ref(rows_case *c, size_t i, const fj_kernels *ref, const fj_kernels *k)
{
    double n = (double)c->n, sum_error = (n / 16 + 5) * test_epsilon * kernels[i].sum_largest;
    double want_sum = run(c, kernels[i].run, ref);
    for (int o = 0; o < OUTPUTS; o++)
        memcpy(c->want[o], c->out[o], (size_t)c->n * sizeof(float));
    double got_sum = run(c, kernels[i].run, k);
    CHECK(fabs(got_sum - want_sum) <= sum_error * n);
    double most = kernels[i].steps * test_epsilon * kernels[i].largest + (kernels[i].returns_sum ? 0 : sum_error);
    if (kernels[i].run == rms_norm || kernels[i].run == layer_norm)
        most += sum_error * kernels[i].largest; /* relative error of rstd, times the largest y */
    for (int o = 0; o < OUTPUTS; o++)
        for (int64_t j = 0; j < c->n; j++)
            CHECK(fabs((double)c->out[o][j] - c->want[o][j]) <= most);
}

TEST(row_kernels_agree_with_the_reference_at_all_tails_and_stay_within_their_rows)
{
    fj_kernels tables[TEST_TABLES];
    int n_tables = test_tables(tables);
    rows_case c;
    open_case(&c);
    for (size_t s = 0; s < FJ_LEN(sizes); s++) {
        shape_case(&c, sizes[s]);
        for (size_t i = 0; i < FJ_LEN(kernels); i++)
            for (int t = 0; t < 2 * n_tables; t++) {
                c.add = t % 2;
                check_against_ref(&c, i, &tables[0], &tables[t / 2]);
            }
    }
    close_case(&c);
}

TEST(row_kernels_have_the_same_bits_at_every_level)
{
    fj_kernels tables[TEST_TABLES];
    int n_tables = test_tables(tables);
    uint64_t hash = 0;
    rows_case c;
    open_case(&c);
    for (size_t s = 0; s < FJ_LEN(sizes); s++) {
        shape_case(&c, sizes[s]);
        for (size_t i = 0; i < FJ_LEN(kernels); i++)
            for (int t = 2; t < 2 * n_tables; t++) {
                c.add = t % 2;
                double first = run(&c, kernels[i].run, &tables[1]);
                for (int o = 0; o < OUTPUTS; o++) {
                    memcpy(c.want[o], c.out[o], (size_t)c.n * sizeof(float));
                    if (t < 4)
                        test_hash(&hash, c.want[o], (size_t)c.n * sizeof(float));
                }
                if (t < 4)
                    test_hash(&hash, &first, sizeof first);
                double other = run(&c, kernels[i].run, &tables[t / 2]);
                CHECK(memcmp(&first, &other, sizeof first) == 0);
                for (int o = 0; o < OUTPUTS; o++)
                    CHECK(test_same_bits(c.want[o], c.out[o], c.n));
            }
    }
    if (n_tables > 1)
        assert_int_equal(hash, 0x55c89cdc91cc9f91u);
    close_case(&c);
}

/* The first input is the first output, as the contract allows for these. */
TEST(row_kernels_may_write_over_their_input)
{
    static row_fn *const in_place[] = { add_rows, scale,        exp_of,    rope_half,   rope_pairs,
                                        silu_mul, sigmoid_rows, tanh_rows, normal_rows, softplus_rows };
    fj_kernels tables[TEST_TABLES];
    int n_tables = test_tables(tables);
    rows_case c = { .add = false };
    open_case(&c);
    for (size_t s = 0; s < FJ_LEN(sizes); s++)
        for (size_t i = 0; i < FJ_LEN(in_place); i++)
            for (int t = 0; t < n_tables; t++) {
                shape_case(&c, sizes[s]);
                if (c.n % 2 && (in_place[i] == rope_half || in_place[i] == rope_pairs))
                    continue;
                run(&c, in_place[i], &tables[t]);
                float *same[OUTPUTS] = { c.in[0], c.in[3] };
                in_place[i](&tables[t], same, c.in, c.n, false);
                CHECK(test_same_bits(c.in[0], c.out[0], c.n));
            }
    close_case(&c);
}

TEST(a_rotation_and_its_inverse_give_the_row_back)
{
    fj_kernels tables[TEST_TABLES];
    int n_tables = test_tables(tables);
    for (int t = 0; t < n_tables; t++)
        for (int half = 0; half < 2; half++)
            for (int64_t r = 2; r <= 128; r += 6) {
                float x[128], y[128], cosines[64], sines[64];
                test_fill(x, r, 5, 1);
                for (int64_t j = 0; j < r / 2; j++)
                    cosines[j] = cosf((float)(j * 3 + 1)), sines[j] = sinf((float)(j * 3 + 1));
                tables[t].rope_head(y, x, cosines, sines, r, half, false, false);
                CHECK(fabsf(y[0] - x[0]) + fabsf(y[r - 1] - x[r - 1]) > 1e-3f);
                tables[t].rope_head(y, y, cosines, sines, r, half, true, false);
                for (int64_t j = 0; j < r; j++)
                    CHECK(fabsf(y[j] - x[j]) <=
                          12 * test_epsilon); /* 2 x 3 roundings of up to 1.4, cos^2 + sin^2 is 1 within 3 */
            }
}

TEST(exp_is_exact_to_two_tenths_of_a_millionth_and_ends_at_zero_and_infinity)
{
    fj_kernels tables[TEST_TABLES];
    int n_tables = test_tables(tables);
    for (int t = 0; t < n_tables; t++) {
        double worst = 0;
        for (int i = -87300; i < 88700; i += 16) {
            float x[16], y[16];
            for (int l = 0; l < 16; l++)
                x[l] = 0.001f * (float)(i + l);
            tables[t].exp_row(y, x, 1, 0, 16);
            for (int l = 0; l < 16; l++)
                worst = fmax(worst, fabs(y[l] / exp(x[l]) - 1));
        }
        CHECK(worst > 0 && worst < 2e-7);
        float edge[] = { -INFINITY, -1000, -110, 0, 88.7228f, 88.73f, 1000, INFINITY, NAN }, y[9];
        tables[t].exp_row(y, edge, 1, 0, 9);
        CHECK(y[0] == 0 && y[1] == 0 && y[2] == 0 && y[3] == 1);
        CHECK(isfinite(y[4]) && y[4] > 3.4e38f && isinf(y[5]) && isinf(y[6]) && isinf(y[7]) && isnan(y[8]));
    }
}

TEST(tanh_and_the_normal_distribution_are_exact_from_end_to_end)
{
    fj_kernels tables[TEST_TABLES];
    int n_tables = test_tables(tables);
    for (int t = 0; t < n_tables; t++) {
        double worst_tanh = 0, worst_normal = 0, worst_tail = 0;
        for (int i = -16000; i < 16000; i += 16) {
            float x[16], y[16], cdf[16], density[16];
            for (int l = 0; l < 16; l++)
                x[l] = 0.001f * (float)(i + l) + 0.0003f;
            tables[t].tanh_row(y, x, 1, 16);
            tables[t].normal_row(cdf, density, x, 16);
            for (int l = 0; l < 16; l++) {
                double exact = 0.5 * erfc(-x[l] / sqrt(2));
                worst_tanh = fmax(worst_tanh, fabs(y[l] / tanh(x[l]) - 1));
                worst_normal = fmax(worst_normal, fabs(cdf[l] - exact));
                if (x[l] > -12)
                    worst_tail = fmax(worst_tail, fabs(cdf[l] / exact - 1));
            }
        }
        CHECK(worst_tanh < 2.5e-7 && worst_normal < 1.5e-7);
        CHECK(worst_tail < 6e-6); /* of exp(-72): its argument is rounded to 72 * 6e-8 */
        float edge[] = { -INFINITY, -1e20f, -0.0f, 0, 1e20f, INFINITY, NAN }, y[7], cdf[7], density[7];
        tables[t].tanh_row(y, edge, 1, 7);
        tables[t].normal_row(cdf, density, edge, 7);
        CHECK(y[0] == -1 && y[1] == -1 && y[2] == 0 && y[3] == 0 && y[4] == 1 && y[5] == 1 && isnan(y[6]));
        CHECK(cdf[0] == 0 && cdf[1] == 0 && cdf[2] == 0.5f && cdf[4] == 1 && cdf[5] == 1 && isnan(cdf[6]));
        CHECK(density[0] == 0 && density[5] == 0 && isnan(density[6]));
    }
}

TEST(softplus_is_exact_to_a_few_roundings_from_end_to_end)
{
    fj_kernels tables[TEST_TABLES];
    int n_tables = test_tables(tables);
    for (int t = 0; t < n_tables; t++) {
        double worst = 0;
        for (int i = -87000; i < 87000; i += 16) {
            float x[16], y[16];
            for (int l = 0; l < 16; l++)
                x[l] = 0.001f * (float)(i + l);
            tables[t].softplus_row(y, x, 16);
            for (int l = 0; l < 16; l++)
                worst = fmax(worst, fabs(y[l] / (fmax(x[l], 0) + log1p(exp(-fabs((double)x[l])))) - 1));
        }
        CHECK(worst < 3e-7);
        float edge[] = { -INFINITY, -1000, 0, 1000, INFINITY, NAN }, y[6];
        tables[t].softplus_row(y, edge, 6);
        CHECK(y[0] == 0 && y[1] == 0 && fabsf(y[2] - 0.693147f) < 1e-6f && y[3] == 1000 && isinf(y[4]) && isnan(y[5]));
    }
}

TEST(silu_is_right_far_from_zero)
{
    fj_kernels tables[TEST_TABLES];
    int n_tables = test_tables(tables);
    for (int t = 0; t < n_tables; t++) {
        float gate[] = { -500, -100, -80, 0, 20, 100, 500 }, up[] = { 1, 1, 1, 1, 1, 1, 1 }, y[7];
        tables[t].silu_mul_row(y, gate, up, 7);
        CHECK(y[0] == 0 && fabsf(y[1]) < 1e-30f && fabsf(y[2]) < 1e-30f && y[3] == 0);
        CHECK(y[4] > 19.99f && y[5] == 100 && y[6] == 500);
    }
}

TEST(the_largest_of_a_row_is_found_in_every_place_and_of_nothing_is_minus_infinity)
{
    fj_kernels tables[TEST_TABLES];
    int n_tables = test_tables(tables);
    for (int t = 0; t < n_tables; t++) {
        float x[40];
        CHECK(tables[t].max_row(x, 0) == -INFINITY);
        CHECK(tables[t].dot_row(x, x, 0) == 0 && tables[t].sum_squares_row(x, 0) == 0);
        for (int64_t n = 1; n <= 40; n++)
            for (int64_t at = 0; at < n; at++) {
                for (int64_t i = 0; i < n; i++)
                    x[i] = i == at ? -3 : -INFINITY;
                CHECK(tables[t].max_row(x, n) == -3);
            }
    }
}

TEST(the_sum_of_squares_of_a_row_keeps_what_f32_would_lose)
{
    fj_kernels tables[TEST_TABLES];
    int n_tables = test_tables(tables);
    for (int t = 0; t < n_tables; t++) {
        float x[100];
        for (int i = 0; i < 100; i++)
            x[i] = i == 50 ? 4096.0f : 0.125f;
        CHECK(tables[t].sum_squares_row(x, 100) == 4096.0 * 4096 + 99.0 / 64);
    }
}
