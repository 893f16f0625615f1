/* SPDX-License-Identifier: Apache-2.0
 * The types that have a packed form, in the order of the tables' rows. */
#include "kernels/tile_internal.h"

const fj_pack *const fj_packs[FJ_PACK_TYPES] = {
    [FJ_ROW_Q8_0] = &fj_pack_q8_0, [FJ_ROW_Q4_0] = &fj_pack_q4_0, [FJ_ROW_Q4_1] = &fj_pack_q4_1,
    [FJ_ROW_Q5_0] = &fj_pack_q5_0, [FJ_ROW_Q5_1] = &fj_pack_q5_1, [FJ_ROW_Q4_K] = &fj_pack_q4_k,
    [FJ_ROW_Q5_K] = &fj_pack_q5_k, [FJ_ROW_Q6_K] = &fj_pack_q6_k,
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
