/* SPDX-License-Identifier: Apache-2.0 */
#include "base/cursor.h"

#include "tests/test.h"

TEST(cursor_reads_little_endian_values_at_any_alignment)
{
    static const unsigned char bytes[] = { 0xfe, 0x01, 0x02, 0x01, 0x02, 0x03, 0x04, 1, 2, 3, 4,    5,    6,   7,  8,
                                           0,    0,    0x80, 0x3f, 0,    0,    0,    0, 0, 0, 0xf0, 0xbf, 'a', 'b' };
    fj_cursor c = fj_cursor_over(bytes, sizeof bytes);
    CHECK(fj_cursor_u8(&c) == 0xfe);
    CHECK(fj_cursor_u16(&c) == 0x0201);
    CHECK(fj_cursor_u32(&c) == 0x04030201);
    CHECK(fj_cursor_u64(&c) == 0x0807060504030201);
    CHECK(fj_cursor_f32(&c) == 1.0f);
    CHECK(fj_cursor_f64(&c) == -1.0);
    CHECK(fj_cursor_left(&c) == 2);
    fj_text t = fj_cursor_take(&c, 2);
    CHECK(t.len == 2 && t.data == (const char *)bytes + sizeof bytes - 2);
    CHECK(!c.bad && fj_cursor_left(&c) == 0);
}

TEST(cursor_is_bad_for_good_once_it_ran_past_the_end)
{
    static const unsigned char bytes[] = { 1, 2, 3 };
    fj_cursor c = fj_cursor_over(bytes, sizeof bytes);
    CHECK(fj_cursor_u32(&c) == 0 && c.bad);
    CHECK(fj_cursor_u8(&c) == 0);
    CHECK(fj_cursor_left(&c) == 0);
    CHECK(fj_cursor_take(&c, 0).data == NULL);
}

TEST(cursor_refuses_a_length_that_only_fits_after_wrapping)
{
    static const unsigned char bytes[8];
    fj_cursor c = fj_cursor_over(bytes, sizeof bytes);
    (void)fj_cursor_u32(&c);
    CHECK(fj_cursor_take(&c, UINT64_MAX - 2).data == NULL && c.bad);
}

TEST(cursor_over_nothing_takes_nothing)
{
    fj_cursor c = fj_cursor_over(NULL, 0);
    CHECK(fj_cursor_take(&c, 0).len == 0 && !c.bad);
    CHECK(fj_cursor_u8(&c) == 0 && c.bad);
}
