/* SPDX-License-Identifier: Apache-2.0
 * Code books of IQ1, IQ2 and IQ3: an entry stands for 8 values (4 for IQ3) at once. Part of the formats: ggml, the gguf package.
 * Value i of an entry is an index into the levels, at bits 2i (IQ1, IQ2) or 4i (IQ3). tables_grids.c, made by
 * tests/oracle/grids.py. */
#ifndef FJ_QUANT_GRIDS_H
#define FJ_QUANT_GRIDS_H

#include <stdint.h>

/* IQ1_S and IQ1_M share one: levels -1 0 1. */
extern const uint16_t fj_grid_iq1_s[2048];
/* Levels 8 25 43; signs apart. */
extern const uint16_t fj_grid_iq2_xxs[256], fj_grid_iq2_xs[512], fj_grid_iq2_s[1024];
/* Levels 4 12 20 28 36 44 52 62, and 1 3 5 7 9 11 13 15; signs apart. */
extern const uint16_t fj_grid_iq3_xxs[256], fj_grid_iq3_s[512];

/* The signs of 8 values (bit i set: value i is negative) from 7 bits: an even number of them is negative. */
static inline unsigned fj_even_signs(unsigned seven)
{
    unsigned parity = seven ^ seven >> 4;
    parity ^= parity >> 2;
    return seven | ((parity ^ parity >> 1) & 1) << 7;
}

#endif
