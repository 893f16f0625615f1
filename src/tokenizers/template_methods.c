/* SPDX-License-Identifier: Apache-2.0
 * Methods of texts, lists, dicts and loops, as Python has them. */

#include <string.h>

#include "base/utf8.h"
#include "tokenizers/template_strings.h"

/* ---- texts -------------------------------------------------------------------------------------------------------- */

static bool text_strip(tpl_run *run, const tpl_call *c, tpl_value *out)
{
    return fj_tpl_strip(run, c->self.text, c->arg[0], true, true, out);
}

static bool text_lstrip(tpl_run *run, const tpl_call *c, tpl_value *out)
{
    return fj_tpl_strip(run, c->self.text, c->arg[0], true, false, out);
}

static bool text_rstrip(tpl_run *run, const tpl_call *c, tpl_value *out)
{
    return fj_tpl_strip(run, c->self.text, c->arg[0], false, true, out);
}

static bool need_text(tpl_run *run, tpl_value v, const char *method)
{
    return v.kind == TPL_TEXT || fj_tpl_fail(run, FJ_ERR_FORMAT, "%s: expected a text, got %s", method, fj_tpl_type(v));
}

static bool split(tpl_run *run, const tpl_call *c, bool from_right, tpl_value *out)
{
    int64_t most = -1;
    (void)fj_tpl_integer(c->arg[1], &most);
    bool has_separator = c->arg[0].kind != TPL_ABSENT && c->arg[0].kind != TPL_NONE;
    if (has_separator && !need_text(run, c->arg[0], "split"))
        return false;
    return fj_tpl_split(run, c->self.text, has_separator ? c->arg[0].text : NULL, most, from_right, out);
}

static bool text_split(tpl_run *run, const tpl_call *c, tpl_value *out)
{
    return split(run, c, false, out);
}

static bool text_rsplit(tpl_run *run, const tpl_call *c, tpl_value *out)
{
    return split(run, c, true, out);
}

static bool text_splitlines(tpl_run *run, const tpl_call *c, tpl_value *out)
{
    const tpl_text *s = c->self.text;
    bool keep = fj_tpl_truth(c->arg[0]);
    if (!fj_tpl_new_list(run, 0, out))
        return false;
    for (size_t at = 0, end, next; at < s->len; at = next) {
        tpl_value line;
        for (end = at; end < s->len && s->data[end] != '\n' && s->data[end] != '\r'; end++)
            continue;
        next = end + (end < s->len) + (end + 1 < s->len && s->data[end] == '\r' && s->data[end + 1] == '\n');
        if (!fj_tpl_part(run, s, at, keep ? next : end, &line) || !fj_tpl_append(run, out->list, line))
            return false;
    }
    return true;
}

static bool has_end(const tpl_text *s, const tpl_text *what, bool at_start)
{
    return what->len <= s->len && memcmp(s->data + (at_start ? 0 : s->len - what->len), what->data, what->len) == 0;
}

static bool ends(tpl_run *run, const tpl_call *c, bool at_start, tpl_value *out)
{
    tpl_value what = c->arg[0];
    *out = fj_tpl_bool(false);
    if (what.kind == TPL_TUPLE) { /* any of several */
        for (size_t i = 0; i < what.list->n; i++) {
            if (!need_text(run, what.list->items[i], "startswith"))
                return false;
            out->boolean |= has_end(c->self.text, what.list->items[i].text, at_start);
        }
        return true;
    }
    if (!need_text(run, what, at_start ? "startswith" : "endswith"))
        return false;
    out->boolean = has_end(c->self.text, what.text, at_start);
    return true;
}

static bool text_startswith(tpl_run *run, const tpl_call *c, tpl_value *out)
{
    return ends(run, c, true, out);
}

static bool text_endswith(tpl_run *run, const tpl_call *c, tpl_value *out)
{
    return ends(run, c, false, out);
}

static bool text_removeprefix(tpl_run *run, const tpl_call *c, tpl_value *out)
{
    const tpl_text *s = c->self.text;
    if (!need_text(run, c->arg[0], "removeprefix"))
        return false;
    return fj_tpl_part(run, s, has_end(s, c->arg[0].text, true) ? c->arg[0].text->len : 0, s->len, out);
}

static bool text_removesuffix(tpl_run *run, const tpl_call *c, tpl_value *out)
{
    const tpl_text *s = c->self.text;
    if (!need_text(run, c->arg[0], "removesuffix"))
        return false;
    return fj_tpl_part(run, s, 0, has_end(s, c->arg[0].text, false) ? s->len - c->arg[0].text->len : s->len, out);
}

static bool text_upper(tpl_run *run, const tpl_call *c, tpl_value *out)
{
    return fj_tpl_case(run, c->self.text, TPL_UPPER, out);
}

static bool text_lower(tpl_run *run, const tpl_call *c, tpl_value *out)
{
    return fj_tpl_case(run, c->self.text, TPL_LOWER, out);
}

static bool text_title(tpl_run *run, const tpl_call *c, tpl_value *out)
{
    return fj_tpl_case(run, c->self.text, TPL_TITLE, out);
}

static bool text_capitalize(tpl_run *run, const tpl_call *c, tpl_value *out)
{
    return fj_tpl_case(run, c->self.text, TPL_CAPITALIZE, out);
}

static bool text_replace(tpl_run *run, const tpl_call *c, tpl_value *out)
{
    int64_t count = -1;
    (void)fj_tpl_integer(c->arg[2], &count);
    return need_text(run, c->arg[0], "replace") && need_text(run, c->arg[1], "replace") &&
           fj_tpl_replace(run, c->self.text, c->arg[0].text, c->arg[1].text, count, out);
}

static int64_t chars_before(const tpl_text *s, size_t to)
{
    tpl_text head = { .data = s->data, .len = to, .n_chars = -1 };
    return fj_tpl_chars(&head);
}

static bool find(tpl_run *run, const tpl_call *c, bool last, bool must, tpl_value *out)
{
    tpl_text *s = c->self.text;
    if (!need_text(run, c->arg[0], "find") || !fj_tpl_charge(run, s->len / 64))
        return false;
    size_t hit = last ? fj_tpl_search_last(s, s->len, c->arg[0].text) : fj_tpl_search(s, 0, c->arg[0].text);
    if (hit == SIZE_MAX && must)
        return fj_tpl_fail(run, FJ_ERR_FORMAT, "substring not found");
    *out = fj_tpl_int(hit == SIZE_MAX ? -1 : chars_before(s, hit));
    return true;
}

static bool text_find(tpl_run *run, const tpl_call *c, tpl_value *out)
{
    return find(run, c, false, false, out);
}

static bool text_rfind(tpl_run *run, const tpl_call *c, tpl_value *out)
{
    return find(run, c, true, false, out);
}

static bool text_index(tpl_run *run, const tpl_call *c, tpl_value *out)
{
    return find(run, c, false, true, out);
}

static bool text_count(tpl_run *run, const tpl_call *c, tpl_value *out)
{
    tpl_text *s = c->self.text;
    int64_t n = 0;
    if (!need_text(run, c->arg[0], "count") || !fj_tpl_charge(run, s->len / 64))
        return false;
    size_t step = c->arg[0].text->len;
    if (step == 0) {
        *out = fj_tpl_int(fj_tpl_chars(s) + 1);
        return true;
    }
    for (size_t at = fj_tpl_search(s, 0, c->arg[0].text); at != SIZE_MAX;
         at = fj_tpl_search(s, at + step, c->arg[0].text))
        n++;
    *out = fj_tpl_int(n);
    return true;
}

static bool text_join(tpl_run *run, const tpl_call *c, tpl_value *out)
{
    tpl_list *items;
    tpl_buf b = { 0 };
    if (!fj_tpl_iterate(run, c->arg[0], &items))
        return false;
    for (size_t i = 0; i < items->n; i++) {
        if (!need_text(run, items->items[i], "join") || !fj_tpl_charge(run, 1))
            return false;
        if ((i > 0 && !fj_tpl_add_value(run, &b, c->self)) || !fj_tpl_add_value(run, &b, items->items[i]))
            return false;
    }
    return fj_tpl_done(run, &b, out);
}

/* All characters of one kind, and at least one. categories: two letters each, ended by NUL; NULL: white space. */
static bool all_of(tpl_run *run, const tpl_text *s, const char *categories, tpl_value *out)
{
    *out = fj_tpl_bool(s->len > 0);
    for (size_t at = 0, n, space; at < s->len && out->boolean; at += n) {
        uint32_t code = 0;
        n = fj_tpl_char_at(s, at);
        if (!categories) {
            out->boolean = fj_tpl_is_space(s->data, s->len, at, &space);
            continue;
        }
        const char *category = fj_utf8_get(s->data + at, s->len - at, &code) ? fj_unicode_category(code) : "Cn";
        bool found = false;
        for (const char *k = categories; *k; k += 2)
            found |= k[0] == category[0] && (k[1] == category[1] || k[1] == '*');
        out->boolean = found;
    }
    return fj_tpl_charge(run, s->len / 32);
}

static bool text_isdigit(tpl_run *run, const tpl_call *c, tpl_value *out)
{
    return all_of(run, c->self.text, "Nd", out);
}

static bool text_isalpha(tpl_run *run, const tpl_call *c, tpl_value *out)
{
    return all_of(run, c->self.text, "L*", out);
}

static bool text_isalnum(tpl_run *run, const tpl_call *c, tpl_value *out)
{
    return all_of(run, c->self.text, "L*N*", out);
}

static bool text_isspace(tpl_run *run, const tpl_call *c, tpl_value *out)
{
    return all_of(run, c->self.text, NULL, out);
}

static bool text_isupper(tpl_run *run, const tpl_call *c, tpl_value *out)
{
    return fj_tpl_call_builtin(run, fj_tpl_test("upper"), "test", c->self, c->all, out);
}

static bool text_islower(tpl_run *run, const tpl_call *c, tpl_value *out)
{
    return fj_tpl_call_builtin(run, fj_tpl_test("lower"), "test", c->self, c->all, out);
}

static bool partition(tpl_run *run, const tpl_call *c, bool last, tpl_value *out)
{
    const tpl_text *s = c->self.text;
    if (!need_text(run, c->arg[0], "partition") || !fj_tpl_new_list(run, 3, out))
        return false;
    if (c->arg[0].text->len == 0)
        return fj_tpl_fail(run, FJ_ERR_FORMAT, "partition: empty separator");
    size_t hit = last ? fj_tpl_search_last(s, s->len, c->arg[0].text) : fj_tpl_search(s, 0, c->arg[0].text);
    size_t cut = hit == SIZE_MAX ? (last ? 0 : s->len) : hit,
           behind = hit == SIZE_MAX ? cut : hit + c->arg[0].text->len;
    size_t borders[] = { 0, cut, behind, s->len };
    for (int i = 0; i < 3; i++) {
        tpl_value part;
        if (!fj_tpl_part(run, s, borders[i], borders[i + 1], &part) || !fj_tpl_append(run, out->list, part))
            return false;
    }
    out->kind = TPL_TUPLE;
    return true;
}

static bool text_partition(tpl_run *run, const tpl_call *c, tpl_value *out)
{
    return partition(run, c, false, out);
}

static bool text_rpartition(tpl_run *run, const tpl_call *c, tpl_value *out)
{
    return partition(run, c, true, out);
}

static bool pad(tpl_run *run, const tpl_call *c, int where, char fill, tpl_value *out)
{
    int64_t width = 0, n = fj_tpl_chars(c->self.text);
    tpl_buf b = { 0 };
    if (!fj_tpl_integer(c->arg[0], &width))
        return fj_tpl_fail(run, FJ_ERR_FORMAT, "expected a width");
    int64_t missing = width > n ? width - n : 0, before = where < 0   ? 0
                                                          : where > 0 ? missing
                                                                      : missing / 2 + (missing & width & 1);
    for (int64_t i = 0; i < before; i++)
        if (!fj_tpl_charge(run, 1) || !fj_tpl_add(run, &b, &fill, 1, false))
            return false;
    if (!fj_tpl_add_value(run, &b, c->self))
        return false;
    for (int64_t i = before; i < missing; i++)
        if (!fj_tpl_charge(run, 1) || !fj_tpl_add(run, &b, &fill, 1, false))
            return false;
    return fj_tpl_done(run, &b, out);
}

static bool text_ljust(tpl_run *run, const tpl_call *c, tpl_value *out)
{
    return pad(run, c, -1, ' ', out);
}

static bool text_rjust(tpl_run *run, const tpl_call *c, tpl_value *out)
{
    return pad(run, c, 1, ' ', out);
}

static bool text_center(tpl_run *run, const tpl_call *c, tpl_value *out)
{
    return pad(run, c, 0, ' ', out);
}

static bool text_zfill(tpl_run *run, const tpl_call *c, tpl_value *out)
{
    return pad(run, c, 1, '0', out);
}

/* "{} {0} {name}" without conversions or format specifications. */
static bool format_field(tpl_run *run, const tpl_call *c, const char *name, size_t len, size_t *next, tpl_value *out)
{
    int64_t n;
    fj_text field = { name, len };
    for (size_t i = 0; i < c->all->n_named; i++)
        if (fj_text_is(field, c->all->names[i])) {
            *out = c->all->named[i];
            return true;
        }
    if (len == 0)
        n = (int64_t)(*next)++;
    else if (!fj_text_i64(field, &n))
        return fj_tpl_fail(run, FJ_ERR_FORMAT, "format: no argument '%.*s'", (int)FJ_MIN(len, (size_t)40), name);
    if (n < 0 || (size_t)n >= c->all->n_positional)
        return fj_tpl_fail(run, FJ_ERR_FORMAT, "format: not enough arguments");
    *out = c->all->positional[n];
    return true;
}

static bool text_format(tpl_run *run, const tpl_call *c, tpl_value *out)
{
    const tpl_text *s = c->self.text;
    tpl_buf b = { 0 };
    size_t next = 0;
    for (size_t at = 0; at < s->len; at++) {
        char ch = s->data[at];
        if ((ch == '{' || ch == '}') && at + 1 < s->len && s->data[at + 1] == ch)
            at++;
        else if (ch == '{') {
            const char *close = memchr(s->data + at, '}', s->len - at);
            tpl_value v;
            if (!close)
                return fj_tpl_fail(run, FJ_ERR_FORMAT, "format: '{' without '}'");
            size_t len = (size_t)(close - s->data) - at - 1;
            if (!format_field(run, c, s->data + at + 1, len, &next, &v) || !fj_tpl_add_value(run, &b, v))
                return false;
            at += len + 1;
            continue;
        } else if (ch == '}') {
            return fj_tpl_fail(run, FJ_ERR_FORMAT, "format: '}' without '{'");
        }
        if (!fj_tpl_add_part(run, &b, s, at, at + 1))
            return false;
    }
    return fj_tpl_done(run, &b, out);
}

static const tpl_builtin text_methods[] = {
    { "capitalize", text_capitalize, 0, { NULL } },
    { "center", text_center, 1, { "width" } },
    { "count", text_count, 1, { "sub" } },
    { "endswith", text_endswith, 1, { "suffix" } },
    { "find", text_find, 1, { "sub" } },
    { "format", text_format, 0, { NULL }, .variadic = true },
    { "index", text_index, 1, { "sub" } },
    { "isalnum", text_isalnum, 0, { NULL } },
    { "isalpha", text_isalpha, 0, { NULL } },
    { "isdigit", text_isdigit, 0, { NULL } },
    { "islower", text_islower, 0, { NULL } },
    { "isnumeric", text_isdigit, 0, { NULL } },
    { "isspace", text_isspace, 0, { NULL } },
    { "isupper", text_isupper, 0, { NULL } },
    { "join", text_join, 1, { "iterable" } },
    { "ljust", text_ljust, 1, { "width" } },
    { "lower", text_lower, 0, { NULL } },
    { "lstrip", text_lstrip, 0, { "chars" } },
    { "partition", text_partition, 1, { "sep" } },
    { "removeprefix", text_removeprefix, 1, { "prefix" } },
    { "removesuffix", text_removesuffix, 1, { "suffix" } },
    { "replace", text_replace, 2, { "old", "new", "count" } },
    { "rfind", text_rfind, 1, { "sub" } },
    { "rjust", text_rjust, 1, { "width" } },
    { "rpartition", text_rpartition, 1, { "sep" } },
    { "rsplit", text_rsplit, 0, { "sep", "maxsplit" } },
    { "rstrip", text_rstrip, 0, { "chars" } },
    { "split", text_split, 0, { "sep", "maxsplit" } },
    { "splitlines", text_splitlines, 0, { "keepends" } },
    { "startswith", text_startswith, 1, { "prefix" } },
    { "strip", text_strip, 0, { "chars" } },
    { "title", text_title, 0, { NULL } },
    { "upper", text_upper, 0, { NULL } },
    { "zfill", text_zfill, 1, { "width" } },
};

/* The tables of the other kinds are in template_objects.c, with the functions that make such objects. */
const tpl_builtin *fj_tpl_method(tpl_kind kind, const char *name)
{
    if (kind != TPL_TEXT)
        return fj_tpl_object_method(kind, name);
    for (size_t i = 0; i < FJ_LEN(text_methods); i++)
        if (strcmp(text_methods[i].name, name) == 0)
            return &text_methods[i];
    return NULL;
}
