/* SPDX-License-Identifier: Apache-2.0
 * The nearest IQ2_XS blocks (layout: iq2.c): 32 groups of 8 values, each an entry of the book and signs, 16 steps, one half d.
 *
 * With the signs fixed, the error of an entry with levels L at a step s is, up to a constant of the group,
 *   sum w (|x| - s L)^2  =  s^2 sum w L^2 - 2 s sum w |x| L
 * The two sums do not know s: they are made once for all 512 entries, and then any step costs two multiplications an entry, so the
 * search over the book is exact. An odd number of negative values cannot be written: the value that matters least changes its sign.
 * Steps: first a free one for each 16 values, then d from the largest, the nearest numbers, d again for the entries that these chose,
 * and each number with its two neighbours for the last d. */
#include <float.h>
#include <math.h>

#include "quant/fit.h"
#include "quant/grids.h"
#include "quant/iq2.h"
#include "quant/quant_internal.h"
#include "quant/v4.h"

enum {
    VALUES = 256,
    GROUP = 8,
    RUN = 16,
    RUNS = 16,
    ENTRIES = 512,
    BYTES = 74,
    AT_CODES = 2,
    AT_SCALES = 66,
    TOP = 15
};

static const float levels[4] = { 8, 25, 43 };

/* Level i of all entries. */
typedef struct book {
    float level[GROUP][ENTRIES];
} book;

/* Of all entries: sum w |x| L and sum w L^2. */
typedef struct group {
    float with[ENTRIES], own[ENTRIES];
    unsigned signs; /* 8, an even number of them set */
} group;

/* A choice for a run: entries, and the sums of both groups for them. */
typedef struct choice {
    int entry[2];
    float error, with, own;
} choice;

static void fill_book(book *b)
{
    for (int i = 0; i < GROUP; i++)
        for (int e = 0; e < ENTRIES; e++)
            b->level[i][e] = levels[fj_grid_iq2_xs[e] >> 2 * i & 3];
}

/* Magnitudes in place of x[0…7], negative for the one whose sign could not be kept. */
static unsigned take_signs(float *x, const float *w)
{
    unsigned signs = 0;
    int n = 0, least = 0;
    for (int i = 0; i < GROUP; i++) {
        if (x[i] < 0) {
            signs |= 1u << i;
            x[i] = -x[i];
            n++;
        }
        if (w[i] * x[i] < w[least] * x[least])
            least = i;
    }
    if (n % 2) {
        signs ^= 1u << least;
        x[least] = -x[least];
    }
    return signs;
}

static void prepare(group *g, float *x, const float *w, const book *b)
{
    g->signs = take_signs(x, w);
    for (int e = 0; e < ENTRIES; e += 4) {
        v4f with = all(0), own = all(0);
        for (int i = 0; i < GROUP; i++) {
            v4f level = load(b->level[i] + e), weighted = all(w[i]) * level;
            with += all(x[i]) * weighted;
            own += level * weighted;
        }
        memcpy(g->with + e, &with, sizeof with);
        memcpy(g->own + e, &own, sizeof own);
    }
}

/* The entry of least error at a step; the first of several. */
static int best_entry(const group *g, float step, float *error)
{
    v4f best = all(FLT_MAX), s = all(step), twice = all(2);
    v4i at = { 0 }, index = { 0, 1, 2, 3 }, four = { 4, 4, 4, 4 };
    for (int e = 0; e < ENTRIES; e += 4, index += four) {
        v4f t = s * (s * load(g->own + e) - twice * load(g->with + e));
        v4i better = t < best;
        best = pick(better, t, best);
        at = (better & index) | (~better & at);
    }
    int lane = 0;
    for (int i = 1; i < 4; i++)
        if (best[i] < best[lane] || (best[i] == best[lane] && at[i] < at[lane]))
            lane = i;
    *error = best[lane];
    return at[lane];
}

static choice choose(const group g[2], float step)
{
    choice c = { { 0 }, 0, 0, 0 };
    for (int i = 0; i < 2; i++) {
        float error;
        c.entry[i] = best_entry(&g[i], step, &error);
        c.error += error;
        c.with += g[i].with[c.entry[i]];
        c.own += g[i].own[c.entry[i]];
    }
    return c;
}

/* A step of low error for 16 magnitudes whose levels are free, the largest near each level and beyond the last. */
static float free_step(const float *x, const float *w)
{
    static const float reach[] = { 25, 31, 36, 40, 43, 46, 50, 56, 64 };
    float peak = 0, best = 0, least = FLT_MAX;
    for (int i = 0; i < RUN; i++)
        peak = fmaxf(peak, x[i]);
    for (size_t t = 0; t < FJ_LEN(reach); t++) {
        float s = peak / reach[t], error = 0, xl = 0, ll = 0;
        for (int i = 0; i < RUN; i++) {
            float level = x[i] > 34 * s ? 43.0f : x[i] > 16.5f * s ? 25.0f : 8.0f, off = x[i] - s * level;
            error += w[i] * off * off;
            xl += w[i] * x[i] * level;
            ll += w[i] * level * level;
        }
        if (error < least) {
            least = error;
            best = xl > 0 && ll > 0 ? xl / ll : s;
        }
    }
    return best;
}

/* Of two starts the better: that one, and all magnitudes on the lowest level, which is an entry of the book. */
static float run_step(const group g[2], const float *x, const float *w)
{
    float start[2] = { free_step(x, w) }, best = 0, least = FLT_MAX, with = 0, own = 0;
    for (int i = 0; i < RUN; i++) {
        with += w[i] * x[i];
        own += w[i];
    }
    start[1] = own > 0 ? with / (levels[0] * own) : 0;
    for (int t = 0; t < 2; t++) {
        float step = start[t];
        for (int round = 0; round < 2; round++) {
            choice c = choose(g, step);
            if (c.error < least) {
                least = c.error;
                best = step;
            }
            if (!(c.with > 0))
                break;
            step = c.with / c.own;
        }
    }
    choice c = choose(g, best);
    return c.with > 0 ? c.with / c.own : best;
}

static float step_of(float d, int number)
{
    return d * (0.5f + (float)number) * 0.25f;
}

static int number_of(float step, float d)
{
    float t = roundf(4 * step * fj_inverse(d) - 0.5f);
    return t > TOP ? TOP : t > 0 ? (int)t : 0;
}

/* d of least squares for the entries that the nearest numbers choose. */
static float better_d(const group *g, const float steps[RUNS], float d)
{
    float with = 0, own = 0;
    for (int r = 0; r < RUNS; r++) {
        int number = number_of(steps[r], d);
        choice c = choose(g + 2 * r, step_of(d, number));
        float q = step_of(1, number);
        with += q * c.with;
        own += q * q * c.own;
    }
    return with > 0 && own > 0 ? with / own : d;
}

static void put_run(const group g[2], const choice *c, int number, int run, uint8_t *block)
{
    for (int i = 0; i < 2; i++) {
        unsigned code = (unsigned)c->entry[i] | (g[i].signs & 127) << 9;
        block[AT_CODES + 4 * run + 2 * i] = (uint8_t)code;
        block[AT_CODES + 4 * run + 2 * i + 1] = (uint8_t)(code >> 8);
    }
    block[AT_SCALES + run / 2] |= (uint8_t)(number << run % 2 * 4);
}

static void encode_block(const float *src, const float *importance, const book *b, uint8_t *block)
{
    float x[VALUES], w[VALUES], steps[RUNS], most = 0;
    group g[2 * RUNS];
    bool is_zero;
    memset(block, 0, BYTES);
    int exponent = fj_fit_unit(src, importance, VALUES, 43 * (TOP + 0.5f) / 4, x, w, &is_zero);
    if (is_zero)
        return;

    for (int r = 0; r < RUNS; r++) {
        prepare(&g[2 * r], x + RUN * r, w + RUN * r, b);
        prepare(&g[2 * r + 1], x + RUN * r + GROUP, w + RUN * r + GROUP, b);
        steps[r] = run_step(g + 2 * r, x + RUN * r, w + RUN * r);
        most = fmaxf(most, steps[r]);
    }
    float d = better_d(g, steps, most / step_of(1, TOP));
    fj_half_store(block, fj_fit_half(d, exponent, &d));
    for (int r = 0; r < RUNS; r++) {
        int near = number_of(steps[r], d), number = near;
        choice best = choose(g + 2 * r, step_of(d, near));
        for (int n = near - 1; n <= near + 1; n += 2) {
            choice c = n >= 0 && n <= TOP ? choose(g + 2 * r, step_of(d, n)) : best;
            if (c.error < best.error) {
                best = c;
                number = n;
            }
        }
        put_run(g + 2 * r, &best, number, r, block);
    }
}

void fj_iq2_xs_encode(const float *src, void *dst, int64_t n, const float *importance)
{
    book b;
    uint8_t *block = dst;
    fill_book(&b);
    for (int64_t at = 0; at < n; at += VALUES, block += BYTES)
        encode_block(src + at, importance ? importance + at : NULL, &b, block);
}
