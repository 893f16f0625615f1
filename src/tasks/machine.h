/* SPDX-License-Identifier: Apache-2.0
 * What this machine can do at most, measured: the limits that speeds are compared with. */
#ifndef FJ_TASKS_MACHINE_H
#define FJ_TASKS_MACHINE_H

#include "base/thread.h"
#include "kernels/kernels.h"

typedef struct fj_machine {
    double read_bytes_per_second; /* all threads streaming from memory: the limit of generating */
    double f32_flops;             /* products from the cache, two operations each: the limit of prompts and training */
    double bf16_flops;
    double int8_ops;
} fj_machine;

/* Takes about seconds for each figure, and 512 MB (an eighth of the free memory where that is less). FJ_ERR_MEMORY. */
fj_status fj_machine_measure(fj_pool *pool, const fj_kernels *k, double seconds, fj_machine *out, fj_err *err);

#endif
