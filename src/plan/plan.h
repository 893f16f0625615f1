/* SPDX-License-Identifier: Apache-2.0
 * The memory that a run will take, before it starts. Nothing is estimated: the run's own graphs are built and laid out, and what the
 * planner of ops/layout.c says is what the run allocates. Only `process` is measured, on the process that plans. */
#ifndef FJ_PLAN_PLAN_H
#define FJ_PLAN_PLAN_H

#include "models/session.h"
#include "quant/quant.h"
#include "train/trainer.h"

/* Bytes. */
typedef struct fj_plan {
    size_t weights;     /* as they are resident: mapped, repacked, or private f32 copies of those that learn */
    size_t gradients, optimizer, adapters;
    size_t activations; /* the step arena with the workers' scratch */
    size_t kv;          /* the cache of keys and values */
    size_t process;     /* libraries, stacks, tokenizer, rows of data, descriptions of graphs: what planning itself made resident */
    size_t total;       /* the sum of these terms */
    size_t peak;        /* the most that is resident at once */
    int64_t n_trained;  /* parameters that learn */
    size_t streamed;    /* of the weights beside those, under a limit: read from the file in each pass */
} fj_plan;

/* What is to be planned, as people ask for it. */
typedef struct fj_plan_wanted {
    const char *method; /* run, lora, full, full_bf16 (pure_bf16), freeze (the last two blocks) */
    int64_t length;     /* tokens of a row; 0: 4096 to run, 2048 to train, at most the model's own */
    int64_t batch, rank; /* 0: 1 and 8 */
    bool keeps_activations, bf16, no_repack;
    const fj_dtype *k_type, *v_type; /* of the cache, as in fj_session_settings; may be NULL */
    size_t most;   /* to run: no more of the weights is resident (fj_model_fit); 0: no limit */
    int64_t chunk; /* as in fj_session_settings; 0: as there */
} fj_plan_wanted;
fj_status fj_plan_method(const fj_model *m, const fj_plan_wanted *w, int n_threads, const fj_kernels *k, fj_plan *out, fj_err *err);

/* A training run of these settings. */
fj_status fj_plan_training(const fj_model *m, const fj_trainer_settings *s, int n_threads, const fj_kernels *k, fj_plan *out,
                           fj_err *err);

/* The session that running takes. */
fj_session_settings fj_plan_session(const fj_plan_wanted *w);

/* Generating. is_repacked: the weights in the kernels' order, as `run` has them unless --no-repack is given. */
fj_status fj_plan_generating(const fj_model *m, const fj_session_settings *s, bool is_repacked, int n_threads, const fj_kernels *k,
                             fj_plan *out, fj_err *err);

/* A model of this configuration with the types that a recipe gives its weights, without data (see fj_model_describe). */
fj_status fj_plan_model(const fj_json *config, const fj_recipe *recipe, fj_model **out, fj_err *err);

/* The same in 16 bits, whose layers `quantization_bit: bits` then quantizes (8, 6, 5, 4 as NF4 with coded scales, 3, 2); and what it does
 * with a model's weights: *n matrices become so, none where they are quantized already. */
fj_status fj_plan_quantized_model(const fj_json *config, int64_t bits, fj_model **out, fj_err *err);
fj_status fj_plan_quantize(fj_model *m, int64_t bits, int *n, fj_err *err);

/* FJ_OK when the peak fits what this machine has left; else FJ_ERR_MEMORY with the numbers and a hint that begins with `advice`. */
fj_status fj_plan_check(const fj_plan *p, const char *advice, fj_err *err);

#endif
