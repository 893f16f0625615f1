/* SPDX-License-Identifier: Apache-2.0
 * A model with some of its weights in other types, in memory: what a quantized file would compute, without the file. */
#ifndef FJ_TASKS_PATCHED_H
#define FJ_TASKS_PATCHED_H

#include "tasks/export.h"

typedef struct fj_patched {
    fj_model   m; /* shares everything but the weights with the model it was made from; must not be freed as a model */
    fj_buffer *data; /* of each weight */
} fj_patched;

/* types[i]: of weight i; NULL, and vectors: as it is. importance[i]: of its columns, expert after expert, or NULL. rows: where values come
 * from. The model outlives the copy. FJ_ERR_MEMORY leaves *out empty. */
fj_status fj_patched_make(const fj_model *m, const fj_dtype *const *types, const float *const *importance, const fj_export_rows *rows,
                          fj_pool *pool, fj_patched *out, fj_err *err);
void fj_patched_free(fj_patched *p); /* accepts a zeroed one */

#endif
