/* SPDX-License-Identifier: Apache-2.0 */
#include "base/clock.h"

#include "base/buffer.h"
#include "tests/test.h"

TEST(peak_memory_grows_with_what_was_touched_and_stays)
{
    fj_err err = { 0 };
    fj_buffer b;
    enum { SIZE = 48 << 20, SLACK = 8 << 20 };
    uint64_t before = fj_resident_bytes();
    CHECK_OK(fj_buffer_open(&b, SIZE, "a test", &err));
    memset(b.data, 1, b.size);
    CHECK(fj_resident_bytes() > before + SIZE - SLACK);
    fj_buffer_close(&b);
    CHECK(fj_resident_bytes() < before + SLACK);
    CHECK(fj_peak_resident_bytes() > before + SIZE - SLACK);
}

TEST(memory_that_is_left_is_no_more_than_there_is)
{
    CHECK(fj_memory_total() > 0 && fj_memory_available() > 0);
    CHECK(fj_memory_available() <= fj_memory_total());
}

TEST(seconds_never_go_back)
{
    double last = fj_seconds();
    for (int i = 0; i < 1000; i++) {
        double now = fj_seconds();
        CHECK(now >= last);
        last = now;
    }
}
