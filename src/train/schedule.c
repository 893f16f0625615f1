/* SPDX-License-Identifier: Apache-2.0
 * See schedule.h. During the warm-up (s < W) every schedule that has one gives s / max(1, W). */
#include "train/schedule.h"

#include <math.h>
#include <string.h>

#include "base/err.h"

static double warm(int64_t s, int64_t warmup)
{
    return (double)s / (double)FJ_MAX(1, warmup);
}

static double constant(int64_t s, int64_t warmup, int64_t total)
{
    (void)s, (void)warmup, (void)total;
    return 1;
}

static double constant_with_warmup(int64_t s, int64_t warmup, int64_t total)
{
    (void)total;
    return s < warmup ? warm(s, warmup) : 1;
}

static double linear(int64_t s, int64_t warmup, int64_t total)
{
    return s < warmup ? warm(s, warmup) : fmax(0, (double)(total - s) / (double)FJ_MAX(1, total - warmup));
}

static double cosine(int64_t s, int64_t warmup, int64_t total)
{
    if (s < warmup)
        return warm(s, warmup);
    double p = (double)(s - warmup) / (double)FJ_MAX(1, total - warmup);
    return fmax(0, 0.5 * (1 + cos(3.14159265358979323846 * p)));
}

static const fj_schedule schedule_constant = { "constant", constant };
static const fj_schedule schedule_constant_with_warmup = { "constant_with_warmup", constant_with_warmup };
static const fj_schedule schedule_cosine = { "cosine", cosine };
static const fj_schedule schedule_linear = { "linear", linear };

const fj_schedule *const fj_schedules[] = { &schedule_constant, &schedule_constant_with_warmup, &schedule_cosine,
                                            &schedule_linear, NULL };

const fj_schedule *fj_schedule_by_name(const char *name)
{
    for (const fj_schedule *const *s = fj_schedules; *s; s++)
        if (!strcmp((*s)->name, name))
            return *s;
    return NULL;
}
