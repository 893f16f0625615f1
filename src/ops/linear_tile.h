/* SPDX-License-Identifier: Apache-2.0
 * The product of a block of rows with a block of a matrix's outputs: what linear, the head and its loss share. */
#ifndef FJ_OPS_LINEAR_TILE_H
#define FJ_OPS_LINEAR_TILE_H

#include "ops/op.h"

/* Which arithmetic a matrix is multiplied in. */
typedef enum fj_product {
    FJ_PRODUCT_F32,      /* f32 activations; the matrix widened */
    FJ_PRODUCT_BF16,     /* bf16 on both sides */
    FJ_PRODUCT_INT8,     /* int8 on both sides */
} fj_product;

fj_product fj_product_of(const fj_run *run, const fj_value *matrix);

/* Products in bf16 round the operands of large matrices only: for adapters and other slim ones there is nothing to gain. */
bool fj_product_is_large(const fj_value *matrix);

enum { FJ_ROUND_ROWS = 8 }; /* rows of one part of fj_round_rows */

typedef struct fj_tile_job {
    const float *x;        /* (rows, k) */
    int64_t      rows, k;
    int64_t      row_capacity;
    unsigned     products; /* bits 1 << fj_product of everything that reads x */
    void        *rounded;  /* fj_rounded_bytes: the int8 rows, then the bf16 rows */
    float       *y;        /* (rows, ldy) */
    int64_t      ldy;
} fj_tile_job;

/* Bytes for rounded copies of x; 0 when all products take f32. */
size_t fj_rounded_bytes(unsigned products, int64_t rows, int64_t k);
void   fj_round_rows(const fj_run *run, const fj_tile_job *job, int64_t part); /* part of fj_blocks(rows, FJ_ROUND_ROWS) */

/* The product is cut in fj_tile_parts parts; each needs fj_tile_scratch bytes. */
int64_t fj_tile_parts(int64_t rows, int64_t n_out);
size_t  fj_tile_scratch(const fj_run *run, const fj_value *matrix);
void    fj_linear_tile(const fj_run *run, const fj_tile_job *job, const fj_value *matrix, int64_t part, void *scratch);
void    fj_linear_tile_bias(const fj_run *run, const fj_tile_job *job, const fj_value *matrix, const fj_value *bias, int64_t part);

/* A block of dx += dy W, or = when `add` is false: outputs in order, GRAD_P at a time. dy: (rows, n_out) from its first row; dy16: the
 * same in bf16, or NULL for the product in f32. c points at (row0, k0) of dx. Returns true: whoever comes next adds. */
typedef struct fj_dx_block {
    float  *c;
    int64_t ldc, row0, m, k0, nk;
} fj_dx_block;
size_t fj_dx_scratch(int64_t cols); /* for blocks of up to cols columns */
bool   fj_linear_dx(const fj_run *run, const fj_value *matrix, const float *dy, const uint16_t *dy16, const fj_dx_block *block,
                    float *scratch, bool add);

#endif
