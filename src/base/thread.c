/* SPDX-License-Identifier: Apache-2.0
 * The pool. A job is published under a generation number; a thread that has seen it takes parts from an atomic counter until there
 * are none, then counts itself out. The caller works too and returns when all are out: one barrier a job.
 *
 * Waiting threads spin for a while (a graph has a job every few microseconds) and then sleep on a condition. Spinning is off when
 * there are more threads than processors. Only acquire/release on the pool's own atomics and pthread are used, so that
 * ThreadSanitizer understands it. */
#define _GNU_SOURCE
#include "base/thread.h"

#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/cgroup_internal.h"
#include "base/clock.h"

enum { MAX_THREADS = 256, CLOCK_EVERY = 32 };
#define SPIN_SECONDS 50e-6

typedef struct worker {
    fj_pool *pool;
    int index;
    pthread_t thread;
} worker;

struct fj_pool {
    int n_threads;
    bool may_spin;
    worker *workers; /* n_threads - 1 */
    int n_started;
    pthread_mutex_t mutex;
    pthread_cond_t wake, done;
    fj_part_fn *fn;
    void *context;
    int64_t n_parts;
    atomic_int_fast64_t next; /* part */
    atomic_uint generation;   /* of the job; written under the mutex */
    atomic_int n_out;         /* workers that have finished the job */
    atomic_int n_asleep;      /* threads that wait on a condition */
    bool stop;                /* under the mutex, read after the generation */
};

static inline void relax(void)
{
#if defined(__x86_64__)
    __builtin_ia32_pause();
#elif defined(__aarch64__)
    __asm__ volatile("yield");
#endif
}

/* for (spin s = spin_start(p); spin_on(&s);) looks again and again, for SPIN_SECONDS at most and at least once. */
typedef struct spin {
    bool may_spin;
    unsigned n;
    double end;
} spin;

static spin spin_start(const fj_pool *p)
{
    return (spin){ .may_spin = p->may_spin };
}

static bool spin_on(spin *s)
{
    unsigned n = s->n++;
    if (n == 0)
        return true;
    if (!s->may_spin)
        return false;
    relax();
    if (n % CLOCK_EVERY)
        return true;
    double now = fj_seconds();
    if (n == CLOCK_EVERY)
        s->end = now + SPIN_SECONDS;
    return now < s->end;
}

static void take_parts(fj_pool *p, int index)
{
    for (;;) {
        int64_t part = atomic_fetch_add_explicit(&p->next, 1, memory_order_relaxed);
        if (part >= p->n_parts)
            return;
        p->fn(p->context, part, index);
    }
}

/* Waits for another generation than `seen`. */
static unsigned wait_for_job(fj_pool *p, unsigned seen)
{
    for (spin s = spin_start(p); spin_on(&s);) {
        unsigned now = atomic_load_explicit(&p->generation, memory_order_acquire);
        if (now != seen)
            return now;
    }
    (void)pthread_mutex_lock(&p->mutex);
    atomic_fetch_add_explicit(&p->n_asleep, 1, memory_order_relaxed);
    while (atomic_load_explicit(&p->generation, memory_order_acquire) == seen)
        (void)pthread_cond_wait(&p->wake, &p->mutex);
    atomic_fetch_sub_explicit(&p->n_asleep, 1, memory_order_relaxed);
    (void)pthread_mutex_unlock(&p->mutex);
    return atomic_load_explicit(&p->generation, memory_order_acquire);
}

static void *work(void *argument)
{
    worker *w = argument;
    fj_pool *p = w->pool;
    unsigned seen = 0;
    for (;;) {
        seen = wait_for_job(p, seen);
        if (p->stop)
            return NULL;
        take_parts(p, w->index);
        if (atomic_fetch_add_explicit(&p->n_out, 1, memory_order_acq_rel) + 1 == p->n_threads - 1) {
            (void)pthread_mutex_lock(&p->mutex);
            (void)pthread_cond_signal(&p->done);
            (void)pthread_mutex_unlock(&p->mutex);
        }
    }
}

static void publish(fj_pool *p)
{
    (void)pthread_mutex_lock(&p->mutex);
    atomic_fetch_add_explicit(&p->generation, 1, memory_order_release);
    if (atomic_load_explicit(&p->n_asleep, memory_order_relaxed) > 0)
        (void)pthread_cond_broadcast(&p->wake);
    (void)pthread_mutex_unlock(&p->mutex);
}

void fj_pool_run(fj_pool *p, fj_part_fn *fn, void *context, int64_t n_parts)
{
    if (n_parts <= 1 || p->n_threads == 1) {
        for (int64_t i = 0; i < n_parts; i++)
            fn(context, i, 0);
        return;
    }
    p->fn = fn;
    p->context = context;
    p->n_parts = n_parts;
    atomic_store_explicit(&p->next, 0, memory_order_relaxed);
    atomic_store_explicit(&p->n_out, 0, memory_order_relaxed);
    publish(p);
    take_parts(p, 0);
    for (spin s = spin_start(p); spin_on(&s);)
        if (atomic_load_explicit(&p->n_out, memory_order_acquire) == p->n_threads - 1)
            return;
    (void)pthread_mutex_lock(&p->mutex);
    while (atomic_load_explicit(&p->n_out, memory_order_acquire) != p->n_threads - 1)
        (void)pthread_cond_wait(&p->done, &p->mutex);
    (void)pthread_mutex_unlock(&p->mutex);
}

fj_status fj_pool_open(int n_threads, fj_pool **out, fj_err *err)
{
    int cpus = fj_cpu_count();
    n_threads = n_threads > 0 ? n_threads : cpus;
    n_threads = n_threads > MAX_THREADS ? MAX_THREADS : n_threads;
    fj_pool *p = calloc(1, sizeof *p);
    *out = NULL;
    if (p)
        p->workers = calloc((size_t)n_threads, sizeof *p->workers);
    if (!p || !p->workers) {
        free(p);
        return fj_fail(err, FJ_ERR_MEMORY, "no memory for %d threads", n_threads);
    }
    p->n_threads = n_threads;
    p->may_spin = n_threads <= cpus;
    (void)pthread_mutex_init(&p->mutex, NULL);
    (void)pthread_cond_init(&p->wake, NULL);
    (void)pthread_cond_init(&p->done, NULL);
    for (int i = 0; i + 1 < n_threads; i++) {
        worker *w = &p->workers[i];
        *w = (worker){ .pool = p, .index = i + 1 };
        int e = pthread_create(&w->thread, NULL, work, w);
        if (e) {
            fj_pool_close(p);
            return fj_fail(err, FJ_ERR_MEMORY, "cannot start thread %d of %d: %s", i + 2, n_threads, strerror(e));
        }
        p->n_started++;
    }
    *out = p;
    return FJ_OK;
}

void fj_pool_close(fj_pool *p)
{
    if (!p)
        return;
    (void)pthread_mutex_lock(&p->mutex);
    p->stop = true;
    atomic_fetch_add_explicit(&p->generation, 1, memory_order_release);
    (void)pthread_cond_broadcast(&p->wake);
    (void)pthread_mutex_unlock(&p->mutex);
    for (int i = 0; i < p->n_started; i++)
        (void)pthread_join(p->workers[i].thread, NULL);
    (void)pthread_mutex_destroy(&p->mutex);
    (void)pthread_cond_destroy(&p->wake);
    (void)pthread_cond_destroy(&p->done);
    free(p->workers);
    free(p);
}

int fj_pool_threads(const fj_pool *p)
{
    return p->n_threads;
}

int fj_cpu_count(void)
{
    cpu_set_t set;
    CPU_ZERO(&set);
    long n = sched_getaffinity(0, sizeof set, &set) ? sysconf(_SC_NPROCESSORS_ONLN) : CPU_COUNT(&set);
    int most = fj_cgroup_cpus(fj_cgroup_here());
    if (most > 0 && most < n)
        n = most;
    return n > 0 ? (int)n : 1;
}
