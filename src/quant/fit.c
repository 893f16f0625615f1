/* SPDX-License-Identifier: Apache-2.0
 * Least squares over rounded grids. With the codes q fixed, the best scale and offset are a 2x2 linear system; with
 * those fixed, the best codes are a rounding. Alternating falls into the nearest local optimum (Lloyd 1982), so several
 * starts are tried. All sums are of residuals x - (scale q + offset), never of x itself: nothing cancels when values
 * are large and close together. */

#include "quant/fit.h"

#include <math.h>
#include <string.h>

#include "quant/quant_internal.h"

/* Sixteen values at a time: plain loops over lanes that compilers turn into vectors. The order of sums is the same everywhere, whatever
 * a processor's vectors hold, and so is every bit. Compiled for three levels of x86 in one file, because what differs is the compiler's
 * choice of instructions and nothing else. (gcc's vector extension would be cut to the first level before the copies are made.) */
enum { LANES = 16 };

#if defined(__x86_64__) && defined(__GNUC__) && !defined(__clang__) && !defined(__SANITIZE_THREAD__) && \
    !defined(__SANITIZE_ADDRESS__)
#define LEVELS __attribute__((target_clones("avx512f", "avx2", "default")))
#else
#define LEVELS /* the same bits, slower */
#endif
#define INLINE static inline __attribute__((always_inline))

INLINE float total(const float v[LANES])
{
    float x[8], y[4];
    for (int i = 0; i < 8; i++)
        x[i] = v[i] + v[i + 8];
    for (int i = 0; i < 4; i++)
        y[i] = x[i] + x[i + 4];
    return (y[0] + y[2]) + (y[1] + y[3]);
}

/* t cut to low…high (low for NaN), then to the nearest integer, ties to even: 3 * 2^22 has no fraction bits. */
INLINE float nearest(float t, float low, float high)
{
    t = t > low ? t : low;
    t = t < high ? t : high;
    return (t + 12582912.0f) - 12582912.0f;
}

LEVELS float fj_fit_error(const float *x, const float *w, int n, fj_line line, int low, int high)
{
    float inverse = fj_inverse(line.scale), lowest = (float)low, highest = (float)high, sum[LANES] = { 0 };
    for (int i = 0; i < n; i += LANES)
        for (int j = 0; j < LANES; j++) {
            float t = x[i + j] - line.offset;
            float r = t - nearest(t * inverse, lowest, highest) * line.scale;
            sum[j] += w[i + j] * r * r;
        }
    return total(sum);
}

LEVELS void fj_fit_codes(const float *x, int n, fj_line line, int low, int high, uint8_t *codes)
{
    float inverse = fj_inverse(line.scale), lowest = (float)low, highest = (float)high;
    for (int i = 0; i < n; i++)
        codes[i] = (uint8_t)((int)nearest((x[i] - line.offset) * inverse, lowest, highest) - low);
}

LEVELS fj_sums fj_fit_sums(const float *x, const float *w, int n, fj_line line, int low, int high)
{
    float inverse = fj_inverse(line.scale), lowest = (float)low, highest = (float)high;
    float s_q[LANES] = { 0 }, s_qq[LANES] = { 0 }, s_r[LANES] = { 0 }, s_qr[LANES] = { 0 }, s_rr[LANES] = { 0 };
    for (int i = 0; i < n; i += LANES)
        for (int j = 0; j < LANES; j++) {
            float t = x[i + j] - line.offset;
            float q = nearest(t * inverse, lowest, highest), r = t - q * line.scale;
            float wq = w[i + j] * q, wr = w[i + j] * r;
            s_q[j] += wq;
            s_qq[j] += wq * q;
            s_r[j] += wr;
            s_qr[j] += wr * q;
            s_rr[j] += wr * r;
        }
    return (fj_sums){ total(s_q), total(s_qq), total(s_r), total(s_qr), total(s_rr) };
}

/* The line of least squares for the codes behind s; with no_lift its offset is kept from rising above 0. */
static fj_line better_line(fj_line line, const fj_sums *s, float sum_w, bool no_lift)
{
    float determinant = sum_w * s->qq - s->q * s->q;
    if (!(determinant > 1e-6f * sum_w * s->qq))
        return line;
    fj_line next = {
        line.scale + (sum_w * s->qr - s->q * s->r) / determinant,
        line.offset + (s->qq * s->r - s->q * s->qr) / determinant,
    };
    if (no_lift && next.offset > 0) { /* through zero: sum w q (x - scale q) = 0, where x = r + line */
        next.scale = line.scale + (s->qr + line.offset * s->q) / s->qq;
        next.offset = 0;
    }
    return next;
}

static void range_of(const float *x, int n, float *low, float *high)
{
    *low = *high = x[0];
    for (int i = 1; i < n; i++) {
        *low = fminf(*low, x[i]);
        *high = fmaxf(*high, x[i]);
    }
}

/* Starts: the lowest value kept in place, top + start/2 steps to the highest. More steps than codes cut the highest
 * values, which pays when they weigh little. Figures: with 8 starts of a quarter step the error is the same without
 * weights, and 6 % higher with. */
fj_line fj_fit_line(const float *x, const float *w, int n, int top, bool no_lift)
{
    float low, high, sum_w = 0, least = INFINITY;
    range_of(x, n, &low, &high);
    for (int i = 0; i < n; i++)
        sum_w += w[i];
    if (no_lift)
        low = fminf(low, 0);
    fj_line best = { 0, low };
    if (!(high > low))
        return best;

    for (int start = -4; start < 8; start++) {
        fj_line line = { (high - low) / ((float)top + 0.5f * (float)start), low };
        for (int round = 0; round < 3; round++) {
            fj_sums s = fj_fit_sums(x, w, n, line, 0, top);
            if (s.rr < least) {
                least = s.rr;
                best = line;
            }
            line = better_line(line, &s, sum_w, no_lift);
        }
    }
    return best;
}

/* Starts: the value of largest size on the lowest code and on the highest, up to a step and a half inside, or up to
 * four beyond and so cut. */
float fj_fit_scale(const float *x, const float *w, int n, int low, int high)
{
    float least = INFINITY, best = 0, min, max;
    range_of(x, n, &min, &max);
    float peak = max > -min ? max : min;
    if (peak == 0)
        return 0;

    for (int side = 0; side < 2; side++) {
        float reach = side ? (float)high : (float)low;
        for (int start = -3; start < 9; start++) {
            float t = 0.5f * (float)start;
            fj_line line = { peak / (side ? reach + t : reach - t), 0 };
            fj_sums s = fj_fit_sums(x, w, n, line, low, high);
            if (s.qq > 0)
                line.scale += s.qr / s.qq;
            float error = s.qq > 0 ? s.rr - s.qr * s.qr / s.qq : s.rr; /* at most, with these codes */
            if (error < least) {
                least = error;
                best = line.scale;
            }
        }
    }
    return best;
}

/* Weights as given are sums of squares of any size; a mean of 1 keeps sums of them in range, and a small floor keeps
 * columns without weight from taking arbitrary values. */
void fj_fit_weights(const float *importance, int n, float *w)
{
    double sum = 0;
    for (int i = 0; importance && i < n; i++)
        sum += importance[i] > 0 && importance[i] <= 3e38f ? importance[i] : 0;
    for (int i = 0; i < n; i++)
        w[i] = 1;
    if (!(sum > 0))
        return;
    for (int i = 0; i < n; i++) {
        double weight = importance[i] > 0 && importance[i] <= 3e38f ? importance[i] / sum * n : 0;
        w[i] = (float)(weight + 1e-5);
    }
}

int fj_fit_unit(const float *src, const float *importance, int n, float reach, float *x, float *w, bool *is_zero)
{
    float limit = 65504.0f * reach, amax = 0;
    for (int i = 0; i < n; i++) {
        x[i] = src[i] == src[i] ? fmaxf(-limit, fminf(limit, src[i])) : 0;
        amax = fabsf(x[i]) > amax ? fabsf(x[i]) : amax; /* fmaxf is a call */
    }
    *is_zero = amax < 0x1p-25f; /* half of 2^-24, the smallest half */
    if (*is_zero)
        return 0;

    int exponent;
    frexpf(amax, &exponent);
    float unit = ldexpf(1, -exponent);
    for (int i = 0; i < n; i++)
        x[i] *= unit;
    fj_fit_weights(importance, n, w);
    return exponent;
}

uint16_t fj_fit_half(float value, int exponent, float *as_stored)
{
    uint16_t h = fj_half_saturated(ldexpf(value, exponent));
    if ((h & 0x7fff) == 0 && value != 0)
        h |= 1;
    *as_stored = ldexpf(fj_f16_to_f32(h), -exponent);
    return h;
}
