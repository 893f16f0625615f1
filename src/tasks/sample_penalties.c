/* SPDX-License-Identifier: Apache-2.0
 * Penalties on what was said before. Sources: Keskar et al. 2019 (repetition), OpenAI's presence and frequency penalties, p-e-w 2024
 * (DRY); the windows are llama.cpp's. */
#include <math.h>
#include <stdbool.h>
#include <string.h>

#include "base/err.h"
#include "tasks/sample_internal.h"

void fj_penalize(const fj_penalties *p, const int32_t *context, int64_t n, float *logits, int32_t *counts)
{
    int64_t first = p->last_n < 0 ? 0 : FJ_MAX(0, n - p->last_n);
    if (p->repeat == 1 && p->presence == 0 && p->frequency == 0)
        return;
    for (int64_t i = first; i < n; i++)
        counts[context[i]]++;
    for (int64_t i = first; i < n; i++) {
        int32_t id = context[i];
        if (counts[id] == 0)
            continue;
        double logit = (double)logits[id];
        logit = logit <= 0 ? logit * p->repeat : logit / p->repeat;
        logits[id] = (float)(logit - counts[id] * p->frequency - p->presence);
        counts[id] = 0;
    }
}

/* z[i]: how many tokens of r[i…] equal r[0…], for the context read backwards (r[0] is its last token). Source: Gusfield 1997, 1.4. */
static void match_lengths(const int32_t *last, int64_t n, int32_t *z)
{
    int64_t left = 0, right = 0; /* the match that reaches furthest: [left, right) */
    z[0] = 0;
    for (int64_t i = 1; i < n; i++) {
        int64_t k = i < right ? FJ_MIN((int64_t)z[i - left], right - i) : 0;
        while (i + k < n && last[-k] == last[-(i + k)])
            k++;
        if (i + k > right) {
            left = i;
            right = i + k;
        }
        z[i] = (int32_t)k;
    }
}

void fj_penalize_repetition(const fj_dry *d, const int32_t *context, int64_t n, const unsigned char *breaks,
                            float *logits, int32_t *z, int32_t *longest)
{
    int64_t reach = d->last_n < 0 ? n : FJ_MIN(n, d->last_n);
    if (d->multiplier == 0 || d->base < 1 || reach <= d->allowed)
        return;
    const int32_t *last = context + n - 1;
    int64_t most = 0; /* repetitions do not reach behind the last breaker */
    while (most < reach && !(breaks && breaks[last[-most]]))
        most++;
    if (most < d->allowed)
        return;
    match_lengths(last, reach, z);
    for (int64_t i = 1; i < reach; i++) { /* the token behind the match, in reading order, is last[-(i-1)] */
        int32_t length = (int32_t)FJ_MIN((int64_t)z[i], most);
        if (length >= d->allowed && length > longest[last[1 - i]])
            longest[last[1 - i]] = length;
    }
    double most_exponent = d->base > 1.000001 ? 88.7228391 / log(d->base) : 0; /* above, a float overflows */
    for (int64_t i = 1; i < reach; i++) {
        int32_t id = last[1 - i];
        if (longest[id] == 0)
            continue;
        double exponent = (double)(longest[id] - d->allowed);
        if (most_exponent > 0)
            exponent = FJ_MIN(exponent, floor(most_exponent));
        logits[id] = (float)((double)logits[id] - d->multiplier * pow(d->base, exponent));
        longest[id] = 0;
    }
}
