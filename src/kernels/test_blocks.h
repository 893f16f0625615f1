/* SPDX-License-Identifier: Apache-2.0
 * Random blocks of every quantized type that has a packed form, for tests. */
#ifndef FJ_KERNELS_TEST_BLOCKS_H
#define FJ_KERNELS_TEST_BLOCKS_H

#include "kernels/test_rows.h"
#include "kernels/tile_internal.h"

/* Where a block has its halves; IQ1_M has one in pieces, MXFP4 a power of two, INT8 a float, U types a half and the zero. */
static inline int test_half_at(int index)
{
    switch (index) {
    case FJ_ROW_Q6_K: return 208;
    case FJ_ROW_Q3_K: return 108;
    case FJ_ROW_Q2_K: return 80;
    case FJ_ROW_TQ2_0: return 64;
    case FJ_ROW_TQ1_0: return 52;
    default: return 0;
    }
}

static inline bool test_has_zero(int index)
{
    return fj_forms[index].top == FJ_TOP_HALF_ZERO;
}

/* One block's scales made finite: halves ±[2^-9, 2^-1) or 0, floats ±[2^-9, 2^-1), powers 2^-9…2^6. */
static inline void test_tame_scales(int index, uint8_t *block)
{
    int halves = fj_forms[index].top == FJ_TOP_HALF_MIN ? 2 : 1;
    if (index == FJ_ROW_MXFP4)
        block[0] = (uint8_t)(119 + block[0] % 16);
    else if (index == FJ_ROW_INT8)
        block[3] = (uint8_t)((block[3] & 0x80) | (0x3b + (block[3] & 3)));
    else if (index == FJ_ROW_IQ1_M)
        block[55] = (uint8_t)((block[55] & 0x8f) | (1 + block[55] % 3) << 4);
    for (int h = 0; index != FJ_ROW_MXFP4 && index != FJ_ROW_INT8 && index != FJ_ROW_IQ1_M && h < halves; h++) {
        uint8_t *half = block + test_half_at(index) + 2 * h;
        bool     is_zero = half[0] == 7;
        half[0] = is_zero ? 0 : half[0];
        half[1] = is_zero ? 0 : (uint8_t)((half[1] & 0x83) | (6 + (half[1] >> 2) % 8) << 2);
    }
    if (test_has_zero(index)) { /* as files have it: a code, or one more */
        int zero = (block[2] | block[3] << 8) % ((1 << fj_forms[index].bits) + 1);
        block[2] = (uint8_t)zero;
        block[3] = (uint8_t)(zero >> 8);
    }
}

/* Any byte is a legal code, scale of 6 or 8 bits, or high bit. */
static inline void test_fill_blocks(const fj_dtype *dtype, uint8_t *bytes, size_t size, uint32_t row)
{
    size_t block = (size_t)dtype->block_bytes;
    for (size_t i = 0; i < size; i++)
        bytes[i] = (uint8_t)(256 * fj_rng_uniform(11, FJ_STREAM_TEST, 1, row, i));
    for (size_t at = 0; at + block <= size; at += block)
        test_tame_scales(fj_pack_index(dtype), bytes + at);
}

static inline size_t test_row_bytes(const fj_dtype *dtype, int64_t k)
{
    return (size_t)(k / dtype->block_len) * (size_t)dtype->block_bytes;
}

#endif
