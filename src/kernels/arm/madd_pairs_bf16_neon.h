/* SPDX-License-Identifier: Apache-2.0
 * The products of two pairs of bf16 a lane by BFDOT: the exact products are added and then the sum, each rounded to odd. */
#ifndef FJ_KERNELS_ARM_MADD_PAIRS_BF16_NEON_H
#define FJ_KERNELS_ARM_MADD_PAIRS_BF16_NEON_H

INLINE float32x4_t dot4(float32x4_t sum, float32x4_t a, float32x4_t b)
{
    return vbfdotq_f32(sum, vreinterpretq_bf16_f32(a), vreinterpretq_bf16_f32(b));
}

INLINE v16 madd_pairs(v16 a, v16 b, v16 sum)
{
    return v16_of(dot4(sum.a, a.a, b.a), dot4(sum.b, a.b, b.b), dot4(sum.c, a.c, b.c), dot4(sum.d, a.d, b.d));
}

#endif
