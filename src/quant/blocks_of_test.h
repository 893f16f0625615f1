/* SPDX-License-Identifier: Apache-2.0
 * Blocks for tests of other folders: the nearest to given values, or any where a type is only read. */
#ifndef FJ_QUANT_BLOCKS_OF_TEST_H
#define FJ_QUANT_BLOCKS_OF_TEST_H

#include <math.h>

#include "base/rng.h"
#include "quant/quant.h"

/* n values as blocks at dst: x encoded; for types without an encoder random blocks, the same for the same x, whose largest
 * value is in 0.05…1. */
static inline void blocks_of_test(const fj_quant *q, const float *x, void *dst, int64_t n)
{
    uint8_t *block = dst;
    if (q->encode) {
        q->encode(x, dst, n, NULL);
        return;
    }
    for (int64_t at = 0; at < n; at += q->dtype->block_len, block += q->dtype->block_bytes) {
        float    y[256], most = 0;
        uint64_t seed = (uint64_t)(1e6 * fabs((double)x[at]));
        for (uint32_t step = 0; !(most >= 0.05f && most <= 1); step++) {
            for (int i = 0; i < q->dtype->block_bytes; i++)
                block[i] = (uint8_t)(256 * fj_rng_uniform(seed, FJ_STREAM_TEST, step, 7, (uint64_t)i));
            q->decode(block, y, q->dtype->block_len);
            most = 0;
            for (int i = 0; i < q->dtype->block_len; i++)
                most = fabsf(y[i]) <= most ? most : fabsf(y[i]); /* NaN stays */
        }
    }
}

#endif
