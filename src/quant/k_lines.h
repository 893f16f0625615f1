/* SPDX-License-Identifier: Apache-2.0
 * What Q2_K, Q4_K and Q5_K share: 256 values in runs, each scale * q - min; scales and mins are small integers times a half. */
#ifndef FJ_QUANT_K_LINES_H
#define FJ_QUANT_K_LINES_H

#include <stddef.h>
#include <stdint.h>

enum { FJ_K_VALUES = 256, FJ_K_RUNS = 8, FJ_K_RUN = 32, FJ_K_SCALE_BYTES = 12, FJ_K_MOST_RUNS = 16 };

/* The numbers that tell the types apart. */
typedef struct fj_k_form {
    int   n_runs, run; /* n_runs * run = 256 */
    int   top;         /* codes are 0…top */
    int   top_scale;   /* scales and mins are 0…top_scale */
    float tops[2][3];  /* tries of what the largest scale, and the largest min, become */
} fj_k_form;

extern const fj_k_form fj_k_form_q2_k, fj_k_form_q4_k, fj_k_form_q5_k;

typedef struct fj_k_lines {
    uint16_t d, dmin;               /* halves */
    uint8_t  scale[FJ_K_MOST_RUNS]; /* 0…top_scale */
    uint8_t  min[FJ_K_MOST_RUNS];
    uint8_t  codes[FJ_K_VALUES];
} fj_k_lines;

/* Blocks of block_bytes for n values (a multiple of 256), with low error weighted by importance (or NULL); store writes one. */
void fj_k_lines_encode(const float *src, const float *importance, int64_t n, const fj_k_form *form, uint8_t *blocks, size_t block_bytes,
                       void (*store)(const fj_k_lines *lines, uint8_t *block));

/* The 12 bytes of 8 scales and mins of 6 bits: for j < 4  b[j] = scale | (bits 4 and 5 of scale[j+4]) << 6, b[j+4] = min |
 * the same of min[j+4]; b[j+8] = low nibbles of scale[j+4] and min[j+4]. */
void fj_k_scales_pack(const fj_k_lines *lines, uint8_t bytes[FJ_K_SCALE_BYTES]);
void fj_k_scales_unpack(const uint8_t bytes[FJ_K_SCALE_BYTES], uint8_t scale[FJ_K_RUNS], uint8_t min[FJ_K_RUNS]);

#endif
