/* SPDX-License-Identifier: Apache-2.0
 * The products of two pairs of bf16 a lane without instructions for it: two f32 FMAs, the first value's and then the second's. */
#ifndef FJ_KERNELS_V16_MADD_PAIRS_WIDE_H
#define FJ_KERNELS_V16_MADD_PAIRS_WIDE_H

INLINE v16 madd_pairs(v16 a, v16 b, v16 sum)
{
    sum = v16_fma(v16_first_of_pairs(a), v16_first_of_pairs(b), sum, 16);
    return v16_fma(v16_second_of_pairs(a), v16_second_of_pairs(b), sum, 16);
}

#endif
