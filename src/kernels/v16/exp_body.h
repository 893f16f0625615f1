/* SPDX-License-Identifier: Apache-2.0
 * exp and the logistic function of sixteen lanes. Included behind a v16 header. */
#ifndef FJ_KERNELS_V16_EXP_BODY_H
#define FJ_KERNELS_V16_EXP_BODY_H

#include <math.h>

/* exp(t) = 2^e * exp(r),  e = round(t / ln 2),  r = t - e ln 2 in two pieces (Cody and Waite 1980), |r| <= 0.347.
 * exp(r) by its Taylor polynomial of degree 7: the rest r^8/8! is below 5.3e-9; with the roundings of the last steps the
 * relative error stays below 1.3e-7. Above ln(FLT_MAX) inf; below ln(FLT_MIN) zero; NaN stays NaN.
 * The limits keep e in -126…128, and e = 128 comes with r < 0 only, so adding e to the exponent bits never overflows. */
INLINE v16 v16_exp(v16 t)
{
    const v16 most = v16_set1(88.7228f), least = v16_set1(-87.33f);
    v16 e = v16_round(v16_mul(v16_if_less(t, least, least, v16_if_less(most, t, most, t)), v16_set1(1.44269504f)));
    v16 r = v16_fma(e, v16_set1(-0x1.62e430p-1f), t, 16);
    r = v16_fma(e, v16_set1(0x1.05c610p-29f), r, 16);

    v16 p = v16_set1(1.0f / 5040);
    p = v16_fma(p, r, v16_set1(1.0f / 720), 16);
    p = v16_fma(p, r, v16_set1(1.0f / 120), 16);
    p = v16_fma(p, r, v16_set1(1.0f / 24), 16);
    p = v16_fma(p, r, v16_set1(1.0f / 6), 16);
    p = v16_fma(p, r, v16_set1(0.5f), 16);
    p = v16_fma(p, r, v16_set1(1.0f), 16);
    p = v16_fma(p, r, v16_set1(1.0f), 16);
    p = v16_shift_exponent(p, e);
    p = v16_if_less(t, least, v16_zero(), p);
    return v16_if_less(most, t, v16_set1(INFINITY), p);
}

/* 1 / (1 + exp(-x)); 0 far below, 1 far above */
INLINE v16 v16_sigmoid(v16 x)
{
    v16 one = v16_set1(1.0f);
    return v16_div(one, v16_add(one, v16_exp(v16_sub(v16_zero(), x))));
}

/* Below 0.625 t + t^3 p(t^2), a fit of degree 4 (relative error 2e-8); beyond 1 - 2 / (1 + exp(2t)), which cancels nothing. */
INLINE v16 v16_tanh(v16 t)
{
    v16 one = v16_set1(1.0f), s = v16_mul(t, t);
    v16 p = v16_set1(-0.006088712252676487f);
    p = v16_fma(p, s, v16_set1(0.020990869030356407f), 16);
    p = v16_fma(p, s, v16_set1(-0.05384935066103935f), 16);
    p = v16_fma(p, s, v16_set1(0.13332757353782654f), 16);
    p = v16_fma(p, s, v16_set1(-0.333333283662796f), 16);
    v16 near = v16_fma(v16_mul(p, s), t, t, 16);
    v16 far = v16_sub(one, v16_div(v16_set1(2.0f), v16_add(one, v16_exp(v16_add(t, t)))));
    return v16_if_less(s, v16_set1(0.625f * 0.625f), near, far);
}

/* P(Z < x) of a standard normal Z; e = exp(-x^2/2). Below 1 half plus x p(x^2); beyond the tail e t q(t), t = 1 / (1 + 0.4 |x|).
 * Both polynomials are fits to double precision; with the roundings the error stays below 1.5e-7. */
INLINE v16 v16_normal(v16 x, v16 e)
{
    v16 zero = v16_zero(), one = v16_set1(1.0f), s = v16_mul(x, x), p = v16_set1(-7.65214008424664e-06f);
    p = v16_fma(p, s, v16_set1(0.00011348116095177829f), 16);
    p = v16_fma(p, s, v16_set1(-0.0011863253312185407f), 16);
    p = v16_fma(p, s, v16_set1(0.009973322041332722f), 16);
    p = v16_fma(p, s, v16_set1(-0.06649035960435867f), 16);
    p = v16_fma(p, s, v16_set1(0.3989422917366028f), 16);
    v16 near = v16_fma(p, x, v16_set1(0.5f), 16);

    v16 size = v16_if_less(x, zero, v16_sub(zero, x), x);
    v16 t = v16_div(one, v16_fma(size, v16_set1(0.4f), one, 16)), q = v16_set1(0.06748923659324646f);
    q = v16_fma(q, t, v16_set1(-0.18497039377689362f), 16);
    q = v16_fma(q, t, v16_set1(0.10404548794031143f), 16);
    q = v16_fma(q, t, v16_set1(0.05613178759813309f), 16);
    q = v16_fma(q, t, v16_set1(0.13886533677577972f), 16);
    q = v16_fma(q, t, v16_set1(0.1591152548789978f), 16);
    q = v16_fma(q, t, v16_set1(0.15959516167640686f), 16);
    v16 tail = v16_mul(v16_mul(q, t), e);
    v16 far = v16_if_less(x, zero, tail, v16_sub(one, tail));
    return v16_if_less(s, one, near, far);
}

/* log(1 + t) of 0 <= t <= 1 as 2 artanh z, z = t / (2 + t) <= 1/3: the series of z^2 / (2k + 1) to k = 8, the rest is below
 * 1e-10 of it. */
INLINE v16 v16_log1p(v16 t)
{
    v16 z = v16_div(t, v16_add(v16_set1(2.0f), t)), s = v16_mul(z, z), p = v16_set1(1.0f / 17);
    p = v16_fma(p, s, v16_set1(1.0f / 15), 16);
    p = v16_fma(p, s, v16_set1(1.0f / 13), 16);
    p = v16_fma(p, s, v16_set1(1.0f / 11), 16);
    p = v16_fma(p, s, v16_set1(1.0f / 9), 16);
    p = v16_fma(p, s, v16_set1(1.0f / 7), 16);
    p = v16_fma(p, s, v16_set1(1.0f / 5), 16);
    p = v16_fma(p, s, v16_set1(1.0f / 3), 16);
    z = v16_add(z, z);
    return v16_fma(v16_mul(p, s), z, z, 16);
}

/* max(x, 0) + log(1 + exp(-|x|)) */
INLINE v16 v16_softplus(v16 x)
{
    v16 zero = v16_zero(), minus = v16_sub(zero, x);
    v16 log = v16_log1p(v16_exp(v16_if_less(x, zero, x, minus)));
    return v16_add(v16_if_less(x, zero, zero, x), log);
}

#endif
