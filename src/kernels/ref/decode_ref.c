/* SPDX-License-Identifier: Apache-2.0
 * Rows of quantized types as values: what quant/ says, and the types that have no packed form. */
#include "kernels/kernels_internal.h"
#include "kernels/tile_internal.h"

static const fj_dtype *const unpacked[FJ_DECODE_TYPES - FJ_PACK_TYPES] = {
    [FJ_ROW_NF4 - FJ_PACK_TYPES] = &fj_nf4,
    [FJ_ROW_FP4 - FJ_PACK_TYPES] = &fj_fp4,
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
