/* SPDX-License-Identifier: Apache-2.0
 * Filters over candidates. Sources: Holtzman et al. 2020 (top-p), Meister et al. 2023 (typical), Tang et al. 2024 (top-n-sigma),
 * Nguyen et al. 2024 (min-p), p-e-w 2024 (XTC), Basu et al. 2021 (Mirostat); llama-sampling.cpp where they leave it open. */
#include <math.h>

#include "base/err.h"
#include "tasks/sample_internal.h"

static bool is_better(const fj_candidate *a, const fj_candidate *b)
{
    return a->logit > b->logit || (a->logit == b->logit && a->id < b->id);
}

static void swap(fj_candidate *a, fj_candidate *b)
{
    fj_candidate keep = *a;
    *a = *b;
    *b = keep;
}

/* ---- order ---------------------------------------------------------------------------------------------------------------------------- */

/* The best k of a[0…n-1] come first, in any order (Hoare's selection; the pivot is the middle of three). */
static void select_best(fj_candidate *a, int64_t n, int64_t k)
{
    int64_t low = 0, high = n - 1;
    while (low < high) {
        int64_t middle = low + (high - low) / 2, i = low, j = high;
        if (is_better(&a[middle], &a[low]))
            swap(&a[middle], &a[low]);
        if (is_better(&a[high], &a[low]))
            swap(&a[high], &a[low]);
        if (is_better(&a[high], &a[middle]))
            swap(&a[high], &a[middle]);
        fj_candidate pivot = a[middle];
        while (i <= j) {
            while (is_better(&a[i], &pivot))
                i++;
            while (is_better(&pivot, &a[j]))
                j--;
            if (i <= j)
                swap(&a[i++], &a[j--]);
        }
        if (k - 1 <= j)
            high = j;
        else if (k - 1 >= i)
            low = i;
        else
            return;
    }
}

static void sift_down(fj_candidate *a, int64_t at, int64_t n)
{
    for (;;) {
        int64_t child = 2 * at + 1;
        if (child >= n)
            return;
        if (child + 1 < n && is_better(&a[child], &a[child + 1]))
            child++; /* the worse one rises */
        if (!is_better(&a[at], &a[child]))
            return;
        swap(&a[at], &a[child]);
        at = child;
    }
}

/* Heap sort, best first: in place, and no worse on hostile orders. */
static void sort_all(fj_candidate *a, int64_t n)
{
    for (int64_t i = n / 2; i-- > 0;)
        sift_down(a, i, n);
    for (int64_t i = n - 1; i > 0; i--) {
        swap(&a[0], &a[i]);
        sift_down(a, 0, i);
    }
}

void fj_candidates_sort(fj_candidates *c, int64_t k)
{
    k = FJ_MIN(k, c->n);
    if (k <= c->n_sorted)
        return;
    select_best(c->items + c->n_sorted, c->n - c->n_sorted, k - c->n_sorted);
    sort_all(c->items + c->n_sorted, k - c->n_sorted);
    c->n_sorted = k;
}

static float best_logit(const fj_candidates *c)
{
    if (c->n_sorted > 0)
        return c->items[0].logit;
    float best = c->items[0].logit;
    for (int64_t i = 1; i < c->n; i++)
        best = fmaxf(best, c->items[i].logit);
    return best;
}

void fj_candidates_weigh(fj_candidates *c)
{
    double best = (double)best_logit(c), sum = 0;
    for (int64_t i = 0; i < c->n; i++) {
        c->items[i].p = exp((double)c->items[i].logit - best);
        sum += c->items[i].p;
    }
    for (int64_t i = 0; i < c->n; i++)
        c->items[i].p /= sum;
}

int64_t fj_candidates_pick(const fj_candidates *c, double u)
{
    double sum = 0;
    int64_t last = 0;
    for (int64_t i = 0; i < c->n; i++) {
        sum += c->items[i].p;
        if (u < sum)
            return i;
        if (c->items[i].p > 0)
            last = i; /* rounding left a gap at the end */
    }
    return last;
}

/* ---- filters -------------------------------------------------------------------------------------------------------------------------- */

/* Those with a logit of at least `least`; the order stays. */
static void keep_above(fj_candidates *c, double least)
{
    int64_t kept = 0;
    for (int64_t i = 0; i < c->n; i++)
        if ((double)c->items[i].logit >= least)
            c->items[kept++] = c->items[i];
    c->n = kept;
    c->n_sorted = FJ_MIN(c->n_sorted, kept);
}

void fj_keep_top_k(fj_candidates *c, int64_t k)
{
    if (k <= 0 || k >= c->n)
        return;
    fj_candidates_sort(c, k);
    c->n = k;
}

void fj_keep_top_p(fj_candidates *c, double p)
{
    double sum = 0;
    if (p >= 1)
        return;
    fj_candidates_weigh(c);
    for (int64_t i = 0; i < c->n; i++) {
        if (i >= c->n_sorted)
            fj_candidates_sort(c, FJ_MAX(64, 2 * i)); /* the tail need not be in order */
        sum += c->items[i].p;
        if (sum >= p) {
            c->n = i + 1;
            c->n_sorted = FJ_MIN(c->n_sorted, c->n);
            return;
        }
    }
}

void fj_keep_min_p(fj_candidates *c, double p)
{
    if (p > 0)
        keep_above(c, (double)best_logit(c) + log(FJ_MIN(p, 1)));
}

void fj_keep_sigma(fj_candidates *c, double n_sigma)
{
    double mean = 0, square = 0;
    int64_t n = 0;
    if (n_sigma <= 0)
        return;
    for (int64_t i = 0; i < c->n; i++) {
        if (!isfinite(c->items[i].logit))
            continue;
        mean += (double)c->items[i].logit;
        n++;
    }
    mean /= (double)FJ_MAX(n, 1);
    for (int64_t i = 0; i < c->n; i++)
        if (isfinite(c->items[i].logit))
            square += ((double)c->items[i].logit - mean) * ((double)c->items[i].logit - mean);
    keep_above(c, (double)best_logit(c) - n_sigma * sqrt(square / (double)FJ_MAX(n, 1)));
}

/* Tokens whose surprise is nearest to the entropy, until they have p of the probability. */
void fj_keep_typical(fj_candidates *c, double p)
{
    double entropy = 0, sum = 0;
    if (p >= 1)
        return;
    fj_candidates_weigh(c);
    for (int64_t i = 0; i < c->n; i++)
        if (c->items[i].p > 0)
            entropy -= c->items[i].p * log(c->items[i].p);
    for (int64_t i = 0; i < c->n;
         i++) { /* sorted by distance: the distance stands in for the logit, which is log p up to a constant */
        fj_candidate *one = &c->items[i];
        one->logit = one->p > 0 ? (float)-fabs(-log(one->p) - entropy) : -INFINITY;
    }
    c->n_sorted = 0;
    fj_candidates_sort(c, c->n);
    int64_t kept = c->n;
    for (int64_t i = 0; i < c->n; i++) {
        sum += c->items[i].p;
        if (sum > p) {
            kept = i + 1;
            break;
        }
    }
    c->n = kept;
    c->n_sorted = 0;
    for (int64_t i = 0; i < c->n; i++)
        c->items[i].logit = (float)log(c->items[i].p);
}

void fj_drop_top_choices(fj_candidates *c, double threshold)
{
    int64_t above = 0;
    fj_candidates_weigh(c);
    fj_candidates_sort(c, FJ_MIN(c->n, 16));
    for (int64_t i = 0; i < c->n_sorted && c->items[i].p >= threshold; i++) {
        above++;
        if (above == c->n_sorted)
            fj_candidates_sort(c, 2 * above);
    }
    if (above < 2)
        return;
    c->items += above - 1;
    c->n -= above - 1;
    c->n_sorted -= above - 1;
}

void fj_apply_temperature(fj_candidates *c, double temp, double range, double exponent)
{
    if (range > 0 && c->n > 1) {
        double least = fmax(0, temp - range), most = temp + range, entropy = 0;
        fj_candidates_weigh(c);
        for (int64_t i = 0; i < c->n; i++)
            if (c->items[i].p > 0)
                entropy -= c->items[i].p * log(c->items[i].p);
        temp = least + (most - least) * pow(entropy / log((double)c->n), exponent);
    }
    if (temp <= 0) {
        fj_keep_top_k(c, 1);
        return;
    }
    for (int64_t i = 0; i < c->n; i++)
        c->items[i].logit = (float)((double)c->items[i].logit / temp);
}

/* ---- Mirostat ------------------------------------------------------------------------------------------------------------------------- */

/* Version 1: the exponent of Zipf's law, estimated on the best 100, says which top-k gives the wanted surprise (equation 30). */
static int64_t mirostat_k(const fj_candidates *c, double mu, int64_t n_vocab)
{
    double tb = 0, tt = 0;
    for (int64_t i = 0; i < FJ_MIN(c->n, 100) - 1; i++) {
        double t = log((double)(i + 2) / (double)(i + 1));
        tb += t * ((double)c->items[i].logit - (double)c->items[i + 1].logit);
        tt += t * t;
    }
    double s = tt > 0 ? tb / tt : 1, epsilon = s - 1;
    double k = pow(epsilon * pow(2, mu) / (1 - pow((double)n_vocab, -epsilon)), 1 / s);
    return isfinite(k) && k >= 1 ? (int64_t)FJ_MIN(k, (double)c->n) : 1;
}

void fj_mirostat_truncate(fj_candidates *c, int version, double mu, int64_t n_vocab)
{
    if (version == 1) {
        fj_candidates_sort(c, 100);
        fj_keep_top_k(c, mirostat_k(c, mu, n_vocab));
    } else {
        fj_candidates_sort(c, c->n);
        fj_candidates_weigh(c);
        int64_t kept = 1;
        while (kept < c->n && -log2(c->items[kept].p) <= mu)
            kept++;
        c->n = c->n_sorted = kept;
    }
    fj_candidates_weigh(c);
}
