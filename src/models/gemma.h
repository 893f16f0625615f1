/* SPDX-License-Identifier: Apache-2.0
 * What the generations of Gemma share. */
#ifndef FJ_MODELS_GEMMA_H
#define FJ_MODELS_GEMMA_H

#include "models/build.h"

fj_status fj_gemma_hparams(const fj_json *config, fj_naming naming, fj_hparams *out, fj_err *err);

/* The softcaps and the scale of scores: an absent key is what `scalar`, `attn` and `final` say, null is none. */
fj_status fj_gemma2_scores(const fj_json *config, double scalar, double attn, double final, fj_hparams *hp, fj_err *err);

/* Four norms: before and behind attention and MLP. */
fj_value *fj_gemma2_block(fj_build *b, fj_value *x, int layer);

#endif
