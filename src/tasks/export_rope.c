/* SPDX-License-Identifier: Apache-2.0
 * From the divisors of a GGUF file's rope_freqs back to the llama3 scaling that they were made from.
 *
 * A frequency of wavelength l is divided by 1 where l is short, by `factor` where it is long, and between the two by 1/d with
 *   1/d = (1-s)/factor + s,   s = (original/l - low) / (high - low)
 * so the divisors give factor and a line s over 1/l: two numbers for three, and low is 1 by convention (each released model has it).
 * Whatever is found counts only when it gives the file's own frequencies again. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "models/config.h"
#include "tasks/export_internal.h"

static const double two_pi = 6.28318530717958647692;

typedef struct fit {
    const fj_model *m;
    const float *divisors;
    int64_t n;
    double factor;
    float *inverse; /* n, for trying */
    fj_hparams hp;  /* the candidate */
} fit;

/* Whether the candidate gives the model's frequencies, within a few roundings of float32. */
static bool fits(fit *f, double original, double high)
{
    f->hp = f->m->hp;
    f->hp.rope_kind = FJ_ROPE_LLAMA3;
    f->hp.rope_factor = f->factor;
    f->hp.rope_low = 1;
    f->hp.rope_high = high;
    f->hp.rope_original = original;
    if (!(original > 0) || !(high > 1))
        return false;
    fj_rope_inverse(&f->hp, NULL, f->n, f->inverse);
    for (int64_t j = 0; j < f->n; j++)
        if (!(fabs((double)f->inverse[j] - f->m->rope.inverse[j]) <= 1e-6 * f->m->rope.inverse[j]))
            return false;
    return true;
}

static double wavelength(const fit *f, int64_t j)
{
    return two_pi * pow(f->m->hp.rope_theta, (double)j / (double)f->n);
}

static double share(const fit *f, int64_t j)
{
    return (1 / (double)f->divisors[j] - 1 / f->factor) / (1 - 1 / f->factor);
}

/* The first and the last frequency that is divided by something between; false without any. */
static bool between(const fit *f, int64_t *first, int64_t *last)
{
    *first = *last = -1;
    for (int64_t j = 0; j < f->n; j++)
        if (share(f, j) > 1e-4 && share(f, j) < 1 - 1e-4) {
            *first = *first < 0 ? j : *first;
            *last = j;
        }
    return *first >= 0;
}

static bool search(fit *f)
{
    int64_t a, b;
    if (!between(f, &a, &b)) { /* too few pairs to tell one from another */
        for (double original = 1; original <= 1 << 24; original *= 2)
            if (fits(f, original, 4))
                return true;
        return false;
    }
    if (fits(f, round(wavelength(f, a) * (1 + 3 * share(f, a))), 4))
        return true;
    if (a == b)
        return false;
    double x = 1 / wavelength(f, a), slope = (share(f, a) - share(f, b)) / (x - 1 / wavelength(f, b));
    double high = 1 + 1 / (slope * x - share(f, a));
    high = round(high * 1e3) / 1e3;
    return fits(f, round(slope * (high - 1)), high);
}

static fj_json *scaling_of(const fit *f)
{
    fj_json *v = fj_json_new_object();
    bool ok = fj_json_set(v, "rope_type", fj_json_new_text("llama3", 6)) &&
              fj_json_set(v, "factor", fj_json_new_real(f->hp.rope_factor)) &&
              fj_json_set(v, "low_freq_factor", fj_json_new_real(f->hp.rope_low)) &&
              fj_json_set(v, "high_freq_factor", fj_json_new_real(f->hp.rope_high)) &&
              fj_json_set(v, "original_max_position_embeddings", fj_json_new_int((int64_t)f->hp.rope_original));
    if (ok)
        return v;
    fj_json_free(v);
    return NULL;
}

fj_status fj_export_rope_scaling(const fj_model *m, fj_json **out, fj_err *err)
{
    const fj_weight *w = fj_model_weight(m, &fj_role_rope_freqs, -1, false);
    fit f = { .m = m, .n = m->hp.d_rope / 2, .factor = 1 };
    *out = NULL;
    if (!w)
        return FJ_OK;
    f.divisors = w->data;
    bool is_plain = true;
    for (int64_t j = 0; j < f.n; j++) {
        f.factor = FJ_MAX(f.factor, (double)f.divisors[j]);
        is_plain = is_plain && f.divisors[j] == 1;
    }
    if (is_plain)
        return FJ_OK;
    f.inverse = calloc((size_t)f.n, sizeof *f.inverse);
    if (!f.inverse)
        return fj_fail(err, FJ_ERR_MEMORY, "no memory for %lld frequencies", (long long)f.n);
    bool found = f.factor > 1 && search(&f);
    free(f.inverse);
    if (!found)
        return fj_fail(err, FJ_ERR_FORMAT, "%s: no rope scaling of config.json gives the frequencies of '%s'",
                       m->source->path, w->name);
    *out = scaling_of(&f);
    return *out ? FJ_OK : fj_fail(err, FJ_ERR_MEMORY, "no memory for a configuration");
}
