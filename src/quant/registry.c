/* SPDX-License-Identifier: Apache-2.0 */

#include "quant/quant_internal.h"

/* In order of falling bits a value. */
const fj_quant *const fj_quants[] = {
    &fj_quant_f32,    &fj_quant_bf16,   &fj_quant_f16,   &fj_quant_u8_32,  &fj_quant_q8_0,
    &fj_quant_int8,   &fj_quant_u8_128, &fj_quant_q6_k,  &fj_quant_q5_1,   &fj_quant_q5_k,
    &fj_quant_q5_0,   &fj_quant_q4_1,   &fj_quant_u4_32, &fj_quant_q4_k,   &fj_quant_q4_0,
    &fj_quant_iq4_nl, &fj_quant_nf4,    &fj_quant_fp4,   &fj_quant_iq4_xs, &fj_quant_mxfp4,
    &fj_quant_u4_128, &fj_quant_u3_32,  &fj_quant_q3_k,  &fj_quant_iq3_s,  &fj_quant_iq3_xxs,
    &fj_quant_u2_32,  &fj_quant_q2_k,   &fj_quant_iq2_s, &fj_quant_iq2_xs, &fj_quant_iq2_xxs,
    &fj_quant_tq2_0,  &fj_quant_iq1_m,  &fj_quant_tq1_0, &fj_quant_iq1_s,  NULL,
};

const fj_quant *fj_quant_of(const fj_dtype *dtype)
{
    for (const fj_quant *const *quant = fj_quants; *quant; quant++)
        if ((*quant)->dtype == dtype)
            return *quant;
    return NULL;
}
