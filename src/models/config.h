/* SPDX-License-Identifier: Apache-2.0
 * Reading what most configurations share; reference: decoders sheet, 0.1 and 0.2. Keys are as fj_json_find takes them: several names of
 * one thing between '|', the first one is used in messages. */
#ifndef FJ_MODELS_CONFIG_H
#define FJ_MODELS_CONFIG_H

#include "models/family.h"

/* What a family calls its sizes. NULL: as llama does; "": there is no such key, so what it is when absent. */
typedef struct fj_config_names {
    const char *d_model, *d_ff, *n_layers, *n_heads, *n_kv_heads, *d_head, *n_ctx, *norm_eps;
    int64_t     ff_times;    /* d_ff where it is absent, in d_models; 0: it must be there */
    int64_t     d_head_is;   /* d_head where it is absent; 0: d_model / n_heads */
    double      norm_eps_is; /* norm_eps where it is absent; 0: 1e-6 */
} fj_config_names;

/* Sizes, within limits that keep every size in range, and norm_eps. names may be NULL. FJ_ERR_FORMAT names the key. */
fj_status fj_config_core(const fj_json *config, const fj_config_names *names, fj_hparams *out, fj_err *err);

/* One key: the fallback when it is absent or null. FJ_ERR_FORMAT names a key whose value is of another kind. */
fj_status fj_config_real(const fj_json *config, const char *key, double fallback, double *out, fj_err *err);
fj_status fj_config_bool(const fj_json *config, const char *key, bool fallback, bool *out, fj_err *err);
fj_status fj_config_text(const fj_json *config, const char *key, const char *fallback, const char **out, fj_err *err); /* view */
fj_status fj_config_count(const fj_json *config, const char *key, int64_t fallback, int64_t most, int64_t *out, fj_err *err);

/* The activation that the key names. */
fj_status fj_config_activation(const fj_json *config, const char *key, const char *fallback, fj_hparams *hp, fj_err *err);

/* How many experts there are, and how many a row takes. */
fj_status fj_config_experts(const fj_json *config, const char *key, const char *key_used, fj_hparams *hp, fj_err *err);

/* A number that must be above 0 where it is there; absent and null are 0. */
fj_status fj_config_positive(const fj_json *config, const char *key, double *out, fj_err *err);

/* sliding_window: null is none. absent: what it is then. All layers have it. */
fj_status fj_config_window(const fj_json *config, int64_t absent, fj_hparams *hp, fj_err *err);

/* Which layers have the window: layer_types where it is there, else all but every `period`-th. */
fj_status fj_config_layer_types(const fj_json *config, int64_t period, fj_hparams *hp, fj_err *err);

/* Qwen's: with use_sliding_window the layers behind the first max_window_layers, or those that layer_types names. */
fj_status fj_config_late_window(const fj_json *config, fj_hparams *hp, fj_err *err);

/* rope_theta and scaling, at the top, in rope_scaling (old) or in rope_parameters (new). partial: the share of a head that is rotated
 * where the configuration does not say. */
fj_status fj_config_rope(const fj_json *config, double partial, fj_hparams *hp, fj_err *err);

/* Inverse frequencies of the rotated pairs: n values, scaling applied; divisors (n values, or NULL) are GGUF's rope_freqs. */
void fj_rope_inverse(const fj_hparams *hp, const float *divisors, int64_t n, float *out);
void fj_rope_inverse_long(const fj_hparams *hp, int64_t n, float *out);  /* of longrope behind its original length */
void fj_rope_inverse_local(const fj_hparams *hp, int64_t n, float *out); /* of layers with a window: rope_theta_local, no scaling */

/* Slopes of alibi. Source: transformers, build_alibi_tensor; Press et al. 2022. */
void fj_alibi_slopes(const fj_hparams *hp, float *out);

#endif
