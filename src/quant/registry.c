/* SPDX-License-Identifier: Apache-2.0 */

#include "quant/quant_internal.h"

/* In order of falling bits a value. */
const fj_quant *const fj_quants[] = {
    &fj_quant_f32,  &fj_quant_bf16, &fj_quant_f16,  &fj_quant_q8_0, &fj_quant_q6_k, &fj_quant_q5_1,
    &fj_quant_q5_k, &fj_quant_q5_0, &fj_quant_q4_1, &fj_quant_q4_k, &fj_quant_q4_0, NULL,
};

const fj_quant *fj_quant_of(const fj_dtype *dtype)
{
    for (const fj_quant *const *quant = fj_quants; *quant; quant++)
        if ((*quant)->dtype == dtype)
            return *quant;
    return NULL;
}
