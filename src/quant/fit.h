/* SPDX-License-Identifier: Apache-2.0
 * Least squares over rounded grids: the search behind the encoders, for sixteen runs of values at once, each in its lane and each as
 * if alone. Weighted by w >= 0. All numbers are expected near 1 (|x| and w up to about 2^10): callers bring them there by
 * fj_fit_unit. */
#ifndef FJ_QUANT_FIT_H
#define FJ_QUANT_FIT_H

#include <stdbool.h>
#include <stdint.h>

#include "quant/lanes.h"

/* A grid scale * q + offset. */
typedef struct fj_line {
    float scale, offset;
} fj_line;

/* A line for each run. */
typedef struct fj_lines {
    fj_lanes scale, offset;
} fj_lines;

/* Runs of n values: value i of run j is x[i].v[j]. */
typedef struct fj_runs {
    const fj_lanes *x, *w;
    int n;
} fj_runs;

/* out[i].v[j] = x[j * n + i] for n_runs runs; the other lanes repeat the first. */
void fj_fit_turn(const float *x, int n_runs, int n, fj_lanes *out);

/* sum of w (x - line of q)^2 of each run, each value with its nearest q of low…high */
void fj_fit_errors(const fj_runs *runs, const fj_lines *lines, int low, int high, fj_lanes *out);

/* Weighted sums over the runs, with residuals r = x - line of q, each value with its nearest q of low…high: what better
 * parameters are solved from. rr is fj_fit_errors. */
typedef struct fj_sums {
    fj_lanes q, qq, r, qr, rr;
} fj_sums;

void fj_fit_sums(const fj_runs *runs, const fj_lines *lines, int low, int high, fj_sums *out);

/* Lines of low error for q in 0…top; offset <= 0 when no_lift (K types store its negative, unsigned). scale >= 0. */
void fj_fit_lines(const fj_runs *runs, int top, bool no_lift, fj_lines *out);

/* Scales of low error for q in low…high, low < 0 < high, offset 0. Of either sign: the grid is not symmetric. */
void fj_fit_scales(const fj_runs *runs, int low, int high, fj_lanes *out);

/* The nearest q - low of each of n values that lie one behind the other: 0…high-low. */
void fj_fit_codes(const float *x, int n, fj_line line, int low, int high, uint8_t *codes);

/* Copies n values times 2^-exponent, such that the largest is in [0.5, 1), and makes their weights, of mean 1, in proportion to
 * importance (all 1 when it is NULL or useless). Values that no half scale times `reach` can express are cut there first. n is a
 * multiple of 16. Returns the exponent; *is_zero: all values are nearer to zero than to the smallest number that a half scale gives,
 * and the block is zeros, as x is then. */
int fj_fit_unit(const float *src, const float *importance, int n, float reach, float *x, float *w, bool *is_zero);

/* n weights (a multiple of 16) with mean 1 in proportion to importance; all 1 when it is NULL or useless. */
void fj_fit_weights(const float *importance, int n, float *w);

/* Nearest half of value * 2^exponent, kept from becoming infinite, and from becoming zero when value is not. *as_stored
 * is what it means in the units of value. */
uint16_t fj_fit_half(float value, int exponent, float *as_stored);

/* Up to sixteen blocks that are one run of 32 each, for the types with nothing above that. */
enum { FJ_FIT_BLOCK = 32 };
typedef struct fj_fit_blocks {
    float    x[FJ_LANES][FJ_FIT_BLOCK]; /* in units of 2^exponent */
    int      exponent[FJ_LANES];
    fj_lanes turned[FJ_FIT_BLOCK], weights[FJ_FIT_BLOCK]; /* what runs points to */
    fj_runs  runs;
} fj_fit_blocks;

/* The first n of them; reach as of fj_fit_unit. What is too small for a half is zero. */
void fj_fit_blocks_take(fj_fit_blocks *b, const float *src, const float *importance, int n, float reach);

#endif
