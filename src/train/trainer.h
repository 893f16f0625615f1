/* SPDX-License-Identifier: Apache-2.0
 * One training run's graphs over one plan: accumulate, norm, update, evaluate. The loop (loop.h) decides what goes in. */
#ifndef FJ_TRAIN_TRAINER_H
#define FJ_TRAIN_TRAINER_H

#include "data/data.h"
#include "models/adapter.h"
#include "models/build.h"
#include "models/model.h"

typedef struct fj_trainer fj_trainer;

typedef struct fj_trainer_settings {
    fj_adapter *adapter;      /* its pairs learn, in place; NULL: weights learn, in private f32 copies */
    const bool *learns;       /* of each weight of the model, without an adapter: whether it learns. The others stay as they are stored;
                                 outlives the trainer. NULL: all do */
    bool        has_optimizer; /* false: gradients only (probe grads), then by the values of quantized weights too */
    bool        checkpointing; /* layers are recomputed in the backward pass */
    bool        bf16;
    bool        pure_bf16;    /* weights that learn, their gradients and moments in bf16; not with an adapter */
    fj_batch_capacity capacity; /* the largest micro-batch */
    bool        evaluates;      /* fj_trainer_evaluate will be called */
    fj_adamw_settings adamw;
    double      lora_b_rate;    /* LoRA+: the B halves learn so many times faster; 1: alike. Source: Hayou et al. 2024 */
    double      max_grad_norm;  /* 0: no clipping */
    double      balance;        /* coefficient of the loss for even use of experts; 0: none */
    uint64_t    seed;           /* dropout */
} fj_trainer_settings;

/* What a run takes, from shapes alone: the sizes that fj_trainer_open allocates. */
typedef struct fj_trainer_bytes {
    size_t frozen;      /* weights that stay as they are stored */
    size_t copies;      /* private weights, f32 or (pure) bf16 */
    size_t adapters, gradients, optimizer;
    size_t activations; /* the step arena with the workers' scratch */
    int64_t n_trained;  /* parameters */
} fj_trainer_bytes;
fj_status fj_trainer_plan(const fj_model *m, const fj_trainer_settings *s, int n_threads, const fj_kernels *k, fj_trainer_bytes *out,
                          fj_err *err);

/* Model, adapter, pool and kernels must outlive the trainer. FJ_ERR_USAGE for full tuning of quantized weights; FJ_ERR_MEMORY. */
fj_status fj_trainer_open(const fj_model *m, const fj_trainer_settings *s, fj_pool *pool, const fj_kernels *k, fj_trainer **out,
                          fj_err *err);
void      fj_trainer_close(fj_trainer *t); /* accepts NULL */

/* Adds one micro-batch's gradients. Each target weighs 1/window_targets, the router term as many times that as there are targets; *loss
 * grows by what was differentiated. is_first: the gradients of before are overwritten. step keys the dropout. FJ_ERR_CANCELLED. */
fj_status fj_trainer_accumulate(fj_trainer *t, const fj_batch *batch, int64_t window_targets, bool is_first, uint32_t step, double *loss,
                                const int *cancel, fj_err *err);

/* The norm of the accumulated gradients before clipping. */
double fj_trainer_norm(fj_trainer *t);

/* Applies them (after fj_trainer_norm, which set the clipping). t_step: from 1. */
void fj_trainer_update(fj_trainer *t, double lr, int64_t t_step);

/* Negative log-likelihoods without gradients or dropout. */
fj_status fj_trainer_evaluate(fj_trainer *t, const fj_batch *batch, double *nll, const int *cancel, fj_err *err);

/* What learns: n parameters, in a fixed order, all of the value's shape; NULL where there are none. */
typedef struct fj_trained {
    const fj_parameter *parameter;
    fj_shape shape;
    const fj_dtype *dtype, *moment_dtype; /* f32 or bf16 */
    void    *data, *m, *v;
    float   *gradient; /* NULL in 16 bits */
} fj_trained;
int        fj_trainer_count(const fj_trainer *t);
fj_trained fj_trainer_at(const fj_trainer *t, int index);
const char *fj_trained_label(const fj_trained *p); /* the weight's name in the file, for messages */

#endif
