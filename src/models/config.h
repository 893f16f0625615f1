/* SPDX-License-Identifier: Apache-2.0
 * Reading what most configurations share; reference: decoders sheet, 0.2. */
#ifndef FJ_MODELS_CONFIG_H
#define FJ_MODELS_CONFIG_H

#include "models/family.h"

/* hidden_size … max_position_embeddings, rms_norm_eps, within limits that keep every size in range. FJ_ERR_FORMAT names the key. */
fj_status fj_config_core(const fj_json *config, fj_hparams *out, fj_err *err);

/* Inverse frequencies of the rotated pairs: n values, scaling applied; divisors (n values, or NULL) are GGUF's rope_freqs. */
void fj_rope_inverse(const fj_hparams *hp, const float *divisors, int64_t n, float *out);

#endif
