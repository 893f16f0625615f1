/* SPDX-License-Identifier: Apache-2.0
 * The pool of worker threads. One job at a time; a job is a number of parts that threads take in any order.
 * Results never depend on who takes what: each part writes its own output. */
#ifndef FJ_BASE_THREAD_H
#define FJ_BASE_THREAD_H

#include <stdint.h>

#include "base/err.h"

typedef struct fj_pool fj_pool;

/* worker: 0 … n_threads-1, for per-worker scratch. part: 0 … n_parts-1. */
typedef void fj_part_fn(void *context, int64_t part, int worker);

/* n_threads 0: as many as the affinity mask and the cgroup quota allow. The calling thread is worker 0, so n_threads-1
 * threads are started. Fails with FJ_ERR_MEMORY. */
fj_status fj_pool_open(int n_threads, fj_pool **out, fj_err *err);
void      fj_pool_close(fj_pool *pool); /* accepts NULL */
int       fj_pool_threads(const fj_pool *pool);

/* Runs all parts and returns when all are done (one barrier). n_parts <= 1 or one thread runs inline. Workers spin
 * briefly for the next job, then sleep. Only the thread that owns the pool may call it; parts may not. */
void fj_pool_run(fj_pool *pool, fj_part_fn *fn, void *context, int64_t n_parts);

/* Processors this process may use: affinity, then cgroup v1/v2 quota rounded up; at least 1. */
int fj_cpu_count(void);

#endif
