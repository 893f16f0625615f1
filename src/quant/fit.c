/* SPDX-License-Identifier: Apache-2.0
 * Least squares over rounded grids. With the codes q fixed, the best scale and offset are a 2x2 linear system; with
 * those fixed, the best codes are a rounding. Alternating falls into the nearest local optimum (Lloyd 1982), so several
 * starts are tried. All sums are of residuals x - (scale q + offset), never of x itself: nothing cancels when values
 * are large and close together. */

#include "quant/fit.h"

#include <math.h>

#include "quant/quant_internal.h"

FJ_LEVELS void fj_fit_turn(const float *x, int n_runs, int n, fj_lanes *out)
{
    for (int j = 0; j < FJ_LANES; j++) {
        const float *from = x + (j < n_runs ? j : 0) * n;
        for (int i = 0; i < n; i++)
            out[i].v[j] = from[i];
    }
}

FJ_LEVELS void fj_fit_errors(const fj_runs *runs, const fj_lines *lines, int low, int high, fj_lanes *out)
{
    float lowest = (float)low, highest = (float)high;
    fj_lanes inverse = fj_lanes_inverse(&lines->scale), sum = fj_lanes_all(0);
    for (int i = 0; i < runs->n; i++)
        for (int j = 0; j < FJ_LANES; j++) {
            float t = runs->x[i].v[j] - lines->offset.v[j];
            float r = t - fj_lane_nearest(t * inverse.v[j], lowest, highest) * lines->scale.v[j];
            sum.v[j] += runs->w[i].v[j] * r * r;
        }
    *out = sum;
}

FJ_LEVELS void fj_fit_codes(const float *x, int n, fj_line line, int low, int high, uint8_t *codes)
{
    float inverse = fj_inverse(line.scale), lowest = (float)low, highest = (float)high;
    for (int i = 0; i < n; i++)
        codes[i] = (uint8_t)((int)fj_lane_nearest((x[i] - line.offset) * inverse, lowest, highest) - low);
}

FJ_INLINE fj_sums sums_of(const fj_runs *runs, const fj_lines *lines, int low, int high)
{
    float lowest = (float)low, highest = (float)high;
    fj_lanes inverse = fj_lanes_inverse(&lines->scale), zero = fj_lanes_all(0);
    fj_sums s = { zero, zero, zero, zero, zero };
    for (int i = 0; i < runs->n; i++)
        for (int j = 0; j < FJ_LANES; j++) {
            float t = runs->x[i].v[j] - lines->offset.v[j], w = runs->w[i].v[j];
            float q = fj_lane_nearest(t * inverse.v[j], lowest, highest), r = t - q * lines->scale.v[j];
            float wq = w * q, wr = w * r;
            s.q.v[j] += wq;
            s.qq.v[j] += wq * q;
            s.r.v[j] += wr;
            s.qr.v[j] += wr * q;
            s.rr.v[j] += wr * r;
        }
    return s;
}

FJ_LEVELS void fj_fit_sums(const fj_runs *runs, const fj_lines *lines, int low, int high, fj_sums *out)
{
    *out = sums_of(runs, lines, low, high);
}

/* The lines of least squares for the codes behind s; with no_lift their offsets are kept from rising above 0. */
FJ_INLINE void better_lines(fj_lines *lines, const fj_sums *s, const fj_lanes *sum_w, bool no_lift)
{
    for (int j = 0; j < FJ_LANES; j++) {
        float w = sum_w->v[j], q = s->q.v[j], qq = s->qq.v[j], r = s->r.v[j], qr = s->qr.v[j];
        float scale = lines->scale.v[j], offset = lines->offset.v[j];
        float determinant = w * qq - q * q;
        bool is_sound = determinant > 1e-6f * w * qq;
        float divisor = is_sound ? determinant : 1.0f;
        float next = scale + (w * qr - q * r) / divisor, lift = offset + (qq * r - q * qr) / divisor;
        /* through zero: sum w q (x - scale q) = 0, where x = r + line */
        float through = scale + (qr + offset * q) / (is_sound ? qq : 1.0f);
        bool is_lifted = no_lift && lift > 0;
        next = is_lifted ? through : next;
        lift = is_lifted ? 0.0f : lift;
        lines->scale.v[j] = is_sound ? next : scale;
        lines->offset.v[j] = is_sound ? lift : offset;
    }
}

FJ_INLINE void range_of(const fj_runs *runs, fj_lanes *low, fj_lanes *high)
{
    *low = *high = runs->x[0];
    for (int i = 1; i < runs->n; i++)
        for (int j = 0; j < FJ_LANES; j++) {
            float x = runs->x[i].v[j];
            low->v[j] = x < low->v[j] ? x : low->v[j];
            high->v[j] = x > high->v[j] ? x : high->v[j];
        }
}

/* Starts: the lowest value kept in place, top + start/2 steps to the highest. More steps than codes cut the highest
 * values, which pays when they weigh little. Figures: with 8 starts of a quarter step the error is the same without
 * weights, and 6 % higher with. */
FJ_LEVELS void fj_fit_lines(const fj_runs *runs, int top, bool no_lift, fj_lines *out)
{
    fj_lanes low, high, sum_w = fj_lanes_all(0), least = fj_lanes_all(INFINITY);
    range_of(runs, &low, &high);
    for (int i = 0; i < runs->n; i++)
        for (int j = 0; j < FJ_LANES; j++)
            sum_w.v[j] += runs->w[i].v[j];
    for (int j = 0; j < FJ_LANES; j++)
        low.v[j] = no_lift && low.v[j] > 0 ? 0 : low.v[j];
    *out = (fj_lines){ fj_lanes_all(0), low };

    for (int start = -4; start < 8; start++) {
        fj_lines lines = { .offset = low };
        float steps = (float)top + 0.5f * (float)start;
        for (int j = 0; j < FJ_LANES; j++)
            lines.scale.v[j] = (high.v[j] - low.v[j]) / steps;
        for (int round = 0; round < 3; round++) {
            fj_sums s = sums_of(runs, &lines, 0, top);
            fj_lanes before = least;
            fj_lanes_keep(&s.rr, &before, &lines.scale, &out->scale);
            fj_lanes_keep(&s.rr, &least, &lines.offset, &out->offset);
            better_lines(&lines, &s, &sum_w, no_lift);
        }
    }
}

/* Starts: the value of largest size on the lowest code and on the highest, up to a step and a half inside, or up to
 * four beyond and so cut. */
FJ_LEVELS void fj_fit_scales(const fj_runs *runs, int low, int high, fj_lanes *out)
{
    fj_lanes least = fj_lanes_all(INFINITY), peak, min, max;
    range_of(runs, &min, &max);
    for (int j = 0; j < FJ_LANES; j++)
        peak.v[j] = max.v[j] > -min.v[j] ? max.v[j] : min.v[j];
    *out = fj_lanes_all(0);

    for (int side = 0; side < 2; side++)
        for (int start = -2; start < 9; start += 2) {
            float t = 0.5f * (float)start, reach = side ? (float)high + t : (float)low - t;
            fj_lines lines = { .offset = fj_lanes_all(0) };
            fj_lanes refit, error;
            for (int j = 0; j < FJ_LANES; j++)
                lines.scale.v[j] = peak.v[j] / reach;
            fj_sums s = sums_of(runs, &lines, low, high);
            for (int j = 0; j < FJ_LANES; j++) {
                float gain = s.qr.v[j] / (s.qq.v[j] > 0 ? s.qq.v[j] : 1.0f);
                refit.v[j] = lines.scale.v[j] + gain;
                error.v[j] = s.rr.v[j] - s.qr.v[j] * gain; /* at most, with these codes */
                error.v[j] = error.v[j] < 0 ? 0 : error.v[j];
            }
            fj_lanes_keep(&error, &least, &refit, out);
        }
}

/* Weights as given are sums of squares of any size; a mean of 1 keeps sums of them in range, and a small floor keeps
 * columns without weight from taking arbitrary values. */
FJ_LEVELS void fj_fit_weights(const float *importance, int n, float *w)
{
    double sums[FJ_LANES] = { 0 }, sum = 0;
    for (int i = 0; importance && i < n; i += FJ_LANES)
        for (int j = 0; j < FJ_LANES; j++) {
            float t = importance[i + j];
            sums[j] += (double)(t > 0 && t <= 3e38f ? t : 0);
        }
    for (int j = 0; j < FJ_LANES; j++)
        sum += sums[j];
    for (int i = 0; i < n; i++)
        w[i] = 1;
    if (!(sum > 0))
        return;
    double unit = n / sum;
    for (int i = 0; i < n; i++) {
        float t = importance[i];
        w[i] = (float)((double)(t > 0 && t <= 3e38f ? t : 0) * unit + 1e-5);
    }
}

/* Values cut to ±limit, 0 for NaN; returns the largest size. */
FJ_LEVELS static float cut(const float *src, int n, float limit, float *x)
{
    fj_lanes largest = fj_lanes_all(0);
    for (int i = 0; i < n; i += FJ_LANES)
        for (int j = 0; j < FJ_LANES; j++) {
            float t = src[i + j];
            t = t < limit ? t : limit;
            t = t > -limit ? t : -limit;
            t = src[i + j] == src[i + j] ? t : 0;
            x[i + j] = t;
            float size = t < 0 ? -t : t;
            largest.v[j] = size > largest.v[j] ? size : largest.v[j];
        }
    return fj_lanes_max(&largest);
}

int fj_fit_unit(const float *src, const float *importance, int n, float reach, float *x, float *w, bool *is_zero)
{
    float amax = cut(src, n, 65504.0f * reach, x), unit = 0;
    int exponent = 0;
    *is_zero = amax < 0x1p-25f; /* half of 2^-24, the smallest half */
    if (!*is_zero) {
        frexpf(amax, &exponent);
        unit = ldexpf(1, -exponent);
    }
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

void fj_fit_blocks_take(fj_fit_blocks *b, const float *src, const float *importance, int n, float reach)
{
    float w[FJ_LANES][FJ_FIT_BLOCK];
    for (int j = 0; j < n; j++) {
        int at = j * FJ_FIT_BLOCK;
        bool is_zero;
        b->exponent[j] = fj_fit_unit(src + at, importance ? importance + at : NULL, FJ_FIT_BLOCK, reach, b->x[j], w[j],
                                     &is_zero);
    }
    fj_fit_turn(b->x[0], n, FJ_FIT_BLOCK, b->turned);
    fj_fit_turn(w[0], n, FJ_FIT_BLOCK, b->weights);
    b->runs = (fj_runs){ b->turned, b->weights, FJ_FIT_BLOCK };
}
