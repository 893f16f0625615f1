/* SPDX-License-Identifier: Apache-2.0
 * What the sampler's files share: the candidates, and what is done to them. */
#ifndef FJ_TASKS_SAMPLE_INTERNAL_H
#define FJ_TASKS_SAMPLE_INTERNAL_H

#include <stdbool.h>
#include <stdint.h>

typedef struct fj_candidate {
    int32_t id;
    float logit;
    double p; /* after fj_candidates_weigh */
} fj_candidate;

/* Tokens that may still be drawn, in any order but for the first n_sorted: these are the best, best first (equal logits: lower id). */
typedef struct fj_candidates {
    fj_candidate *items;
    int64_t n, n_sorted;
} fj_candidates;

/* The best k come first, in order. */
void fj_candidates_sort(fj_candidates *c, int64_t k);

/* p of all: softmax of the logits. */
void fj_candidates_weigh(fj_candidates *c);

/* Filters. At least one candidate stays. */
void fj_keep_top_k(fj_candidates *c, int64_t k);
void fj_keep_top_p(fj_candidates *c, double p);
void fj_keep_min_p(fj_candidates *c, double p);
void fj_keep_typical(fj_candidates *c, double p);
void fj_keep_sigma(fj_candidates *c, double n_sigma);
void fj_drop_top_choices(fj_candidates *c, double threshold); /* XTC, when its chance came */

void fj_apply_temperature(fj_candidates *c, double temp, double range, double exponent);

/* The candidate at u (0 to 1) of the probabilities, which are weighed; its index. */
int64_t fj_candidates_pick(const fj_candidates *c, double u);

/* Mirostat 1 and 2: truncate by mu. */
void fj_mirostat_truncate(fj_candidates *c, int version, double mu, int64_t n_vocab);

/* Subtracts penalties from logits (n_vocab) for the last tokens of context. counts: n_vocab zeros, given back so. */
typedef struct fj_penalties {
    double repeat, presence, frequency;
    int64_t last_n;
} fj_penalties;
void fj_penalize(const fj_penalties *p, const int32_t *context, int64_t n, float *logits, int32_t *counts);

/* DRY ("don't repeat yourself", p-e-w). z: last_n ints. breaks: a byte for each token, or NULL. longest: n_vocab zeros, given back so. */
typedef struct fj_dry {
    double multiplier, base;
    int64_t allowed, last_n;
} fj_dry;
void fj_penalize_repetition(const fj_dry *d, const int32_t *context, int64_t n, const unsigned char *breaks,
                            float *logits, int32_t *z, int32_t *longest);

#endif
