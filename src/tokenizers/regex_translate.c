/* SPDX-License-Identifier: Apache-2.0
 * Oniguruma's dialect (Ruby's syntax, which Hugging Face tokenizers compile with) as PCRE2's. Source: Oniguruma, doc/RE and
 * doc/SYNTAX.md. What differs and occurs in tokenizers:
 *   [a[bc]]    a class may hold classes (BLOOM); flattened here
 *   \s         White_Space; PCRE2's also takes U+180E
 *   \w         letters, marks, digits, letters among numbers and symbols, connectors; PCRE2's takes no marks, but all numbers
 *   \h \uHHHH  a hexadecimal digit; a code point */
#include <string.h>

#include "tokenizers/regex.h"

#define SPACES "\\t-\\r\\x{85}\\p{Z}"
#define WORDS                                                                                                       \
    "\\p{L}\\p{M}\\p{Nd}\\p{Nl}\\p{Pc}\\x{B2}\\x{B3}\\x{B9}\\x{BC}-\\x{BE}\\x{24B6}-\\x{24E9}\\x{1F130}-\\x{1F149}" \
    "\\x{1F150}-\\x{1F169}"                                                                                         \
    "\\x{1F170}-\\x{1F189}"

typedef struct reader {
    fj_text in;
    size_t at;
    fj_str *out;
    fj_err *err;
} reader;

static fj_status fail(const reader *r, const char *what)
{
    return fj_fail(r->err, FJ_ERR_FORMAT, "regular expression '%.*s': %s, at byte %zu", (int)FJ_MIN(r->in.len, 200),
                   r->in.data, what, r->at);
}

static bool next_is(const reader *r, const char *text)
{
    size_t n = strlen(text);
    return r->in.len - r->at >= n && !memcmp(r->in.data + r->at, text, n);
}

static void copy(reader *r, size_t n)
{
    n = FJ_MIN(n, r->in.len - r->at);
    fj_str_add(r->out, r->in.data + r->at, n);
    r->at += n;
}

/* \uHHHH as \x{HHHH}. */
static void code_point(reader *r)
{
    r->at += 2;
    fj_str_add_text(r->out, "\\x{");
    copy(r, 4);
    fj_str_add_char(r->out, '}');
}

/* A backslash and what it takes with it. */
static fj_status escape(reader *r, bool in_class)
{
    static const struct {
        const char *from, *inside, *outside;
    } rows[] = { { "\\s", SPACES, "[" SPACES "]" },     { "\\S", NULL, "[^" SPACES "]" },
                 { "\\w", WORDS, "[" WORDS "]" },       { "\\W", NULL, "[^" WORDS "]" },
                 { "\\h", "0-9a-fA-F", "[0-9a-fA-F]" }, { "\\H", NULL, "[^0-9a-fA-F]" } };
    for (size_t i = 0; i < FJ_LEN(rows); i++) {
        const char *to = in_class ? rows[i].inside : rows[i].outside;
        if (to && next_is(r, rows[i].from)) {
            fj_str_add_text(r->out, to);
            r->at += 2;
            return FJ_OK;
        }
    }
    if (r->at + 1 >= r->in.len)
        return fail(r, "a backslash ends it");
    if (next_is(r, "\\u") && r->in.len - r->at >= 6)
        code_point(r);
    else
        copy(r, 2);
    return FJ_OK;
}

/* From behind the '[' of a class to behind its ']'. Nested positive classes are unions: their members are written in place. */
static fj_status class_members(reader *r)
{
    int depth = 1;
    bool is_first = true;
    while (r->at < r->in.len) {
        char c = r->in.data[r->at];
        fj_status st = FJ_OK;
        if (next_is(r, "[:")) {
            const char *end = memchr(r->in.data + r->at, ']', r->in.len - r->at);
            copy(r, end ? (size_t)(end - r->in.data) + 1 - r->at : 2);
        } else if (next_is(r, "[^")) {
            return fail(r, "a negated class within a class is not supported");
        } else if (next_is(r, "&&")) {
            return fail(r, "intersections of classes are not supported");
        } else if (c == '[') {
            depth++;
            r->at++;
        } else if (c == ']' && !is_first) {
            r->at++;
            if (--depth == 0) {
                fj_str_add_char(r->out, ']');
                return FJ_OK;
            }
        } else if (c == ']') {
            fj_str_add_text(r->out, "\\]");
            r->at++;
        } else if (c == '\\') {
            st = escape(r, true);
        } else {
            copy(r, 1);
        }
        if (st)
            return st;
        is_first = false;
    }
    return fail(r, "a class has no end");
}

fj_status fj_regex_translate(fj_text pattern, fj_str *out, fj_err *err)
{
    reader r = { .in = pattern, .out = out, .err = err };
    fj_status st = FJ_OK;
    while (!st && r.at < pattern.len) {
        char c = pattern.data[r.at];
        if (c == '\\') {
            st = escape(&r, false);
        } else if (c == '[') {
            copy(&r, next_is(&r, "[^") ? 2 : 1);
            st = class_members(&r);
        } else {
            copy(&r, 1);
        }
    }
    if (!st && out->failed)
        st = fj_fail(err, FJ_ERR_MEMORY, "no memory for a regular expression");
    return st;
}
