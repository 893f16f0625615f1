/* SPDX-License-Identifier: Apache-2.0
 * Blocks of number formats: any bytes decode, by every level of this machine to the same values, and what came out finite
 * encodes and decodes to something finite. The first byte chooses the type. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/cpu.h"
#include "kernels/kernels.h"

enum { MOST_BLOCKS = 8, MOST = 256 * MOST_BLOCKS };

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static bool same(const float *a, const float *b, int64_t n)
{
    for (int64_t i = 0; i < n; i++)
        if (!(isnan(a[i]) && isnan(b[i])) && memcmp(a + i, b + i, sizeof *a) != 0)
            return false;
    return true;
}

static void check_levels(const fj_dtype *dtype, const void *blocks, const float *want, int64_t n)
{
    static const unsigned levels[] = { 0, FJ_CPU_AVX2, FJ_CPU_AVX2 | FJ_CPU_AVX512, FJ_CPU_NEON };
    float got[MOST];
    fj_kernels k;
    int index = fj_decode_index(dtype);
    for (size_t i = 0; index >= 0 && i < FJ_LEN(levels); i++) {
        if (levels[i] & ~fj_cpu_features())
            continue;
        fj_kernels_init(&k, levels[i]);
        k.decode_row[index](blocks, got, n);
        fj_assert(same(got, want, n));
    }
}

/* Values beyond the largest half times a code may be cut; those of floats are as they were. */
static void check_encode(const fj_quant *q, const float *values, int64_t n)
{
    uint8_t blocks[4 * MOST];
    float again[MOST];
    for (int64_t i = 0; i < n; i++)
        if (!isfinite(values[i]))
            return;
    q->encode(values, blocks, n, NULL);
    q->decode(blocks, again, n);
    for (int64_t i = 0; i < n; i++)
        fj_assert(isfinite(again[i]));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    size_t n_types = 0;
    while (fj_quants[n_types])
        n_types++;
    if (size < 2)
        return 0;
    const fj_quant *q = fj_quants[data[0] % n_types];
    size_t n_blocks = FJ_MIN((size - 1) / (size_t)q->dtype->block_bytes, (size_t)MOST_BLOCKS);
    int64_t n = (int64_t)n_blocks * q->dtype->block_len;
    if (!n)
        return 0;
    uint8_t *exact = malloc(n_blocks * (size_t)q->dtype->block_bytes); /* so that a read behind it is seen */
    float *values = malloc((size_t)n * sizeof *values);
    fj_assert(exact && values);
    memcpy(exact, data + 1, n_blocks * (size_t)q->dtype->block_bytes);
    q->decode(exact, values, n);
    check_levels(q->dtype, exact, values, n);
    if (q->encode)
        check_encode(q, values, n);
    free(values);
    free(exact);
    return 0;
}
