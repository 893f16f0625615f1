/* SPDX-License-Identifier: Apache-2.0
 * Learning-rate schedules: factors of the base rate. Source: transformers, optimization.py. */
#ifndef FJ_TRAIN_SCHEDULE_H
#define FJ_TRAIN_SCHEDULE_H

#include <stdint.h>

/* s: optimizer steps already done (the first step uses 0); warmup: W steps; total: S steps of the run. */
typedef struct fj_schedule {
    const char *name;
    double (*factor)(int64_t s, int64_t warmup, int64_t total);
} fj_schedule;

extern const fj_schedule *const fj_schedules[]; /* in alphabetical order, NULL at the end */
const fj_schedule *fj_schedule_by_name(const char *name); /* NULL when unknown */

#endif
