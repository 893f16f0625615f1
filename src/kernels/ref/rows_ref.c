/* SPDX-License-Identifier: Apache-2.0
 * Rows of activations, as plain as the equations: the oracle. Every value in double, rounded where it is stored. */
#include <math.h>

#include "kernels/kernels_internal.h"

static void rms_norm_row(float *y, float *rstd, const float *x, const float *w, int64_t n, float eps)
{
    double sum = 0;
    for (int64_t i = 0; i < n; i++)
        sum += (double)x[i] * x[i];
    double scale = 1 / sqrt(sum / (double)n + eps);
    for (int64_t i = 0; i < n; i++)
        y[i] = (float)(x[i] * scale * w[i]);
    *rstd = (float)scale;
}

static void rms_norm_grad_row(float *dx, const float *dy, const float *x, const float *w, float rstd, int64_t n,
                              bool add)
{
    double sum = 0;
    for (int64_t i = 0; i < n; i++)
        sum += (double)dy[i] * w[i] * x[i];
    double scale = (double)rstd * rstd * rstd / (double)n * sum;
    for (int64_t i = 0; i < n; i++)
        dx[i] = (float)((add ? dx[i] : 0) + (double)rstd * dy[i] * w[i] - x[i] * scale);
}

static void layer_norm_row(float *y, float *mean, float *rstd, const float *x, const float *w, const float *b,
                           int64_t n, float eps)
{
    double sum = 0, squares = 0;
    for (int64_t i = 0; i < n; i++)
        sum += x[i];
    double middle = sum / (double)n;
    for (int64_t i = 0; i < n; i++)
        squares += (x[i] - middle) * (x[i] - middle);
    double scale = 1 / sqrt(squares / (double)n + eps);
    for (int64_t i = 0; i < n; i++)
        y[i] = (float)((x[i] - middle) * scale * w[i] + (b ? b[i] : 0));
    *mean = (float)middle;
    *rstd = (float)scale;
}

static void layer_norm_grad_row(float *dx, const float *dy, const float *x, const float *w, float mean, float rstd,
                                int64_t n, bool add)
{
    double sum = 0, along = 0;
    for (int64_t i = 0; i < n; i++) {
        double g = (double)dy[i] * w[i];
        sum += g;
        along += g * ((double)x[i] - mean) * rstd;
    }
    for (int64_t i = 0; i < n; i++) {
        double g = (double)dy[i] * w[i], hat = ((double)x[i] - mean) * rstd;
        dx[i] = (float)((add ? dx[i] : 0) + rstd * (g - sum / (double)n - hat * along / (double)n));
    }
}

static void add_row(float *y, const float *a, const float *b, int64_t n)
{
    for (int64_t i = 0; i < n; i++)
        y[i] = a[i] + b[i];
}

static void axpy_row(float *y, const float *x, float scale, int64_t n)
{
    for (int64_t i = 0; i < n; i++)
        y[i] = (float)(y[i] + (double)scale * x[i]);
}

static void scale_row(float *y, const float *x, float scale, int64_t n)
{
    for (int64_t i = 0; i < n; i++)
        y[i] = scale * x[i];
}

static void mul_row(float *y, const float *a, const float *b, int64_t n, bool add)
{
    for (int64_t i = 0; i < n; i++)
        y[i] = (float)((add ? y[i] : 0) + (double)a[i] * b[i]);
}

static double sigmoid(double x)
{
    return 1 / (1 + exp(-x));
}

static void silu_mul_row(float *y, const float *gate, const float *up, int64_t n)
{
    for (int64_t i = 0; i < n; i++)
        y[i] = (float)(gate[i] * sigmoid(gate[i]) * up[i]);
}

static void silu_mul_grad_row(float *dgate, float *dup, const float *dy, const float *gate, const float *up, int64_t n,
                              bool add_gate, bool add_up)
{
    for (int64_t i = 0; i < n; i++) {
        double d = dy[i], g = gate[i], u = up[i], s = sigmoid(g); /* read before a result may overwrite them */
        if (dgate)
            dgate[i] = (float)((add_gate ? dgate[i] : 0) + d * u * s * (1 + g * (1 - s)));
        if (dup)
            dup[i] = (float)((add_up ? dup[i] : 0) + d * g * s);
    }
}

static void rope_head(float *y, const float *x, const float *cos, const float *sin, int64_t r, bool half, bool inverse,
                      bool add)
{
    for (int64_t j = 0; j < r / 2; j++) {
        int64_t i0 = half ? j : 2 * j, i1 = half ? j + r / 2 : 2 * j + 1;
        double x0 = x[i0], x1 = x[i1], c = cos[j], s = inverse ? -sin[j] : sin[j];
        y[i0] = (float)((add ? y[i0] : 0) + (x0 * c - x1 * s));
        y[i1] = (float)((add ? y[i1] : 0) + (x1 * c + x0 * s));
    }
}

static float max_row(const float *x, int64_t n)
{
    float max = -INFINITY;
    for (int64_t i = 0; i < n; i++)
        max = x[i] > max ? x[i] : max;
    return max;
}

/* The argument is rounded to f32 here as in all versions, so that the bound speaks of exp alone. */
static float exp_row(float *y, const float *x, float scale, float max, int64_t n)
{
    double sum = 0;
    for (int64_t i = 0; i < n; i++) {
        y[i] = (float)exp(fmaf(scale, x[i], -max));
        sum += y[i];
    }
    return (float)sum;
}

static void sigmoid_row(float *y, const float *x, float scale, int64_t n)
{
    for (int64_t i = 0; i < n; i++)
        y[i] = (float)sigmoid((double)scale * x[i]);
}

static void tanh_row(float *y, const float *x, float scale, int64_t n)
{
    for (int64_t i = 0; i < n; i++)
        y[i] = (float)tanh((double)scale * x[i]);
}

static void normal_row(float *cdf, float *density, const float *x, int64_t n)
{
    for (int64_t i = 0; i < n; i++) {
        double at = x[i];
        cdf[i] = (float)(0.5 * erfc(-at * 0.70710678118654752));
        if (density)
            density[i] = (float)(0.39894228040143268 * exp(-0.5 * at * at));
    }
}

static void softplus_row(float *y, const float *x, int64_t n)
{
    for (int64_t i = 0; i < n; i++)
        y[i] = (float)(fmax(x[i], 0) + log1p(exp(-fabs((double)x[i]))));
}

/* The argument of exp is rounded to f32 here as in all versions. */
static void scan_row(float *now, const float *before, int64_t ld, float *y, const float *dt, const float *u,
                     const float *a, int64_t lda, const float *b, const float *c, int64_t m, int64_t n)
{
    for (int64_t i = 0; i < n; i++) {
        double sum = y ? y[i] : 0;
        for (int64_t s = 0; s < m; s++) {
            float turn = dt[i] * a[s * lda + i];
            now[s * ld + i] = (float)((double)b[s] * u[i] + exp(turn) * before[s * ld + i]);
            sum += (double)c[s] * now[s * ld + i];
        }
        if (y)
            y[i] = (float)sum;
    }
}

static float dot_row(const float *a, const float *b, int64_t n)
{
    double sum = 0;
    for (int64_t i = 0; i < n; i++)
        sum += (double)a[i] * b[i];
    return (float)sum;
}

static double sum_squares_row(const float *x, int64_t n)
{
    double sum = 0;
    for (int64_t i = 0; i < n; i++)
        sum += (double)x[i] * x[i];
    return sum;
}

void fj_kernels_init_rows_ref(fj_kernels *k)
{
    k->rms_norm_row = rms_norm_row;
    k->rms_norm_grad_row = rms_norm_grad_row;
    k->layer_norm_row = layer_norm_row;
    k->layer_norm_grad_row = layer_norm_grad_row;
    k->add_row = add_row;
    k->axpy_row = axpy_row;
    k->scale_row = scale_row;
    k->mul_row = mul_row;
    k->silu_mul_row = silu_mul_row;
    k->silu_mul_grad_row = silu_mul_grad_row;
    k->rope_head = rope_head;
    k->max_row = max_row;
    k->exp_row = exp_row;
    k->sigmoid_row = sigmoid_row;
    k->tanh_row = tanh_row;
    k->normal_row = normal_row;
    k->softplus_row = softplus_row;
    k->scan_row = scan_row;
    k->dot_row = dot_row;
    k->sum_squares_row = sum_squares_row;
}
