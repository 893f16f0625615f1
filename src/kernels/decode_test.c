/* SPDX-License-Identifier: Apache-2.0 */
#include "kernels/kernels_internal.h"
#include "kernels/test_rows.h"

enum { MOST = 5 * 256 };

/* The same bits; any NaN for a NaN. */
static bool same_values(const float *a, const float *b, int64_t n)
{
    for (int64_t i = 0; i < n; i++)
        if (!(isnan(a[i]) && isnan(b[i])) && memcmp(a + i, b + i, sizeof *a) != 0)
            return false;
    return true;
}

/* Blocks of any bytes, right up to memory that nobody may read, and at odd addresses. */
static void check_type(const fj_dtype *dtype, int index, const fj_kernels *tables, int n_tables,
                       const test_fence *fence)
{
    static uint8_t odd[4096];
    static float want[MOST], got[MOST + 1 + TEST_GUARD];
    for (int64_t n = dtype->block_len; n <= 5 * dtype->block_len; n += dtype->block_len) {
        size_t bytes = (size_t)(n / dtype->block_len) * (size_t)dtype->block_bytes;
        uint8_t *src = (uint8_t *)fence->pages + fence->size - bytes;
        for (size_t i = 0; i < bytes; i++)
            src[i] = (uint8_t)(256 * fj_rng_uniform(12, FJ_STREAM_TEST, (uint32_t)index, (uint32_t)n, i));
        memcpy(odd + 1, src, bytes);
        fj_quant_of(dtype)->decode(src, want, n);
        for (int t = 0; t < n_tables; t++)
            for (int shift = 0; shift < 2; shift++) {
                test_guard_put(got + shift + n);
                tables[t].decode_row[index](shift ? odd + 1 : src, got + shift, n);
                CHECK(same_values(got + shift, want, n));
                CHECK(test_guard_ok(got + shift + n));
            }
    }
}

TEST(any_bytes_of_any_quantized_type_decode_to_the_bits_of_decode_at_every_level)
{
    fj_kernels tables[TEST_TABLES];
    int n_tables = test_tables(tables), n = 0;
    test_fence fence = test_fence_open(4096);
    for (int i = 0; fj_dtypes[i]; i++) {
        int index = fj_decode_index(fj_dtypes[i]);
        CHECK((index >= 0) == fj_dtypes[i]->is_quantized && index < FJ_DECODE_TYPES);
        if (index < 0)
            continue;
        check_type(fj_dtypes[i], index, tables, n_tables, &fence);
        n++;
    }
    CHECK(n == FJ_DECODE_TYPES);
    test_fence_close(&fence);
}
