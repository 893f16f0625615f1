/* SPDX-License-Identifier: Apache-2.0
 * Sixteen floats, as four NEON registers. The names and the roundings of x86/v16_avx512.h, lane for lane, so that the bodies of
 * kernels/v16 give the same bits here (what a NaN's bits are, and its sign, is each processor's own affair).
 * An n of 1…16 says how many lanes there are; memory behind them is not touched. n = 16 as a constant costs nothing. */
#ifndef FJ_KERNELS_ARM_V16_NEON_H
#define FJ_KERNELS_ARM_V16_NEON_H

#include <arm_neon.h>
#include <stdint.h>
#include <string.h>

#define INLINE static inline __attribute__((always_inline, unused))

/* Lanes 0…3, 4…7, 8…11, 12…15. */
typedef struct v16 {
    float32x4_t a, b, c, d;
} v16;

typedef struct v8d {
    float64x2_t a, b, c, d;
} v8d;

/* All bits set in the lanes that are there, of lanes first…first + 3. */
INLINE uint32x4_t lanes(int n, int first)
{
    static const int32_t lane[4] = { 0, 1, 2, 3 };
    return vcgtq_s32(vdupq_n_s32(n - first), vld1q_s32(lane));
}

INLINE v16 v16_of(float32x4_t a, float32x4_t b, float32x4_t c, float32x4_t d)
{
    return (v16){ a, b, c, d };
}

INLINE v16 v16_set1(float x)
{
    float32x4_t v = vdupq_n_f32(x);
    return v16_of(v, v, v, v);
}

INLINE v16 v16_zero(void)
{
    return v16_set1(0);
}

/* The first n (any number) of four values, others +0. */
INLINE float32x4_t load4(const float *p, int n)
{
    if (n >= 4)
        return vld1q_f32(p);
    if (n <= 0)
        return vdupq_n_f32(0);
    if (n == 1)
        return vld1q_lane_f32(p, vdupq_n_f32(0), 0);
    float32x4_t two = vcombine_f32(vld1_f32(p), vdup_n_f32(0));
    return n == 2 ? two : vld1q_lane_f32(p + 2, two, 2);
}

INLINE void store4(float *p, float32x4_t v, int n)
{
    if (n >= 4)
        vst1q_f32(p, v);
    else if (n == 1)
        vst1q_lane_f32(p, v, 0);
    else if (n >= 2)
        vst1_f32(p, vget_low_f32(v));
    if (n == 3)
        vst1q_lane_f32(p + 2, v, 2);
}

INLINE v16 v16_load(const float *p, int n)
{
    return v16_of(load4(p, n), load4(p + 4, n - 4), load4(p + 8, n - 8), load4(p + 12, n - 12));
}

INLINE void v16_store(float *p, v16 v, int n)
{
    store4(p, v.a, n);
    store4(p + 4, v.b, n - 4);
    store4(p + 8, v.c, n - 8);
    store4(p + 12, v.d, n - 12);
}

/* The present lanes of v, the others of rest. */
INLINE v16 v16_present(v16 v, v16 rest, int n)
{
    if (n == 16)
        return v;
    return v16_of(vbslq_f32(lanes(n, 0), v.a, rest.a), vbslq_f32(lanes(n, 4), v.b, rest.b), vbslq_f32(lanes(n, 8), v.c, rest.c),
                  vbslq_f32(lanes(n, 12), v.d, rest.d));
}

INLINE v16 v16_add(v16 a, v16 b)
{
    return v16_of(vaddq_f32(a.a, b.a), vaddq_f32(a.b, b.b), vaddq_f32(a.c, b.c), vaddq_f32(a.d, b.d));
}

INLINE v16 v16_sub(v16 a, v16 b)
{
    return v16_of(vsubq_f32(a.a, b.a), vsubq_f32(a.b, b.b), vsubq_f32(a.c, b.c), vsubq_f32(a.d, b.d));
}

INLINE v16 v16_mul(v16 a, v16 b)
{
    return v16_of(vmulq_f32(a.a, b.a), vmulq_f32(a.b, b.b), vmulq_f32(a.c, b.c), vmulq_f32(a.d, b.d));
}

INLINE v16 v16_div(v16 a, v16 b)
{
    return v16_of(vdivq_f32(a.a, b.a), vdivq_f32(a.b, b.b), vdivq_f32(a.c, b.c), vdivq_f32(a.d, b.d));
}

INLINE v16 v16_sqrt(v16 a)
{
    return v16_of(vsqrtq_f32(a.a), vsqrtq_f32(a.b), vsqrtq_f32(a.c), vsqrtq_f32(a.d));
}

/* a * b + c, rounded once; absent lanes keep c */
INLINE v16 v16_fma(v16 a, v16 b, v16 c, int n)
{
    v16 sum = v16_of(vfmaq_f32(c.a, a.a, b.a), vfmaq_f32(c.b, a.b, b.b), vfmaq_f32(c.c, a.c, b.c), vfmaq_f32(c.d, a.d, b.d));
    return v16_present(sum, c, n);
}

/* a > b ? a : b, so b where a is NaN: not what FMAX does */
INLINE float32x4_t max4(float32x4_t a, float32x4_t b)
{
    return vbslq_f32(vcgtq_f32(a, b), a, b);
}

INLINE v16 v16_max(v16 a, v16 b, int n)
{
    return v16_present(v16_of(max4(a.a, b.a), max4(a.b, b.b), max4(a.c, b.c), max4(a.d, b.d)), b, n);
}

/* a < b ? x : y */
INLINE v16 v16_if_less(v16 a, v16 b, v16 x, v16 y)
{
    return v16_of(vbslq_f32(vcltq_f32(a.a, b.a), x.a, y.a), vbslq_f32(vcltq_f32(a.b, b.b), x.b, y.b),
                  vbslq_f32(vcltq_f32(a.c, b.c), x.c, y.c), vbslq_f32(vcltq_f32(a.d, b.d), x.d, y.d));
}

INLINE v16 v16_round(v16 a)
{
    return v16_of(vrndnq_f32(a.a), vrndnq_f32(a.b), vrndnq_f32(a.c), vrndnq_f32(a.d));
}

INLINE float32x4_t shift_exponent4(float32x4_t a, float32x4_t e)
{
    return vreinterpretq_f32_s32(vaddq_s32(vreinterpretq_s32_f32(a), vshlq_n_s32(vcvtnq_s32_f32(e), 23)));
}

/* a * 2^e for whole e, by adding to the exponent bits: a and the result must be normal numbers */
INLINE v16 v16_shift_exponent(v16 a, v16 e)
{
    return v16_of(shift_exponent4(a.a, e.a), shift_exponent4(a.b, e.b), shift_exponent4(a.c, e.c), shift_exponent4(a.d, e.d));
}

/* The tree of kernels.h, 16 → 8 → 4: halves are added, lane i with lane i + half. */
INLINE float32x4_t sum_of_4(v16 v)
{
    return vaddq_f32(vaddq_f32(v.a, v.c), vaddq_f32(v.b, v.d));
}

/* 4 → 2 → 1 */
INLINE float v16_sum(v16 v)
{
    float32x4_t four = sum_of_4(v);
    float32x2_t two = vadd_f32(vget_low_f32(four), vget_high_f32(four));
    return vget_lane_f32(two, 0) + vget_lane_f32(two, 1);
}

INLINE float v16_max_all(v16 v)
{
    float32x4_t four = max4(max4(v.a, v.c), max4(v.b, v.d));
    float       two[4];
    vst1q_f32(two, max4(four, vextq_f32(four, four, 2)));
    return two[0] > two[1] ? two[0] : two[1];
}

/* [x_0 + x_2, x_1 + x_3, y_0 + y_2, y_1 + y_3] */
INLINE float32x4_t sums_of_2(float32x4_t x, float32x4_t y)
{
    float64x2_t u = vreinterpretq_f64_f32(x), v = vreinterpretq_f64_f32(y);
    return vaddq_f32(vreinterpretq_f32_f64(vzip1q_f64(u, v)), vreinterpretq_f32_f64(vzip2q_f64(u, v)));
}

/* p[i] = v16_sum(v[i]) of eight sets of lanes at once. */
INLINE void v16_store_sum8(float *p, const v16 v[8])
{
#pragma GCC unroll 2
    for (int i = 0; i < 8; i += 4) {
        float32x4_t first = sums_of_2(sum_of_4(v[i]), sum_of_4(v[i + 1]));
        float32x4_t second = sums_of_2(sum_of_4(v[i + 2]), sum_of_4(v[i + 3]));
        vst1q_f32(p + i, vpaddq_f32(first, second));
    }
}

/* Four words of each of six rows, the words of one place side by side. at: bytes from where the rows begin. */
INLINE void store_four_of_six(float *to, const char *const from[6], int64_t at)
{
    float32x4_t r[6];
#pragma GCC unroll 6
    for (int i = 0; i < 6; i++)
        r[i] = vld1q_f32((const float *)(const void *)(from[i] + at));
#pragma GCC unroll 3
    for (int i = 0; i < 6; i += 2) { /* words 0, 1 and words 2, 3 of two rows */
        float32x4_t low = vzip1q_f32(r[i], r[i + 1]), high = vzip2q_f32(r[i], r[i + 1]);
        vst1_f32(to + i, vget_low_f32(low));
        vst1_f32(to + 6 + i, vget_high_f32(low));
        vst1_f32(to + 12 + i, vget_low_f32(high));
        vst1_f32(to + 18 + i, vget_high_f32(high));
    }
}

/* ---- other number formats ------------------------------------------------------------------------------------------ */

/* A tail of 16-bit values goes over the stack. */
INLINE uint16x8x2_t load_u16(const uint16_t *p, int n)
{
    uint16_t        part[16] = { 0 };
    const uint16_t *from = p;
    if (n != 16) {
        memcpy(part, p, (size_t)n * sizeof *p);
        from = part;
    }
    return (uint16x8x2_t){ { vld1q_u16(from), vld1q_u16(from + 8) } };
}

INLINE void store_u16(uint16_t *p, uint16x8_t low, uint16x8_t high, int n)
{
    uint16_t  part[16];
    uint16_t *to = n == 16 ? p : part;
    vst1q_u16(to, low);
    vst1q_u16(to + 8, high);
    if (n != 16)
        memcpy(p, part, (size_t)n * sizeof *p);
}

INLINE float32x4_t from_f16(uint16x4_t h)
{
    return vcvt_f32_f16(vreinterpret_f16_u16(h));
}

INLINE v16 v16_load_f16(const uint16_t *p, int n)
{
    uint16x8x2_t h = load_u16(p, n);
    return v16_of(from_f16(vget_low_u16(h.val[0])), from_f16(vget_high_u16(h.val[0])), from_f16(vget_low_u16(h.val[1])),
                  from_f16(vget_high_u16(h.val[1])));
}

INLINE float32x4_t from_bf16(uint16x4_t h)
{
    return vreinterpretq_f32_u32(vshll_n_u16(h, 16));
}

INLINE v16 v16_load_bf16(const uint16_t *p, int n)
{
    uint16x8x2_t h = load_u16(p, n);
    return v16_of(from_bf16(vget_low_u16(h.val[0])), from_bf16(vget_high_u16(h.val[0])), from_bf16(vget_low_u16(h.val[1])),
                  from_bf16(vget_high_u16(h.val[1])));
}

INLINE uint16x8_t to_f16(float32x4_t low, float32x4_t high)
{
    return vreinterpretq_u16_f16(vcombine_f16(vcvt_f16_f32(low), vcvt_f16_f32(high)));
}

INLINE void v16_store_f16(uint16_t *p, v16 v, int n)
{
    store_u16(p, to_f16(v.a, v.b), to_f16(v.c, v.d), n);
}

/* Nearest even by integers, as on x86. */
INLINE uint16x4_t to_bf16(float32x4_t v)
{
    uint32x4_t bits = vreinterpretq_u32_f32(v), high = vshrq_n_u32(bits, 16);
    uint32x4_t odd = vandq_u32(high, vdupq_n_u32(1));
    uint32x4_t near = vshrq_n_u32(vaddq_u32(bits, vaddq_u32(odd, vdupq_n_u32(0x7fff))), 16);
    uint32x4_t quiet = vorrq_u32(high, vdupq_n_u32(0x40));
    return vmovn_u32(vbslq_u32(vceqq_f32(v, v), near, quiet));
}

INLINE void v16_store_bf16(uint16_t *p, v16 v, int n)
{
    store_u16(p, vcombine_u16(to_bf16(v.a), to_bf16(v.b)), vcombine_u16(to_bf16(v.c), to_bf16(v.d)), n);
}

/* ---- words of two bf16: n counts values (1…32) ---------------------------------------------------------------------- */

INLINE float32x4_t load_words(const uint16_t *p)
{
    return vreinterpretq_f32_u16(vld1q_u16(p));
}

INLINE v16 v16_load_pairs(const uint16_t *p, int n)
{
    uint16_t        part[32] = { 0 };
    const uint16_t *from = p;
    if (n != 32) {
        memcpy(part, p, (size_t)n * sizeof *p);
        from = part;
    }
    return v16_of(load_words(from), load_words(from + 8), load_words(from + 16), load_words(from + 24));
}

INLINE float32x4_t first4(float32x4_t words)
{
    return vreinterpretq_f32_u32(vshlq_n_u32(vreinterpretq_u32_f32(words), 16));
}

/* The first (low) or second value of each word as a float. */
INLINE v16 v16_first_of_pairs(v16 words)
{
    return v16_of(first4(words.a), first4(words.b), first4(words.c), first4(words.d));
}

INLINE float32x4_t second4(float32x4_t words)
{
    return vreinterpretq_f32_u32(vandq_u32(vreinterpretq_u32_f32(words), vdupq_n_u32(0xffff0000u)));
}

INLINE v16 v16_second_of_pairs(v16 words)
{
    return v16_of(second4(words.a), second4(words.b), second4(words.c), second4(words.d));
}

/* Words (b0[j], b1[j]) of 16 columns. */
INLINE void v16_store_interleaved(uint16_t *dst, const uint16_t *b0, const uint16_t *b1, int n)
{
    uint16x8x2_t zero = { { vdupq_n_u16(0), vdupq_n_u16(0) } }, low = load_u16(b0, n), high = b1 ? load_u16(b1, n) : zero;
    int          first = n < 8 ? n : 8;
    store_u16(dst, vzip1q_u16(low.val[0], high.val[0]), vzip2q_u16(low.val[0], high.val[0]), 2 * first);
    if (n > 8)
        store_u16(dst + 16, vzip1q_u16(low.val[1], high.val[1]), vzip2q_u16(low.val[1], high.val[1]), 2 * (n - 8));
}

/* ---- rotation of pairs that lie side by side ------------------------------------------------------------------------- */

/* p[0], p[0], p[1], p[1], … : n/2 values are read */
INLINE v16 v16_load_doubled(const float *p, int n)
{
    float32x4_t low = load4(p, n / 2), high = load4(p + 4, n / 2 - 4);
    return v16_of(vzip1q_f32(low, low), vzip2q_f32(low, low), vzip1q_f32(high, high), vzip2q_f32(high, high));
}

INLINE v16 v16_swap_neighbours(v16 v)
{
    return v16_of(vrev64q_f32(v.a), vrev64q_f32(v.b), vrev64q_f32(v.c), vrev64q_f32(v.d));
}

INLINE float32x4_t negate_even4(float32x4_t v)
{
    return vreinterpretq_f32_u64(veorq_u64(vreinterpretq_u64_f32(v), vdupq_n_u64(0x80000000u)));
}

/* -v[0], v[1], -v[2], v[3], … */
INLINE v16 v16_negate_even(v16 v)
{
    return v16_of(negate_even4(v.a), negate_even4(v.b), negate_even4(v.c), negate_even4(v.d));
}

/* ---- eight doubles --------------------------------------------------------------------------------------------------- */

INLINE v8d v8d_zero(void)
{
    float64x2_t zero = vdupq_n_f64(0);
    return (v8d){ zero, zero, zero, zero };
}

INLINE float64x2_t add_square2(float64x2_t c, float32x2_t x)
{
    float64x2_t d = vcvt_f64_f32(x);
    return vfmaq_f64(c, d, d);
}

/* c + x^2 of n (1…8) floats. An absent lane adds +0 to a sum of squares, which is never -0: its bits stay. */
INLINE v8d v8d_add_squares(v8d c, const float *x, int n)
{
    float32x4_t low = load4(x, n), high = load4(x + 4, n - 4);
    return (v8d){ add_square2(c.a, vget_low_f32(low)), add_square2(c.b, vget_high_f32(low)), add_square2(c.c, vget_low_f32(high)),
                  add_square2(c.d, vget_high_f32(high)) };
}

INLINE double v8d_sum(v8d v)
{
    float64x2_t two = vaddq_f64(vaddq_f64(v.a, v.c), vaddq_f64(v.b, v.d));
    return vgetq_lane_f64(two, 0) + vgetq_lane_f64(two, 1);
}

#endif
