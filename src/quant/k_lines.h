/* SPDX-License-Identifier: Apache-2.0
 * What Q4_K and Q5_K share: 8 runs of 32 values, each scale * q - min; scales and mins are 6 bits times a half. */
#ifndef FJ_QUANT_K_LINES_H
#define FJ_QUANT_K_LINES_H

#include <stdint.h>

enum { FJ_K_VALUES = 256, FJ_K_RUNS = 8, FJ_K_RUN = 32, FJ_K_SCALE_BYTES = 12, FJ_K_TOP_SCALE = 63 };

typedef struct fj_k_lines {
    uint16_t d, dmin;          /* halves */
    uint8_t  scale[FJ_K_RUNS]; /* 0…63 */
    uint8_t  min[FJ_K_RUNS];
    uint8_t  codes[FJ_K_VALUES]; /* 0…top */
} fj_k_lines;

/* Codes of 0…top for 256 values, with low error weighted by importance (or NULL). */
void fj_k_lines_fit(const float *src, const float *importance, int top, fj_k_lines *out);

/* The 12 bytes of scales and mins: for j < 4  b[j] = scale | (bits 4 and 5 of scale[j+4]) << 6, b[j+4] = min | the same
 * of min[j+4]; b[j+8] = low nibbles of scale[j+4] and min[j+4]. */
void fj_k_scales_pack(const fj_k_lines *lines, uint8_t bytes[FJ_K_SCALE_BYTES]);
void fj_k_scales_unpack(const uint8_t bytes[FJ_K_SCALE_BYTES], uint8_t scale[FJ_K_RUNS], uint8_t min[FJ_K_RUNS]);

#endif
