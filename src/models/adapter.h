/* SPDX-License-Identifier: Apache-2.0
 * Low-rank adapters (LoRA) in PEFT's form. Applying them is the model's business, choosing and initializing them train's. */
#ifndef FJ_MODELS_ADAPTER_H
#define FJ_MODELS_ADAPTER_H

#include "models/model.h"

/* One pair: y += scale * B (A x). Rows of B are in the order of the model's own bytes (fj_model_row_order). A weight of E experts has E
 * such pairs; those of experts that have none are zeros, and stay so in training. */
typedef struct fj_lora {
    const fj_weight *weight;
    int64_t rank;
    double  scale, dropout;
    float  *a;   /* (rank, in), or (E, rank, in) */
    float  *b;   /* (out, rank), or (E, out, rank) */
    bool   *has; /* E or 1: whether there is a pair */
} fj_lora;

int64_t  fj_lora_experts(const fj_lora *l); /* E; 1 for a plain matrix */
fj_shape fj_lora_shape(const fj_lora *l, bool is_b); /* of one half of one pair */

typedef struct fj_adapter {
    fj_arena *arena;
    fj_lora  *items;
    int       n;
    fj_json  *config; /* adapter_config.json as read; NULL for a new one */
} fj_adapter;

/* Which matrices: "all" (every linear matrix in the blocks but routers and experts, as PEFT's all-linear sees them) or a comma list of
 * the last parts of Hugging Face module names (q_proj; w1 of all experts, experts.3.w1 of one). FJ_ERR_USAGE when one matches nothing,
 * naming what there is.
 * A is uniform in ±1/sqrt(in) from (seed, FJ_STREAM_LORA_INIT), B is zero. rslora: scale alpha/sqrt(rank), else alpha/rank. */
typedef struct fj_lora_settings {
    const char *target;
    int64_t     rank;
    double      alpha, dropout;
    bool        use_rslora;
    bool        is_planned; /* shapes alone: the halves are NULL */
    uint64_t    seed;
} fj_lora_settings;
fj_status fj_adapter_new(const fj_model *m, const fj_lora_settings *s, fj_adapter **out, fj_err *err);

/* Reads a PEFT folder. FJ_ERR_FORMAT for what changes the mathematics and is not known (peft_type, use_dora, …), for a tensor that
 * fits no weight, for a wrong shape. dropout is taken from the file. */
fj_status fj_adapter_open(const fj_model *m, const fj_json *config, const fj_source *tensors, const char *folder, fj_adapter **out,
                          fj_err *err);
void fj_adapter_free(fj_adapter *a); /* accepts NULL */

int64_t fj_adapter_parameters(const fj_adapter *a);

/* PEFT's name of one half (of an expert's pair; 0 for a plain matrix): base_model.model.<module>.lora_A.weight. Owned by the adapter's
 * arena; NULL without memory. */
const char *fj_adapter_name(const fj_model *m, fj_adapter *a, const fj_lora *l, int64_t expert, bool is_b);

/* The half as Hugging Face has it (rows of B put in order) into dst. */
void fj_adapter_export(const fj_model *m, const fj_lora *l, int64_t expert, bool is_b, float *dst);

/* adapter_config.json for a new adapter. base: base_model_name_or_path. NULL without memory. */
fj_json *fj_adapter_config(const fj_model *m, const fj_adapter *a, const fj_lora_settings *s, const char *base);

/* row (one row of the matrix, `in` values; rows of experts are counted through) += scale * (B A) of that row. */
void fj_lora_merge_row(const fj_lora *l, int64_t row, float *values);

#endif
