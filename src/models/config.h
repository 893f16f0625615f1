/* SPDX-License-Identifier: Apache-2.0
 * Reading what most configurations share; reference: decoders sheet, 0.2. */
#ifndef FJ_MODELS_CONFIG_H
#define FJ_MODELS_CONFIG_H

#include "models/family.h"

/* hidden_size … max_position_embeddings, rms_norm_eps, within limits that keep every size in range. FJ_ERR_FORMAT names the key. */
fj_status fj_config_core(const fj_json *config, fj_hparams *out, fj_err *err);

/* One key: the fallback when it is absent or null. FJ_ERR_FORMAT names a key whose value is of another kind. */
fj_status fj_config_real(const fj_json *config, const char *key, double fallback, double *out, fj_err *err);
fj_status fj_config_bool(const fj_json *config, const char *key, bool fallback, bool *out, fj_err *err);
fj_status fj_config_text(const fj_json *config, const char *key, const char *fallback, const char **out, fj_err *err); /* view */

/* Inverse frequencies of the rotated pairs: n values, scaling applied; divisors (n values, or NULL) are GGUF's rope_freqs. */
void fj_rope_inverse(const fj_hparams *hp, const float *divisors, int64_t n, float *out);

#endif
