/* SPDX-License-Identifier: Apache-2.0
 * What a run leaves behind: adapters that PEFT reads, full weights as a Hugging Face folder, and checkpoints to go on from. */
#ifndef FJ_TRAIN_SAVE_H
#define FJ_TRAIN_SAVE_H

#include "hub/hub.h"
#include "train/trainer.h"

/* adapter_config.json and adapter_model.safetensors (f32, Hugging Face's row order) in folder, which is made. config is written as it
 * stands. */
fj_status fj_save_adapter(const fj_model *m, fj_adapter *a, const fj_json *config, const char *folder, fj_err *err);

/* model.safetensors with all tensors, the trained ones as they are now, in the types of the source (quantized ones as BF16), and config.json, generation
 * and tokenizer files beside it. */
fj_status fj_save_model(const fj_model *m, const fj_trainer *t, const fj_bundle *bundle, const char *folder, fj_err *err);

/* A checkpoint: state.safetensors (trained tensors and moments as the trainer has them) and state.json (kind, version, step, `state`), both left out
 * with only_model, written under a temporary name and renamed when whole, so that a folder checkpoint-N is complete or absent. Adapter or model files are the
 * caller's `files` callback, called with the temporary folder. */
typedef fj_status fj_save_files(void *context, const char *folder, fj_err *err);
fj_status fj_checkpoint_save(const fj_trainer *t, int64_t step, const fj_json *state, bool only_model, const char *output_dir,
                             fj_save_files *files, void *context, fj_err *err);

/* Loads tensors into the trainer and gives back the state (owned by the caller). FJ_ERR_FORMAT for another kind or version, a missing
 * or misshapen tensor. */
fj_status fj_checkpoint_load(fj_trainer *t, const char *folder, fj_json **state, fj_err *err);

/* The newest checkpoint-N of output_dir as a path for free(), NULL when there is none. */
char *fj_checkpoint_newest(const char *output_dir);

/* Removes all but the newest `keep` (0: keep all). */
fj_status fj_checkpoint_prune(const char *output_dir, int64_t keep, fj_err *err);

#endif
