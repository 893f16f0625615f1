/* SPDX-License-Identifier: Apache-2.0
 * Freeze tuning: some blocks, or parts of them, learn; the rest stays as it is stored. */
#ifndef FJ_TRAIN_FREEZE_H
#define FJ_TRAIN_FREEZE_H

#include "models/model.h"

/* Keys freeze_trainable_layers, freeze_trainable_modules, freeze_extra_modules. */
typedef struct fj_freeze_settings {
    int64_t     layers;  /* above 0: the last so many blocks; below 0: the first; 0: none */
    const char *modules; /* all, or parts of a block with commas: self_attn,mlp,input_layernorm */
    const char *extra;   /* modules outside of blocks with commas: embed_tokens,norm,lm_head; NULL: none */
} fj_freeze_settings;

/* Sets learns[i] for each weight of the model. A weight learns when its Hugging Face name, whatever the file, holds ".<block>.<part>" of a
 * chosen block, or the name of an extra module, anywhere: `norm` takes the norms of every block too. FJ_ERR_USAGE, naming what there is,
 * for a name that the model has not, for more blocks than it has, and when nothing would learn.
 * Source: LLaMA-Factory, model/adapter.py (_setup_freeze_tuning), which takes fewer blocks instead of refusing. */
fj_status fj_freeze_choose(const fj_model *m, const fj_freeze_settings *s, bool *learns, fj_err *err);

#endif
