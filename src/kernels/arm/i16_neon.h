/* SPDX-License-Identifier: Apache-2.0
 * Sixteen integers of 32 bits, as four NEON registers. The names of x86/i16_avx512.h. */
#ifndef FJ_KERNELS_ARM_I16_NEON_H
#define FJ_KERNELS_ARM_I16_NEON_H

#include "kernels/arm/v16_neon.h"

typedef struct i16 {
    int32x4_t a, b, c, d;
} i16;

INLINE float half_value(uint16_t half)
{
    return vgetq_lane_f32(from_f16(vdup_n_u16(half)), 0);
}

INLINE i16 i16_of_bytes(uint8x16_t bytes)
{
    uint16x8_t low = vmovl_u8(vget_low_u8(bytes)), high = vmovl_high_u8(bytes);
    return (i16){ vreinterpretq_s32_u32(vmovl_u16(vget_low_u16(low))), vreinterpretq_s32_u32(vmovl_high_u16(low)),
                  vreinterpretq_s32_u32(vmovl_u16(vget_low_u16(high))), vreinterpretq_s32_u32(vmovl_high_u16(high)) };
}

INLINE i16 i16_load_bytes(const uint8_t *p)
{
    return i16_of_bytes(vld1q_u8(p));
}

INLINE i16 i16_load_signed(const uint8_t *p)
{
    int8x16_t bytes = vreinterpretq_s8_u8(vld1q_u8(p));
    int16x8_t low = vmovl_s8(vget_low_s8(bytes)), high = vmovl_high_s8(bytes);
    return (i16){ vmovl_s16(vget_low_s16(low)), vmovl_high_s16(low), vmovl_s16(vget_low_s16(high)), vmovl_high_s16(high) };
}

/* The 16 halves of 8 bytes, high before low. */
INLINE i16 i16_load_nibbles(const uint8_t *p)
{
    uint8x8_t bytes = vld1_u8(p), high = vshr_n_u8(bytes, 4), low = vand_u8(bytes, vdup_n_u8(15));
    return i16_of_bytes(vcombine_u8(vzip1_u8(high, low), vzip2_u8(high, low)));
}

/* a in lanes 0…7, b in lanes 8…15. */
INLINE i16 i16_pair(uint32_t a, uint32_t b)
{
    int32x4_t first = vdupq_n_s32((int)a), second = vdupq_n_s32((int)b);
    return (i16){ first, first, second, second };
}

INLINE i16 i16_and(i16 v, int mask)
{
    int32x4_t m = vdupq_n_s32(mask);
    return (i16){ vandq_s32(v.a, m), vandq_s32(v.b, m), vandq_s32(v.c, m), vandq_s32(v.d, m) };
}

INLINE i16 i16_add(i16 a, i16 b)
{
    return (i16){ vaddq_s32(a.a, b.a), vaddq_s32(a.b, b.b), vaddq_s32(a.c, b.c), vaddq_s32(a.d, b.d) };
}

/* Each lane to the left by its count, to the right (zeros come in) for a negative one. */
INLINE int32x4_t shift4(int32x4_t v, int32x4_t count)
{
    return vreinterpretq_s32_u32(vshlq_u32(vreinterpretq_u32_s32(v), count));
}

INLINE i16 i16_shift_left(i16 v, int n)
{
    int32x4_t count = vdupq_n_s32(n);
    return (i16){ shift4(v.a, count), shift4(v.b, count), shift4(v.c, count), shift4(v.d, count) };
}

INLINE i16 i16_shift_right(i16 v, int n)
{
    return i16_shift_left(v, -n);
}

/* Lane i and lane i + 8 to the right by i * n. */
INLINE i16 i16_spread(i16 v, int n)
{
    static const int32_t lane[8] = { 0, -1, -2, -3, -4, -5, -6, -7 };
    int32x4_t low = vmulq_n_s32(vld1q_s32(lane), n), high = vmulq_n_s32(vld1q_s32(lane + 4), n);
    return (i16){ shift4(v.a, low), shift4(v.b, high), shift4(v.c, low), shift4(v.d, high) };
}

INLINE v16 v16_of_int(i16 v)
{
    return v16_of(vcvtq_f32_s32(v.a), vcvtq_f32_s32(v.b), vcvtq_f32_s32(v.c), vcvtq_f32_s32(v.d));
}

/* Byte places 4i…4i+3 of each index i. */
INLINE uint8x16_t places4(int32x4_t index)
{
    uint32x4_t bytes = vmulq_n_u32(vreinterpretq_u32_s32(index), 0x04040404u);
    return vreinterpretq_u8_u32(vaddq_u32(bytes, vdupq_n_u32(0x03020100u)));
}

INLINE uint8x16x4_t table16(const float table[16])
{
    const uint8_t *p = (const uint8_t *)table;
    return (uint8x16x4_t){ { vld1q_u8(p), vld1q_u8(p + 16), vld1q_u8(p + 32), vld1q_u8(p + 48) } };
}

INLINE float32x4_t look_up4(uint8x16x4_t table, int32x4_t index)
{
    return vreinterpretq_f32_u8(vqtbl4q_u8(table, places4(index)));
}

/* table[index] of each lane, index in 0…15. */
INLINE v16 v16_look_up(const float table[16], i16 index)
{
    uint8x16x4_t t = table16(table);
    return v16_of(look_up4(t, index.a), look_up4(t, index.b), look_up4(t, index.c), look_up4(t, index.d));
}

INLINE float32x4_t look_up4_of_8(uint8x16x2_t table, int32x4_t index)
{
    return vreinterpretq_f32_u8(vqtbl2q_u8(table, places4(index)));
}

/* The same for 0…7. */
INLINE v16 v16_look_up8(const float table[8], i16 index)
{
    const uint8_t *p = (const uint8_t *)table;
    uint8x16x2_t   t = { { vld1q_u8(p), vld1q_u8(p + 16) } };
    return v16_of(look_up4_of_8(t, index.a), look_up4_of_8(t, index.b), look_up4_of_8(t, index.c), look_up4_of_8(t, index.d));
}

/* Bit i of bits becomes the sign of lane i. */
INLINE float32x4_t negate4(float32x4_t v, unsigned bits)
{
    static const int32_t count[4] = { 31, 30, 29, 28 };
    uint32x4_t           signs = vshlq_u32(vdupq_n_u32(bits), vld1q_s32(count));
    return vreinterpretq_f32_u32(veorq_u32(vreinterpretq_u32_f32(v), vandq_u32(signs, vdupq_n_u32(0x80000000u))));
}

/* -v in the lanes whose bit is set. */
INLINE v16 v16_negate(v16 v, unsigned bits)
{
    return v16_of(negate4(v.a, bits), negate4(v.b, bits >> 4), negate4(v.c, bits >> 8), negate4(v.d, bits >> 12));
}

/* a in lanes 0…7, b in lanes 8…15. */
INLINE v16 v16_pair(float a, float b)
{
    return v16_of(vdupq_n_f32(a), vdupq_n_f32(a), vdupq_n_f32(b), vdupq_n_f32(b));
}

#endif
