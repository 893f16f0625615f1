/* SPDX-License-Identifier: Apache-2.0
 * Least squares over a book of levels. The nearest level is found by comparing with the middles between neighbours: fifteen
 * comparisons of sixteen values cost less than a table, whose reads are one by one. */
#include "quant/book.h"

#include <math.h>

#include "quant/quant_internal.h"

const fj_book fj_book_iq4 = { 16, { -127, -104, -83, -65, -49, -35, -22, -10, 1, 13, 25, 38, 53, 69, 89, 113 } };
const fj_book fj_book_e2m1 = { 15, { -12, -8, -6, -4, -3, -2, -1, 0, 1, 2, 3, 4, 6, 8, 12 } };
const fj_book fj_book_nf4 = { 16,
                              { -1.0f, -0.6961928009986877f, -0.5250730514526367f, -0.39491748809814453f,
                                -0.28444138169288635f, -0.18477343022823334f, -0.09105003625154495f, 0.0f,
                                0.07958029955625534f, 0.16093020141124725f, 0.24611230194568634f, 0.33791524171829224f,
                                0.44070982933044434f, 0.5626170039176941f, 0.7229568362236023f, 1.0f } };
const fj_book fj_book_fp4 = { 16,
                              { -1.0f, -8.0f / 12, -0.5f, -4.0f / 12, -0.25f, -2.0f / 12, -0.0625f / 12, 0.0f, 0.0f,
                                0.0625f / 12, 2.0f / 12, 0.25f, 4.0f / 12, 0.5f, 8.0f / 12, 1.0f } };

/* A book as its steps: the level grows by step[k] where the value is above middle[k]. */
typedef struct grid_steps {
    float first, middle[FJ_BOOK_MOST - 1], step[FJ_BOOK_MOST - 1];
} grid_steps;

FJ_INLINE grid_steps steps_of(const fj_book *book)
{
    grid_steps s = { .first = book->level[0] };
    for (int k = 0; k + 1 < FJ_BOOK_MOST; k++) {
        bool is_there = k + 1 < book->n;
        s.middle[k] = is_there ? 0.5f * (book->level[k] + book->level[k + 1]) : INFINITY;
        s.step[k] = is_there ? book->level[k + 1] - book->level[k] : 0;
    }
    return s;
}

FJ_INLINE fj_lanes nearest_levels(const fj_lanes *t, const grid_steps *s)
{
    fj_lanes level = fj_lanes_all(s->first);
#pragma GCC unroll 15
    for (int k = 0; k + 1 < FJ_BOOK_MOST; k++)
        for (int j = 0; j < FJ_LANES; j++)
            level.v[j] += t->v[j] > s->middle[k] ? s->step[k] : 0.0f;
    return level;
}

FJ_LEVELS void fj_book_errors(const fj_runs *runs, const fj_lanes *scale, const fj_book *book, fj_lanes *out)
{
    grid_steps s = steps_of(book);
    fj_lanes inverse = fj_lanes_inverse(scale), sum = fj_lanes_all(0), t;
    for (int i = 0; i < runs->n; i++) {
        for (int j = 0; j < FJ_LANES; j++)
            t.v[j] = runs->x[i].v[j] * inverse.v[j];
        fj_lanes q = nearest_levels(&t, &s);
        for (int j = 0; j < FJ_LANES; j++) {
            float r = runs->x[i].v[j] - q.v[j] * scale->v[j];
            sum.v[j] += runs->w[i].v[j] * r * r;
        }
    }
    *out = sum;
}

FJ_INLINE fj_sums sums_of(const fj_runs *runs, const fj_lanes *scale, const grid_steps *s)
{
    fj_lanes inverse = fj_lanes_inverse(scale), zero = fj_lanes_all(0), t;
    fj_sums sums = { zero, zero, zero, zero, zero };
    for (int i = 0; i < runs->n; i++) {
        for (int j = 0; j < FJ_LANES; j++)
            t.v[j] = runs->x[i].v[j] * inverse.v[j];
        fj_lanes q = nearest_levels(&t, s);
        for (int j = 0; j < FJ_LANES; j++) {
            float r = runs->x[i].v[j] - q.v[j] * scale->v[j];
            float wq = runs->w[i].v[j] * q.v[j], wr = runs->w[i].v[j] * r;
            sums.q.v[j] += wq;
            sums.qq.v[j] += wq * q.v[j];
            sums.r.v[j] += wr;
            sums.qr.v[j] += wr * q.v[j];
            sums.rr.v[j] += wr * r;
        }
    }
    return sums;
}

FJ_LEVELS void fj_book_sums(const fj_runs *runs, const fj_lanes *scale, const fj_book *book, fj_sums *out)
{
    grid_steps s = steps_of(book);
    *out = sums_of(runs, scale, &s);
}

FJ_LEVELS void fj_book_codes(const float *x, int n, float scale, const fj_book *book, uint8_t *codes)
{
    float inverse = fj_inverse(scale);
    for (int i = 0; i < n; i++)
        codes[i] = 0;
    for (int k = 0; k + 1 < book->n; k++) {
        float middle = 0.5f * (book->level[k] + book->level[k + 1]);
        for (int i = 0; i < n; i++)
            codes[i] = (uint8_t)(codes[i] + (x[i] * inverse > middle));
    }
}

/* Levels lie dense around zero, so that large values bear most of the error, and much depends on those. KL divergence of IQ4_NL for
 * SmolLM2-135M, on an English and a Spanish text of 1275 tokens each: 0.134 and 0.298 with weights of 1, 0.177 and 0.291 with squares
 * (ggml's), 0.133 and 0.276 with a half of each, 0.125 and 0.267 with a quarter of squares. */
FJ_LEVELS void fj_book_weigh(const fj_lanes *x, int n, fj_lanes *w)
{
    fj_lanes part = fj_lanes_all(0);
    for (int i = 0; i < n; i++)
        for (int j = 0; j < FJ_LANES; j++)
            part.v[j] += x[i].v[j] * x[i].v[j];
    for (int j = 0; j < FJ_LANES; j++)
        part.v[j] = part.v[j] > 1e-20f ? 0.25f * (float)n / part.v[j] : 0.0f;
    for (int i = 0; i < n; i++)
        for (int j = 0; j < FJ_LANES; j++)
            w[i].v[j] = 0.75f + part.v[j] * x[i].v[j] * x[i].v[j];
}

/* Starts: the value of largest size on the lowest level and on the highest, or around there. */
FJ_LEVELS void fj_book_scales(const fj_runs *runs, const fj_book *book, fj_lanes *out)
{
    float width = book->level[book->n - 1] - book->level[0];
    grid_steps steps = steps_of(book);
    fj_lanes least = fj_lanes_all(INFINITY), peak = fj_lanes_all(0);
    for (int i = 0; i < runs->n; i++)
        for (int j = 0; j < FJ_LANES; j++)
            peak.v[j] = fabsf(runs->x[i].v[j]) > fabsf(peak.v[j]) ? runs->x[i].v[j] : peak.v[j];
    *out = fj_lanes_all(0);

    for (int side = 0; side < 2; side++)
        for (int start = -4; start < 10; start++) {
            float t = width * (float)start / 32, reach = side ? book->level[book->n - 1] + t : book->level[0] - t;
            fj_lanes scale, refit, error;
            for (int j = 0; j < FJ_LANES; j++)
                scale.v[j] = peak.v[j] / reach;
            fj_sums s = sums_of(runs, &scale, &steps);
            for (int j = 0; j < FJ_LANES; j++) {
                float gain = s.qr.v[j] / (s.qq.v[j] > 0 ? s.qq.v[j] : 1.0f);
                refit.v[j] = scale.v[j] + gain;
                error.v[j] = s.rr.v[j] - s.qr.v[j] * gain; /* at most, with these codes */
                error.v[j] = error.v[j] < 0 ? 0 : error.v[j];
            }
            fj_lanes_keep(&error, &least, &refit, out);
        }
}
