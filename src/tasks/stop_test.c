/* SPDX-License-Identifier: Apache-2.0 */
#include "tasks/stop.h"

#include "tests/test.h"

/* The text in pieces of `step` bytes: what is shown, and whether a stop text ended it. */
static bool shown(const fj_list *texts, const char *text, size_t step, fj_str *out)
{
    fj_stop s = { .texts = texts };
    bool is_stop = false;
    fj_str_clear(out);
    for (size_t at = 0; text[at] && !is_stop; at += step) {
        size_t before = out->len, len = FJ_MIN(step, strlen(text + at));
        is_stop = fj_stop_add(&s, text + at, len, out);
        CHECK(out->len >= before);
        if (strlen(text + at) <= step)
            break;
    }
    if (!is_stop)
        fj_stop_flush(&s, out);
    fj_stop_free(&s);
    return is_stop;
}

TEST(stop_texts_are_found_however_the_text_is_cut)
{
    static const char *words[] = { "", "STOP", "ababc", "\n\n", "\xc3\xb1" };
    const fj_list texts = { words, FJ_LEN(words) };
    static const struct {
        const char *text, *shown;
        bool is_stop;
    } rows[] = {
        { "one STOP two", "one ", true },
        { "one STO", "one STO", false }, /* what was held back comes out */
        { "abababc", "ab", true },       /* a beginning inside a beginning */
        { "ababab", "ababab", false },
        { "line\nline\n\nmore", "line\nline", true },
        { "STSTOP", "ST", true },
        { "a\xc3\xb1"
          "b",
          "a", true },
        { "a\xc3\xb2", "a\xc3\xb2", false },
        { "x", "x", false },
        { "STOPSTOP", "", true },
        { "aba\n\nSTOP", "aba", true }, /* the earliest counts */
    };
    fj_str out = { 0 };
    for (size_t i = 0; i < FJ_LEN(rows); i++)
        for (size_t step = 1; step <= 12; step++) {
            CHECK(shown(&texts, rows[i].text, step, &out) == rows[i].is_stop);
            CHECK_TEXT(out.data ? out.data : "", rows[i].shown);
        }
    fj_str_free(&out);
}

TEST(text_is_held_back_only_while_it_may_begin_a_stop_text)
{
    static const char *words[] = { "END" };
    const fj_list texts = { words, 1 };
    fj_stop s = { .texts = &texts };
    fj_str out = { 0 };
    CHECK(!fj_stop_add(&s, "sE", 2, &out));
    CHECK_TEXT(out.data, "s");
    CHECK(!fj_stop_add(&s, "N", 1, &out));
    CHECK_TEXT(out.data, "s");
    CHECK(!fj_stop_add(&s, "E", 1, &out));
    CHECK_TEXT(out.data, "sEN");
    CHECK(!fj_stop_add(&s, "", 0, &out));
    CHECK(fj_stop_add(&s, "ND rest", 7, &out));
    CHECK_TEXT(out.data, "sEN");
    CHECK(!fj_stop_add(&s, "on", 2, &out)); /* what came behind it is lost, what comes later is not */
    CHECK_TEXT(out.data, "sENon");
    fj_stop_free(&s);
    fj_stop none = { 0 };
    CHECK(!fj_stop_add(&none, "all", 3, &out));
    CHECK_TEXT(out.data, "sENonall");
    fj_stop_free(&none);
    fj_str_free(&out);
}

static int ends_of(const char *generation, const char *config, int32_t *out)
{
    fj_err err = { 0 };
    fj_bundle b = { 0 };
    if (generation)
        CHECK_OK(fj_json_parse(generation, strlen(generation), "generation", false, &b.generation, &err));
    if (config)
        CHECK_OK(fj_json_parse(config, strlen(config), "config", false, &b.config, &err));
    int n = fj_end_ids(&b, out);
    fj_json_free(b.generation);
    fj_json_free(b.config);
    return n;
}

TEST(ends_of_an_answer_come_from_both_files_without_doubles)
{
    int32_t ids[FJ_MOST_ENDS];
    CHECK(ends_of(NULL, NULL, ids) == 0);
    CHECK(ends_of("{\"eos_token_id\": [7, 9]}", "{\"eos_token_id\": 7}", ids) == 2);
    CHECK(fj_is_end(ids, 2, 7) && fj_is_end(ids, 2, 9) && !fj_is_end(ids, 2, 8));
    CHECK(ends_of("{\"eos_token_id\": null}", "{\"eos_token_id\": [3, 3, -1, \"x\", 4294967296]}", ids) == 1 &&
          ids[0] == 3);
}
