/* SPDX-License-Identifier: Apache-2.0
 * The products of two pairs of bf16 a lane by VDPBF16PS. */
#ifndef FJ_KERNELS_X86_MADD_PAIRS_BF16_H
#define FJ_KERNELS_X86_MADD_PAIRS_BF16_H

INLINE v16 madd_pairs(v16 a, v16 b, v16 sum)
{
    return _mm512_dpbf16_ps(sum, (__m512bh)a, (__m512bh)b);
}

#endif
