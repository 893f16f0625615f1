/* SPDX-License-Identifier: Apache-2.0 */

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/map.h"
#include "base/str.h"
#include "tests/test.h"
#include "tokenizers/template.h"

static fj_json *parse_json(const char *text)
{
    fj_err err = { 0 };
    fj_json *out = NULL;
    CHECK_OK(fj_json_parse(text, strlen(text), "test", false, &out, &err));
    return out;
}

/* Renders a template over messages given as JSON; the text or the error's message, owned by the caller. */
static char *render(const char *text, const char *messages, const char *extra, fj_rendering *keep)
{
    fj_err err = { 0 };
    fj_template *t = NULL;
    fj_rendering r = { 0 };
    fj_json *m = messages ? parse_json(messages) : NULL, *x = extra ? parse_json(extra) : NULL;
    fj_template_input input = { .messages = m, .extra = x, .bos_token = "<s>", .eos_token = "</s>", .now = 1722470400 };
    fj_status st = fj_template_parse(text, strlen(text), &t, &err);
    if (!st)
        st = fj_template_render(t, &input, &r, &err);
    char *out = strdup(st ? err.message : r.text.data ? r.text.data : "");
    fj_template_free(t);
    fj_json_free(m);
    fj_json_free(x);
    if (keep)
        *keep = r;
    else
        fj_rendering_free(&r);
    return out;
}

static void check_render(const char *text, const char *messages, const char *extra, const char *wanted)
{
    char *got = render(text, messages, extra, NULL);
    CHECK_TEXT(got, wanted);
    free(got);
}

/* Says what differs; true when a case gives what Jinja gave (an error where Jinja has one). */
static bool case_agrees(const fj_json *c, const fj_json *families, int64_t now)
{
    fj_err err = { 0 };
    fj_template *t = NULL;
    fj_rendering r = { 0 };
    const char *family = fj_json_string(fj_json_get(c, "family"), NULL);
    fj_text text = fj_json_text(family ? fj_json_get(families, family) : fj_json_get(c, "template"));
    fj_json *want = fj_json_get(c, "want"), *refused = fj_json_get(c, "refused");
    fj_template_input input = { .messages = fj_json_get(c, "messages"),
                                .extra = fj_json_get(c, "extra"),
                                .bos_token = "<s>",
                                .eos_token = "</s>",
                                .add_generation_prompt = fj_json_bool(fj_json_get(c, "add_generation_prompt"), false),
                                .now = now };
    fj_status st = fj_template_parse(text.data, text.len, &t, &err);
    if (!st)
        st = fj_template_render(t, &input, &r, &err);
    bool ok = want ? !st : st != FJ_OK;
    const char *got = st ? err.message : r.text.data ? r.text.data : "";
    const char *wanted = fj_json_string(want ? want : refused, "(an error)");
    if (ok && want)
        ok = fj_json_text(want).len == r.text.len && memcmp(got, fj_json_text(want).data, r.text.len) == 0;
    if (ok && refused)
        ok = st == FJ_ERR_DATA && strstr(got, wanted) != NULL;
    if (ok && !want && !refused)
        ok = st == FJ_ERR_FORMAT || st == FJ_ERR_FAILED;
    if (!ok)
        print_error("%s: %.*s\n    got: %s\n wanted: %s\n", fj_json_string(fj_json_get(c, "name"), "?"),
                    family ? 0 : (int)text.len, text.data, got, wanted);
    fj_template_free(t);
    fj_rendering_free(&r);
    return ok;
}

TEST(template_renders_what_jinja_renders)
{
    fj_err err = { 0 };
    fj_str file = { 0 };
    fj_json *head = NULL;
    int n = 0, failed = 0;
    CHECK_OK(fj_file_read(test_golden("templates/cases.jsonl"), 8 << 20, &file, &err));
    for (char *line = file.data, *end; line && *line; line = end + 1, n++) {
        fj_json *c = NULL;
        end = strchr(line, '\n');
        CHECK(end != NULL);
        CHECK_OK(fj_json_parse(line, (size_t)(end - line), "case", false, &c, &err));
        if (!head) {
            head = c;
            continue;
        }
        failed += !case_agrees(c, fj_json_get(head, "families"), fj_json_int(fj_json_get(head, "now"), 0));
        fj_json_free(c);
    }
    fj_json_free(head);
    fj_str_free(&file);
    CHECK(n > 300);
    assert_int_equal(failed, 0);
}

static bool spans_cover(const fj_rendering *r)
{
    size_t at = 0;
    for (size_t i = 0; i < r->n_spans; i++) {
        if (r->spans[i].start != at || r->spans[i].len == 0)
            return false;
        at += r->spans[i].len;
    }
    return at == r->text.len;
}

/* The text with message text between ‹ ›, so that origins can be compared as text. */
static char *show_origin(const char *text, const char *messages, const char *extra)
{
    fj_rendering r = { 0 };
    fj_str out = { 0 };
    bool open = false;
    free(render(text, messages, extra, &r));
    CHECK(spans_cover(&r));
    for (size_t i = 0; i < r.n_spans; i++) {
        if (r.spans[i].from_message != open)
            fj_str_add_char(&out, open ? '>' : '<');
        open = r.spans[i].from_message;
        fj_str_add(&out, r.text.data + r.spans[i].start, r.spans[i].len);
    }
    if (open)
        fj_str_add_char(&out, '>');
    fj_rendering_free(&r);
    return out.data;
}

static void check_origin(const char *text, const char *messages, const char *wanted)
{
    char *got = show_origin(text, messages, "{\"tool\":{\"name\":\"t1\"}}");
    CHECK_TEXT(got, wanted);
    free(got);
}

TEST(template_marks_what_came_from_messages_through_every_operation)
{
    const char *m = "[{\"role\":\"user\",\"content\":\" Hi you \"},{\"role\":\"assistant\",\"content\":\"B\"}]";
    check_origin("a{{ messages[0].content }}b", m, "a< Hi you >b");
    check_origin("{{ 'x' + messages[0].content | trim + 'y' }}", m, "x<Hi you>y");
    check_origin("{{ ('x' ~ messages[0].content ~ 'y') | upper }}", m, "X< HI YOU >Y");
    check_origin("{{ ('abc' + messages[0].content + 'def')[2:6] }}", m, "c< Hi>");
    check_origin("{{ ['a', messages[1].content, 'c'] | join('-') }}", m, "a-<B>-c");
    check_origin("{{ 'x %s y' % messages[1].content }}", m, "x <B> y");
    check_origin("{{ 'aXb'.replace('X', messages[1].content) }}", m, "a<B>b");
    check_origin("{{ messages[0].content.split()[1] ~ '!' }}", m, "<you>!");
    check_origin("{% set t %}[{{ messages[1].content }}]{% endset %}{{ t }}", m, "[<B>]");
    check_origin("{% macro f(x) %}({{ x }}){% endmacro %}{{ f(messages[1].content) }}", m, "(<B>)");
    check_origin("{% filter lower %}Q{{ messages[1].content }}{% endfilter %}", m, "q<b>");
    check_origin("{{ {'k': messages[1].content} | tojson }}", m, "{\"k\": \"<B>\"}");
    check_origin("{{ tool.name }}|{{ tool | tojson }}", m, "<t1>|{\"<name>\": \"<t1>\"}");
    check_origin("{% for c in messages[1].content %}.{{ c }}{% endfor %}", m, ".<B>");
    check_origin("{{ '<s>' }}", m, "<s>");
}

TEST(template_takes_the_usual_roles_as_its_own_words_and_no_others)
{
    check_origin("{{ '|' + messages[0].role + '|' + messages[1].role + '|' }}",
                 "[{\"role\":\"user\",\"content\":\"\"},{\"role\":\"im_end\",\"content\":\"\"}]", "|user|<im_end>|");
}

TEST(template_tells_which_message_a_text_was_written_for)
{
    fj_rendering r = { 0 };
    free(render("A{% for m in messages[1:] %}[{{ m.content }}]{% for c in [1] %}{{ c }}{% endfor %}{% endfor %}Z",
                "[{\"role\":\"system\",\"content\":\"s\"},{\"role\":\"user\",\"content\":\"u\"},{\"role\":\"x\","
                "\"content\":\"a\"}]",
                NULL, &r));
    CHECK_TEXT(r.text.data, "A[u]1[a]1Z");
    static const int wanted[] = { -1, 1, 1, 1, 1, 2, 2, 2, 2, -1 };
    for (size_t i = 0; i < r.n_spans; i++)
        for (size_t k = 0; k < r.spans[i].len; k++)
            assert_int_equal(r.spans[i].message, wanted[r.spans[i].start + k]);
    fj_rendering_free(&r);
}

TEST(template_errors_name_the_line)
{
    check_render("a\n{{ x.y }}", "[]", NULL, "chat template, line 2: 'x' is undefined");
    check_render("{% for i in [1] %}\n\n{{ i.a.b }}{% endfor %}", "[]", NULL,
                 "chat template, line 3: there is no member 'a'");
    check_render("\n\n{% if x %}", "[]", NULL, "chat template, line 3: the template ends, but 'endif' is missing");
    check_render("{{ 'abc' | nope }}", "[]", NULL, "chat template, line 1: there is no filter 'nope'");
    check_render("{{ raise_exception('no ' + messages[0].role) }}", "[{\"role\":\"cats\"}]", NULL,
                 "the chat template refuses this conversation: no cats");
    check_render("x", "[1]", NULL, "chat template, line 1: message 1 is not an object");
    check_render("x", "{}", NULL, "chat template, line 1: messages are not a list");
}

TEST(template_stops_at_its_limits)
{
    check_render("{% for i in range(2000) %}{% for j in range(2000) %}{% endfor %}{% endfor %}", "[]", NULL,
                 "chat template, line 1: more than 2000000 steps");
    check_render(
        "{% set ns = namespace(s='0123456789') %}{% for i in range(60) %}{% set ns.s = ns.s + ns.s %}{% endfor %}",
        "[]", NULL, "chat template, line 1: a text of more than 67108864 bytes");
    check_render("{% macro f() %}{{ f() }}{% endmacro %}{{ f() }}", "[]", NULL,
                 "chat template, line 1: nested more than 1200 deep");
    check_render("{% set l = [] %}{% for i in range(9) %}{% set _ = l.append(l) %}{% endfor %}{{ l == [l] }}{{ l }}",
                 "[]", NULL, "chat template, line 1: a value nested too deep to print");
    check_render("{{ 9223372036854775807 + 1 }}", "[]", NULL, "chat template, line 1: an integer does not fit 64 bits");
    check_render("{{ 'a' * 999999999999 }}", "[]", NULL, "chat template, line 1: more than 2000000 steps");

    char deep[1000];
    memset(deep, '(', 499);
    memset(deep + 499, ')', 497);
    memcpy(deep, "{{", 2);
    memcpy(deep + 996, "}}", 3);
    check_render(deep, "[]", NULL, "chat template, line 1: nested more than 120 deep");
}

TEST(template_without_an_end_of_text_token_prints_nothing_for_it)
{
    fj_err err = { 0 };
    fj_template *t = NULL;
    fj_rendering r = { 0 };
    fj_template_input input = { 0 };
    CHECK_OK(fj_template_parse("[{{ eos_token }}]{{ messages | length }}", 40, &t, &err));
    CHECK_OK(fj_template_render(t, &input, &r, &err));
    CHECK_TEXT(r.text.data, "[]0");
    fj_rendering_free(&r);
    fj_template_free(t);
}
