/* SPDX-License-Identifier: Apache-2.0 */
#include "tokenizers/regex.h"
#include "tokenizers/test_tokenizers.h"

/* All matches of a pattern, parted by |. */
static const char *matches(const char *pattern, const char *text)
{
    static char out[256];
    fj_err err = { 0 };
    fj_regex *r = NULL;
    fj_matcher *m = fj_matcher_new();
    size_t n = 0, at = 0, start = 0, end = 0;
    bool is_found = true;
    CHECK(m);
    CHECK_OK(fj_regex_new(fj_text_of(pattern), &r, &err));
    out[0] = 0;
    while (at < strlen(text)) {
        CHECK_OK(fj_regex_next(r, m, fj_text_of(text), at, &start, &end, &is_found, &err));
        if (!is_found)
            break;
        n += (size_t)snprintf(out + n, sizeof out - n, "%s%.*s", n ? "|" : "", (int)(end - start), text + start);
        at = end > start ? end : end + 1;
    }
    fj_regex_free(r);
    fj_matcher_free(m);
    return out;
}

TEST(regex_cuts_as_the_models_patterns_mean)
{
    static const char llama3[] =
        "(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\\r\\n\\p{L}\\p{N}]?\\p{L}+|\\p{N}{1,3}| ?[^\\s\\p{L}\\p{N}]+[\\r\\n]*|"
        "\\s*[\\r\\n]+|\\s+(?!\\S)|\\s+";
    CHECK_TEXT(matches(llama3, "I'LL  see 12345 ¿qué?\n\n x"), "I|'LL| | see| |123|45| ¿|qué|?\n\n| x");
    CHECK_TEXT(matches(" ?[^(\\s|[.,!?…。，、।۔،])]+", "Hola, (qué) tal. x|y"), "Hola|qué| tal| x|y");
    CHECK_TEXT(matches("\\w+|[^\\w\\s]+", "año 2²_x!? हि"), "año|2²_x|!?|हि");
    CHECK_TEXT(matches("a++|\\h{2}", "aaabcdx"), "aaa|bc");
    CHECK_TEXT(matches("\\u00f1", "año"), "ñ");
    CHECK_TEXT(matches("\\s", "a\u180e\u3000b"), "\u3000");
    CHECK_TEXT(matches("[]a]", "]b"), "]");
}

static void check_refused(const char *pattern, const char *message)
{
    fj_err err = { 0 };
    fj_regex *r = NULL;
    CHECK(fj_regex_new(fj_text_of(pattern), &r, &err) == FJ_ERR_FORMAT);
    CHECK_TEXT(err.message, message);
}

TEST(regex_says_what_it_does_not_understand)
{
    check_refused("a[bc", "regular expression 'a[bc': a class has no end, at byte 4");
    check_refused("[a[^b]]",
                  "regular expression '[a[^b]]': a negated class within a class is not supported, at byte 2");
    check_refused("[a&&b]", "regular expression '[a&&b]': intersections of classes are not supported, at byte 2");
    check_refused("a\\", "regular expression 'a\\': a backslash ends it, at byte 1");
    check_refused("(a", "regular expression '(a': missing closing parenthesis, near byte 2");
}

TEST(regex_gives_up_on_a_hostile_pattern_instead_of_running_for_ever)
{
    fj_err err = { 0 };
    fj_regex *r = NULL;
    fj_matcher *m = fj_matcher_new();
    static const char text[] = "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa!";
    size_t start, end;
    bool is_found;
    CHECK(m);
    CHECK_OK(fj_regex_new(fj_text_of("(?:a+)+$"), &r, &err));
    CHECK(fj_regex_next(r, m, fj_text_of(text), 0, &start, &end, &is_found, &err) == FJ_ERR_DATA);
    CHECK_TEXT(err.message, "the tokenizer's regular expression gives up at byte 0 of 61: match limit exceeded");
    fj_regex_free(r);
    fj_matcher_free(m);
}
