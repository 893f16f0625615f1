/* SPDX-License-Identifier: Apache-2.0
 * metrics.jsonl: one JSON object a line. A step's line has `loss`, an evaluation's `eval_loss`. */
#ifndef FJ_TRAIN_METRICS_H
#define FJ_TRAIN_METRICS_H

#include <stdint.h>

#include "base/err.h"
#include "base/json.h"

/* What one optimizer step did. loss: what was differentiated, that is the mean over the labelled
 * tokens of the step's window and the router term; grad_norm: before clipping. */
typedef struct fj_train_step {
    int64_t step; /* from 1 */
    double epoch; /* epochs done after this step */
    double loss, grad_norm, learning_rate;
    int64_t tokens; /* of the window */
    double tokens_per_second;
    uint64_t peak_bytes; /* of this process */
} fj_train_step;

typedef struct fj_train_eval {
    int64_t step;
    double epoch;
    double loss; /* mean over the labelled tokens of all evaluation rows */
    int64_t tokens;
    double seconds;
} fj_train_eval;

typedef struct fj_metrics fj_metrics;

/* Opens path for adding lines. Lines of steps up to `keep` stay (0: none), later ones and broken ones go: a run that was killed goes on
 * from a checkpoint, and every step is there once. */
fj_status fj_metrics_open(const char *path, int64_t keep, fj_metrics **out, fj_err *err);
void fj_metrics_close(fj_metrics *m); /* accepts NULL */

/* One line, handed to the system whole. */
fj_status fj_metrics_step(fj_metrics *m, const fj_train_step *s, fj_err *err);
fj_status fj_metrics_eval(fj_metrics *m, const fj_train_eval *e, fj_err *err);

/* The lines as JSON; NULL without memory. The caller owns it. */
fj_json *fj_train_step_json(const fj_train_step *s);
fj_json *fj_train_eval_json(const fj_train_eval *e);

/* Every "step" and "loss" of a file that is being written, for a curve: *n pairs, in arrays for free(). */
fj_status fj_metrics_losses(const char *path, double **steps, double **losses, size_t *n, fj_err *err);

#endif
