/* SPDX-License-Identifier: Apache-2.0
 * What Q3_K, Q6_K and IQ4_XS share: 256 values in runs, each scale * q; the scales are small signed integers times a half d. */
#ifndef FJ_QUANT_K_SCALES_H
#define FJ_QUANT_K_SCALES_H

#include <stddef.h>

#include "quant/book.h"

enum { FJ_SCALES_VALUES = 256, FJ_SCALES_RUN = 32, FJ_SCALES_MOST_RUNS = 16 };

/* The numbers that tell the types apart. */
typedef struct fj_scales_form {
    int            n_runs, run; /* n_runs * run = 256 */
    int            low, high;   /* of a code's q; codes are q - low */
    const fj_book *book;        /* or NULL; its levels stand for q, codes are indices, low and high are its ends */
    int            low_scale, high_scale;
    int            reach; /* scales tried to either side of the free one */
    float          tops[2]; /* tries of what the largest scale becomes */
} fj_scales_form;

extern const fj_scales_form fj_scales_form_q3_k, fj_scales_form_q6_k, fj_scales_form_iq4_xs;

typedef struct fj_scales {
    uint16_t d; /* half */
    int8_t   scale[FJ_SCALES_MOST_RUNS];
    uint8_t  codes[FJ_SCALES_VALUES];
} fj_scales;

/* Blocks of block_bytes for n values (a multiple of 256), with low error weighted by importance (or NULL); store writes one. */
void fj_scales_encode(const float *src, const float *importance, int64_t n, const fj_scales_form *form, uint8_t *blocks,
                      size_t block_bytes, void (*store)(const fj_scales *scales, uint8_t *block));

#endif
