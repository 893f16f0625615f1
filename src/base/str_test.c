/* SPDX-License-Identifier: Apache-2.0 */
#include "base/str.h"

#include "tests/test.h"

TEST(text_compares_with_names_and_prefixes)
{
    CHECK(fj_text_is(fj_text_of("lora"), "lora") && !fj_text_is(fj_text_of("lora"), "lor"));
    CHECK(fj_text_is(fj_text_of(NULL), "") && !fj_text_is((fj_text){ "a\0b", 3 }, "a"));
    CHECK(fj_text_starts(fj_text_of("blk.0"), "blk.") && !fj_text_starts(fj_text_of("bl"), "blk."));
    CHECK(fj_text_starts((fj_text){ 0 }, ""));
}

TEST(str_grows_and_always_ends_with_nul)
{
    fj_str s = { 0 };
    for (int i = 0; i < 1000; i++) {
        fj_str_printf(&s, "%d,", i);
        CHECK(s.data[s.len] == '\0');
    }
    CHECK(s.len == 3890 && !s.failed);
    CHECK(!memcmp(s.data, "0,1,2,3,", 8) && !strcmp(s.data + s.len - 4, "999,"));
    fj_str_clear(&s);
    fj_str_add_text(&s, "a");
    fj_str_add_char(&s, 'b');
    fj_str_add(&s, "c\0d", 3);
    CHECK(s.len == 5 && !memcmp(s.data, "abc\0d", 6));
    fj_str_free(&s);
    CHECK(s.data == NULL && s.len == 0);
}

TEST(str_fails_for_good_at_its_limit)
{
    fj_str s = { .limit = 10 };
    fj_str_add_text(&s, "0123456789");
    CHECK(!s.failed);
    fj_str_add_char(&s, 'x');
    CHECK(s.failed && s.len == 10);
    fj_str_clear(&s);
    fj_str_add_char(&s, 'x');
    CHECK(s.failed && s.len == 0);
    fj_str_free(&s);
    fj_str huge = { 0 };
    fj_str_add(&huge, "", SIZE_MAX);
    CHECK(huge.failed && huge.data == NULL);
}

TEST(distance_counts_edits_and_swaps_whatever_the_case)
{
    CHECK(fj_text_distance("", "") == 0);
    CHECK(fj_text_distance("abc", "") == 3);
    CHECK(fj_text_distance("learning_rate", "Learning_Rate") == 0);
    CHECK(fj_text_distance("learnign_rate", "learning_rate") == 1);
    CHECK(fj_text_distance("kitten", "sitting") == 3);
}

TEST(nearest_name_is_close_enough_to_be_meant)
{
    static const char *const names[] = { "learning_rate", "lora_rank", "lora_alpha" };
    CHECK_TEXT(fj_nearest("lora_rnak", names, FJ_LEN(names)), "lora_rank");
    CHECK_TEXT(fj_nearest("learning-rate", names, FJ_LEN(names)), "learning_rate");
    CHECK(fj_nearest("template", names, FJ_LEN(names)) == NULL);
    CHECK(fj_nearest("x", names, 0) == NULL);
}

TEST(integers_are_the_whole_text_or_nothing)
{
    static const char *const broken[] = { "", "-", "+", " 1", "1 ", "1.0", "0x10", "9223372036854775808", "1e3" };
    int64_t v = 5;
    for (size_t i = 0; i < FJ_LEN(broken); i++)
        CHECK(!fj_text_i64(fj_text_of(broken[i]), &v) && v == 5);
    CHECK(fj_text_i64(fj_text_of("9223372036854775807"), &v) && v == INT64_MAX);
    CHECK(fj_text_i64(fj_text_of("-9223372036854775808"), &v) && v == INT64_MIN);
    CHECK(fj_text_i64((fj_text){ "42abc", 2 }, &v) && v == 42);
    CHECK(fj_text_i64(fj_text_of("+007"), &v) && v == 7);
}

TEST(reals_are_the_whole_text_or_nothing)
{
    static const char *const broken[] = { "", ".", "e5", "1e", "nan", "inf", "0x1p3", " 1", "1,5", "1e999", "--1" };
    double v = 5;
    for (size_t i = 0; i < FJ_LEN(broken); i++)
        CHECK(!fj_text_f64(fj_text_of(broken[i]), &v) && v == 5);
    CHECK(fj_text_f64(fj_text_of("1e-5"), &v) && v == 1e-5);
    CHECK(fj_text_f64(fj_text_of("-2.5E+3"), &v) && v == -2500);
    CHECK(fj_text_f64((fj_text){ "0.1xyz", 3 }, &v) && v == 0.1);
}

TEST(sizes_have_units_of_1000_or_1024)
{
    static const char *const broken[] = { "", "G", "2X", "2 G", "-1G", "2GBB", "2iB", "1e400G", "99999999999T", "2Gi" };
    static const struct {
        const char *text;
        uint64_t bytes;
    } good[] = {
        { "0", 0 },           { "4096", 4096 },      { "4096B", 4096 },      { "1.5k", 1500 },  { "800M", 800000000 },
        { "2G", 2000000000 }, { "2gb", 2000000000 }, { "2GiB", 2147483648 }, { "0.5KiB", 512 }, { "1T", 1000000000000 }
    };
    uint64_t v = 5;
    for (size_t i = 0; i < FJ_LEN(broken); i++)
        CHECK(!fj_text_bytes(fj_text_of(broken[i]), &v) && v == 5);
    for (size_t i = 0; i < FJ_LEN(good); i++)
        CHECK(fj_text_bytes(fj_text_of(good[i].text), &v) && v == good[i].bytes);
}

TEST(bytes_are_written_for_people)
{
    char out[24];
    CHECK_TEXT(fj_format_bytes(0, out), "0 B");
    CHECK_TEXT(fj_format_bytes(999, out), "999 B");
    CHECK_TEXT(fj_format_bytes(1000, out), "1.0 kB");
    CHECK_TEXT(fj_format_bytes(98123456, out), "98.1 MB");
    CHECK_TEXT(fj_format_bytes(999950000, out), "1.0 GB");
    CHECK_TEXT(fj_format_bytes(UINT64_MAX, out), "18446.7 PB");
}
