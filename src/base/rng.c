/* SPDX-License-Identifier: Apache-2.0
 * Philox 4x32-10. Source: Salmon et al. 2011, section 3.3; constants of table 2. */
#include "base/rng.h"

#include <math.h>

enum { ROUNDS = 10 };
#define MULTIPLIER_0 0xD2511F53u
#define MULTIPLIER_1 0xCD9E8D57u
#define WEYL_0       0x9E3779B9u
#define WEYL_1       0xBB67AE85u

static void philox(const uint32_t counter[4], const uint32_t key[2], uint32_t out[4])
{
    uint32_t c0 = counter[0], c1 = counter[1], c2 = counter[2], c3 = counter[3], k0 = key[0], k1 = key[1];
    for (int r = 0; r < ROUNDS; r++) {
        uint64_t p0 = (uint64_t)MULTIPLIER_0 * c0, p1 = (uint64_t)MULTIPLIER_1 * c2;
        uint32_t n0 = (uint32_t)(p1 >> 32) ^ c1 ^ k0, n2 = (uint32_t)(p0 >> 32) ^ c3 ^ k1;
        c1 = (uint32_t)p1;
        c3 = (uint32_t)p0;
        c0 = n0;
        c2 = n2;
        k0 += WEYL_0;
        k1 += WEYL_1;
    }
    out[0] = c0;
    out[1] = c1;
    out[2] = c2;
    out[3] = c3;
}

/* The key holds the seed; the counter the element's low 32 bits, the step, the row, and stream (8 bits) with the element's bits
 * 32 to 55: streams and elements of one seed never share a block. */
uint64_t fj_rng(uint64_t seed, uint32_t stream, uint32_t step, uint32_t row, uint64_t index)
{
    uint32_t key[2] = { (uint32_t)seed, (uint32_t)(seed >> 32) }, out[4];
    uint32_t counter[4] = { (uint32_t)index, step, row, (stream << 24) | ((uint32_t)(index >> 32) & 0xffffffu) };
    philox(counter, key, out);
    return (uint64_t)out[0] << 32 | out[1];
}

double fj_rng_uniform(uint64_t seed, uint32_t stream, uint32_t step, uint32_t row, uint64_t index)
{
    return (double)(fj_rng(seed, stream, step, row, index) >> 11) * 0x1p-53;
}

double fj_rng_normal(uint64_t seed, uint32_t stream, uint32_t step, uint32_t row, uint64_t index)
{
    double u = fj_rng_uniform(seed, stream, step, row, 2 * index),
           v = fj_rng_uniform(seed, stream, step, row, 2 * index + 1);
    return sqrt(-2 * log(1 - u)) * cos(2 * 3.14159265358979323846 * v);
}

/* Below n without bias: numbers in the last, incomplete run of n are drawn again. */
static uint64_t below(uint64_t n, uint64_t seed, uint32_t stream, uint32_t step, uint64_t index)
{
    uint64_t limit = UINT64_MAX - UINT64_MAX % n;
    for (uint32_t draw = 0;; draw++) {
        uint64_t r = fj_rng(seed, stream, step, draw, index);
        if (r < limit)
            return r % n;
    }
}

void fj_rng_permutation(uint64_t seed, uint32_t stream, uint32_t step, int64_t *order, int64_t n)
{
    for (int64_t i = 0; i < n; i++)
        order[i] = i;
    for (int64_t i = n - 1; i > 0; i--) {
        int64_t j = (int64_t)below((uint64_t)i + 1, seed, stream, step, (uint64_t)i), kept = order[i];
        order[i] = order[j];
        order[j] = kept;
    }
}
