/* SPDX-License-Identifier: Apache-2.0
 * The types that have a packed form, in the order of the tables' rows. */
#include "kernels/tile_internal.h"

const fj_pack *const fj_packs[FJ_PACK_TYPES] = {
    [FJ_ROW_Q8_0] = &fj_pack_q8_0,     [FJ_ROW_Q4_0] = &fj_pack_q4_0,     [FJ_ROW_Q4_1] = &fj_pack_q4_1,
    [FJ_ROW_Q5_0] = &fj_pack_q5_0,     [FJ_ROW_Q5_1] = &fj_pack_q5_1,     [FJ_ROW_Q4_K] = &fj_pack_q4_k,
    [FJ_ROW_Q5_K] = &fj_pack_q5_k,     [FJ_ROW_Q6_K] = &fj_pack_q6_k,     [FJ_ROW_Q3_K] = &fj_pack_q3_k,
    [FJ_ROW_Q2_K] = &fj_pack_q2_k,     [FJ_ROW_IQ4_NL] = &fj_pack_iq4_nl, [FJ_ROW_IQ4_XS] = &fj_pack_iq4_xs,
    [FJ_ROW_MXFP4] = &fj_pack_mxfp4,   [FJ_ROW_TQ2_0] = &fj_pack_tq2_0,   [FJ_ROW_TQ1_0] = &fj_pack_tq1_0,
    [FJ_ROW_INT8] = &fj_pack_int8,     [FJ_ROW_U8_128] = &fj_pack_u8_128, [FJ_ROW_U8_32] = &fj_pack_u8_32,
    [FJ_ROW_U4_128] = &fj_pack_u4_128, [FJ_ROW_U4_32] = &fj_pack_u4_32,   [FJ_ROW_U3_32] = &fj_pack_u3_32,
    [FJ_ROW_U2_32] = &fj_pack_u2_32,   [FJ_ROW_IQ3_S] = &fj_pack_iq3_s,   [FJ_ROW_IQ3_XXS] = &fj_pack_iq3_xxs,
    [FJ_ROW_IQ2_S] = &fj_pack_iq2_s,   [FJ_ROW_IQ2_XS] = &fj_pack_iq2_xs, [FJ_ROW_IQ2_XXS] = &fj_pack_iq2_xxs,
    [FJ_ROW_IQ1_M] = &fj_pack_iq1_m,   [FJ_ROW_IQ1_S] = &fj_pack_iq1_s,
};

int fj_pack_index(const fj_dtype *dtype)
{
    for (int i = 0; i < FJ_PACK_TYPES; i++)
        if (fj_packs[i]->dtype == dtype)
            return i;
    return -1;
}

const fj_pack *fj_pack_of(const fj_dtype *dtype)
{
    int i = fj_pack_index(dtype);
    return i < 0 ? NULL : fj_packs[i];
}
