/* SPDX-License-Identifier: Apache-2.0
 * One training run, opened: model, adapter, rows and the sizes that follow from them. Nothing here grows with the model but the
 * adapter: `forja plan` opens a run and prints what it would take, `forja train` goes on with it (loop.h). */
#ifndef FJ_TRAIN_RUN_H
#define FJ_TRAIN_RUN_H

#include "base/log.h"
#include "tasks/opened.h"
#include "train/config.h"
#include "train/schedule.h"
#include "train/trainer.h"

typedef struct fj_train_run {
    fj_arena *arena;
    fj_train_config config;
    fj_opened opened;        /* opened.adapter: the one that learns, NULL when weights do */
    bool *learns;            /* which weights do, of finetuning_type: freeze; NULL: all, or none */
    fj_json *adapter_config; /* adapter_config.json to write beside it */
    fj_dataset *data, *eval_data;
    const fj_row *eval_rows; /* of val_size or of eval_dataset; n_eval 0: no evaluation */
    int64_t n_eval;
    fj_loader *loader, *eval_loader;
    int64_t n_windows;        /* optimizer steps of an epoch */
    int64_t n_steps, warmup;  /* of the run; of them with a rising rate */
    const fj_schedule *schedule;
    fj_trainer_settings settings;
    char model_hash[65]; /* SHA-256 of names, shapes and the first bytes of every weight: resuming must meet the same */
} fj_train_run;

/* Reads the configuration (see fj_train_config_load), opens what it names, tokenizes the rows. What was counted and guessed goes to the
 * log. *out is empty after a failure. */
fj_status fj_train_run_open(const char *path, const char *const *overrides, size_t n, fj_log *log, fj_train_run *out,
                            fj_err *err);
void fj_train_run_close(fj_train_run *r); /* accepts a zeroed one */

/* The type that quantization_bit makes of the layers' matrices, four: that of 4 bits (quantization_type). NULL: not one of 8, 6, 5, 4, 3, 2. */
const fj_dtype *fj_train_quantized_type(int64_t bits, const char *four);

/* The learning rate of a step (from 0). */
double fj_train_run_rate(const fj_train_run *r, int64_t step);

#endif
