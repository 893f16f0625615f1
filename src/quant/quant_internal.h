/* SPDX-License-Identifier: Apache-2.0
 * What the files of this folder share: the descriptors, and bytes of blocks. */
#ifndef FJ_QUANT_QUANT_INTERNAL_H
#define FJ_QUANT_QUANT_INTERNAL_H

#include <string.h>

#include "quant/quant.h"

extern const fj_quant fj_quant_f32, fj_quant_f16, fj_quant_bf16;
extern const fj_quant fj_quant_q8_0, fj_quant_q4_0, fj_quant_q4_1, fj_quant_q5_0, fj_quant_q5_1;
extern const fj_quant fj_quant_q2_k, fj_quant_q3_k, fj_quant_q4_k, fj_quant_q5_k, fj_quant_q6_k;
extern const fj_quant fj_quant_iq4_nl, fj_quant_iq4_xs, fj_quant_mxfp4, fj_quant_tq1_0, fj_quant_tq2_0;
extern const fj_quant fj_quant_iq3_xxs, fj_quant_iq3_s, fj_quant_iq2_xxs, fj_quant_iq2_xs, fj_quant_iq2_s;
extern const fj_quant fj_quant_iq1_s, fj_quant_iq1_m;
extern const fj_quant fj_quant_nf4, fj_quant_fp4, fj_quant_int8;
extern const fj_quant fj_quant_u8_128, fj_quant_u8_32, fj_quant_u4_128, fj_quant_u4_32, fj_quant_u3_32, fj_quant_u2_32;

/* Nearest half, ±65504 where that would be infinite, 0 for NaN: a block whose scale is infinite decodes to NaN, a
 * saturated one to the nearest numbers it can hold. */
uint16_t fj_half_saturated(float x);

/* Half at p, which may be unaligned, as f32; and back. */
static inline float fj_half_load(const uint8_t *p)
{
    uint16_t h;
    memcpy(&h, p, sizeof h);
    return fj_f16_to_f32(h);
}

static inline void fj_half_store(uint8_t *p, uint16_t h)
{
    memcpy(p, &h, sizeof h);
}

/* 1 / d, or 0 where that is not finite. */
static inline float fj_inverse(float d)
{
    float inverse = 1.0f / (d != 0 ? d : 1.0f);
    return d != 0 && inverse - inverse == 0 ? inverse : 0.0f;
}

/* t without its fraction, kept in 0…top; 0 for NaN. */
static inline uint8_t fj_code(float t, int top)
{
    if (!(t >= 1))
        return 0;
    return t >= top ? (uint8_t)top : (uint8_t)t;
}

#endif
