/* SPDX-License-Identifier: Apache-2.0
 * What the norms share. A row of D columns is normalized in groups of `group` columns (0: the whole row), and the weight has
 * `group` values (the same for every group, as for the heads of q and k) or D of them. The stored weight counts plus `offset`
 * (1 where a model keeps its norms around zero).   attr[0]: eps, attr[1]: offset, attr[2]: group */
#ifndef FJ_OPS_NORM_H
#define FJ_OPS_NORM_H

#include "ops/op.h"

enum { FJ_NORM_ROWS = 16, FJ_NORM_COLS = 64 };

int64_t fj_norm_group(const fj_node *f);

/* Shapes of the inputs w and b (which may be NULL) and of the outputs: out[0] like x, the saved ones (N, groups). */
fj_status fj_norm_infer(fj_node *node, const fj_value *b, fj_err *err);

/* Parts of rows, and bytes for the shifted weight. */
int64_t fj_norm_row_parts(const fj_run *run, const fj_node *node, int phase);
size_t  fj_norm_scratch(const fj_node *node, const fj_run *run);

/* Weights of the D columns (or of one group) plus the offset: the weight itself where that is 0, else in scratch. */
const float *fj_norm_weight(const fj_run *run, const fj_node *f, float *scratch);

/* How far the weight of one group is from the next one's: 0 where they share it. */
int64_t fj_norm_weight_step(const fj_node *f);

/* Parts of a gradient of the weight's columns. */
int64_t fj_norm_col_parts(const fj_run *run, const fj_node *node, int phase);

#endif
