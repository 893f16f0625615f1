/* SPDX-License-Identifier: Apache-2.0
 * What loading, sizes and fill.c share of weights that are made. */
#ifndef FJ_MODELS_FILL_H
#define FJ_MODELS_FILL_H

#include "models/model.h"

/* Notes every weight whose numbers the source has in another form; its data is NULL until fj_model_fill. */
fj_status fj_model_list_made(fj_model *m, fj_err *err);

/* Whether the numbers are there between fj_model_make and fj_model_give_back only; and a weight as the source has it. */
bool             fj_weight_comes_late(const fj_model *m, const fj_weight *w);
const fj_weight *fj_weight_source(const fj_model *m, const fj_weight *w);

/* Bytes beside the blocks of a weight with coded scales; 0 for all others. */
size_t fj_weight_scales_bytes(const fj_weight *w);

#endif
