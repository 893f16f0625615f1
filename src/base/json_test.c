/* SPDX-License-Identifier: Apache-2.0 */
#include "base/json.h"

#include <stdlib.h>

#include "tests/test.h"

static fj_json *parse(const char *text, size_t len, bool strict)
{
    fj_err err = { 0 };
    fj_json *v = NULL;
    CHECK_OK(fj_json_parse(text, len, "t", strict, &v, &err));
    return v;
}

/* The text's own value written again on one line, as malloc'd text. */
static char *again(const char *text)
{
    fj_str s = { 0 };
    fj_json *v = parse(text, strlen(text), false);
    CHECK(fj_json_write(v, 0, 17, &s));
    fj_json_free(v);
    return s.data;
}

static void check_again(const char *text, const char *wanted)
{
    char *got = again(text);
    CHECK_TEXT(got, wanted);
    free(got);
}

TEST(json_reads_what_python_writes)
{
    check_again("\xef\xbb\xbf{\"a\": 1}", "{\"a\": 1}");
    check_again("{\"a\": NaN, \"NaN\": \"Infinity\"}", "{\"a\": null, \"NaN\": \"Infinity\"}");
    check_again("[0.0, Infinity, -Infinity, 1]", "[0.0, 1.7976931348623157e308, -1.7976931348623157e308, 1]");
    check_again("[1e999, -1E+999, 1e-999, 1e5]", "[1.7976931348623157e308, -1.7976931348623157e308, 0.0, 100000.0]");
    check_again("\"a\\u0000b\"", "\"a\\u0000b\"");
    check_again("[\"\\ud83d\", \"x\\udc00y\", \"\\ud83d\\ude00\", \"\\ud83d\\ud83d\\ude00\"]",
                "[\"\xef\xbf\xbd\", \"x\xef\xbf\xbdy\", \"\xf0\x9f\x98\x80\", \"\xef\xbf\xbd\xf0\x9f\x98\x80\"]");
}

TEST(json_reads_huge_integers_as_reals_and_leaves_the_others_alone)
{
    const char *text = "{\"model_max_length\": 1000000000000000019884624838656, \"vocab_size\": 32000, "
                       "\"largest\": 9223372036854775807, \"next\": 9223372036854775808}";
    fj_json *v = parse(text, strlen(text), false);
    CHECK(!fj_json_is_integer(fj_json_get(v, "model_max_length")));
    CHECK(fj_json_real(fj_json_get(v, "model_max_length"), 0) == 1e30);
    CHECK(fj_json_is_integer(fj_json_get(v, "vocab_size")) && fj_json_int(fj_json_get(v, "vocab_size"), 0) == 32000);
    CHECK(fj_json_int(fj_json_get(v, "largest"), 0) == INT64_MAX);
    CHECK(fj_json_real(fj_json_get(v, "next"), 0) == 9223372036854775808.0);
    fj_json_free(v);
}

TEST(json_reads_numbers_of_many_digits)
{
    fj_str s = { 0 };
    fj_str_add_text(&s, "[1");
    for (int i = 0; i < 400; i++)
        fj_str_add_char(&s, '0');
    fj_str_add_text(&s, ", 1");
    for (int i = 0; i < 400; i++)
        fj_str_add_char(&s, '0');
    fj_str_add_text(&s, ".5, 7]");
    fj_json *v = parse(s.data, s.len, false);
    CHECK(fj_json_real(fj_json_at(v, 0), 0) == 1.7976931348623157e308);
    CHECK(fj_json_real(fj_json_at(v, 1), 0) == 1.7976931348623157e308);
    CHECK(fj_json_int(fj_json_at(v, 2), 0) == 7);
    fj_json_free(v);
    fj_str_free(&s);
}

TEST(json_refuses_huge_integers_where_they_must_be_exact)
{
    fj_err err = { 0 };
    fj_json *v;
    const char *text = "{\"a\": NaN, \"offset\": 18446744073709551616}";
    CHECK(fj_json_parse(text, strlen(text), "m.safetensors", true, &v, &err) == FJ_ERR_FORMAT && v == NULL);
    CHECK(strstr(err.message, "m.safetensors: not JSON: line 1") && strstr(err.message, "too big integer"));
}

TEST(json_errors_name_file_line_and_column)
{
    fj_err err = { 0 };
    fj_json *v;
    static const char *const broken[] = { "",     "{",        "{\"a\" 1}", "[1,]",     "[01]",
                                          "nul",  "\"\xff\"", "[1] 2",     "\"a\nb\"", "{\"a\":}",
                                          "[1e]", "NaNs",     "-",         "\\u",      "\"\\ud8" };
    for (size_t i = 0; i < FJ_LEN(broken); i++) {
        CHECK(fj_json_parse(broken[i], strlen(broken[i]), "t.json", false, &v, &err) == FJ_ERR_FORMAT);
        CHECK(v == NULL && strstr(err.message, "t.json: not JSON: line ") == err.message);
    }
    CHECK(fj_json_parse("{\n  \"a\": x\n}", 12, "t.json", false, &v, &err) == FJ_ERR_FORMAT);
    CHECK(strstr(err.message, "line 2, column 8: ") != NULL);
    CHECK(fj_json_load(test_temporary("absent.json"), &v, &err) == FJ_ERR_FAILED && v == NULL);
    CHECK(strstr(err.message, "absent.json: No such file") != NULL);
}

TEST(json_reads_512_levels_and_refuses_more)
{
    enum { LEVELS = 513 };
    char text[2 * LEVELS + 1];
    fj_err err = { 0 };
    fj_json *v;
    memset(text, '[', LEVELS);
    memset(text + LEVELS, ']', LEVELS);
    CHECK_OK(fj_json_parse(text + 1, 2 * LEVELS - 2, "t", false, &v, &err));
    fj_json_free(v);
    CHECK(fj_json_parse(text, 2 * LEVELS, "t", false, &v, &err) == FJ_ERR_FORMAT);
    CHECK_TEXT(err.message, "t: nested 513 deep, at most 512 is read");
}

TEST(json_keeps_order_and_takes_the_last_of_equal_names)
{
    check_again("{\"b\": 1, \"a\": 2, \"c\": {}, \"b\": 3}", "{\"b\": 3, \"a\": 2, \"c\": {}}");
    const char *text = "{\"z\": 1, \"a\": 2}";
    fj_json *v = parse(text, strlen(text), false);
    void *i = fj_json_first(v);
    CHECK_TEXT(fj_json_key(i), "z");
    i = fj_json_next(v, i);
    CHECK_TEXT(fj_json_key(i), "a");
    CHECK(fj_json_int(fj_json_member(i), 0) == 2 && fj_json_next(v, i) == NULL);
    CHECK(fj_json_first(NULL) == NULL);
    fj_json_free(v);
}

TEST(json_values_fall_back_when_absent_null_or_of_another_kind)
{
    const char *text = "{\"i\": 3, \"r\": 2.5, \"w\": 4.0, \"t\": \"x\", \"n\": null, \"b\": true, \"e\": 1e300}";
    fj_json *v = parse(text, strlen(text), false);
    CHECK(fj_json_int(fj_json_get(v, "i"), -1) == 3 && fj_json_real(fj_json_get(v, "i"), -1) == 3);
    CHECK(fj_json_int(fj_json_get(v, "w"), -1) == 4 && !fj_json_is_integer(fj_json_get(v, "w")));
    CHECK(fj_json_int(fj_json_get(v, "r"), -1) == -1 && fj_json_int(fj_json_get(v, "e"), -1) == -1);
    CHECK(fj_json_int(fj_json_get(v, "t"), -1) == -1 && fj_json_int(fj_json_get(v, "n"), -1) == -1);
    CHECK(fj_json_int(NULL, -1) == -1 && fj_json_real(NULL, 2) == 2 && fj_json_bool(NULL, true));
    CHECK(fj_json_bool(fj_json_get(v, "b"), false) && fj_json_bool(fj_json_get(v, "i"), false) == false);
    CHECK_TEXT(fj_json_string(fj_json_get(v, "t"), "-"), "x");
    CHECK_TEXT(fj_json_string(fj_json_get(v, "i"), "-"), "-");
    CHECK(fj_json_text(fj_json_get(v, "i")).data == NULL && fj_json_text(fj_json_get(v, "t")).len == 1);
    CHECK(fj_json_is_null(fj_json_get(v, "n")) && !fj_json_is_null(fj_json_get(v, "absent")));
    CHECK(fj_json_get(NULL, "a") == NULL && fj_json_at(v, 0) == NULL && fj_json_len(v) == 7 && fj_json_len(NULL) == 0);
    fj_json_free(v);
}

TEST(json_builds_and_writes_documents)
{
    fj_str s = { 0 };
    fj_json *v = fj_json_new_object(), *list = fj_json_new_array();
    CHECK(fj_json_add(list, fj_json_new_int(-1)) && fj_json_add(list, fj_json_new_real(0.1f)));
    CHECK(fj_json_add(list, fj_json_new_real((double)NAN)) && fj_json_add(list, fj_json_new_bool(false)));
    CHECK(!fj_json_add(list, NULL) && !fj_json_set(v, "a", NULL));
    CHECK(fj_json_set(v, "list", list) && fj_json_set(v, "text", fj_json_new_text("\xff\xc3\xa1\n", 4)));
    CHECK(fj_json_set(v, "null", fj_json_new_null()) && fj_json_set(v, "share", fj_json_share(list)));
    CHECK(fj_json_write(v, 0, 9, &s));
    CHECK_TEXT(s.data,
               "{\"list\": [-1, 0.100000001, null, false], \"text\": \"\xef\xbf\xbd\xc3\xa1\\n\", \"null\": null, "
               "\"share\": [-1, 0.100000001, null, false]}");
    fj_str_clear(&s);
    CHECK(fj_json_write(fj_json_get(v, "list"), 2, 9, &s));
    CHECK_TEXT(s.data, "[\n  -1,\n  0.100000001,\n  null,\n  false\n]");
    fj_json_free(v);
    fj_str_free(&s);
}

TEST(json_find_takes_the_first_of_several_names_and_goes_into_objects)
{
    static const char text[] = "{\"a\": null, \"b\": 1, \"in\": {\"b\": 2, \"deep\": {\"c\": 3}}, \"x\": 4}";
    fj_json *v = NULL;
    fj_err err = { 0 };
    CHECK_OK(fj_json_parse(text, strlen(text), "text", false, &v, &err));
    CHECK(fj_json_int(fj_json_find(v, "b"), 0) == 1 && fj_json_int(fj_json_find(v, "a|b"), 0) == 1);
    CHECK(fj_json_int(fj_json_find(v, "c|in.b|b"), 0) == 2 && fj_json_int(fj_json_find(v, "in.deep.c"), 0) == 3);
    CHECK(!fj_json_find(v, "a") && !fj_json_find(v, "") && !fj_json_find(v, "b.c|in.c|nothing.at.all"));
    CHECK(!fj_json_find(NULL, "a|b"));
    fj_json_free(v);
}
