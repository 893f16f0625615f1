/* SPDX-License-Identifier: Apache-2.0 */
#include "base/buffer.h"

#include "base/clock.h"
#include "tests/test.h"

TEST(buffer_is_zeroed_and_on_a_page)
{
    fj_err err = { 0 };
    fj_buffer b;
    CHECK_OK(fj_buffer_open(&b, 100000, "a test", &err));
    CHECK(b.size == 100000 && (uintptr_t)b.data % 4096 == 0);
    for (size_t i = 0; i < b.size; i++)
        CHECK(b.data[i] == 0);
    memset(b.data, 1, b.size);
    fj_buffer_close(&b);
    CHECK(b.data == NULL && b.size == 0);
    fj_buffer_close(&b);
    CHECK_OK(fj_buffer_open(&b, 0, "nothing", &err));
    CHECK(b.data == NULL);
}

TEST(buffer_that_is_never_touched_takes_no_memory)
{
    fj_err err = { 0 };
    fj_buffer b;
    uint64_t before = fj_resident_bytes();
    CHECK_OK(fj_buffer_open(&b, (size_t)1 << 28, "a test", &err));
    CHECK(fj_resident_bytes() < before + ((size_t)1 << 26));
    fj_buffer_close(&b);
}

TEST(buffer_says_how_much_it_wanted)
{
    fj_err err = { 0 };
    fj_buffer b;
    CHECK(fj_buffer_open(&b, (size_t)1 << 62, "step arena", &err) == FJ_ERR_MEMORY);
    CHECK_TEXT(err.message, "no memory for step arena: 4611.7 PB");
    CHECK(err.hint[0] != '\0' && b.data == NULL);
}
