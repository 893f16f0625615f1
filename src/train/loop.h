/* SPDX-License-Identifier: Apache-2.0
 * The training loop: steps, evaluations, checkpoints, and what a run leaves behind in output_dir:
 *   metrics.jsonl            a line a step (metrics.h), written when the step is done
 *   checkpoint-N/            what going on bit for bit needs, complete or absent (save.h)
 *   adapter_… or model …     the result, when the run is through
 *   training_loss.svg        with plot_loss */
#ifndef FJ_TRAIN_LOOP_H
#define FJ_TRAIN_LOOP_H

#include "train/metrics.h"
#include "train/run.h"

/* Called when something is done; any may be NULL. */
typedef struct fj_train_watch {
    void (*started)(void *context, int64_t first_step, int64_t n_steps); /* first_step: 0, or where a resumed run goes on */
    void (*step)(void *context, const fj_train_step *step);
    void (*evaluated)(void *context, const fj_train_eval *eval);
    void *context;
} fj_train_watch;

/* Trains an opened run. output_dir must be new or empty unless overwrite_output_dir or resume_from_checkpoint say otherwise
 * (FJ_ERR_USAGE); with resume_from_checkpoint it goes on from the newest checkpoint, or from the beginning where there is none.
 * FJ_ERR_CANCELLED when *cancel was set: the steps done are kept in a checkpoint, unless save_strategy is no. FJ_ERR_FAILED when the
 * numbers stopped being finite. */
fj_status fj_train_loop(fj_train_run *r, fj_pool *pool, const fj_kernels *k, fj_log *log, const fj_train_watch *watch,
                        const int *cancel, fj_err *err);

#endif
