/* SPDX-License-Identifier: Apache-2.0
 * exp and the logistic function of sixteen lanes. Included behind a v16 header. */
#ifndef FJ_KERNELS_X86_EXP_BODY_H
#define FJ_KERNELS_X86_EXP_BODY_H

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

#endif
