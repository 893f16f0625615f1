/* SPDX-License-Identifier: Apache-2.0
 * Grids whose steps differ: a code stands for a level of a small book. The sums of fit.h, for x = scale * level. */
#ifndef FJ_QUANT_BOOK_H
#define FJ_QUANT_BOOK_H

#include "quant/fit.h"

enum { FJ_BOOK_MOST = 16 };

typedef struct fj_book {
    int   n;
    float level[FJ_BOOK_MOST]; /* in rising order, the first below 0, the last above; codes are their indices */
} fj_book;

extern const fj_book fj_book_iq4; /* 16 levels of IQ4_NL and IQ4_XS: dense around 0 */
extern const fj_book fj_book_e2m1; /* 15 levels of MXFP4, doubled: 0 1 2 3 4 6 8 12 and their negatives */
extern const fj_book fj_book_nf4; /* 16 levels of NF4: quantiles of a normal distribution */
extern const fj_book fj_book_fp4; /* 16 levels of FP4, 0 twice: a code for each sign. Source of both: bitsandbytes, get_4bit_type */

/* As fj_fit_errors and fj_fit_sums with q the nearest level and offset 0. */
void fj_book_errors(const fj_runs *runs, const fj_lanes *scale, const fj_book *book, fj_lanes *out);
void fj_book_sums(const fj_runs *runs, const fj_lanes *scale, const fj_book *book, fj_sums *out);

/* The index of the nearest level of each of n values that lie one behind the other. */
void fj_book_codes(const float *x, int n, float scale, const fj_book *book, uint8_t *codes);

/* Weights w of mean 1 for runs whose columns are all alike: a quarter of them in proportion to the squares of the values. */
void fj_book_weigh(const fj_lanes *x, int n, fj_lanes *w);

/* Scales of low error, of either sign: the book is not symmetric. */
void fj_book_scales(const fj_runs *runs, const fj_book *book, fj_lanes *out);

#endif
