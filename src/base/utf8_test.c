/* SPDX-License-Identifier: Apache-2.0 */
#include "base/utf8.h"

#include "tests/test.h"

TEST(utf8_every_code_point_survives_the_round_trip)
{
    for (uint32_t c = 0; c <= 0x110000; c++) {
        char bytes[4];
        uint32_t back = ~c;
        size_t n = fj_utf8_put(c, bytes);
        if (c > 0x10ffff || (c >= 0xd800 && c < 0xe000)) {
            CHECK(n == 0);
            continue;
        }
        CHECK(n == (size_t)(c < 0x80 ? 1 : c < 0x800 ? 2 : c < 0x10000 ? 3 : 4));
        CHECK(fj_utf8_get(bytes, n, &back) == n && back == c);
        CHECK(fj_utf8_get(bytes, n - 1, &back) == 0);
        CHECK(fj_utf8_whole(bytes, n) == n && fj_utf8_whole(bytes, n - 1) == 0);
    }
}

static const char *const broken[] = {
    "\x80",         "\xbf",         "\xc0\x80",         "\xc1\xbf",         "\xe0\x80\x80",     "\xe0\x9f\xbf",
    "\xed\xa0\x80", "\xed\xbf\xbf", "\xf0\x8f\xbf\xbf", "\xf4\x90\x80\x80", "\xf5\x80\x80\x80", "\xff",
    "\xc3(",        "\xe2\x82(",    "\xf0\x9f\x98("
};

TEST(utf8_broken_sequences_are_refused)
{
    uint32_t c;
    for (size_t i = 0; i < FJ_LEN(broken); i++) {
        CHECK(fj_utf8_get(broken[i], strlen(broken[i]), &c) == 0);
        CHECK(!fj_utf8_valid(broken[i], strlen(broken[i])));
    }
    CHECK(fj_utf8_valid("", 0) && fj_utf8_valid("h\xc3\xa9", 3) && !fj_utf8_valid("h\xc3\xa9", 2));
}

TEST(utf8_only_what_may_still_become_a_character_is_held_back)
{
    CHECK(fj_utf8_whole("", 0) == 0);
    CHECK(fj_utf8_whole("a\xf0\x9f\x98", 4) == 1);
    CHECK(fj_utf8_whole("a\xe2\x82", 3) == 1);
    CHECK(fj_utf8_whole("\xe2\x82\xac\xc3", 4) == 3);
    CHECK(fj_utf8_whole("a\x80\x80\x80\x80", 5) == 5);
    for (size_t i = 0; i < FJ_LEN(broken); i++) /* nothing can mend these */
        CHECK(fj_utf8_whole(broken[i], strlen(broken[i])) == strlen(broken[i]));
    CHECK(fj_utf8_whole("\xed\xa0", 2) == 2 && fj_utf8_whole("\xf4\x90", 2) == 2 && fj_utf8_whole("\xe0\x80", 2) == 2);
}

TEST(utf8_repair_marks_each_broken_byte)
{
    fj_str s = { 0 };
    fj_utf8_repair("a\xff\xc3\xa9\xe2\x82z", 7, &s);
    CHECK_TEXT(s.data, "a\xef\xbf\xbd\xc3\xa9\xef\xbf\xbd\xef\xbf\xbdz");
    fj_str_free(&s);
}

static void check_form(const char *text, fj_normal_form form, const char *wanted)
{
    fj_str s = { 0 };
    CHECK(fj_utf8_normalize(text, strlen(text), form, &s));
    CHECK_TEXT(s.data, wanted);
    fj_str_free(&s);
}

TEST(utf8_normal_forms)
{
    fj_str s = { 0 };
    check_form("e\xcc\x81", FJ_NFC, "\xc3\xa9");
    check_form("\xc3\xa9", FJ_NFD, "e\xcc\x81");
    check_form("\xef\xac\x81\xc2\xb2", FJ_NFKC, "fi2");
    check_form("\xef\xac\x81", FJ_NFC, "\xef\xac\x81");
    check_form("\xef\xac\x81\xc3\xa9", FJ_NFKD, "fie\xcc\x81");
    check_form("\xea\xb0\x80", FJ_NFD, "\xe1\x84\x80\xe1\x85\xa1");
    CHECK(fj_utf8_normalize("a\0b", 3, FJ_NFC, &s) && s.len == 3);
    CHECK(!fj_utf8_normalize("\xff", 1, FJ_NFC, &s));
    fj_str_free(&s);
}

TEST(utf8_case_is_changed_as_python_does)
{
    fj_str s = { 0 };
    fj_utf8_lower("ABC \xc3\x89 \xc4\xb0 \xce\xa3\xff", 13, &s);
    CHECK_TEXT(s.data, "abc \xc3\xa9 i\xcc\x87 \xcf\x83\xff");
    fj_str_clear(&s);
    fj_utf8_upper("abc \xc3\xa9 \xc3\x9f", 9, &s);
    CHECK_TEXT(s.data, "ABC \xc3\x89 SS");
    fj_str_free(&s);
}

TEST(unicode_categories_and_spaces)
{
    CHECK_TEXT(fj_unicode_category('A'), "Lu");
    CHECK_TEXT(fj_unicode_category(' '), "Zs");
    CHECK_TEXT(fj_unicode_category(0x4e2d), "Lo");
    CHECK_TEXT(fj_unicode_category(0x10ffff), "Cn");
    CHECK_TEXT(fj_unicode_category(0x301), "Mn");
    int spaces = 0;
    for (uint32_t c = 0; c <= 0x10ffff; c++)
        spaces += fj_unicode_is_space(c);
    CHECK(spaces == 25); /* White_Space of PropList.txt */
    CHECK(fj_unicode_is_space(0x3000) && fj_unicode_is_space('\n') && !fj_unicode_is_space(0x1c) &&
          !fj_unicode_is_space(0x200b));
}
