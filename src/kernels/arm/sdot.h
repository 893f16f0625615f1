/* SPDX-License-Identifier: Apache-2.0
 * Four products of int8 a lane, by SDOT. */
#ifndef FJ_KERNELS_ARM_SDOT_H
#define FJ_KERNELS_ARM_SDOT_H

/* sum[i] + w[4i…4i+3] times word `lane` of x. The instruction wants the lane as a constant. */
FJ_INLINE int32x4_t dot4(int32x4_t sum, int8x16_t w, int8x16_t x, int lane)
{
    switch (lane) {
    case 0: return vdotq_laneq_s32(sum, w, x, 0);
    case 1: return vdotq_laneq_s32(sum, w, x, 1);
    case 2: return vdotq_laneq_s32(sum, w, x, 2);
    default: return vdotq_laneq_s32(sum, w, x, 3);
    }
}

#endif
