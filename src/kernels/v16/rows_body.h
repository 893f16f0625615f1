/* SPDX-License-Identifier: Apache-2.0
 * Rows of activations in v16, sixteen values at a time and then the tail. Each step is a function of n lanes, written once for
 * whole vectors and tails. Included behind a v16 header. Sums: the order of kernels.h. */
#ifndef FJ_KERNELS_V16_ROWS_BODY_H
#define FJ_KERNELS_V16_ROWS_BODY_H

#include <math.h>

#include "kernels/kernels_internal.h"
#include "kernels/v16/exp_body.h"

static float dot_row(const float *a, const float *b, int64_t n)
{
    v16     sum = v16_zero();
    int64_t i = 0;
    for (; i + 16 <= n; i += 16)
        sum = v16_fma(v16_load(a + i, 16), v16_load(b + i, 16), sum, 16);
    if (i < n)
        sum = v16_fma(v16_load(a + i, (int)(n - i)), v16_load(b + i, (int)(n - i)), sum, (int)(n - i));
    return v16_sum(sum);
}

static double sum_squares_row(const float *x, int64_t n)
{
    v8d     sum = v8d_zero();
    int64_t i = 0;
    for (; i + 8 <= n; i += 8)
        sum = v8d_add_squares(sum, x + i, 8);
    if (i < n)
        sum = v8d_add_squares(sum, x + i, (int)(n - i));
    return v8d_sum(sum);
}

/* ---- norms ---------------------------------------------------------------------------------------------------------- */

INLINE void norm_step(float *y, const float *x, const float *w, v16 scale, int n)
{
    v16_store(y, v16_mul(v16_mul(v16_load(x, n), scale), v16_load(w, n)), n);
}

static void rms_norm_row(float *y, float *rstd, const float *x, const float *w, int64_t n, float eps)
{
    float   scale = 1 / sqrtf(dot_row(x, x, n) / (float)n + eps);
    v16     scales = v16_set1(scale);
    int64_t i = 0;
    for (; i + 16 <= n; i += 16)
        norm_step(y + i, x + i, w + i, scales, 16);
    if (i < n)
        norm_step(y + i, x + i, w + i, scales, (int)(n - i));
    *rstd = scale;
}

INLINE v16 norm_sum_step(v16 sum, const float *dy, const float *x, const float *w, int n)
{
    return v16_fma(v16_mul(v16_load(dy, n), v16_load(w, n)), v16_load(x, n), sum, n);
}

INLINE void norm_grad_step(float *dx, const float *dy, const float *x, const float *w, v16 rstd, v16 minus, bool add, int n)
{
    v16 d = v16_mul(rstd, v16_mul(v16_load(dy, n), v16_load(w, n)));
    d = v16_fma(v16_load(x, n), minus, d, 16);
    v16_store(dx, add ? v16_add(v16_load(dx, n), d) : d, n);
}

static void rms_norm_grad_row(float *dx, const float *dy, const float *x, const float *w, float rstd, int64_t n, bool add)
{
    v16     sum = v16_zero();
    int64_t i = 0;
    for (; i + 16 <= n; i += 16)
        sum = norm_sum_step(sum, dy + i, x + i, w + i, 16);
    if (i < n)
        sum = norm_sum_step(sum, dy + i, x + i, w + i, (int)(n - i));
    v16 scales = v16_set1(rstd), minus = v16_set1(-(rstd * rstd * rstd / (float)n * v16_sum(sum)));
    for (i = 0; i + 16 <= n; i += 16)
        norm_grad_step(dx + i, dy + i, x + i, w + i, scales, minus, add, 16);
    if (i < n)
        norm_grad_step(dx + i, dy + i, x + i, w + i, scales, minus, add, (int)(n - i));
}

INLINE v16 sum_step(v16 sum, const float *x, int n)
{
    return v16_fma(v16_load(x, n), v16_set1(1.0f), sum, n);
}

INLINE v16 variance_step(v16 sum, const float *x, v16 mean, int n)
{
    v16 d = v16_sub(v16_load(x, n), mean);
    return v16_fma(d, d, sum, n);
}

INLINE void layer_norm_step(float *y, const float *x, const float *w, const float *b, v16 mean, v16 scale, int n)
{
    v16 hat = v16_mul(v16_sub(v16_load(x, n), mean), scale), v = v16_load(w, n);
    v16_store(y, b ? v16_fma(hat, v, v16_load(b, n), 16) : v16_mul(hat, v), n);
}

static void layer_norm_row(float *y, float *mean, float *rstd, const float *x, const float *w, const float *b, int64_t n,
                           float eps)
{
    v16     sum = v16_zero(), squares = v16_zero();
    int64_t i = 0;
    for (; i + 16 <= n; i += 16)
        sum = sum_step(sum, x + i, 16);
    if (i < n)
        sum = sum_step(sum, x + i, (int)(n - i));
    float middle = v16_sum(sum) / (float)n;
    v16   means = v16_set1(middle);
    for (i = 0; i + 16 <= n; i += 16)
        squares = variance_step(squares, x + i, means, 16);
    if (i < n)
        squares = variance_step(squares, x + i, means, (int)(n - i));
    float scale = 1 / sqrtf(v16_sum(squares) / (float)n + eps);
    v16   scales = v16_set1(scale);
    for (i = 0; i + 16 <= n; i += 16)
        layer_norm_step(y + i, x + i, w + i, b ? b + i : NULL, means, scales, 16);
    if (i < n)
        layer_norm_step(y + i, x + i, w + i, b ? b + i : NULL, means, scales, (int)(n - i));
    *mean = middle;
    *rstd = scale;
}

typedef struct norm_sums {
    v16 sum, along;
} norm_sums;

INLINE norm_sums layer_norm_sum_step(norm_sums s, const float *dy, const float *x, const float *w, v16 mean, v16 rstd, int n)
{
    v16 g = v16_mul(v16_load(dy, n), v16_load(w, n)), hat = v16_mul(v16_sub(v16_load(x, n), mean), rstd);
    s.sum = v16_fma(g, v16_set1(1.0f), s.sum, n);
    s.along = v16_fma(g, hat, s.along, n);
    return s;
}

INLINE void layer_norm_grad_step(float *dx, const float *dy, const float *x, const float *w, v16 mean, v16 rstd,
                                 norm_sums minus, bool add, int n)
{
    v16 g = v16_mul(v16_load(dy, n), v16_load(w, n)), hat = v16_mul(v16_sub(v16_load(x, n), mean), rstd);
    v16 d = v16_mul(rstd, v16_fma(hat, minus.along, v16_add(g, minus.sum), 16));
    v16_store(dx, add ? v16_add(v16_load(dx, n), d) : d, n);
}

static void layer_norm_grad_row(float *dx, const float *dy, const float *x, const float *w, float mean, float rstd,
                                int64_t n, bool add)
{
    v16       means = v16_set1(mean), scales = v16_set1(rstd);
    norm_sums s = { v16_zero(), v16_zero() };
    int64_t   i = 0;
    for (; i + 16 <= n; i += 16)
        s = layer_norm_sum_step(s, dy + i, x + i, w + i, means, scales, 16);
    if (i < n)
        s = layer_norm_sum_step(s, dy + i, x + i, w + i, means, scales, (int)(n - i));
    s.sum = v16_set1(-(v16_sum(s.sum) / (float)n));
    s.along = v16_set1(-(v16_sum(s.along) / (float)n));
    for (i = 0; i + 16 <= n; i += 16)
        layer_norm_grad_step(dx + i, dy + i, x + i, w + i, means, scales, s, add, 16);
    if (i < n)
        layer_norm_grad_step(dx + i, dy + i, x + i, w + i, means, scales, s, add, (int)(n - i));
}

/* ---- sums and products of rows ---------------------------------------------------------------------------------------- */

static void add_row(float *y, const float *a, const float *b, int64_t n)
{
    int64_t i = 0;
    for (; i + 16 <= n; i += 16)
        v16_store(y + i, v16_add(v16_load(a + i, 16), v16_load(b + i, 16)), 16);
    if (i < n)
        v16_store(y + i, v16_add(v16_load(a + i, (int)(n - i)), v16_load(b + i, (int)(n - i))), (int)(n - i));
}

static void axpy_row(float *y, const float *x, float scale, int64_t n)
{
    v16     scales = v16_set1(scale);
    int64_t i = 0;
    for (; i + 16 <= n; i += 16)
        v16_store(y + i, v16_fma(scales, v16_load(x + i, 16), v16_load(y + i, 16), 16), 16);
    if (i < n)
        v16_store(y + i, v16_fma(scales, v16_load(x + i, (int)(n - i)), v16_load(y + i, (int)(n - i)), 16), (int)(n - i));
}

static void scale_row(float *y, const float *x, float scale, int64_t n)
{
    v16     scales = v16_set1(scale);
    int64_t i = 0;
    for (; i + 16 <= n; i += 16)
        v16_store(y + i, v16_mul(scales, v16_load(x + i, 16)), 16);
    if (i < n)
        v16_store(y + i, v16_mul(scales, v16_load(x + i, (int)(n - i))), (int)(n - i));
}

INLINE void mul_step(float *y, const float *a, const float *b, bool add, int n)
{
    v16 va = v16_load(a, n), vb = v16_load(b, n);
    v16_store(y, add ? v16_fma(va, vb, v16_load(y, n), 16) : v16_mul(va, vb), n);
}

static void mul_row(float *y, const float *a, const float *b, int64_t n, bool add)
{
    int64_t i = 0;
    for (; i + 16 <= n; i += 16)
        mul_step(y + i, a + i, b + i, add, 16);
    if (i < n)
        mul_step(y + i, a + i, b + i, add, (int)(n - i));
}

/* ---- SwiGLU ----------------------------------------------------------------------------------------------------------- */

INLINE void silu_step(float *y, const float *gate, const float *up, int n)
{
    v16 g = v16_load(gate, n);
    v16_store(y, v16_mul(v16_mul(g, v16_sigmoid(g)), v16_load(up, n)), n);
}

static void silu_mul_row(float *y, const float *gate, const float *up, int64_t n)
{
    int64_t i = 0;
    for (; i + 16 <= n; i += 16)
        silu_step(y + i, gate + i, up + i, 16);
    if (i < n)
        silu_step(y + i, gate + i, up + i, (int)(n - i));
}

/* All is read before a result is stored: the results may lie over gate and up. */
INLINE void silu_grad_step(float *dgate, float *dup, const float *dy, const float *gate, const float *up, bool add_gate,
                           bool add_up, int n)
{
    v16 d = v16_load(dy, n), g = v16_load(gate, n), u = v16_load(up, n), one = v16_set1(1.0f);
    v16 s = v16_sigmoid(g), ds = v16_mul(d, s);
    if (dgate) {
        v16 slope = v16_fma(g, v16_sub(one, s), one, 16); /* 1 + g (1 - s) */
        v16 dg = v16_mul(v16_mul(ds, u), slope);
        v16_store(dgate, add_gate ? v16_add(v16_load(dgate, n), dg) : dg, n);
    }
    if (dup) {
        v16 du = v16_mul(ds, g);
        v16_store(dup, add_up ? v16_add(v16_load(dup, n), du) : du, n);
    }
}

static void silu_mul_grad_row(float *dgate, float *dup, const float *dy, const float *gate, const float *up, int64_t n,
                              bool add_gate, bool add_up)
{
    for (int64_t i = 0; i < n; i += 16) {
        float *to_gate = dgate ? dgate + i : NULL, *to_up = dup ? dup + i : NULL;
        if (i + 16 <= n)
            silu_grad_step(to_gate, to_up, dy + i, gate + i, up + i, add_gate, add_up, 16);
        else
            silu_grad_step(to_gate, to_up, dy + i, gate + i, up + i, add_gate, add_up, (int)(n - i));
    }
}

/* ---- rotations: y0 = x0 c - x1 s, y1 = x1 c + x0 s --------------------------------------------------------------------- */

INLINE void rope_store(float *y, v16 v, bool add, int n)
{
    v16_store(y, add ? v16_add(v16_load(y, n), v) : v, n);
}

/* pairs (j, j + half) */
INLINE void rope_half_step(float *y, const float *x, const float *cos, v16 s, int64_t half, bool add, int n)
{
    v16 x0 = v16_load(x, n), x1 = v16_load(x + half, n), c = v16_load(cos, n), zero = v16_zero();
    v16 y0 = v16_fma(x0, c, v16_mul(v16_sub(zero, x1), s), 16);
    v16 y1 = v16_fma(x1, c, v16_mul(x0, s), 16);
    rope_store(y, y0, add, n);
    rope_store(y + half, y1, add, n);
}

INLINE v16 sign_of(v16 s, bool inverse)
{
    return inverse ? v16_sub(v16_zero(), s) : s;
}

static void rope_halves(float *y, const float *x, const float *cos, const float *sin, int64_t half, bool inverse, bool add)
{
    int64_t j = 0;
    for (; j + 16 <= half; j += 16)
        rope_half_step(y + j, x + j, cos + j, sign_of(v16_load(sin + j, 16), inverse), half, add, 16);
    if (j < half) {
        int n = (int)(half - j);
        rope_half_step(y + j, x + j, cos + j, sign_of(v16_load(sin + j, n), inverse), half, add, n);
    }
}

/* pairs (2j, 2j + 1): the neighbour, times the sine with the sign of its place */
INLINE void rope_pairs_step(float *y, const float *x, const float *cos, const float *sin, bool inverse, bool add, int n)
{
    v16 v = v16_load(x, n), c = v16_load_doubled(cos, n), s = sign_of(v16_load_doubled(sin, n), inverse);
    v16 turned = v16_mul(v16_negate_even(v16_swap_neighbours(v)), s);
    rope_store(y, v16_fma(v, c, turned, 16), add, n);
}

static void rope_head(float *y, const float *x, const float *cos, const float *sin, int64_t r, bool half, bool inverse, bool add)
{
    if (half) {
        rope_halves(y, x, cos, sin, r / 2, inverse, add);
        return;
    }
    int64_t i = 0;
    for (; i + 16 <= r; i += 16)
        rope_pairs_step(y + i, x + i, cos + i / 2, sin + i / 2, inverse, add, 16);
    if (i < r)
        rope_pairs_step(y + i, x + i, cos + i / 2, sin + i / 2, inverse, add, (int)(r - i));
}

/* ---- softmax ----------------------------------------------------------------------------------------------------------- */

static float max_row(const float *x, int64_t n)
{
    v16     max = v16_set1(-INFINITY);
    int64_t i = 0;
    for (; i + 16 <= n; i += 16)
        max = v16_max(v16_load(x + i, 16), max, 16);
    if (i < n)
        max = v16_max(v16_load(x + i, (int)(n - i)), max, (int)(n - i));
    return v16_max_all(max);
}

INLINE v16 exp_step(float *y, const float *x, v16 scale, v16 minus_max, v16 sum, int n)
{
    v16 e = v16_exp(v16_fma(scale, v16_load(x, n), minus_max, 16));
    v16_store(y, e, n);
    return v16_fma(e, v16_set1(1.0f), sum, n); /* sum + e in the lanes that are there */
}

static float exp_row(float *y, const float *x, float scale, float max, int64_t n)
{
    v16     sum = v16_zero(), scales = v16_set1(scale), minus_max = v16_set1(-max);
    int64_t i = 0;
    for (; i + 16 <= n; i += 16)
        sum = exp_step(y + i, x + i, scales, minus_max, sum, 16);
    if (i < n)
        sum = exp_step(y + i, x + i, scales, minus_max, sum, (int)(n - i));
    return v16_sum(sum);
}

/* ---- curves ------------------------------------------------------------------------------------------------------------ */

INLINE void sigmoid_step(float *y, const float *x, v16 scale, int n)
{
    v16_store(y, v16_sigmoid(v16_mul(v16_load(x, n), scale)), n);
}

static void sigmoid_row(float *y, const float *x, float scale, int64_t n)
{
    v16     scales = v16_set1(scale);
    int64_t i = 0;
    for (; i + 16 <= n; i += 16)
        sigmoid_step(y + i, x + i, scales, 16);
    if (i < n)
        sigmoid_step(y + i, x + i, scales, (int)(n - i));
}

INLINE void tanh_step(float *y, const float *x, v16 scale, int n)
{
    v16_store(y, v16_tanh(v16_mul(v16_load(x, n), scale)), n);
}

static void tanh_row(float *y, const float *x, float scale, int64_t n)
{
    v16     scales = v16_set1(scale);
    int64_t i = 0;
    for (; i + 16 <= n; i += 16)
        tanh_step(y + i, x + i, scales, 16);
    if (i < n)
        tanh_step(y + i, x + i, scales, (int)(n - i));
}

INLINE void normal_step(float *cdf, float *density, const float *x, int n)
{
    v16 at = v16_load(x, n), e = v16_exp(v16_mul(v16_mul(at, at), v16_set1(-0.5f)));
    v16_store(cdf, v16_normal(at, e), n);
    if (density)
        v16_store(density, v16_mul(e, v16_set1(0.39894228f)), n);
}

static void normal_row(float *cdf, float *density, const float *x, int64_t n)
{
    int64_t i = 0;
    for (; i + 16 <= n; i += 16)
        normal_step(cdf + i, density ? density + i : NULL, x + i, 16);
    if (i < n)
        normal_step(cdf + i, density ? density + i : NULL, x + i, (int)(n - i));
}

INLINE void softplus_step(float *y, const float *x, int n)
{
    v16_store(y, v16_softplus(v16_load(x, n)), n);
}

static void softplus_row(float *y, const float *x, int64_t n)
{
    int64_t i = 0;
    for (; i + 16 <= n; i += 16)
        softplus_step(y + i, x + i, 16);
    if (i < n)
        softplus_step(y + i, x + i, (int)(n - i));
}

/* ---- selective scan ------------------------------------------------------------------------------------------------------- */

typedef struct scan_rows {
    float       *now;
    const float *before, *a, *b, *c;
    int64_t      ld, lda, m;
} scan_rows;

INLINE v16 scan_step(const scan_rows *r, int64_t i, v16 dt, v16 u, v16 y, int n)
{
    for (int64_t s = 0; s < r->m; s++) {
        v16 e = v16_exp(v16_mul(dt, v16_load(r->a + s * r->lda + i, n)));
        v16 now = v16_fma(v16_set1(r->b[s]), u, v16_mul(e, v16_load(r->before + s * r->ld + i, n)), 16);
        v16_store(r->now + s * r->ld + i, now, n);
        y = v16_fma(v16_set1(r->c[s]), now, y, 16);
    }
    return y;
}

INLINE void scan_lanes(const scan_rows *r, int64_t i, float *y, const float *dt, const float *u, int n)
{
    v16 sum = scan_step(r, i, v16_load(dt + i, n), v16_load(u + i, n), y ? v16_load(y + i, n) : v16_zero(), n);
    if (y)
        v16_store(y + i, sum, n);
}

static void scan_row(float *now, const float *before, int64_t ld, float *y, const float *dt, const float *u, const float *a,
                     int64_t lda, const float *b, const float *c, int64_t m, int64_t n)
{
    scan_rows r = { now, before, a, b, c, ld, lda, m };
    int64_t   i = 0;
    for (; i + 16 <= n; i += 16)
        scan_lanes(&r, i, y, dt, u, 16);
    if (i < n)
        scan_lanes(&r, i, y, dt, u, (int)(n - i));
}

static void init_rows(fj_kernels *k)
{
    k->rms_norm_row      = rms_norm_row;
    k->rms_norm_grad_row = rms_norm_grad_row;
    k->layer_norm_row = layer_norm_row;
    k->layer_norm_grad_row = layer_norm_grad_row;
    k->add_row           = add_row;
    k->axpy_row          = axpy_row;
    k->scale_row         = scale_row;
    k->mul_row           = mul_row;
    k->silu_mul_row      = silu_mul_row;
    k->silu_mul_grad_row = silu_mul_grad_row;
    k->rope_head         = rope_head;
    k->max_row           = max_row;
    k->exp_row           = exp_row;
    k->sigmoid_row       = sigmoid_row;
    k->tanh_row          = tanh_row;
    k->normal_row        = normal_row;
    k->softplus_row      = softplus_row;
    k->scan_row          = scan_row;
    k->dot_row           = dot_row;
    k->sum_squares_row   = sum_squares_row;
}

#endif
