/* SPDX-License-Identifier: Apache-2.0
 * Guesses of the tokens that come next, for the model to confirm several of them in one pass: from a smaller model, or from what the text
 * said before. What is confirmed is what the model would have drawn itself, so guesses change the speed of an answer and nothing else.
 * Sources: Leviathan, Kalman and Matias 2023 (a draft model); Saxena 2023 (look-up); llama.cpp for names. */
#ifndef FJ_TASKS_DRAFT_H
#define FJ_TASKS_DRAFT_H

#include "base/option.h"
#include "tasks/opened.h"

typedef struct fj_draft_settings {
    const char *model;   /* a model with the same vocabulary; NULL: none */
    bool lookup;         /* what followed when the last tokens stood in the text before; asked first */
    int64_t most, least; /* tokens at once; fewer than `least` are not tried */
    double p_min;        /* the draft model goes on while its best token has this probability at least */
} fj_draft_settings;

extern const fj_option fj_draft_options[]; /* rows for the struct above */

typedef struct fj_draft fj_draft;

/* For a model that is opened with its tokenizer; pool as in fj_opened_open. *out is NULL where neither way was asked for.
 * FJ_ERR_USAGE: the draft model has other tokens, or a recurrent state, which cannot be cut. */
fj_status fj_draft_open(const fj_draft_settings *s, const fj_opened *target, fj_pool *pool, fj_draft **out, fj_err *err);
void fj_draft_close(fj_draft *d); /* accepts NULL */

/* The memory that fj_draft_start takes, weights included, for a context of n_ctx positions (0: the draft's own). */
fj_status fj_draft_plan(const fj_draft *d, int64_t n_ctx, const fj_fit *fit, size_t *bytes, fj_err *err);
fj_status fj_draft_start(fj_draft *d, int64_t n_ctx, const fj_fit *fit, fj_err *err);

int64_t fj_draft_most(const fj_draft *d); /* guesses at once */

/* Guesses what follows n ids (n >= 1): *n_out ids, `room` at most, all of them in the target's vocabulary. It is a function of what it
 * was asked and taught before. FJ_ERR_CANCELLED. */
fj_status fj_draft_guess(fj_draft *d, const int32_t *ids, int64_t n, int64_t room, int32_t *out, int64_t *n_out,
                         const int *cancel, fj_err *err);
/* How many of the last guesses were right: it guesses more or fewer next time. */
void fj_draft_learn(fj_draft *d, int64_t n_guessed, int64_t n_right);

#endif
