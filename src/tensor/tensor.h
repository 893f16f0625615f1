/* SPDX-License-Identifier: Apache-2.0
 * A named array in memory, as files and weights have them. (The graph's values are in ops/graph.h.) */
#ifndef FJ_TENSOR_TENSOR_H
#define FJ_TENSOR_TENSOR_H

#include "base/err.h"
#include "tensor/dtype.h"

enum { FJ_MAX_RANK = 4 };

/* Dimensions in PyTorch order: slowest first, the row (contiguous) last. rank 0 is a scalar. */
typedef struct fj_shape {
    int     rank;
    int64_t dim[FJ_MAX_RANK];
} fj_shape;

fj_shape fj_shape_1(int64_t n);
fj_shape fj_shape_2(int64_t rows, int64_t cols);
int64_t  fj_shape_count(const fj_shape *shape); /* product; shapes from files were checked not to overflow */
int64_t  fj_shape_cols(const fj_shape *shape);  /* last dimension, 1 for a scalar */
int64_t  fj_shape_rows(const fj_shape *shape);  /* all others together */
bool     fj_shape_equal(const fj_shape *a, const fj_shape *b);
char    *fj_shape_text(const fj_shape *shape, char out[96]); /* "32000x4096" */

/* A view of a tensor in a mapped file or in memory. name and data are borrowed from whoever made it. data may be unaligned.
 * file/offset: where in its file the data lies (file index of the source), for give-back of pages. */
typedef struct fj_tensor {
    const char     *name;
    const fj_dtype *dtype;
    fj_shape        shape;
    const void     *data;
    size_t          bytes;
} fj_tensor;

#endif
