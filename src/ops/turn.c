/* SPDX-License-Identifier: Apache-2.0
 * See cache.h. Sums and differences of pairs that stand `half` apart, for half = 1, 2, 4 … : always in this order, so that the bits are a
 * row's own. */
#include <math.h>

#include "ops/cache.h"

static void turn_twos(float *x, int64_t d)
{
    for (int64_t i = 0; i < d; i += 2) {
        float a = x[i] + x[i + 1], b = x[i] - x[i + 1];
        x[i] = a;
        x[i + 1] = b;
    }
}

/* half is 1 and then 2. */
static void turn_fours(float *x, int64_t d)
{
    for (int64_t i = 0; i < d; i += 4) {
        float a = x[i] + x[i + 1], b = x[i] - x[i + 1], c = x[i + 2] + x[i + 3], e = x[i + 2] - x[i + 3];
        x[i] = a + c;
        x[i + 1] = b + e;
        x[i + 2] = a - c;
        x[i + 3] = b - e;
    }
}

/* n is a multiple of 4: loops of 4 become vectors. */
static void turn_pair(float *restrict low, float *restrict high, int64_t n)
{
    for (int64_t i = 0; i < n; i += 4) {
        float sum[4], difference[4];
        for (int j = 0; j < 4; j++)
            sum[j] = low[i + j] + high[i + j];
        for (int j = 0; j < 4; j++)
            difference[j] = low[i + j] - high[i + j];
        for (int j = 0; j < 4; j++)
            low[i + j] = sum[j];
        for (int j = 0; j < 4; j++)
            high[i + j] = difference[j];
    }
}

void fj_turn_row(float *x, int64_t d)
{
    int64_t run = d & -d;
    float scale = 1.0f / sqrtf((float)run);
    if (run == 2)
        turn_twos(x, d);
    if (run >= 4)
        turn_fours(x, d);
    for (int64_t half = 4; half < run; half *= 2)
        for (int64_t i = 0; i < d; i += 2 * half)
            turn_pair(x + i, x + i + half, half);
    for (int64_t i = 0; i < d; i++)
        x[i] *= scale;
}
