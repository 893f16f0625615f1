/* SPDX-License-Identifier: Apache-2.0
 * Random blocks of every quantized type that has a packed form, for tests. */
#ifndef FJ_KERNELS_TEST_BLOCKS_H
#define FJ_KERNELS_TEST_BLOCKS_H

#include "kernels/test_rows.h"
#include "kernels/tile_internal.h"

/* Any byte is a legal code, scale of 6 or 8 bits, or high bit; only the halves must be finite: ±[2^-9, 2^-1) or 0. */
static inline void test_fill_blocks(const fj_dtype *dtype, uint8_t *bytes, size_t size, uint32_t row)
{
    bool   has_min = fj_forms[fj_pack_index(dtype)].has_min;
    size_t at_half = dtype == &fj_q6_k ? 208 : 0, block = (size_t)dtype->block_bytes;
    for (size_t i = 0; i < size; i++)
        bytes[i] = (uint8_t)(256 * fj_rng_uniform(11, FJ_STREAM_TEST, 1, row, i));
    for (size_t at = 0; at + block <= size; at += block)
        for (int h = 0; h < 1 + has_min; h++) {
            uint8_t *half = bytes + at + at_half + 2 * h;
            bool     is_zero = half[0] == 7;
            half[0] = is_zero ? 0 : half[0];
            half[1] = is_zero ? 0 : (uint8_t)((half[1] & 0x83) | (6 + (half[1] >> 2) % 8) << 2);
        }
}

static inline size_t test_row_bytes(const fj_dtype *dtype, int64_t k)
{
    return (size_t)(k / dtype->block_len) * (size_t)dtype->block_bytes;
}

#endif
