/* SPDX-License-Identifier: Apache-2.0
 * Unsigned codes with a scale and a zero for a group of columns: writing the blocks of GPTQ and AWQ files. */
#ifndef FJ_QUANT_GROUPS_H
#define FJ_QUANT_GROUPS_H

#include "quant/quant.h"

/* The type for codes of 2, 3, 4 or 8 bits whose groups have `group` columns: blocks of 128, or of 32 where those do not divide groups.
 * NULL where none fits. */
const fj_dtype *fj_groups_type(int bits, int64_t group);

/* One block of the type. scale: a half; zero: the code that stands for 0; codes: block_len of them. */
void fj_groups_put(const fj_dtype *dtype, uint16_t scale, uint16_t zero, const uint8_t *codes, void *block);

#endif
