/* SPDX-License-Identifier: Apache-2.0
 * Activation functions, one descriptor each: the curve and its slope over short rows. */
#ifndef FJ_OPS_ACTIVATION_H
#define FJ_OPS_ACTIVATION_H

#include "kernels/kernels.h"

enum { FJ_ACTIVATION_MOST = 256 }; /* values a call */

typedef struct fj_activation {
    const char *name;
    const char *names[4]; /* as config.json writes it; NULL behind the last */
    void (*row)(const fj_kernels *k, float *y, const float *x, int64_t n);               /* y = act(x); y may be x */
    void (*slope_row)(const fj_kernels *k, float *y, float *slope, const float *x, int64_t n); /* and act'(x) */
} fj_activation;

extern const fj_activation fj_act_gelu, fj_act_gelu_tanh, fj_act_quick_gelu, fj_act_relu, fj_act_relu2, fj_act_silu, fj_act_softplus;

/* All activations, in alphabetical order, NULL at the end. */
extern const fj_activation *const fj_activations[];

/* The activation of a name in config.json, NULL when there is none. */
const fj_activation *fj_activation_by_name(const char *name);

#endif
