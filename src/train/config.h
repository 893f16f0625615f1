/* SPDX-License-Identifier: Apache-2.0
 * A training run as LLaMA-Factory's YAML (or JSON) says it. */
#ifndef FJ_TRAIN_CONFIG_H
#define FJ_TRAIN_CONFIG_H

#include <stdbool.h>
#include <stdint.h>

#include "base/arena.h"
#include "base/err.h"
#include "base/log.h"
#include "base/option.h"
#include "base/str.h"

/* Text is NULL when absent. Names are LLaMA-Factory's; defaults too, but for: template (the model's own), learning_rate (1e-4 for
 * lora, 1e-5 else), on_long_rows (refuse), packing (block-diagonal). */
typedef struct fj_train_config {
    const char *model_name_or_path, *adapter_name_or_path, *output_dir;
    const char *stage, *finetuning_type;
    const char *quantization_type;
    int64_t quantization_bit; /* FJ_NOT_GIVEN: the base as it is */
    bool double_quantization;
    const char *freeze_trainable_modules, *freeze_extra_modules;
    int64_t freeze_trainable_layers;
    const char *lora_target;
    int64_t lora_rank;
    double lora_alpha, lora_dropout, loraplus_lr_ratio;
    bool use_rslora, create_new_adapter;
    const char *dataset, *eval_dataset, *dataset_dir, *template_name, *default_system, *on_long_rows;
    int64_t cutoff_len, max_samples; /* max_samples 0: all */
    double val_size;
    bool packing, train_on_prompt, mask_history, disable_shuffling;
    int64_t batch_size, accumulation, eval_batch_size;
    double learning_rate, num_train_epochs, warmup_ratio, warmup_steps; /* warmup_steps below 1 is a ratio */
    int64_t max_steps;                                                  /* -1: num_train_epochs decides */
    const char *lr_scheduler_type, *optim;
    double weight_decay, adam_beta1, adam_beta2, adam_epsilon, max_grad_norm, moe_aux_loss_coef;
    bool bf16, pure_bf16, disable_gradient_checkpointing, plot_loss, overwrite_output_dir, save_only_model;
    int64_t seed, data_seed;
    const char *save_strategy, *eval_strategy, *resume_from_checkpoint; /* resume: NULL, "true" or a folder */
    int64_t save_steps, eval_steps, save_total_limit, logging_steps;    /* save_total_limit 0: none */
    const char *canonical;      /* every key and value, a line each: its hash tells whether two runs are the same */
    const char *const *origins; /* of each value, in the order of fj_train_keys */
} fj_train_config;

/* The keys that do something: FJ_OPT_TEXT, _INT, _REAL and _BOOL rows, in alphabetical order. */
extern const fj_option fj_train_keys[];

/* Reads a file and then the overrides (key=value, n of them). Everything lives in the arena. FJ_ERR_USAGE names the key, its line and
 * the nearest known one. Keys without meaning here are accepted with one note in the log. */
fj_status fj_train_config_load(const char *path, const char *const *overrides, size_t n, fj_arena *arena, fj_log *log,
                               fj_train_config *out, fj_err *err);

/* The same from text; name is for messages. */
fj_status fj_train_config_parse(const char *text, size_t len, const char *name, const char *const *overrides, size_t n,
                                fj_arena *arena, fj_log *log, fj_train_config *out, fj_err *err);

/* Appends every key with its value and where it came from (file and line, command line, default), for --explain. */
void fj_train_config_explain(const fj_train_config *c, fj_str *out);

#endif
