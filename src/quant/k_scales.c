/* SPDX-License-Identifier: Apache-2.0
 * The fit of Q3_K, Q6_K and IQ4_XS, as k_lines.c does it: a scale for each run alone, small scales for a d that reaches the
 * largest, d again by least squares. */
#include "quant/k_scales.h"

#include <math.h>

#include "quant/quant_internal.h"

const fj_scales_form fj_scales_form_q3_k = { 16, 16, -4, 3, NULL, -32, 31, 4, { 32, 30.5f } };
const fj_scales_form fj_scales_form_q6_k = { 16, 16, -32, 31, NULL, -128, 127, 4, { 128, 123 } };
const fj_scales_form fj_scales_form_iq4_xs = { 8, 32, -127, 113, &fj_book_iq4, -32, 31, 2, { 32, 30.5f } };

/* A super-block while it is fitted, in units of 2^exponent. */
typedef struct work {
    const fj_scales_form *form;
    float x[FJ_SCALES_VALUES], w[FJ_SCALES_VALUES];
    int exponent;
    float scale[FJ_SCALES_MOST_RUNS]; /* the best of each run without regard to the others */
} work;

enum { TRY_REACH = 1 }; /* how far small scales are looked for while halves are tried */

/* One choice of everything but the codes, and the error it leaves. */
typedef struct choice {
    uint16_t d_half;
    float d, error;
    int scale[FJ_SCALES_MOST_RUNS];
} choice;

static fj_sums sums_of(const work *k, int run, float scale)
{
    const fj_scales_form *f = k->form;
    const float *x = k->x + run * f->run, *w = k->w + run * f->run;
    return f->book ? fj_book_sums(x, w, f->run, scale, f->book)
                   : fj_fit_sums(x, w, f->run, (fj_line){ scale, 0 }, f->low, f->high);
}

static float error_of(const work *k, int run, float scale)
{
    const fj_scales_form *f = k->form;
    if (f->book)
        return sums_of(k, run, scale).rr;
    return fj_fit_error(k->x + run * f->run, k->w + run * f->run, f->run, (fj_line){ scale, 0 }, f->low, f->high);
}

static float free_scale(const work *k, int run)
{
    const fj_scales_form *f = k->form;
    const float *x = k->x + run * f->run, *w = k->w + run * f->run;
    return f->book ? fj_book_scale(x, w, f->run, f->book) : fj_fit_scale(x, w, f->run, f->low, f->high);
}

/* The best small scale of one run: near the free one, and near its negative, as the codes reach further down than up. */
static float choose_run(const work *k, choice *c, int run, int reach)
{
    float low = (float)k->form->low_scale, high = (float)k->form->high_scale;
    float least = INFINITY, t = c->d > 0 ? k->scale[run] / c->d : 0;
    int middle = (int)rintf(fmaxf(low, fminf(high, t)));

    for (int sign = -1; sign <= 1; sign += 2)
        for (int s = sign * middle - reach; s <= sign * middle + reach; s++) {
            int scale = FJ_MAX(k->form->low_scale, FJ_MIN(k->form->high_scale, s));
            float error = error_of(k, run, c->d * (float)scale);
            if (error < least) {
                least = error;
                c->scale[run] = scale;
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

/* d of least squares, all scales and codes as they are. */
static void refit_d(const work *k, choice *c)
{
    double aa = 0, ar = 0; /* a = scale * q */
    for (int run = 0; run < k->form->n_runs; run++) {
        double scale = c->scale[run];
        fj_sums s = sums_of(k, run, c->d * (float)c->scale[run]);
        aa += scale * scale * (double)s.qq;
        ar += scale * (double)s.qr;
    }
    if (aa > 0)
        c->d_half = fj_fit_half(fmaxf(c->d + (float)(ar / aa), 0), k->exponent, &c->d);
}

/* The first d: the largest scale becomes the last number, or a little less: two tries. */
static void start(const work *k, choice *best)
{
    float scale = 0;
    for (int run = 0; run < k->form->n_runs; run++)
        scale = fmaxf(scale, fabsf(k->scale[run]));

    best->error = INFINITY;
    for (size_t i = 0; i < FJ_LEN(k->form->tops); i++) {
        choice c = { 0 };
        c.d_half = fj_fit_half(scale / k->form->tops[i], k->exponent, &c.d);
        choose_all(k, &c, TRY_REACH);
        if (c.error < best->error)
            *best = c;
    }
}

static choice fit(work *k)
{
    choice best = { 0 };
    for (int run = 0; run < k->form->n_runs; run++)
        k->scale[run] = free_scale(k, run);
    start(k, &best);

    choice again = best;
    refit_d(k, &again);
    choose_all(k, &again, k->form->reach);
    return again.error < best.error ? again : best;
}

bool fj_scales_fit(const float *src, const float *importance, const fj_scales_form *form, fj_scales *out)
{
    work k = { .form = form };
    bool is_zero;

    memset(out, 0, sizeof *out);
    float reach = (float)(form->low_scale * form->low);
    k.exponent = fj_fit_unit(src, importance, FJ_SCALES_VALUES, reach, k.x, k.w, &is_zero);
    if (is_zero)
        return false;
    choice c = fit(&k);

    out->d = c.d_half;
    for (int run = 0; run < form->n_runs; run++) {
        float scale = c.d * (float)c.scale[run];
        const float *x = k.x + run * form->run;
        uint8_t *codes = out->codes + run * form->run;
        out->scale[run] = (int8_t)c.scale[run];
        if (form->book)
            fj_book_codes(x, form->run, scale, form->book, codes);
        else
            fj_fit_codes(x, form->run, (fj_line){ scale, 0 }, form->low, form->high, codes);
    }
    return true;
}
