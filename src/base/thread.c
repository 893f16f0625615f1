/* SPDX-License-Identifier: Apache-2.0
 * The pool. The gate says which job there is, whether it is open, and how many workers are inside. A worker that finds it open with
 * a job it has not seen steps in, takes parts until there are none, and steps out. The caller works too, closes the
 * gate and waits for those inside: one barrier a job, and a worker that comes too late, because the machine had something else for
 * its processor, holds nobody up.
 *
 * The parts lie in lanes, runs of neighbours with a counter each. A thread begins with its own lane and then helps in the others, so
 * that as a rule it reads on where it has read before (prefetching goes past the end of a part) and still waits for nobody.
 *
 * Waiting threads spin for a while (a graph has a job every few microseconds) and then sleep on a condition. Spinning is off when
 * there are more threads than processors. Who goes to sleep says so and looks again; who changes the gate looks for sleepers
 * afterwards: both in the one order of sequentially consistent operations, so no wake-up is lost and no job takes the mutex for
 * threads that are awake. There are only the pool's own atomics and pthread, so that ThreadSanitizer understands it. */
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

enum { MAX_THREADS = 256, MAX_LANES = 8, CLOCK_EVERY = 32 };
#define SPIN_SECONDS 50e-6

typedef struct worker {
    fj_pool *pool;
    int index;
    pthread_t thread;
} worker;

typedef struct lane {
    _Alignas(64) atomic_int_fast64_t next; /* part */
    int64_t end;
} lane;

/* The gate: the job's generation, whether it is open, how many workers are inside. */
#define GATE_JOB    (UINT64_C(1) << 32)
#define GATE_OPEN   (UINT64_C(1) << 31)
#define GATE_INSIDE (GATE_OPEN - 1)

struct fj_pool {
    int n_threads;
    bool may_spin;
    worker *workers; /* n_threads - 1 */
    int n_started;
    pthread_mutex_t mutex;
    pthread_cond_t wake, done;
    fj_part_fn *fn; /* from here to lanes: the job, written while the gate is closed and nobody is inside */
    void *context;
    int n_lanes;
    lane lanes[MAX_LANES];
    _Alignas(64) atomic_uint_fast64_t gate;
    _Alignas(64) atomic_int n_asleep; /* workers that wait on `wake` */
    atomic_bool caller_sleeps;        /* on `done` */
    atomic_bool stop;
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
    for (int i = 0; i < p->n_lanes; i++) {
        lane *l = &p->lanes[(index + i) % p->n_lanes];
        while (atomic_load_explicit(&l->next, memory_order_relaxed) < l->end) {
            int64_t part = atomic_fetch_add_explicit(&l->next, 1, memory_order_relaxed);
            if (part < l->end)
                p->fn(p->context, part, index);
        }
    }
}

static void deal_parts(fj_pool *p, int64_t n_parts)
{
    for (int i = 0; i < p->n_lanes; i++) {
        atomic_store_explicit(&p->lanes[i].next, n_parts * i / p->n_lanes, memory_order_relaxed);
        p->lanes[i].end = n_parts * (i + 1) / p->n_lanes;
    }
}

/* Steps into an open job other than `seen`. */
static bool step_in(fj_pool *p, uint64_t *seen)
{
    uint_fast64_t gate = atomic_load_explicit(&p->gate, memory_order_acquire);
    while ((gate & GATE_OPEN) && gate / GATE_JOB != *seen)
        if (atomic_compare_exchange_weak_explicit(&p->gate, &gate, gate + 1, memory_order_acquire,
                                                  memory_order_acquire)) {
            *seen = gate / GATE_JOB;
            return true;
        }
    return false;
}

static bool stops(const fj_pool *p)
{
    return atomic_load_explicit(&p->stop, memory_order_acquire);
}

/* Waits until it is inside another job than `seen`; false when the pool ends. */
static bool wait_for_job(fj_pool *p, uint64_t *seen)
{
    for (spin s = spin_start(p); spin_on(&s);)
        if (step_in(p, seen))
            return true;
    bool is_in = false;
    (void)pthread_mutex_lock(&p->mutex);
    atomic_fetch_add(&p->n_asleep, 1);
    while (!stops(p)) {
        uint_fast64_t gate = atomic_load(&p->gate);
        if ((gate & GATE_OPEN) && gate / GATE_JOB != *seen) {
            is_in = step_in(p, seen);
            if (is_in)
                break;
            continue;
        }
        (void)pthread_cond_wait(&p->wake, &p->mutex);
    }
    atomic_fetch_sub(&p->n_asleep, 1);
    (void)pthread_mutex_unlock(&p->mutex);
    return is_in;
}

static void *work(void *argument)
{
    worker *w = argument;
    fj_pool *p = w->pool;
    uint64_t seen = 0;
    while (!stops(p) && wait_for_job(p, &seen)) {
        take_parts(p, w->index);
        uint_fast64_t gate = atomic_fetch_sub(&p->gate, 1) - 1;
        if (!(gate & (GATE_OPEN | GATE_INSIDE)) && atomic_load(&p->caller_sleeps)) {
            (void)pthread_mutex_lock(&p->mutex);
            (void)pthread_cond_signal(&p->done);
            (void)pthread_mutex_unlock(&p->mutex);
        }
    }
    return NULL;
}

static void wake_sleepers(fj_pool *p)
{
    if (!atomic_load(&p->n_asleep))
        return;
    (void)pthread_mutex_lock(&p->mutex);
    (void)pthread_cond_broadcast(&p->wake);
    (void)pthread_mutex_unlock(&p->mutex);
}

/* Until nobody is inside the closed gate. */
static void wait_for_workers(fj_pool *p)
{
    for (spin s = spin_start(p); spin_on(&s);)
        if (!(atomic_load_explicit(&p->gate, memory_order_acquire) & GATE_INSIDE))
            return;
    (void)pthread_mutex_lock(&p->mutex);
    atomic_store(&p->caller_sleeps, true);
    while (atomic_load(&p->gate) & GATE_INSIDE)
        (void)pthread_cond_wait(&p->done, &p->mutex);
    atomic_store(&p->caller_sleeps, false);
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
    deal_parts(p, n_parts);
    uint_fast64_t job = atomic_load_explicit(&p->gate, memory_order_relaxed) / GATE_JOB + 1;
    atomic_store(&p->gate, (job * GATE_JOB) | GATE_OPEN);
    wake_sleepers(p);
    take_parts(p, 0);
    if (atomic_fetch_and(&p->gate, ~GATE_OPEN) & GATE_INSIDE)
        wait_for_workers(p);
}

fj_status fj_pool_open(int n_threads, fj_pool **out, fj_err *err)
{
    int cpus = fj_cpu_count();
    n_threads = n_threads > 0 ? n_threads : cpus;
    n_threads = n_threads > MAX_THREADS ? MAX_THREADS : n_threads;
    fj_pool *p = aligned_alloc(_Alignof(fj_pool), sizeof *p);
    *out = NULL;
    if (p) {
        memset(p, 0, sizeof *p);
        p->workers = calloc((size_t)n_threads, sizeof *p->workers);
    }
    if (!p || !p->workers) {
        free(p);
        return fj_fail(err, FJ_ERR_MEMORY, "no memory for %d threads", n_threads);
    }
    p->n_threads = n_threads;
    p->n_lanes = n_threads < MAX_LANES ? n_threads : MAX_LANES;
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
    atomic_store(&p->stop, true);
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
