/* SPDX-License-Identifier: Apache-2.0
 * The encoder of IQ2_XS, beside the layouts of iq2.c. */
#ifndef FJ_QUANT_IQ2_H
#define FJ_QUANT_IQ2_H

#include <stdint.h>

/* As fj_quant.encode; n is a multiple of 256. */
void fj_iq2_xs_encode(const float *src, void *dst, int64_t n, const float *importance);

#endif
