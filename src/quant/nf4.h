/* SPDX-License-Identifier: Apache-2.0
 * bitsandbytes' 4-bit types: what codes stand for, and scales that are themselves coded in 8 bits. */
#ifndef FJ_QUANT_NF4_H
#define FJ_QUANT_NF4_H

#include "quant/quant.h"

/* Values of FP4's codes, to be multiplied by the block's scale; those of NF4 are the levels of fj_book_nf4. */
extern const float fj_fp4_values[16];

/* ---- double quantization (nested.c) ------------------------------------------------------------------------------------------
 * All scales of a matrix, end to end, in 8 bits: runs of 256 share a scale of their own, and all share an offset.
 *   scale of block b = map[code of b] * run_scale[b / 256] + offset
 * Source: bitsandbytes, quantize_4bit with compress_statistics. */
enum { FJ_NESTED_RUN = 256 };

extern const float fj_dynamic_map[256]; /* rising, -0.993 to 1. Source: bitsandbytes, create_dynamic_map(signed) */

/* Blocks of NF4 and FP4 whose scale is such a code: 33 bytes for 64 values, the code, then the 32 bytes of nf4.c. Forms of
 * weights in memory and in no list of types, for they say nothing without what all share. */
extern const fj_dtype fj_nf4_nested, fj_fp4_nested;

/* NF4 for fj_nf4_nested, FP4 for fj_fp4_nested, NULL for any other. */
const fj_dtype *fj_nested_full(const fj_dtype *dtype);
/* The opposite; NULL for types that have no such form. */
const fj_dtype *fj_nested_of(const fj_dtype *dtype);

/* n blocks, the first of them block `first` of the matrix, with their scales: as NF4 and FP4 blocks of 36 bytes. */
void fj_nested_expand(const float *run_scale, float offset, const void *src, int64_t first, int64_t n, void *dst);

/* The offset of n scales: their mean. */
float fj_nested_offset(const float *scales, int64_t n);
/* Codes of a run of n (1…256) scales; returns its scale. */
float fj_nested_run(const float *scales, int64_t n, float offset, uint8_t *codes);

#endif
