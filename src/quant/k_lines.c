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

enum { AT_ONCE = 2 }; /* super-blocks, of 8 runs each; of 16 runs one */

/* Super-blocks while they are fitted, each in units of its 2^exponent; their runs side by side in lanes. */
typedef struct work {
    const fj_k_form *form;
    int n_blocks;
    float x[AT_ONCE][FJ_K_VALUES];
    int exponent[AT_ONCE];
    fj_lanes turned[FJ_K_RUN], weights[FJ_K_RUN];
    fj_runs runs;
    fj_lines line;          /* the best of each run without regard to the others */
    fj_lanes mean_q, sum_w; /* of the codes on that line; of the weights */
} work;

/* How far small scales are looked for around the nearest: while halves are tried, and at the end. */
enum { TRY_REACH = 1, REACH = 2 };

/* One choice of everything but the codes, and the error it leaves. */
typedef struct choice {
    uint16_t d_half[AT_ONCE], dmin_half[AT_ONCE];
    float error[AT_ONCE];
    fj_lanes d, dmin;    /* of the block that the run is in */
    fj_lanes scale, min; /* small integers */
} choice;

static void set_halves(const work *k, choice *c, int block, float d, float dmin)
{
    int n_runs = k->form->n_runs;
    c->d_half[block] = fj_fit_half(fmaxf(d, 0), k->exponent[block], &d);
    c->dmin_half[block] = fj_fit_half(fmaxf(dmin, 0), k->exponent[block], &dmin);
    for (int j = block * n_runs; j < (block + 1) * n_runs; j++) {
        c->d.v[j] = d;
        c->dmin.v[j] = dmin;
    }
}

/* t cut to 0…top, fraction dropped. */
FJ_INLINE float small_of(float t, float top)
{
    t = t > 0 ? t : 0;
    t = t < top ? t : top;
    return (float)(int)t;
}

FJ_INLINE void lines_of(const choice *c, const fj_lanes *scale, const fj_lanes *min, fj_lines *out)
{
    for (int j = 0; j < FJ_LANES; j++) {
        out->scale.v[j] = c->d.v[j] * scale->v[j];
        out->offset.v[j] = -c->dmin.v[j] * min->v[j];
    }
}

/* The best small scale and min of each run, near its free line. The codes' mean pins the line: when the scale moves, the
 * min follows so that the middle stays, and only the two mins around that are tried. */
FJ_LEVELS static void choose(const work *k, choice *c, int reach, fj_lanes *least)
{
    float top = (float)k->form->top_scale;
    fj_lanes middle, per_d = fj_lanes_inverse(&c->d), per_dmin = fj_lanes_inverse(&c->dmin);
    for (int j = 0; j < FJ_LANES; j++)
        middle.v[j] = small_of(k->line.scale.v[j] * per_d.v[j] + 0.5f, top);
    *least = fj_lanes_all(INFINITY);

    for (int step = -reach; step <= reach; step++) {
        fj_lanes s, below, error, before;
        for (int j = 0; j < FJ_LANES; j++) {
            float t = middle.v[j] + (float)step;
            t = t > 0 ? t : 0;
            t = t < top ? t : top;
            float wanted = (c->d.v[j] * t - k->line.scale.v[j]) * k->mean_q.v[j] - k->line.offset.v[j];
            s.v[j] = t;
            below.v[j] = small_of(wanted * per_dmin.v[j], top);
        }
        for (int side = 0; side < 2; side++) {
            fj_lines lines;
            lines_of(c, &s, &below, &lines);
            fj_fit_errors(&k->runs, &lines, 0, k->form->top, &error);
            before = *least;
            fj_lanes_keep(&error, &before, &s, &c->scale);
            fj_lanes_keep(&error, least, &below, &c->min);
            for (int j = 0; j < FJ_LANES; j++)
                below.v[j] = below.v[j] + 1 < top ? below.v[j] + 1 : top;
        }
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
    to->dmin_half[block] = from->dmin_half[block];
    to->error[block] = from->error[block];
    memcpy(to->d.v + first, from->d.v + first, bytes);
    memcpy(to->dmin.v + first, from->dmin.v + first, bytes);
    memcpy(to->scale.v + first, from->scale.v + first, bytes);
    memcpy(to->min.v + first, from->min.v + first, bytes);
}

/* d and dmin of least squares, all scales, mins and codes as they are: x = d a - dmin b with a = scale * q, b = min. */
static void refit_halves(const work *k, choice *c)
{
    int n_runs = k->form->n_runs;
    fj_lines lines;
    fj_sums s;
    lines_of(c, &c->scale, &c->min, &lines);
    fj_fit_sums(&k->runs, &lines, 0, k->form->top, &s);
    for (int block = 0; block < k->n_blocks; block++) {
        double aa = 0, ab = 0, bb = 0, ar = 0, br = 0; /* sums over the super-block; r: residuals */
        float d = c->d.v[block * n_runs], dmin = c->dmin.v[block * n_runs];
        for (int j = block * n_runs; j < (block + 1) * n_runs; j++) {
            double scale = (double)c->scale.v[j], min = (double)c->min.v[j];
            aa += scale * scale * (double)s.qq.v[j];
            ab += scale * min * (double)s.q.v[j];
            bb += min * min * (double)k->sum_w.v[j];
            ar += scale * (double)s.qr.v[j];
            br += min * (double)s.r.v[j];
        }
        double determinant = aa * bb - ab * ab;
        if (determinant > 1e-9 * aa * bb)
            set_halves(k, c, block, d + (float)((ar * bb - br * ab) / determinant),
                       dmin + (float)((ar * ab - br * aa) / determinant));
        else if (aa > 0)
            set_halves(k, c, block, d + (float)(ar / aa), dmin);
    }
}

static void free_lines(work *k)
{
    fj_sums s;
    fj_fit_lines(&k->runs, k->form->top, true, &k->line);
    fj_fit_sums(&k->runs, &k->line, 0, k->form->top, &s);
    k->sum_w = fj_lanes_all(0);
    for (int i = 0; i < k->runs.n; i++)
        for (int j = 0; j < FJ_LANES; j++)
            k->sum_w.v[j] += k->weights[i].v[j];
    for (int j = 0; j < FJ_LANES; j++)
        k->mean_q.v[j] = s.q.v[j] / k->sum_w.v[j];
}

/* The first d and dmin: the largest scale and min become the top number, or a little less. Three tries, because what
 * they round to matters: for the halves themselves, and for the small scales. */
static choice start(const work *k)
{
    const fj_k_form *form = k->form;
    choice best = { .error = { INFINITY, INFINITY } };
    for (size_t i = 0; i < FJ_LEN(form->tops[0]); i++) {
        choice c = { 0 };
        for (int block = 0; block < k->n_blocks; block++) {
            float scale = 0, min = 0;
            for (int j = block * form->n_runs; j < (block + 1) * form->n_runs; j++) {
                scale = fmaxf(scale, k->line.scale.v[j]);
                min = fmaxf(min, -k->line.offset.v[j]);
            }
            set_halves(k, &c, block, scale / form->tops[0][i], min / form->tops[1][i]);
        }
        choose_all(k, &c, TRY_REACH);
        for (int block = 0; block < k->n_blocks; block++)
            if (c.error[block] < best.error[block])
                copy_block(k, &c, block, &best);
    }
    return best;
}

static void give(const work *k, const choice *c, fj_k_lines *out)
{
    int n = k->form->run, n_runs = k->form->n_runs;
    fj_lines lines;
    lines_of(c, &c->scale, &c->min, &lines);
    for (int block = 0; block < k->n_blocks; block++, out++) {
        out->d = c->d_half[block];
        out->dmin = c->dmin_half[block];
        for (int run = 0; run < n_runs; run++) {
            int j = block * n_runs + run;
            fj_line line = { lines.scale.v[j], lines.offset.v[j] };
            out->scale[run] = (uint8_t)c->scale.v[j];
            out->min[run] = (uint8_t)c->min.v[j];
            fj_fit_codes(k->x[block] + run * n, n, line, 0, k->form->top, out->codes + run * n);
        }
    }
}

static void take(work *k, const float *src, const float *importance)
{
    const fj_k_form *form = k->form;
    float w[AT_ONCE][FJ_K_VALUES];
    for (int block = 0; block < k->n_blocks; block++) {
        int at = block * FJ_K_VALUES;
        bool is_zero; /* then all of x is, and so will be all numbers */
        k->exponent[block] = fj_fit_unit(src + at, importance ? importance + at : NULL, FJ_K_VALUES,
                                         (float)(form->top_scale * form->top), k->x[block], w[block], &is_zero);
    }
    fj_fit_turn(k->x[0], k->n_blocks * form->n_runs, form->run, k->turned);
    fj_fit_turn(w[0], k->n_blocks * form->n_runs, form->run, k->weights);
    k->runs = (fj_runs){ k->turned, k->weights, form->run };
}

static void fit(const float *src, const float *importance, int n_blocks, const fj_k_form *form, fj_k_lines *out)
{
    work k = { .form = form, .n_blocks = n_blocks };
    take(&k, src, importance);
    free_lines(&k);
    choice best = start(&k), again = best;
    refit_halves(&k, &again);
    choose_all(&k, &again, REACH);
    for (int block = 0; block < n_blocks; block++)
        if (again.error[block] < best.error[block])
            copy_block(&k, &again, block, &best);
    give(&k, &best, out);
}

void fj_k_lines_encode(const float *src, const float *importance, int64_t n, const fj_k_form *form, uint8_t *blocks,
                       size_t block_bytes, void (*store)(const fj_k_lines *lines, uint8_t *block))
{
    fj_k_lines lines[AT_ONCE];
    for (int64_t at = 0, count; at < n; at += count * FJ_K_VALUES) {
        count = FJ_MIN(FJ_LANES / form->n_runs, (n - at) / FJ_K_VALUES);
        fit(src + at, importance ? importance + at : NULL, (int)count, form, lines);
        for (int64_t i = 0; i < count; i++, blocks += block_bytes)
            store(&lines[i], blocks);
    }
}
