/* SPDX-License-Identifier: Apache-2.0
 * Going on from a checkpoint: what it must have in common with the run, and where it stopped. */
#ifndef FJ_TRAIN_RESUME_H
#define FJ_TRAIN_RESUME_H

#include "train/run.h"

/* How far a run is. Everything else of its state is in the trainer. */
typedef struct fj_train_place {
    int64_t step;    /* steps done */
    int64_t updates; /* of them applied: a step whose gradient is not finite is not */
} fj_train_place;

/* The state that a checkpoint keeps beside the tensors; NULL without memory. The caller owns it. */
fj_json *fj_train_state(const fj_train_run *r, const fj_train_place *place);

/* Loads the checkpoint that the configuration names into the trainer: *place then says where to go on, zero when there is no checkpoint yet
 * or none was asked for. FJ_ERR_USAGE names the first thing in which the checkpoint's run differs. */
fj_status fj_train_resume(const fj_train_run *r, fj_trainer *t, fj_log *log, fj_train_place *place, fj_err *err);

#endif
