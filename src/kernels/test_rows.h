/* SPDX-License-Identifier: Apache-2.0
 * What the tests of kernels share: every table that this machine can run, and rows that end at a page nobody may touch. */
#ifndef FJ_KERNELS_TEST_ROWS_H
#define FJ_KERNELS_TEST_ROWS_H

#include <math.h>
#include <string.h>
#include <sys/mman.h>

#include "base/cpu.h"
#include "base/hash.h"
#include "base/rng.h"
#include "kernels/kernels.h"
#include "tests/test.h"

enum { TEST_TABLES = 16 };

static const float test_epsilon = 0x1p-24f; /* half a unit in the last place of 1: the error of one rounding */

/* Whether each feature has the one that it builds on. */
static inline bool test_is_whole(unsigned cpu)
{
    return !((cpu & FJ_CPU_AVX512 && !(cpu & FJ_CPU_AVX2)) || (cpu & FJ_CPU_VNNI && !(cpu & FJ_CPU_AVX512)) ||
             (cpu & FJ_CPU_BF16 && !(cpu & (FJ_CPU_AVX512 | FJ_CPU_NEON))) || (cpu & FJ_CPU_DOT && !(cpu & FJ_CPU_NEON)) ||
             (cpu & FJ_CPU_I8MM && !(cpu & FJ_CPU_DOT)));
}

/* All subsets of features that this machine has, worst first; tables[0] is ref, tables[1] has no BF16. Returns how many. */
static inline int test_tables(fj_kernels tables[TEST_TABLES])
{
    unsigned has = test_cpu();
    int      n = 0;
    for (unsigned cpu = 0; cpu <= has; cpu++)
        if (test_is_whole(cpu) && !(cpu & ~has))
            fj_kernels_init(&tables[n++], cpu);
    return n;
}

/* Memory whose end is the end of what may be read or written. */
typedef struct test_fence {
    char  *pages;
    size_t size, page;
} test_fence;

static inline test_fence test_fence_open(size_t most)
{
    test_fence f = { .page = 4096 };
    f.size = (most + f.page - 1) / f.page * f.page;
    f.pages = mmap(NULL, f.size + f.page, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    CHECK(f.pages != MAP_FAILED);
    CHECK(mprotect(f.pages + f.size, f.page, PROT_NONE) == 0);
    return f;
}

static inline void test_fence_close(test_fence *f)
{
    munmap(f->pages, f->size + f->page);
}

/* The last count elements before the fence. */
static inline float *test_floats(const test_fence *f, int64_t count)
{
    CHECK((size_t)count * sizeof(float) <= f->size);
    return (float *)(void *)(f->pages + f->size) - count;
}

static inline uint16_t *test_halves(const test_fence *f, int64_t count)
{
    CHECK((size_t)count * sizeof(uint16_t) <= f->size);
    return (uint16_t *)(void *)(f->pages + f->size) - count;
}

/* m rows of n numbers, ld apart; NaN between the rows, which no kernel may take in. */
static inline void test_fill_matrix(float *x, int64_t ld, int64_t m, int64_t n, uint32_t row)
{
    for (int64_t i = 0; i < (m - 1) * ld + n; i++)
        x[i] = i % ld < n ? (float)(2 * fj_rng_uniform(7, FJ_STREAM_TEST, 0, row, (uint64_t)i) - 1) : NAN;
}

/* Of the bits of all results so far. What AVX2 gives, NEON must give too: tests compare it with a number. */
static inline void test_hash(uint64_t *hash, const void *data, size_t bytes)
{
    *hash = fj_hash64(data, bytes, *hash);
}

static inline bool test_same_bits(const float *a, const float *b, int64_t n)
{
    return memcmp(a, b, (size_t)n * sizeof *a) == 0;
}

#endif
