/* SPDX-License-Identifier: Apache-2.0 */
#include "base/thread.h"

#include <stdatomic.h>
#include <time.h>

#include "tests/test.h"

enum { MOST = 1000 };

typedef struct job {
    int done[MOST]; /* each part writes its own: no atomics needed */
    int n_threads;
    atomic_int wrong;
} job;

static void count(void *context, int64_t part, int worker)
{
    job *j = context;
    j->done[part]++;
    if (worker < 0 || worker >= j->n_threads)
        atomic_fetch_add(&j->wrong, 1);
}

TEST(pool_runs_each_part_once_whatever_the_threads)
{
    static const int threads[] = { 1, 2, 3, 8 };
    static const int64_t parts[] = { 0, 1, 2, 7, MOST };
    for (size_t t = 0; t < FJ_LEN(threads); t++) {
        fj_err err = { 0 };
        fj_pool *pool;
        CHECK_OK(fj_pool_open(threads[t], &pool, &err));
        CHECK(fj_pool_threads(pool) == threads[t]);
        for (size_t p = 0; p < FJ_LEN(parts); p++) {
            static job j;
            j = (job){ .n_threads = threads[t] };
            fj_pool_run(pool, count, &j, parts[p]);
            for (int i = 0; i < MOST; i++)
                CHECK(j.done[i] == (i < parts[p]));
            CHECK(j.wrong == 0);
        }
        fj_pool_close(pool);
    }
}

/* A job reads what the job before has written: each value is one more than its left neighbour was. */
static void relay(void *context, int64_t part, int worker)
{
    int *rows = *(int **)context;
    (void)worker;
    rows[64 + part] = rows[(part + 1) % 64] + 1;
}

TEST(pool_jobs_see_all_that_the_job_before_wrote)
{
    static const int threads[] = { 2, 4 };
    for (size_t t = 0; t < FJ_LEN(threads); t++) {
        fj_err err = { 0 };
        fj_pool *pool;
        int rows[128] = { 0 };
        CHECK_OK(fj_pool_open(threads[t], &pool, &err));
        for (int i = 0; i < 2000; i++) {
            int *at = rows;
            fj_pool_run(pool, relay, &at, 64);
            memcpy(rows, rows + 64, sizeof rows / 2);
        }
        for (int i = 0; i < 64; i++)
            CHECK(rows[i] == 2000);
        fj_pool_close(pool);
    }
}

TEST(pool_threads_that_fell_asleep_wake_up)
{
    fj_err err = { 0 };
    fj_pool *pool;
    static job j;
    j = (job){ .n_threads = 2 };
    CHECK_OK(fj_pool_open(2, &pool, &err));
    for (int i = 0; i < 20; i++) {
        (void)nanosleep(&(struct timespec){ .tv_nsec = 500000 }, NULL); /* ten times what they spin */
        fj_pool_run(pool, count, &j, 10);
    }
    for (int i = 0; i < 10; i++)
        CHECK(j.done[i] == 20);
    fj_pool_close(pool);
}

TEST(pool_without_a_number_has_a_thread_for_each_processor)
{
    fj_err err = { 0 };
    fj_pool *pool;
    CHECK(fj_cpu_count() >= 1);
    CHECK_OK(fj_pool_open(0, &pool, &err));
    CHECK(fj_pool_threads(pool) == fj_cpu_count());
    fj_pool_close(pool);
    fj_pool_close(NULL);
}
