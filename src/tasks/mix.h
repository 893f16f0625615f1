/* SPDX-License-Identifier: Apache-2.0
 * A mix of types that fits a size or a loss, chosen by measurement.
 *
 * Each matrix is encoded in each type that its rows allow, a sample of its rows at least; what that changes in the product with inputs as
 * the importance matrix knows them, relative to the product, is the matrix's error in that type. How much an error matters is measured
 * for each role: all its matrices are made worse, and the KL divergence from the model as it is, over the sum of their errors, is the
 * role's weight. Small losses add up (Malinovskii et al. 2024, "HIGGS", linearity theorem), so the best mix of a size is
 * found greedily: the next step is always the one that gains most for its bytes. */
#ifndef FJ_TASKS_MIX_H
#define FJ_TASKS_MIX_H

#include "tasks/export.h"
#include "tasks/perplexity.h"

typedef struct fj_mix fj_mix;

/* One matrix in the type it has now. */
typedef struct fj_mix_line {
    const fj_weight *weight;
    const fj_dtype  *type;
    double error; /* relative, squared, weighted by importance */
    double loss;  /* KL divergence that it is expected to add, in nats */
    size_t bytes;
} fj_mix_line;

typedef struct fj_mix_settings {
    const fj_export_rows *rows;
    const fj_imatrix     *imatrix; /* may be NULL: all columns alike */
    const fj_windows     *windows; /* what KL divergences are measured on */
    const fj_measurement *m;       /* show is not called */
    void (*step)(void *context, const char *what); /* says what is being measured; may be NULL */
    void *context;
} fj_mix_settings;

/* Measures errors and weights. Settings and model outlive the mix; the model's weights must not be repacked. */
fj_status fj_mix_open(const fj_model *m, const fj_mix_settings *s, fj_mix **out, fj_err *err);
void      fj_mix_close(fj_mix *mix); /* accepts NULL */

/* The best mix of at most so many bytes of matrices; FJ_ERR_USAGE when the smallest has more. */
fj_status fj_mix_for_bytes(fj_mix *mix, uint64_t bytes, fj_err *err);
/* The smallest mix found whose measured KL divergence is at most kl, and that figure. FJ_ERR_USAGE when none has so little. */
fj_status fj_mix_for_kl(fj_mix *mix, double kl, fj_estimate *found, fj_err *err);
/* KL divergence of the mix as it is now. */
fj_status fj_mix_measure(fj_mix *mix, fj_estimate *out, fj_err *err);

/* The types of all weights, for fj_export_types. A view. */
const fj_dtype *const *fj_mix_types(const fj_mix *mix);
size_t      fj_mix_count(const fj_mix *mix); /* matrices */
fj_mix_line fj_mix_line_of(const fj_mix *mix, size_t i);

#endif
