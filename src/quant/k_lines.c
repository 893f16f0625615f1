/* SPDX-License-Identifier: Apache-2.0
 * The fit of Q2_K, Q4_K and Q5_K. Three kinds of numbers are chosen: codes (a rounding, given a line), a small scale and
 * min for each run, and two halves d and dmin for all. First the best line of each run alone; then, for d and dmin that
 * reach the largest, the best small numbers near it, judged by the error that they leave; then d and dmin again by
 * least squares, and the small numbers for those. Measured on nine distributions (normal, heavy tails, columns of
 * different size, ...): the rms error is 0.97 to 0.99 (Q4_K) and 0.94 to 0.96 (Q5_K) of that of ggml's reference
 * encoder. More rounds, tries or reach gain 0.1 % each. */

#include "quant/k_lines.h"

#include <math.h>
#include <string.h>

#include "quant/fit.h"
#include "quant/quant_internal.h"

void fj_k_scales_pack(const fj_k_lines *lines, uint8_t bytes[FJ_K_SCALE_BYTES])
{
    for (int j = 0; j < 4; j++) {
        int scale = lines->scale[j + 4], min = lines->min[j + 4];
        bytes[j] = (uint8_t)(lines->scale[j] | (scale >> 4) << 6);
        bytes[j + 4] = (uint8_t)(lines->min[j] | (min >> 4) << 6);
        bytes[j + 8] = (uint8_t)((scale & 15) | (min & 15) << 4);
    }
}

void fj_k_scales_unpack(const uint8_t bytes[FJ_K_SCALE_BYTES], uint8_t scale[FJ_K_RUNS], uint8_t min[FJ_K_RUNS])
{
    for (int j = 0; j < 4; j++) {
        scale[j] = bytes[j] & 63;
        min[j] = bytes[j + 4] & 63;
        scale[j + 4] = (uint8_t)((bytes[j + 8] & 15) | (bytes[j] >> 6) << 4);
        min[j + 4] = (uint8_t)(bytes[j + 8] >> 4 | (bytes[j + 4] >> 6) << 4);
    }
}

const fj_k_form fj_k_form_q2_k = { 16, 16, 3, 15, { { 15, 14.5f, 13.5f }, { 15, 14.5f, 14 } } };
const fj_k_form fj_k_form_q4_k = { 8, 32, 15, 63, { { 63, 61, 58 }, { 63, 60, 62 } } };
const fj_k_form fj_k_form_q5_k = { 8, 32, 31, 63, { { 63, 61, 58 }, { 63, 60, 62 } } };

/* A super-block while it is fitted, in units of 2^exponent. */
typedef struct work {
    const fj_k_form *form;
    float x[FJ_K_VALUES], w[FJ_K_VALUES];
    int exponent;
    fj_line line[FJ_K_MOST_RUNS]; /* the best of each run without regard to the others */
    float mean_q[FJ_K_MOST_RUNS]; /* of the codes on that line */
    float sum_w[FJ_K_MOST_RUNS];
} work;

/* How far small scales are looked for around the nearest: while halves are tried, and at the end. */
enum { TRY_REACH = 1, REACH = 2 };

/* One choice of everything but the codes, and the error it leaves. */
typedef struct choice {
    uint16_t d_half, dmin_half;
    float d, dmin, error;
    int scale[FJ_K_MOST_RUNS], min[FJ_K_MOST_RUNS];
} choice;

static fj_line line_of(const choice *c, int scale, int min)
{
    return (fj_line){ c->d * (float)scale, -c->dmin * (float)min };
}

/* t cut to 0…top, fraction dropped. */
static int small_of(float t, int top)
{
    if (!(t > 0))
        return 0;
    return t < (float)top ? (int)t : top;
}

static void set_halves(const work *k, choice *c, float d, float dmin)
{
    c->d_half = fj_fit_half(fmaxf(d, 0), k->exponent, &c->d);
    c->dmin_half = fj_fit_half(fmaxf(dmin, 0), k->exponent, &c->dmin);
}

/* The best small scale and min of one run, near its free line. The codes' mean pins the line: when the scale moves, the
 * min follows so that the middle stays, and only the two mins around that are tried. */
static float choose_run(const work *k, choice *c, int run, int reach)
{
    int n = k->form->run, top = k->form->top_scale;
    const float *x = k->x + run * n, *w = k->w + run * n;
    float scale = k->line[run].scale, min = -k->line[run].offset, least = INFINITY;
    int middle = small_of(c->d > 0 ? scale / c->d + 0.5f : 0, top);

    for (int s = FJ_MAX(middle - reach, 0); s <= FJ_MIN(middle + reach, top); s++) {
        float wanted = min + (c->d * (float)s - scale) * k->mean_q[run];
        int below = small_of(c->dmin > 0 ? wanted / c->dmin : 0, top);
        for (int m = below; m <= FJ_MIN(below + 1, top); m++) {
            float error = fj_fit_error(x, w, n, line_of(c, s, m), 0, k->form->top);
            if (error < least) {
                least = error;
                c->scale[run] = s;
                c->min[run] = m;
            }
        }
    }
    return least;
}

static void choose_all(const work *k, choice *c, int reach)
{
    c->error = 0;
    for (int run = 0; run < k->form->n_runs; run++)
        c->error += choose_run(k, c, run, reach);
}

/* d and dmin of least squares, all scales, mins and codes as they are: x = d a - dmin b with a = scale * q, b = min. */
static void refit_halves(const work *k, choice *c)
{
    double aa = 0, ab = 0, bb = 0, ar = 0, br = 0; /* sums over the super-block; r: residuals */
    int n = k->form->run;
    for (int run = 0; run < k->form->n_runs; run++) {
        double scale = c->scale[run], min = c->min[run];
        fj_line line = line_of(c, c->scale[run], c->min[run]);
        fj_sums s = fj_fit_sums(k->x + run * n, k->w + run * n, n, line, 0, k->form->top);
        aa += scale * scale * (double)s.qq;
        ab += scale * min * (double)s.q;
        bb += min * min * (double)k->sum_w[run];
        ar += scale * (double)s.qr;
        br += min * (double)s.r;
    }
    double determinant = aa * bb - ab * ab;
    if (determinant > 1e-9 * aa * bb)
        set_halves(k, c, c->d + (float)((ar * bb - br * ab) / determinant),
                   c->dmin + (float)((ar * ab - br * aa) / determinant));
    else if (aa > 0)
        set_halves(k, c, c->d + (float)(ar / aa), c->dmin);
}

static void free_lines(work *k)
{
    int n = k->form->run, top = k->form->top;
    for (int run = 0; run < k->form->n_runs; run++) {
        const float *x = k->x + run * n, *w = k->w + run * n;
        k->line[run] = fj_fit_line(x, w, n, top, true);
        k->sum_w[run] = 0;
        for (int i = 0; i < n; i++)
            k->sum_w[run] += w[i];
        k->mean_q[run] = fj_fit_sums(x, w, n, k->line[run], 0, top).q / k->sum_w[run];
    }
}

/* The first d and dmin: the largest scale and min become the top number, or a little less. Three tries, because what
 * they round to matters: for the halves themselves, and for the small scales. */
static void start(const work *k, choice *best)
{
    const fj_k_form *form = k->form;
    float scale = 0, min = 0;
    for (int run = 0; run < form->n_runs; run++) {
        scale = fmaxf(scale, k->line[run].scale);
        min = fmaxf(min, -k->line[run].offset);
    }
    best->error = INFINITY;
    for (size_t i = 0; i < FJ_LEN(form->tops[0]); i++) {
        choice c = { 0 };
        set_halves(k, &c, scale / form->tops[0][i], min / form->tops[1][i]);
        choose_all(k, &c, TRY_REACH);
        if (c.error < best->error)
            *best = c;
    }
}

static void store(const work *k, const choice *c, fj_k_lines *out)
{
    out->d = c->d_half;
    out->dmin = c->dmin_half;
    int n = k->form->run;
    for (int run = 0; run < k->form->n_runs; run++) {
        fj_line line = line_of(c, c->scale[run], c->min[run]);
        out->scale[run] = (uint8_t)c->scale[run];
        out->min[run] = (uint8_t)c->min[run];
        fj_fit_codes(k->x + run * n, n, line, 0, k->form->top, out->codes + run * n);
    }
}

void fj_k_lines_fit(const float *src, const float *importance, const fj_k_form *form, fj_k_lines *out)
{
    work k = { .form = form };
    choice best = { 0 };
    bool is_zero;

    memset(out, 0, sizeof *out);
    k.exponent = fj_fit_unit(src, importance, FJ_K_VALUES, (float)(form->top_scale * form->top), k.x, k.w, &is_zero);
    if (is_zero)
        return;

    free_lines(&k);
    start(&k, &best);
    choice again = best;
    refit_halves(&k, &again);
    choose_all(&k, &again, REACH);
    store(&k, again.error < best.error ? &again : &best, out);
}
