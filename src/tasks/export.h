/* SPDX-License-Identifier: Apache-2.0
 * A model written again: as a Hugging Face folder or a GGUF file, with an adapter merged, with other types, or as training left it.
 * Weights are streamed in blocks of rows; nothing stands whole in memory. Files are complete or absent. */
#ifndef FJ_TASKS_EXPORT_H
#define FJ_TASKS_EXPORT_H

#include "base/thread.h"
#include "formats/imatrix.h"
#include "hub/hub.h"
#include "models/adapter.h"
#include "models/model.h"
#include "quant/quant.h"

/* Where values come from: rows [row0, row0+n) of a weight as f32, in the order of the model's own bytes. Called by several threads at
 * once. context NULL with fj_export_stored_rows: the weights as they are stored. */
typedef struct fj_export_rows {
    void (*rows)(void *context, const fj_weight *w, int64_t row0, int64_t n, float *out);
    void *context;
} fj_export_rows;

void fj_export_stored_rows(void *context, const fj_weight *w, int64_t row0, int64_t n, float *out);
void fj_export_merged_rows(void *context, const fj_weight *w, int64_t row0, int64_t n, float *out); /* context: const fj_adapter * */

/* model.safetensors, config.json, generation_config.json and the tokenizer's files (copied from a folder, made from a GGUF file's
 * vocabulary when the bundle has its tokenizer). dtype: type of all
 * matrices (F32, F16, BF16); NULL: as they are stored, quantized ones as BF16. pool: for weights that
 * are made one at a time (fj_model_reserve). */
fj_status fj_export_hf(const fj_model *m, const fj_bundle *bundle, const fj_export_rows *rows, const fj_dtype *dtype, const char *folder,
                       fj_pool *pool, fj_err *err);

/* One line of what a GGUF export did with a tensor. */
typedef struct fj_export_line {
    const char     *name;
    const fj_dtype *from, *to;
    fj_shape        shape;
    size_t          bytes;
    double          rms_error; /* relative to the weight's own root mean square; 0 where the type did not change */
} fj_export_line;
typedef void fj_export_report(void *context, const fj_export_line *line);

/* What a GGUF file is made with. */
typedef struct fj_export_types {
    const fj_recipe *recipe;       /* for general.file_type; NULL: the types are as stored, BF16 where GGUF has no such type */
    const fj_dtype *const *types;  /* of each weight of the model (vectors are F32 whatever it says); NULL: as the recipe says */
    const fj_imatrix *imatrix;     /* which columns count; may be NULL */
    const char *imatrix_file;      /* its name, for the file's metadata */
} fj_export_types;

/* Blocks whose values did not change are copied, not encoded again. report may be NULL. FJ_ERR_FORMAT when the importance matrix is not
 * of this model. */
fj_status fj_export_gguf(const fj_model *m, const fj_bundle *bundle, const fj_export_rows *rows, const fj_export_types *types,
                         const char *path, fj_pool *pool, fj_export_report *report, void *context, fj_err *err);
/* The size that this file would have. */
fj_status fj_export_gguf_size(const fj_model *m, const fj_bundle *bundle, const fj_export_rows *rows, const fj_export_types *types,
                              uint64_t *out, fj_err *err);

#endif
