/* SPDX-License-Identifier: Apache-2.0
 * Least squares over rounded grids: the search behind the encoders. Weighted by w >= 0; runs of at most 32 values whose
 * length is a multiple of 16. All numbers are expected near 1 (|x| and w up to about 2^10): callers bring them there by
 * fj_fit_unit. */
#ifndef FJ_QUANT_FIT_H
#define FJ_QUANT_FIT_H

#include <stdbool.h>
#include <stdint.h>

/* A grid scale * q + offset. */
typedef struct fj_line {
    float scale, offset;
} fj_line;

/* sum of w (x - line of q)^2 over n values, each with its nearest q of low…high */
float fj_fit_error(const float *x, const float *w, int n, fj_line line, int low, int high);

/* Weighted sums over a run, with residuals r = x - line of q, each value with its nearest q of low…high: what better
 * parameters are solved from. rr is fj_fit_error. */
typedef struct fj_sums {
    float q, qq, r, qr, rr;
} fj_sums;

fj_sums fj_fit_sums(const float *x, const float *w, int n, fj_line line, int low, int high);

/* The nearest q - low of each value: 0…high-low. */
void fj_fit_codes(const float *x, int n, fj_line line, int low, int high, uint8_t *codes);

/* A line of low error for q in 0…top; offset <= 0 when no_lift (K types store its negative, unsigned). scale >= 0. */
fj_line fj_fit_line(const float *x, const float *w, int n, int top, bool no_lift);

/* A scale of low error for q in low…high, low < 0 < high, offset 0. Of either sign: the grid is not symmetric. */
float fj_fit_scale(const float *x, const float *w, int n, int low, int high);

/* n weights with mean 1 in proportion to importance; all 1 when it is NULL or useless. */
void fj_fit_weights(const float *importance, int n, float *w);

/* Copies n values times 2^-exponent, such that the largest is in [0.5, 1), and makes their weights. Values that no half scale times `reach` can express are cut there first. Returns the
 * exponent; *is_zero: all values are nearer to zero than to the smallest number that a half scale gives, and the block
 * is zeros. */
int fj_fit_unit(const float *src, const float *importance, int n, float reach, float *x, float *w, bool *is_zero);

/* Nearest half of value * 2^exponent, kept from becoming infinite, and from becoming zero when value is not. *as_stored
 * is what it means in the units of value. */
uint16_t fj_fit_half(float value, int exponent, float *as_stored);

#endif
