/* SPDX-License-Identifier: Apache-2.0
 * Rows of the packed types to values and activations to int8 with NEON. Every value is exact or rounded once, so the bits are
 * those of fj_quant.decode; file layouts as stated in quant/. */
#include "kernels/arm/i16_neon.h"

#include "kernels/kernels_internal.h"
#include "kernels/tile_internal.h"

/* ---- decoding ---------------------------------------------------------------------------------- */

FJ_INLINE float half_at(const uint8_t *p)
{
    uint16_t half;
    memcpy(&half, p, sizeof half);
    return half_value(half);
}

static void decode_q8_0(const void *src, float *dst, int64_t n)
{
    const uint8_t *p = src;
    for (; n > 0; n -= FJ_BLOCK, p += 34, dst += FJ_BLOCK) {
        v16 d = v16_set1(half_at(p));
        v16_store(dst, v16_mul(v16_of_int(i16_load_signed(p + 2)), d), 16);
        v16_store(dst + 16, v16_mul(v16_of_int(i16_load_signed(p + 18)), d), 16);
    }
}

/* Bits first…first + 15 of a word, as bit 4. */
FJ_INLINE i16 fifth_bits(uint32_t word, int first)
{
    i16 bits = i16_spread(i16_pair(word >> first, word >> (first + 8)), 1);
    return i16_shift_left(i16_and(bits, 1), 4);
}

/* Q4_0 Q4_1 Q5_0 Q5_1 */
FJ_INLINE void decode_nibbles(fj_form f, const uint8_t *p, float *dst, int64_t n)
{
    const int scales = fj_has_min(f) ? 4 : 2, high_bytes = f.bits == 5 ? 4 : 0;
    for (; n > 0; n -= FJ_BLOCK, p += scales + high_bytes + 16, dst += FJ_BLOCK) {
        v16 d = v16_set1(half_at(p)), m = v16_set1(fj_has_min(f) ? half_at(p + 2) : 0);
        i16 codes = i16_load_bytes(p + scales + high_bytes);
        for (int h = 0; h < 32; h += 16) {
            i16 q = h ? i16_shift_right(codes, 4) : i16_and(codes, 15);
            if (f.bits == 5)
                q = i16_add(q, fifth_bits(fj_load_u32(p + scales), h));
            v16 value = v16_sub(v16_of_int(q), v16_set1((float)f.offset));
            v16_store(dst + h, fj_has_min(f) ? v16_fma(value, d, m, 16) : v16_mul(value, d), 16);
        }
    }
}

static void decode_q4_0(const void *src, float *dst, int64_t n)
{
    decode_nibbles(fj_forms[FJ_ROW_Q4_0], src, dst, n);
}

static void decode_q4_1(const void *src, float *dst, int64_t n)
{
    decode_nibbles(fj_forms[FJ_ROW_Q4_1], src, dst, n);
}

static void decode_q5_0(const void *src, float *dst, int64_t n)
{
    decode_nibbles(fj_forms[FJ_ROW_Q5_0], src, dst, n);
}

static void decode_q5_1(const void *src, float *dst, int64_t n)
{
    decode_nibbles(fj_forms[FJ_ROW_Q5_1], src, dst, n);
}

/* Q4_K Q5_K. The products of d with scales and of dmin with minimums are exact. */
FJ_INLINE void decode_k(fj_form f, const uint8_t *block, float *dst, int64_t n)
{
    const int first = f.bits == 5 ? 48 : 16;
    for (; n > 0; n -= 256, block += first + 128, dst += 256) {
        float d = half_at(block), dmin = half_at(block + 2);
        for (int s = 0; s < 8; s++) {
            uint8_t scale, min;
            fj_k_scale_min(block + 4, s, &scale, &min);
            v16 a = v16_set1(d * (float)scale), b = v16_set1(-(dmin * (float)min));
            for (int part = 0; part < 32; part += 16) {
                i16 codes = i16_load_bytes(block + first + 32 * (s / 2) + part);
                i16 q = s % 2 ? i16_shift_right(codes, 4) : i16_and(codes, 15);
                if (f.bits == 5) {
                    i16 high = i16_and(i16_shift_right(i16_load_bytes(block + 16 + part), s), 1);
                    q = i16_add(q, i16_shift_left(high, 4));
                }
                v16_store(dst + 32 * s + part, v16_fma(v16_of_int(q), a, b, 16), 16);
            }
        }
    }
}

static void decode_q4_k(const void *src, float *dst, int64_t n)
{
    decode_k(fj_forms[FJ_ROW_Q4_K], src, dst, n);
}

static void decode_q5_k(const void *src, float *dst, int64_t n)
{
    decode_k(fj_forms[FJ_ROW_Q5_K], src, dst, n);
}

static void decode_q6_k(const void *src, float *dst, int64_t n)
{
    const uint8_t *block = src;
    for (; n > 0; n -= 256, block += 210, dst += 256) {
        float scale[16];
        v16_store(scale, v16_mul(v16_of_int(i16_load_signed(block + 192)), v16_set1(half_at(block + 208))), 16);
        for (int part = 0; part < 4; part++) { /* 16 bytes of qh: bits 4, 5 of 4 times 16 values */
            int run = part / 2, at = part % 2 * 16;
            i16 high = i16_load_bytes(block + 128 + 16 * part);
            for (int s = 0; s < 4; s++) {
                i16 codes = i16_load_bytes(block + 64 * run + at + 32 * (s % 2));
                i16 low = s >= 2 ? i16_shift_right(codes, 4) : i16_and(codes, 15);
                i16 top = i16_and(i16_shift_left(i16_shift_right(high, 2 * s), 4), 48);
                v16 value = v16_sub(v16_of_int(i16_add(low, top)), v16_set1(32));
                v16_store(dst + 128 * run + 32 * s + at, v16_mul(value, v16_set1(scale[8 * run + 2 * s + at / 16])),
                          16);
            }
        }
    }
}

/* ---- activations ------------------------------------------------------------------------------- */

FJ_INLINE uint32_t largest_magnitude(const float *x)
{
    uint32x4_t most = vdupq_n_u32(0);
    for (int i = 0; i < FJ_BLOCK; i += 4)
        most = vmaxq_u32(most, vandq_u32(vreinterpretq_u32_f32(vld1q_f32(x + i)), vdupq_n_u32(0x7fffffff)));
    return vmaxvq_u32(most);
}

FJ_INLINE int16x8_t round8(const float *x, float inverse)
{
    int32x4_t low = vcvtnq_s32_f32(vmulq_n_f32(vld1q_f32(x), inverse));
    int32x4_t high = vcvtnq_s32_f32(vmulq_n_f32(vld1q_f32(x + 4), inverse));
    return vcombine_s16(vmovn_s32(low), vmovn_s32(high));
}

static void quantize_row_q8(const float *x, fj_q8_block *out, int64_t k)
{
    for (int64_t b = 0; b < k / FJ_BLOCK; b++, x += FJ_BLOCK, out++) {
        float inverse;
        fj_q8_block q8 = { 0 };
        if (fj_q8_scale(largest_magnitude(x), &q8.scale, &inverse))
            for (int h = 0; h < 2; h++) {
                int16x8_t first = round8(x + 16 * h, inverse), second = round8(x + 16 * h + 8, inverse);
                q8.sum[h] = vaddvq_s16(vaddq_s16(first, second));
                vst1q_s8(q8.q + 16 * h, vcombine_s8(vmovn_s16(first), vmovn_s16(second)));
            }
        memcpy(out, &q8, sizeof q8);
    }
}

void fj_kernels_init_quant_neon(fj_kernels *k)
{
    k->quantize_row_q8 = quantize_row_q8;
    k->decode_row[FJ_ROW_Q8_0] = decode_q8_0;
    k->decode_row[FJ_ROW_Q4_0] = decode_q4_0;
    k->decode_row[FJ_ROW_Q4_1] = decode_q4_1;
    k->decode_row[FJ_ROW_Q5_0] = decode_q5_0;
    k->decode_row[FJ_ROW_Q5_1] = decode_q5_1;
    k->decode_row[FJ_ROW_Q4_K] = decode_q4_k;
    k->decode_row[FJ_ROW_Q5_K] = decode_q5_k;
    k->decode_row[FJ_ROW_Q6_K] = decode_q6_k;
}
