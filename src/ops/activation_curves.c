/* SPDX-License-Identifier: Apache-2.0
 * The curves of activation.h. s is the logistic function, P and p the normal distribution and its density:
 *   silu x s(x)    quick_gelu x s(1.702 x)    gelu x P(x)    gelu_tanh x s(2u), u = sqrt(2/pi) (x + 0.044715 x^3)
 *   relu max(x,0)    relu2 max(x,0)^2    softplus log(1 + exp x)
 * x/2 (1 + tanh u) = x s(2u) and x/2 (1 + erf(x / sqrt 2)) = x P(x). Source: Hendrycks and Gimpel 2016. */
#include <math.h>
#include <string.h>

#include "ops/activation.h"

#define TANH_SCALE 0.79788456f /* sqrt(2/pi) */
#define TANH_CUBIC 0.044715f

/* ---- x s(c x) ---------------------------------------------------------------------------------------------------------- */

static void logistic_row(const fj_kernels *k, float *y, const float *x, float c, int64_t n)
{
    float s[FJ_ACTIVATION_MOST];
    k->sigmoid_row(s, x, c, n);
    k->mul_row(y, x, s, n, false);
}

/* (x s(cx))' = s (1 + c x (1 - s)) */
static void logistic_slope(const fj_kernels *k, float *y, float *slope, const float *x, float c, int64_t n)
{
    k->sigmoid_row(slope, x, c, n);
    for (int64_t i = 0; i < n; i++) {
        float s = slope[i];
        y[i] = x[i] * s;
        slope[i] = s * (1.0f + c * x[i] * (1.0f - s));
    }
}

static void silu_row(const fj_kernels *k, float *y, const float *x, int64_t n)
{
    logistic_row(k, y, x, 1.0f, n);
}

static void silu_slope(const fj_kernels *k, float *y, float *slope, const float *x, int64_t n)
{
    logistic_slope(k, y, slope, x, 1.0f, n);
}

static void quick_gelu_row(const fj_kernels *k, float *y, const float *x, int64_t n)
{
    logistic_row(k, y, x, 1.702f, n);
}

static void quick_gelu_slope(const fj_kernels *k, float *y, float *slope, const float *x, int64_t n)
{
    logistic_slope(k, y, slope, x, 1.702f, n);
}

/* ---- gelu ---------------------------------------------------------------------------------------------------------------- */

static void gelu_row(const fj_kernels *k, float *y, const float *x, int64_t n)
{
    float p[FJ_ACTIVATION_MOST];
    k->normal_row(p, NULL, x, n);
    k->mul_row(y, x, p, n, false);
}

/* (x P(x))' = P(x) + x p(x) */
static void gelu_slope(const fj_kernels *k, float *y, float *slope, const float *x, int64_t n)
{
    float density[FJ_ACTIVATION_MOST];
    k->normal_row(slope, density, x, n);
    k->mul_row(y, x, slope, n, false);
    k->mul_row(slope, x, density, n, true);
}

/* x + 0.044715 x^3, kept finite: far out the logistic function is 0 or 1 anyway */
static void cubic(float *t, const float *x, int64_t n)
{
    for (int64_t i = 0; i < n; i++) {
        float c = x[i] < -100.0f ? -100.0f : x[i] > 100.0f ? 100.0f : x[i];
        t[i] = c + TANH_CUBIC * (c * c * c);
    }
}

static void gelu_tanh_row(const fj_kernels *k, float *y, const float *x, int64_t n)
{
    float t[FJ_ACTIVATION_MOST];
    cubic(t, x, n);
    k->sigmoid_row(t, t, 2 * TANH_SCALE, n);
    k->mul_row(y, x, t, n, false);
}

/* (x s(2u))' = s + x s (1 - s) 2u' */
static void gelu_tanh_slope(const fj_kernels *k, float *y, float *slope, const float *x, int64_t n)
{
    cubic(slope, x, n);
    k->sigmoid_row(slope, slope, 2 * TANH_SCALE, n);
    for (int64_t i = 0; i < n; i++) {
        float s = slope[i], c = x[i], rise = 1.0f - s;
        y[i] = c * s;
        if (rise > 0 && s > 0) /* beyond, the cube may be inf */
            slope[i] = s + c * s * rise * (2 * TANH_SCALE) * (1.0f + 3 * TANH_CUBIC * (c * c));
    }
}

/* ---- relu: NaN stays NaN --------------------------------------------------------------------------------------------------- */

static void relu_row(const fj_kernels *k, float *y, const float *x, int64_t n)
{
    (void)k;
    for (int64_t i = 0; i < n; i++)
        y[i] = x[i] < 0 ? 0 : x[i];
}

static void relu_slope(const fj_kernels *k, float *y, float *slope, const float *x, int64_t n)
{
    relu_row(k, y, x, n);
    for (int64_t i = 0; i < n; i++)
        slope[i] = x[i] > 0 ? 1 : 0;
}

static void relu2_row(const fj_kernels *k, float *y, const float *x, int64_t n)
{
    (void)k;
    for (int64_t i = 0; i < n; i++)
        y[i] = x[i] < 0 ? 0 : x[i] * x[i];
}

static void relu2_slope(const fj_kernels *k, float *y, float *slope, const float *x, int64_t n)
{
    relu2_row(k, y, x, n);
    for (int64_t i = 0; i < n; i++)
        slope[i] = x[i] > 0 ? 2 * x[i] : 0;
}

/* ---- softplus: log(1 + exp x) = max(x, 0) + log(1 + exp -|x|), slope s(x) ---------------------------------------------------- */

static void softplus_row(const fj_kernels *k, float *y, const float *x, int64_t n)
{
    k->softplus_row(y, x, n);
}

static void softplus_slope(const fj_kernels *k, float *y, float *slope, const float *x, int64_t n)
{
    k->sigmoid_row(slope, x, 1.0f, n);
    softplus_row(k, y, x, n);
}

const fj_activation fj_act_gelu = { "gelu", { "gelu" }, gelu_row, gelu_slope };
const fj_activation fj_act_gelu_tanh = {
    "gelu_tanh", { "gelu_new", "gelu_pytorch_tanh", "gelu_fast" }, gelu_tanh_row, gelu_tanh_slope
};
const fj_activation fj_act_quick_gelu = { "quick_gelu", { "quick_gelu" }, quick_gelu_row, quick_gelu_slope };
const fj_activation fj_act_relu = { "relu", { "relu" }, relu_row, relu_slope };
const fj_activation fj_act_relu2 = { "relu2", { "relu2" }, relu2_row, relu2_slope };
const fj_activation fj_act_silu = { "silu", { "silu", "swish" }, silu_row, silu_slope };
const fj_activation fj_act_softplus = { "softplus", { "softplus" }, softplus_row, softplus_slope };

const fj_activation *const fj_activations[] = {
    &fj_act_gelu,  &fj_act_gelu_tanh, &fj_act_quick_gelu, &fj_act_relu,
    &fj_act_relu2, &fj_act_silu,      &fj_act_softplus,   NULL,
};

const fj_activation *fj_activation_by_name(const char *name)
{
    for (int i = 0; fj_activations[i]; i++)
        for (int k = 0; k < 4 && fj_activations[i]->names[k]; k++)
            if (strcmp(fj_activations[i]->names[k], name) == 0)
                return fj_activations[i];
    return NULL;
}
