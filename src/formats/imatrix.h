/* SPDX-License-Identifier: Apache-2.0
 * Importance matrices in files: for each weight matrix, how large the values were that it was multiplied with, column by column.
 * Both of llama.cpp's forms are read, the newer (GGUF) is written. Source: llama.cpp, tools/imatrix/imatrix.cpp. */
#ifndef FJ_FORMATS_IMATRIX_H
#define FJ_FORMATS_IMATRIX_H

#include "base/err.h"
#include "formats/index.h"

/* Of one weight, or of the weights of several experts. */
typedef struct fj_importance {
    const char *name;     /* the weight's in GGUF: "blk.0.attn_q.weight" */
    int64_t     n_values; /* columns, times experts */
    int64_t     n_counts; /* experts; 1 where the file does not tell them apart */
    float      *sums;     /* of squared inputs */
    float      *counts;   /* rows that were summed; 0: an expert that nothing was sent to */
} fj_importance;

typedef struct fj_imatrix {
    fj_arena      *arena;
    fj_importance *items;
    fj_index       names; /* tensor i stands for item i */
    const char   **datasets;
    size_t         n_datasets;
    uint32_t       chunks, chunk_size;
} fj_imatrix;

/* Room for `cap` items; NULL without memory. */
fj_imatrix *fj_imatrix_new(size_t cap);
void        fj_imatrix_free(fj_imatrix *m); /* accepts NULL */
/* An item of zeros, to be filled; NULL without memory or when the name is there. The name is copied. */
fj_importance *fj_imatrix_add(fj_imatrix *m, const char *name, int64_t n_values, int64_t n_counts);

static inline size_t fj_imatrix_count(const fj_imatrix *m)
{
    return m->names.n;
}

const fj_importance *fj_imatrix_find(const fj_imatrix *m, const char *name); /* NULL when absent */

/* Mean squares of the inputs of matrix e, n_cols values; 1 everywhere where no row was counted. */
void fj_importance_means(const fj_importance *i, int64_t e, int64_t n_cols, float *out);

/* FJ_ERR_FORMAT for what is neither form, for sums and counts that do not belong together, and for values that are negative or not
 * finite. */
fj_status fj_imatrix_read(const char *path, fj_imatrix **out, fj_err *err);
fj_status fj_imatrix_from_bytes(const void *data, size_t len, fj_imatrix **out, fj_err *err); /* for fuzzing */
fj_status fj_imatrix_write(const fj_imatrix *m, const char *path, fj_err *err);

#endif
