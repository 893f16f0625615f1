/* SPDX-License-Identifier: Apache-2.0
 * How well a model foretells a text, and how far it is from another model that reads the same. In each window the tokens of the second
 * half are scored, each with what stands before it in the window, the last one not: llama.cpp's convention.
 * Source: llama.cpp, tools/perplexity/perplexity.cpp (perplexity, kl_divergence). */
#ifndef FJ_TASKS_PERPLEXITY_H
#define FJ_TASKS_PERPLEXITY_H

#include "models/adapter.h"
#include "models/session.h"
#include "tasks/windows.h"

/* A figure from many tokens with the standard error of their mean (for what is computed from means: carried on linearly). */
typedef struct fj_estimate {
    double value, error;
} fj_estimate;

typedef struct fj_perplexity {
    int64_t     windows, tokens; /* that were read; that were scored */
    fj_estimate nll, perplexity; /* nats a token; exp of it */
    double      seconds;
} fj_perplexity;

/* What a token's probabilities lost against the base: KL(base || model) in nats, and the change of the right token's probability. */
typedef struct fj_divergence {
    fj_perplexity base;
    fj_estimate   ln_ratio;    /* mean of nll - base nll; exp of it is the ratio of perplexities */
    double        correlation; /* of the two nlls */
    fj_estimate   kl;
    double        kl_median, kl_90, kl_95, kl_99, kl_999, kl_max;
    fj_estimate   same_top; /* share of tokens, 0 to 1, for which both models think the same most likely */
    fj_estimate   delta_p, delta_p_rms;
} fj_divergence;

/* One of the models that read. The weights may be repacked; pool and kernels are those of the measurement. */
typedef struct fj_reader {
    const fj_model   *model;
    const fj_adapter *adapter; /* may be NULL */
    bool              fast;    /* arithmetic of `run`, else float32 throughout */
    const fj_dtype   *k_type, *v_type; /* of its cache, as in fj_session_settings; may be NULL */
} fj_reader;

typedef struct fj_measurement {
    fj_pool          *pool;
    const fj_kernels *kernels;
    const int        *cancel; /* may be NULL */
    /* Called after each pass with the windows read so far and their perplexity; may be NULL. */
    void (*show)(void *context, int64_t windows, double perplexity);
    void *context;
} fj_measurement;

enum { FJ_PERPLEXITY_LEAST = 4 }; /* tokens that a window must have for one to be scored */

/* base NULL: no divergence. FJ_ERR_USAGE when the vocabularies are not of one size, FJ_ERR_FAILED when a model's numbers are not finite,
 * FJ_ERR_CANCELLED. */
fj_status fj_perplexity_measure(const fj_reader *reader, const fj_reader *base, const fj_windows *windows, const fj_measurement *m,
                                fj_perplexity *out, fj_divergence *divergence, fj_err *err);

#endif
