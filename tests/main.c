/* SPDX-License-Identifier: Apache-2.0
 * Runs all tests, or those whose name holds one of the arguments. */
#include "tests/test.h"

#include <stdio.h>
#include <stdlib.h>

#include "base/cpu.h"
#include "base/map.h"
#include "base/rng.h"

void test_ok(fj_status st, const fj_err *err, const char *file, int line)
{
    if (!st)
        return;
    print_error("status %d: %s\n", (int)st, err->message);
    _fail(file, line);
}

void test_near(const float *got, const float *wanted, int64_t n, double relative, const char *file, int line)
{
    double largest = 1;
    for (int64_t i = 0; i < n; i++)
        largest = fmax(largest, fabs((double)wanted[i]));
    for (int64_t i = 0; i < n; i++) {
        double off = fabs((double)got[i] - wanted[i]);
        if (off <= relative * largest)
            continue;
        print_error("[%lld]: got %.9g, wanted %.9g, off by %.3g, allowed %.3g\n", (long long)i, (double)got[i],
                    (double)wanted[i], off, relative * largest);
        _fail(file, line);
    }
}

unsigned test_cpu(void)
{
    return fj_cpu_features();
}

void test_guard_put(void *end)
{
    memset(end, 0xa5, TEST_GUARD);
}

int test_guard_ok(const void *end)
{
    const unsigned char *p = end;
    for (int i = 0; i < TEST_GUARD; i++)
        if (p[i] != 0xa5)
            return 0;
    return 1;
}

void test_fill(float *out, int64_t n, uint64_t seed, float scale)
{
    for (int64_t i = 0; i < n; i++)
        out[i] = scale * (float)(2 * fj_rng_uniform(seed, FJ_STREAM_TEST, 0, 0, (uint64_t)i) - 1);
}

const char *test_golden(const char *name)
{
    static char path[1024];
    (void)snprintf(path, sizeof path, "%s/%s", TEST_GOLDEN, name);
    return path;
}

/* Where tests write; made by main. */
static char temporary[512];

const char *test_temporary(const char *name)
{
    static char path[1024];
    (void)snprintf(path, sizeof path, "%s/%s", temporary, name);
    return path;
}

static int make_temporary(void)
{
    const char *place = getenv("TMPDIR");
    (void)snprintf(temporary, sizeof temporary, "%s/forja-test-XXXXXX", place && *place ? place : "/tmp");
    return mkdtemp(temporary) != NULL;
}

static int is_chosen(const char *name, int argc, char **argv)
{
    for (int i = 1; i < argc; i++)
        if (strstr(name, argv[i]))
            return 1;
    return argc < 2;
}

int main(int argc, char **argv)
{
    struct CMUnitTest *chosen = calloc(test_count + 1, sizeof *chosen);
    size_t n = 0;
    fj_err err;
    if (!chosen || !make_temporary()) {
        perror("tests");
        free(chosen);
        return 1;
    }
    for (size_t i = 0; i < test_count; i++)
        if (is_chosen(test_table[i].name, argc, argv))
            chosen[n++] = test_table[i];
    int failed = n ? _cmocka_run_group_tests("forja", chosen, n, NULL, NULL) : 0;
    if (n == 0)
        (void)fprintf(stderr, "no test has '%s' in its name\n", argc > 1 ? argv[argc - 1] : "");
    printf("%zu passed, %d failed\n", n - (size_t)(failed < 0 ? 0 : failed), failed);
    if (fj_remove_tree(temporary, &err))
        (void)fprintf(stderr, "%s\n", err.message);
    free(chosen);
    return failed != 0 || n == 0;
}
