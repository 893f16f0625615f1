/* SPDX-License-Identifier: Apache-2.0
 * Rows of quantized types as values: what quant/ says, and the list of those that have a row in the table. */
#include "kernels/kernels_internal.h"
#include "kernels/tile_internal.h"

static const fj_dtype *const unpacked[FJ_DECODE_TYPES - FJ_PACK_TYPES] = {
    [FJ_ROW_Q2_K - FJ_PACK_TYPES] = &fj_q2_k,       [FJ_ROW_Q3_K - FJ_PACK_TYPES] = &fj_q3_k,
    [FJ_ROW_IQ4_NL - FJ_PACK_TYPES] = &fj_iq4_nl,   [FJ_ROW_IQ4_XS - FJ_PACK_TYPES] = &fj_iq4_xs,
    [FJ_ROW_MXFP4 - FJ_PACK_TYPES] = &fj_mxfp4,     [FJ_ROW_IQ3_S - FJ_PACK_TYPES] = &fj_iq3_s,
    [FJ_ROW_IQ3_XXS - FJ_PACK_TYPES] = &fj_iq3_xxs, [FJ_ROW_IQ2_S - FJ_PACK_TYPES] = &fj_iq2_s,
    [FJ_ROW_IQ2_XS - FJ_PACK_TYPES] = &fj_iq2_xs,   [FJ_ROW_IQ2_XXS - FJ_PACK_TYPES] = &fj_iq2_xxs,
    [FJ_ROW_IQ1_M - FJ_PACK_TYPES] = &fj_iq1_m,     [FJ_ROW_IQ1_S - FJ_PACK_TYPES] = &fj_iq1_s,
    [FJ_ROW_TQ2_0 - FJ_PACK_TYPES] = &fj_tq2_0,     [FJ_ROW_TQ1_0 - FJ_PACK_TYPES] = &fj_tq1_0,
    [FJ_ROW_NF4 - FJ_PACK_TYPES] = &fj_nf4,         [FJ_ROW_FP4 - FJ_PACK_TYPES] = &fj_fp4,
    [FJ_ROW_INT8 - FJ_PACK_TYPES] = &fj_int8,       [FJ_ROW_U8_128 - FJ_PACK_TYPES] = &fj_u8_128,
    [FJ_ROW_U8_32 - FJ_PACK_TYPES] = &fj_u8_32,     [FJ_ROW_U4_128 - FJ_PACK_TYPES] = &fj_u4_128,
    [FJ_ROW_U4_32 - FJ_PACK_TYPES] = &fj_u4_32,     [FJ_ROW_U3_32 - FJ_PACK_TYPES] = &fj_u3_32,
    [FJ_ROW_U2_32 - FJ_PACK_TYPES] = &fj_u2_32,
};

int fj_decode_index(const fj_dtype *dtype)
{
    for (int i = 0; i < FJ_DECODE_TYPES - FJ_PACK_TYPES; i++)
        if (unpacked[i] == dtype)
            return FJ_PACK_TYPES + i;
    return fj_pack_index(dtype);
}

void fj_kernels_init_decode_ref(fj_kernels *k)
{
    for (int i = 0; i < FJ_PACK_TYPES; i++)
        k->decode_row[i] = fj_quant_of(fj_packs[i]->dtype)->decode;
    for (int i = FJ_PACK_TYPES; i < FJ_DECODE_TYPES; i++)
        k->decode_row[i] = fj_quant_of(unpacked[i - FJ_PACK_TYPES])->decode;
}
