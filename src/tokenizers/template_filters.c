/* SPDX-License-Identifier: Apache-2.0
 * Filters on texts and numbers, and the table of all filters. Those on sequences are in template_sequences.c.
 * Source: Jinja 2, "List of Builtin Filters"; tojson is transformers' (no HTML escapes, any character as it is). */

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tokenizers/template_strings.h"

static bool self_text(tpl_run *run, const tpl_call *c, tpl_text **out)
{
    return fj_tpl_to_text(run, c->self, out);
}

static bool filter_trim(tpl_run *run, const tpl_call *c, tpl_value *out)
{
    tpl_text *s;
    return self_text(run, c, &s) && fj_tpl_strip(run, s, c->arg[0], true, true, out);
}

static bool filter_upper(tpl_run *run, const tpl_call *c, tpl_value *out)
{
    tpl_text *s;
    return self_text(run, c, &s) && fj_tpl_case(run, s, TPL_UPPER, out);
}

static bool filter_lower(tpl_run *run, const tpl_call *c, tpl_value *out)
{
    tpl_text *s;
    return self_text(run, c, &s) && fj_tpl_case(run, s, TPL_LOWER, out);
}

static bool filter_capitalize(tpl_run *run, const tpl_call *c, tpl_value *out)
{
    tpl_text *s;
    return self_text(run, c, &s) && fj_tpl_case(run, s, TPL_CAPITALIZE, out);
}

static bool filter_title(tpl_run *run, const tpl_call *c, tpl_value *out)
{
    tpl_text *s;
    return self_text(run, c, &s) && fj_tpl_case(run, s, TPL_TITLE_WORDS, out);
}

static bool filter_replace(tpl_run *run, const tpl_call *c, tpl_value *out)
{
    tpl_text *s, *old, *new;
    int64_t count = -1;
    (void)fj_tpl_integer(c->arg[2], &count);
    return self_text(run, c, &s) && fj_tpl_to_text(run, c->arg[0], &old) && fj_tpl_to_text(run, c->arg[1], &new) &&
           fj_tpl_replace(run, s, old, new, count, out);
}

static bool filter_string(tpl_run *run, const tpl_call *c, tpl_value *out)
{
    out->kind = TPL_TEXT;
    return self_text(run, c, &out->text);
}

static bool filter_safe(tpl_run *run, const tpl_call *c, tpl_value *out)
{
    return filter_string(run, c, out);
}

static bool filter_escape(tpl_run *run, const tpl_call *c, tpl_value *out)
{
    static const char from[] = "&<>'\"";
    static const char *const to[] = { "&amp;", "&lt;", "&gt;", "&#39;", "&#34;" };
    tpl_text *s;
    tpl_buf b = { 0 };
    if (!self_text(run, c, &s))
        return false;
    for (size_t at = 0; at < s->len; at++) {
        const char *hit = s->data[at] ? strchr(from, s->data[at]) : NULL;
        bool marked = s->marks ? s->marks[at] : s->marked;
        bool ok = hit ? fj_tpl_add(run, &b, to[hit - from], strlen(to[hit - from]), marked)
                      : fj_tpl_add(run, &b, s->data + at, 1, marked);
        if (!ok)
            return false;
    }
    return fj_tpl_done(run, &b, out);
}

/* Jinja: every line but the first is indented, empty ones only with blank. */
static bool filter_indent(tpl_run *run, const tpl_call *c, tpl_value *out)
{
    tpl_text *s, *pad;
    tpl_buf b = { 0 }, spaces = { 0 };
    int64_t width = 4;
    tpl_value v = c->arg[0];
    bool first = fj_tpl_truth(c->arg[1]), blank = fj_tpl_truth(c->arg[2]);
    if (!self_text(run, c, &s))
        return false;
    if (v.kind != TPL_TEXT) {
        (void)fj_tpl_integer(v, &width);
        for (int64_t i = 0; i < width; i++)
            if (!fj_tpl_charge(run, 1) || !fj_tpl_add(run, &spaces, " ", 1, false))
                return false;
        if (!fj_tpl_done(run, &spaces, &v))
            return false;
    }
    pad = v.text;
    for (size_t at = 0, end; at <= s->len; at = end + 1) {
        for (end = at; end < s->len && s->data[end] != '\n'; end++)
            continue;
        bool padded = at == 0 ? first : blank || end > at;
        if (padded && !fj_tpl_add_part(run, &b, pad, 0, pad->len))
            return false;
        if (!fj_tpl_charge(run, 1) || !fj_tpl_add_part(run, &b, s, at, FJ_MIN(end + 1, s->len)))
            return false;
    }
    return fj_tpl_done(run, &b, out);
}

static bool filter_format(tpl_run *run, const tpl_call *c, tpl_value *out)
{
    tpl_text *s;
    tpl_value named;
    if (!self_text(run, c, &s) || !fj_tpl_new_dict(run, &named))
        return false;
    for (size_t i = 0; i < c->all->n_named; i++) {
        tpl_value key;
        if (!fj_tpl_text(run, c->all->names[i], strlen(c->all->names[i]), false, &key) ||
            !fj_tpl_put(run, named.dict, key, c->all->named[i]))
            return false;
    }
    return fj_tpl_percent(run, s, c->all->positional, c->all->n_positional, c->all->n_named ? named.dict : NULL, out);
}

static bool filter_tojson(tpl_run *run, const tpl_call *c, tpl_value *out)
{
    tpl_buf b = { 0 };
    return fj_tpl_add_json(run, &b, c->self, c) && fj_tpl_done(run, &b, out);
}

static bool filter_default(tpl_run *run, const tpl_call *c, tpl_value *out)
{
    bool missing = c->self.kind == TPL_UNDEFINED || (fj_tpl_truth(c->arg[1]) && !fj_tpl_truth(c->self));
    *out = c->self;
    if (!missing)
        return true;
    *out = c->arg[0];
    return c->arg[0].kind != TPL_ABSENT || fj_tpl_text(run, "", 0, false, out);
}

static bool filter_attr(tpl_run *run, const tpl_call *c, tpl_value *out)
{
    char *name;
    if (!fj_tpl_name_of(run, c->arg[0], &name))
        return false;
    if (c->self.kind != TPL_DICT || fj_tpl_method(TPL_DICT, name))
        return fj_tpl_member(run, c->self, name, out);
    *out = fj_tpl_undefined(name, true); /* an attribute, never an item */
    return true;
}

static fj_text stripped(const tpl_text *s)
{
    size_t from = 0, to = s->len;
    while (from < to && strchr(" \t\n\r\f\v", s->data[from]) && s->data[from])
        from++;
    while (to > from && strchr(" \t\n\r\f\v", s->data[to - 1]) && s->data[to - 1])
        to--;
    return (fj_text){ s->data + from, to - from };
}

static bool text_number(tpl_value v, double *out)
{
    if (v.kind != TPL_TEXT)
        return false;
    fj_text s = stripped(v.text);
    if (s.len > 1 && s.data[0] == '+')
        s = (fj_text){ s.data + 1, s.len - 1 };
    return fj_text_f64(s, out);
}

static bool whole_number(double x, tpl_value *out)
{
    if (!(x > -9.2e18 && x < 9.2e18))
        return false;
    *out = fj_tpl_int((int64_t)x);
    return true;
}

/* Python's int(text, base), with an optional sign, prefix and underscores between digits. */
static bool based_number(fj_text s, int64_t base, int64_t *out)
{
    char digits[80];
    size_t n = 0;
    char *end;
    for (size_t i = 0; i < s.len; i++) {
        if (s.data[i] == '_' && i > 0 && i + 1 < s.len)
            continue;
        if (n + 1 >= sizeof digits)
            return false;
        digits[n++] = s.data[i];
    }
    digits[n] = 0;
    size_t prefix = base == 16 ? 'x' : base == 8 ? 'o' : base == 2 ? 'b' : 0;
    if (prefix && n > 2 && digits[0] == '0' && (size_t)(digits[1] | 0x20) == prefix)
        memset(digits, '0', 2);
    if (n == 0 || strchr(" \t\n\r\f\v", digits[0]) || base < 2 || base > 36)
        return false;
    *out = strtoll(digits, &end, (int)base);
    return *end == 0 && *out != INT64_MAX && *out != INT64_MIN;
}

static bool filter_int(tpl_run *run, const tpl_call *c, tpl_value *out)
{
    int64_t i, base = 10;
    double x;
    (void)run;
    (void)fj_tpl_integer(c->arg[1], &base);
    *out = c->arg[0].kind == TPL_ABSENT ? fj_tpl_int(0) : c->arg[0];
    if (fj_tpl_integer(c->self, &i))
        *out = fj_tpl_int(i);
    else if (c->self.kind == TPL_FLOAT)
        (void)whole_number(c->self.real, out);
    else if (c->self.kind == TPL_TEXT && based_number(stripped(c->self.text), base, &i))
        *out = fj_tpl_int(i);
    else if (text_number(c->self, &x))
        (void)whole_number(x, out);
    return true;
}

static bool filter_float(tpl_run *run, const tpl_call *c, tpl_value *out)
{
    double x;
    (void)run;
    *out = c->arg[0].kind == TPL_ABSENT ? fj_tpl_real(0) : c->arg[0];
    if (fj_tpl_number(c->self, &x) || text_number(c->self, &x))
        *out = fj_tpl_real(x);
    return true;
}

static bool need_number(tpl_run *run, const tpl_call *c, const char *filter, double *x)
{
    if (c->self.kind == TPL_UNDEFINED)
        return fj_tpl_fail(run, FJ_ERR_FORMAT, "'%s' is undefined", c->self.name ? c->self.name : "value");
    return fj_tpl_number(c->self, x) ||
           fj_tpl_fail(run, FJ_ERR_FORMAT, "filter '%s' needs a number, got %s", filter, fj_tpl_type(c->self));
}

static bool filter_abs(tpl_run *run, const tpl_call *c, tpl_value *out)
{
    double x;
    int64_t i;
    if (!need_number(run, c, "abs", &x))
        return false;
    if (fj_tpl_integer(c->self, &i))
        return i < 0 ? fj_tpl_arith(run, OP_SUB, fj_tpl_int(0), fj_tpl_int(i), out) : (*out = fj_tpl_int(i), true);
    *out = fj_tpl_real(fabs(x));
    return true;
}

static bool filter_round(tpl_run *run, const tpl_call *c, tpl_value *out)
{
    double x;
    int64_t precision = 0, i;
    char text[400];
    if (!need_number(run, c, "round", &x))
        return false;
    (void)fj_tpl_integer(c->arg[0], &precision);
    precision = precision < -300 ? -300 : precision > 60 ? 60 : precision;
    double unit = pow(10, (double)precision);
    if (fj_tpl_text_is(c->arg[1], "ceil") || fj_tpl_text_is(c->arg[1], "floor")) {
        *out = fj_tpl_real((c->arg[1].text->data[0] == 'c' ? ceil(x * unit) : floor(x * unit)) / unit);
        return true;
    }
    if (c->arg[1].kind != TPL_ABSENT && !fj_tpl_text_is(c->arg[1], "common"))
        return fj_tpl_fail(run, FJ_ERR_FORMAT, "round: method must be common, ceil or floor");
    if (fj_tpl_integer(c->self, &i) && precision >= 0) {
        *out = fj_tpl_int(i); /* as Python's round(int, digits) */
        return true;
    }
    if (precision < 0) {
        *out = fj_tpl_real(nearbyint(x * unit) / unit);
        return true;
    }
    snprintf(text, sizeof text, "%.*f", (int)precision, x);
    *out = fj_tpl_real(isfinite(x) ? strtod(text, NULL) : x);
    return true;
}

static bool filter_length(tpl_run *run, const tpl_call *c, tpl_value *out)
{
    int64_t n;
    if (!fj_tpl_length(run, c->self, &n))
        return false;
    *out = fj_tpl_int(n);
    return true;
}

static bool filter_wordcount(tpl_run *run, const tpl_call *c, tpl_value *out)
{
    tpl_text *s;
    int64_t words = 0;
    bool in = false;
    if (!self_text(run, c, &s) || !fj_tpl_charge(run, s->len / 64))
        return false;
    for (size_t at = 0, n; at < s->len; at += n) {
        bool space = fj_tpl_is_space(s->data, s->len, at, &n);
        words += !space && !in;
        in = !space;
    }
    *out = fj_tpl_int(words);
    return true;
}

static const tpl_builtin filters[] = {
    { "abs", filter_abs, 0, { NULL } },
    { "attr", filter_attr, 1, { "name" } },
    { "capitalize", filter_capitalize, 0, { NULL } },
    { "count", filter_length, 0, { NULL } },
    { "d", filter_default, 0, { "default_value", "boolean" } },
    { "default", filter_default, 0, { "default_value", "boolean" } },
    { "e", filter_escape, 0, { NULL } },
    { "escape", filter_escape, 0, { NULL } },
    { "float", filter_float, 0, { "default" } },
    { "forceescape", filter_escape, 0, { NULL } },
    { "format", filter_format, 0, { NULL }, .variadic = true },
    { "indent", filter_indent, 0, { "width", "first", "blank" } },
    { "int", filter_int, 0, { "default", "base" } },
    { "length", filter_length, 0, { NULL } },
    { "lower", filter_lower, 0, { NULL } },
    { "replace", filter_replace, 2, { "old", "new", "count" } },
    { "round", filter_round, 0, { "precision", "method" } },
    { "safe", filter_safe, 0, { NULL } },
    { "string", filter_string, 0, { NULL } },
    { "title", filter_title, 0, { NULL } },
    { "tojson", filter_tojson, 0, { "ensure_ascii", "indent", "separators", "sort_keys" } },
    { "trim", filter_trim, 0, { "chars" } },
    { "upper", filter_upper, 0, { NULL } },
    { "wordcount", filter_wordcount, 0, { NULL } },
};

const tpl_builtin *fj_tpl_filter(const char *name)
{
    for (size_t i = 0; i < FJ_LEN(filters); i++)
        if (strcmp(filters[i].name, name) == 0)
            return &filters[i];
    return fj_tpl_filter_more(name);
}
