/* SPDX-License-Identifier: Apache-2.0
 * The fit of Q3_K, Q6_K and IQ4_XS, as k_lines.c does it: a scale for each run alone, small scales for a d that reaches the
 * largest, d again by least squares. */
#include "quant/k_scales.h"

#include <math.h>
#include <string.h>

#include "quant/quant_internal.h"

const fj_scales_form fj_scales_form_q3_k = { 16, 16, -4, 3, NULL, -32, 31, 2, { 32, 30.5f } };
const fj_scales_form fj_scales_form_q6_k = { 16, 16, -32, 31, NULL, -128, 127, 4, { 128, 123 } };
const fj_scales_form fj_scales_form_iq4_xs = { 8, 32, -127, 113, &fj_book_iq4, -32, 31, 2, { 32, 30.5f } };

enum { AT_ONCE = 2 }; /* super-blocks, of 8 runs each; of 16 runs one */

/* Super-blocks while they are fitted, each in units of its 2^exponent; their runs side by side in lanes. */
typedef struct work {
    const fj_scales_form *form;
    int n_blocks;
    float x[AT_ONCE][FJ_SCALES_VALUES];
    int exponent[AT_ONCE];
    fj_lanes turned[FJ_SCALES_RUN], weights[FJ_SCALES_RUN];
    fj_runs runs;
    fj_lanes scale; /* the best of each run without regard to the others */
} work;

enum { TRY_REACH = 1 }; /* how far small scales are looked for while halves are tried */

/* One choice of everything but the codes, and the error it leaves. */
typedef struct choice {
    uint16_t d_half[AT_ONCE];
    float error[AT_ONCE];
    fj_lanes d;     /* of the block that the run is in */
    fj_lanes scale; /* small integers */
} choice;

static void set_half(const work *k, choice *c, int block, float d)
{
    int n_runs = k->form->n_runs;
    c->d_half[block] = fj_fit_half(d, k->exponent[block], &d);
    for (int j = block * n_runs; j < (block + 1) * n_runs; j++)
        c->d.v[j] = d;
}

FJ_INLINE void lines_of(const choice *c, const fj_lanes *scale, fj_lines *out)
{
    for (int j = 0; j < FJ_LANES; j++)
        out->scale.v[j] = c->d.v[j] * scale->v[j];
    out->offset = fj_lanes_all(0);
}

static void free_scales(work *k)
{
    const fj_scales_form *f = k->form;
    if (f->book)
        fj_book_scales(&k->runs, f->book, &k->scale);
    else
        fj_fit_scales(&k->runs, f->low, f->high, &k->scale);
}

static void errors_of(const work *k, const fj_lines *lines, fj_lanes *out)
{
    const fj_scales_form *f = k->form;
    if (f->book)
        fj_book_errors(&k->runs, &lines->scale, f->book, out);
    else
        fj_fit_errors(&k->runs, lines, f->low, f->high, out);
}

/* The best small scale of each run: near the free one, and near its negative, as the codes reach further down than up. */
FJ_LEVELS static void choose(const work *k, choice *c, int reach, fj_lanes *least)
{
    float low = (float)k->form->low_scale, high = (float)k->form->high_scale;
    fj_lanes middle, per_d = fj_lanes_inverse(&c->d);
    for (int j = 0; j < FJ_LANES; j++)
        middle.v[j] = fj_lane_nearest(k->scale.v[j] * per_d.v[j], low, high);
    *least = fj_lanes_all(INFINITY);

    for (int sign = 1; sign <= 1; sign += 2)
        for (int step = -reach; step <= reach; step++) {
            fj_lanes s, error;
            fj_lines lines;
            for (int j = 0; j < FJ_LANES; j++) {
                float t = (float)sign * middle.v[j] + (float)step;
                t = t > low ? t : low;
                s.v[j] = t < high ? t : high;
            }
            lines_of(c, &s, &lines);
            errors_of(k, &lines, &error);
            fj_lanes_keep(&error, least, &s, &c->scale);
        }
}

static void choose_all(const work *k, choice *c, int reach)
{
    fj_lanes least;
    choose(k, c, reach, &least);
    fj_lanes_sums(&least, k->n_blocks, k->form->n_runs, c->error);
}

/* What is said of one block goes over. */
static void copy_block(const work *k, const choice *from, int block, choice *to)
{
    size_t first = (size_t)(block * k->form->n_runs), bytes = (size_t)k->form->n_runs * sizeof(float);
    to->d_half[block] = from->d_half[block];
    to->error[block] = from->error[block];
    memcpy(to->d.v + first, from->d.v + first, bytes);
    memcpy(to->scale.v + first, from->scale.v + first, bytes);
}

/* d of least squares, all scales and codes as they are. */
static void refit_d(const work *k, choice *c)
{
    const fj_scales_form *f = k->form;
    fj_lines lines;
    fj_sums s;
    lines_of(c, &c->scale, &lines);
    if (f->book)
        fj_book_sums(&k->runs, &lines.scale, f->book, &s);
    else
        fj_fit_sums(&k->runs, &lines, f->low, f->high, &s);
    for (int block = 0; block < k->n_blocks; block++) {
        double aa = 0, ar = 0; /* a = scale * q */
        for (int j = block * f->n_runs; j < (block + 1) * f->n_runs; j++) {
            double scale = (double)c->scale.v[j];
            aa += scale * scale * (double)s.qq.v[j];
            ar += scale * (double)s.qr.v[j];
        }
        if (aa > 0)
            set_half(k, c, block, fmaxf(c->d.v[block * f->n_runs] + (float)(ar / aa), 0));
    }
}

/* The first d: the largest scale becomes the last number, or a little less: two tries. */
static choice start(const work *k)
{
    const fj_scales_form *f = k->form;
    choice best = { .error = { INFINITY, INFINITY } };
    for (size_t i = 0; i < FJ_LEN(f->tops); i++) {
        choice c = { 0 };
        for (int block = 0; block < k->n_blocks; block++) {
            float scale = 0;
            for (int j = block * f->n_runs; j < (block + 1) * f->n_runs; j++)
                scale = fmaxf(scale, fabsf(k->scale.v[j]));
            set_half(k, &c, block, scale / f->tops[i]);
        }
        choose_all(k, &c, TRY_REACH);
        for (int block = 0; block < k->n_blocks; block++)
            if (c.error[block] < best.error[block])
                copy_block(k, &c, block, &best);
    }
    return best;
}

static void give(const work *k, const choice *c, fj_scales *out)
{
    const fj_scales_form *f = k->form;
    fj_lines lines;
    lines_of(c, &c->scale, &lines);
    for (int block = 0; block < k->n_blocks; block++, out++) {
        out->d = c->d_half[block];
        for (int run = 0; run < f->n_runs; run++) {
            int j = block * f->n_runs + run;
            const float *x = k->x[block] + run * f->run;
            uint8_t *codes = out->codes + run * f->run;
            out->scale[run] = (int8_t)c->scale.v[j];
            if (f->book)
                fj_book_codes(x, f->run, lines.scale.v[j], f->book, codes);
            else
                fj_fit_codes(x, f->run, (fj_line){ lines.scale.v[j], 0 }, f->low, f->high, codes);
        }
    }
}

static void take(work *k, const float *src, const float *importance)
{
    const fj_scales_form *f = k->form;
    float w[AT_ONCE][FJ_SCALES_VALUES];
    float top = (float)(FJ_MAX(f->high_scale, -f->low_scale) * FJ_MAX(f->high, -f->low));
    for (int block = 0; block < k->n_blocks; block++) {
        int at = block * FJ_SCALES_VALUES;
        bool is_zero; /* then all of x is, and so will be all numbers */
        k->exponent[block] = fj_fit_unit(src + at, importance ? importance + at : NULL, FJ_SCALES_VALUES, top,
                                         k->x[block], w[block], &is_zero);
    }
    fj_fit_turn(k->x[0], k->n_blocks * f->n_runs, f->run, k->turned);
    fj_fit_turn(w[0], k->n_blocks * f->n_runs, f->run, k->weights);
    if (f->book && !importance)
        fj_book_weigh(k->turned, f->run, k->weights);
    k->runs = (fj_runs){ k->turned, k->weights, f->run };
}

static void fit(const float *src, const float *importance, int n_blocks, const fj_scales_form *form, fj_scales *out)
{
    work k = { .form = form, .n_blocks = n_blocks };
    take(&k, src, importance);
    free_scales(&k);
    choice best = start(&k), again = best;
    refit_d(&k, &again);
    choose_all(&k, &again, form->reach);
    for (int block = 0; block < n_blocks; block++)
        if (again.error[block] < best.error[block])
            copy_block(&k, &again, block, &best);
    give(&k, &best, out);
}

void fj_scales_encode(const float *src, const float *importance, int64_t n, const fj_scales_form *form, uint8_t *blocks,
                      size_t block_bytes, void (*store)(const fj_scales *scales, uint8_t *block))
{
    fj_scales scales[AT_ONCE];
    for (int64_t at = 0, count; at < n; at += count * FJ_SCALES_VALUES) {
        count = FJ_MIN(FJ_LANES / form->n_runs, (n - at) / FJ_SCALES_VALUES);
        fit(src + at, importance ? importance + at : NULL, (int)count, form, scales);
        for (int64_t i = 0; i < count; i++, blocks += block_bytes)
            store(&scales[i], blocks);
    }
}
