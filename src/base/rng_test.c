/* SPDX-License-Identifier: Apache-2.0 */
#include "base/rng.h"

#include <stdbool.h>

#include "tests/test.h"

/* Known answers of philox4x32-10 from the authors' Random123, file kat_vectors; of four words fj_rng gives the first two. */
TEST(rng_gives_the_published_numbers)
{
    CHECK(fj_rng(0, 0, 0, 0, 0) == 0x6627e8d5e169c58d);
    CHECK(fj_rng(UINT64_MAX, 0xff, UINT32_MAX, UINT32_MAX, 0x00ffffffffffffff) == 0x408f276d41c83b0e);
    CHECK(fj_rng(0x299f31d0a4093822, 0x03, 0x85a308d3, 0x13198a2e, 0x00707344243f6a88) == 0xd16cfe0994fdcceb);
}

TEST(rng_changes_with_every_part_of_its_key)
{
    uint64_t all[] = { fj_rng(1, 1, 1, 1, 1),
                       fj_rng(2, 1, 1, 1, 1),
                       fj_rng(1, 2, 1, 1, 1),
                       fj_rng(1, 1, 2, 1, 1),
                       fj_rng(1, 1, 1, 2, 1),
                       fj_rng(1, 1, 1, 1, 2),
                       fj_rng(1, 1, 1, 1, (uint64_t)1 << 32 | 1),
                       fj_rng((uint64_t)1 << 32 | 1, 1, 1, 1, 1) };
    for (size_t i = 0; i < FJ_LEN(all); i++)
        for (size_t j = 0; j < i; j++)
            CHECK(all[i] != all[j]);
}

TEST(rng_uniform_fills_its_range_evenly)
{
    enum { N = 100000, BINS = 20 };
    int bins[BINS] = { 0 };
    for (int i = 0; i < N; i++) {
        double u = fj_rng_uniform(7, FJ_STREAM_TEST, 0, 0, (uint64_t)i);
        CHECK(u >= 0 && u < 1);
        bins[(int)(u * BINS)]++;
    }
    for (int b = 0; b < BINS; b++)
        CHECK(fabs(bins[b] - N / (double)BINS) < 5 * sqrt(N / (double)BINS)); /* five standard deviations */
}

TEST(rng_normal_has_the_moments_of_a_normal)
{
    enum { N = 100000 };
    double sum = 0, squares = 0, fourth = 0;
    for (int i = 0; i < N; i++) {
        double x = fj_rng_normal(7, FJ_STREAM_TEST, 0, 0, (uint64_t)i);
        CHECK(isfinite(x));
        sum += x;
        squares += x * x;
        fourth += x * x * x * x;
    }
    CHECK(fabs(sum / N) < 5 / sqrt(N)); /* standard deviations: 1, sqrt 2, sqrt 96 over sqrt N */
    CHECK(fabs(squares / N - 1) < 5 * sqrt(2.0 / N));
    CHECK(fabs(fourth / N - 3) < 5 * sqrt(96.0 / N));
}

TEST(rng_permutation_holds_each_once_and_every_order_is_as_likely)
{
    int64_t order[100];
    bool seen[100] = { false };
    fj_rng_permutation(1, FJ_STREAM_SHUFFLE, 3, order, 100);
    for (int i = 0; i < 100; i++) {
        CHECK(order[i] >= 0 && order[i] < 100 && !seen[order[i]]);
        seen[order[i]] = true;
    }
    enum { N = 24000 };
    int count[27] = { 0 };
    for (uint32_t step = 0; step < N; step++) {
        fj_rng_permutation(1, FJ_STREAM_SHUFFLE, step, order, 3);
        count[order[0] * 9 + order[1] * 3 + order[2]]++;
    }
    for (int i = 0; i < 27; i++)
        CHECK(count[i] == 0 || fabs(count[i] - N / 6.0) < 5 * sqrt(N / 6.0));
    fj_rng_permutation(1, FJ_STREAM_SHUFFLE, 0, order, 0);
}
