/* SPDX-License-Identifier: Apache-2.0
 * cmocka and what numbers need. TEST(name) { … } is found by tools/list_tests.sh; a name is a sentence about behaviour. */
#ifndef FJ_TESTS_TEST_H
#define FJ_TESTS_TEST_H

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "base/err.h"

#define TEST(name) void name(void **state __attribute__((unused)))
#define CHECK(condition) assert_true(condition)
#define CHECK_TEXT(got, wanted) assert_string_equal(got, wanted)
#define CHECK_OK(status) test_ok((status), &err, __FILE__, __LINE__) /* a fj_err err must be in scope */
/* Every |got[i] - wanted[i]| at most relative * max(1, largest |wanted|). */
#define CHECK_NEAR(got, wanted, n, relative) test_near((got), (wanted), (n), (relative), __FILE__, __LINE__)

extern const struct CMUnitTest test_table[];
extern const size_t test_count;

void test_ok(fj_status st, const fj_err *err, const char *file, int line);
void test_near(const float *got, const float *wanted, int64_t n, double relative, const char *file, int line);

/* Features of this machine: kernels are tested for every level it has. */
unsigned test_cpu(void);

/* Guard bytes behind an output: put, then check that nothing was written there. */
enum { TEST_GUARD = 64 };
void test_guard_put(void *end);
int  test_guard_ok(const void *end);

/* Deterministic numbers: uniform in [-1, 1), normal-like with `scale`. */
void test_fill(float *out, int64_t n, uint64_t seed, float scale);

/* A path in tests/golden, valid until the next call. */
const char *test_golden(const char *name);

/* A path in a folder of this run that is empty at its start and removed at its end, valid until the next call. */
const char *test_temporary(const char *name);

#endif
