/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/test.h"

#include "train/schedule.h"

static double factor(const char *name, int64_t s, int64_t warmup, int64_t total)
{
    const fj_schedule *schedule = fj_schedule_by_name(name);
    CHECK(schedule);
    return schedule->factor(s, warmup, total);
}

TEST(schedules_are_those_of_transformers)
{
    CHECK(factor("constant", 0, 0, 10) == 1 && factor("constant", 9, 0, 10) == 1);
    CHECK(factor("constant_with_warmup", 0, 4, 10) == 0 && factor("constant_with_warmup", 3, 4, 10) == 0.75 &&
          factor("constant_with_warmup", 4, 4, 10) == 1);
    CHECK(factor("linear", 0, 2, 10) == 0 && factor("linear", 1, 2, 10) == 0.5 && factor("linear", 2, 2, 10) == 1 &&
          factor("linear", 6, 2, 10) == 0.5 && factor("linear", 10, 2, 10) == 0 && factor("linear", 11, 2, 10) == 0);
    CHECK(fabs(factor("cosine", 6, 2, 10) - 0.5) < 1e-15);
    CHECK(fabs(factor("cosine", 3, 2, 10) - 0.5 * (1 + cos(3.14159265358979323846 / 8))) < 1e-15);
    CHECK(factor("cosine", 2, 2, 10) == 1 && factor("cosine", 10, 2, 10) < 1e-15);
}

TEST(an_unknown_schedule_has_no_row)
{
    CHECK(!fj_schedule_by_name("polynomial"));
}

TEST(a_run_that_is_all_warm_up_divides_by_nothing)
{
    CHECK(factor("linear", 3, 3, 3) == 0 && isfinite(factor("cosine", 3, 3, 3)));
}
