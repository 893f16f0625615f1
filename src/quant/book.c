/* SPDX-License-Identifier: Apache-2.0
 * Least squares over a book of levels. The nearest level is found by comparing with the middles between neighbours: fifteen
 * comparisons of four values cost less than a table, whose reads are one by one. */
#include "quant/book.h"

#include <math.h>

#include "quant/quant_internal.h"
#include "quant/v4.h"

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

/* Steps of the nearest level of t, as masks: -1 for each middle that t is above. */
static inline v4i above(v4f t, const fj_book *book, int k)
{
    return t > all(0.5f * (book->level[k] + book->level[k + 1]));
}

static inline v4f nearest_level(v4f t, const fj_book *book)
{
    v4f level = all(book->level[0]);
    for (int k = 0; k + 1 < book->n; k++)
        level += pick(above(t, book, k), all(book->level[k + 1] - book->level[k]), all(0));
    return level;
}

fj_sums fj_book_sums(const float *x, const float *w, int n, float scale, const fj_book *book)
{
    v4f inverse = all(fj_inverse(scale)), step = all(scale), zero = all(0);
    v4f s_q = zero, s_qq = zero, s_r = zero, s_qr = zero, s_rr = zero;

    for (int i = 0; i < n; i += 4) {
        v4f t = load(x + i), weight = load(w + i);
        v4f q = nearest_level(t * inverse, book);
        v4f r = t - q * step;
        v4f wq = weight * q, wr = weight * r;
        s_q += wq;
        s_qq += wq * q;
        s_r += wr;
        s_qr += wr * q;
        s_rr += wr * r;
    }
    return (fj_sums){ total(s_q), total(s_qq), total(s_r), total(s_qr), total(s_rr) };
}

void fj_book_codes(const float *x, int n, float scale, const fj_book *book, uint8_t *codes)
{
    v4f inverse = all(fj_inverse(scale));
    for (int i = 0; i < n; i += 4) {
        v4f t = load(x + i) * inverse;
        v4i code = { 0 };
        for (int k = 0; k + 1 < book->n; k++)
            code -= above(t, book, k);
        for (int j = 0; j < 4; j++)
            codes[i + j] = (uint8_t)code[j];
    }
}

/* Starts: the value of largest size on the lowest level and on the highest, or around there. */
float fj_book_scale(const float *x, const float *w, int n, const fj_book *book)
{
    float least = INFINITY, best = 0, peak = 0, width = book->level[book->n - 1] - book->level[0];
    for (int i = 0; i < n; i++)
        if (fabsf(x[i]) > fabsf(peak))
            peak = x[i];
    if (peak == 0)
        return 0;

    for (int side = 0; side < 2; side++) {
        float reach = book->level[side ? book->n - 1 : 0];
        for (int start = -4; start < 10; start++) {
            float t = width * (float)start / 32;
            float scale = peak / (side ? reach + t : reach - t);
            for (int round = 0; round < 2; round++) {
                fj_sums s = fj_book_sums(x, w, n, scale, book);
                if (s.rr < least) {
                    least = s.rr;
                    best = scale;
                }
                if (!(s.qq > 0) || s.rr > 1.25f * least) /* a refit gains less than this */
                    break;
                scale += s.qr / s.qq;
            }
        }
    }
    return best;
}
