/* SPDX-License-Identifier: Apache-2.0
 * Rows of a matrix as f32, whatever form they have: the frozen weights of training and the embedding table are read so, a tile
 * at a time, and never stand de-quantized in memory. */
#ifndef FJ_OPS_WEIGHT_ROWS_H
#define FJ_OPS_WEIGHT_ROWS_H

#include "ops/op.h"

/* Columns [k0, k0+nk) of rows [row0, row0+n): a pointer with *ld values between rows; the matrix itself when it is f32, else
 * scratch (n * nk floats). k0 and nk are multiples of fj_weight_step(v) or reach the row's end. */
const float *fj_weight_rows(const fj_run *run, const fj_value *v, int64_t row0, int64_t n, int64_t k0, int64_t nk, float *scratch,
                            int64_t *ld);

/* A row of a matrix that is not packed, those of all experts counted through; plainly, without kernels. */
void fj_weight_read(const fj_weight *w, int64_t row, float *out);

/* n values (whole blocks) of any type, as f32. run NULL: without kernels. */
void fj_rows_decode(const fj_run *run, const fj_dtype *dtype, const void *src, float *dst, int64_t n);

/* Columns can be cut at multiples of this: the block of the type; a packed matrix, and one in another order, only whole. */
int64_t fj_weight_step(const fj_value *v);

#endif
