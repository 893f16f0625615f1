/* SPDX-License-Identifier: Apache-2.0
 * See json_internal.h. One walk; what stays as it is is copied in long stretches, and only once something was changed. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/err.h"
#include "base/json_internal.h"

enum { MAX_NUMBER = 4096 }; /* digits; a longer number is left to the parser, which refuses it where it does not fit */
#define LARGEST "1.7976931348623157e308"

typedef struct walk {
    const char *p, *end;
    const char *kept; /* from here to p nothing was copied yet */
    bool strict_integers;
    fj_str *out;
} walk;

/* The text from `from` to `to` becomes `with`. */
static void replace(walk *w, const char *from, const char *to, const char *with)
{
    fj_str_add(w->out, w->kept, (size_t)(from - w->kept));
    fj_str_add_text(w->out, with);
    w->kept = to;
}

static int hex4(const char *p, const char *end)
{
    int value = 0;
    if (end - p < 4)
        return -1;
    for (int i = 0; i < 4; i++) {
        char c = p[i];
        int digit = c >= '0' && c <= '9' ? c - '0' : (c | 32) >= 'a' && (c | 32) <= 'f' ? (c | 32) - 'a' + 10 : -1;
        if (digit < 0)
            return -1;
        value = value * 16 + digit;
    }
    return value;
}

static bool is_high(int unit)
{
    return unit >= 0xd800 && unit < 0xdc00;
}

static bool is_low(int unit)
{
    return unit >= 0xdc00 && unit < 0xe000;
}

/* At a backslash: goes behind the escape. */
static void escape(walk *w)
{
    const char *p = w->p;
    int unit = w->end - p >= 6 && p[1] == 'u' ? hex4(p + 2, w->end) : -1;
    if (unit < 0) {
        w->p += w->end - p < 2 ? 1 : 2;
        return;
    }
    w->p += 6;
    if (is_high(unit) && w->end - p >= 12 && p[6] == '\\' && p[7] == 'u' && is_low(hex4(p + 8, w->end)))
        w->p += 6;
    else if (is_high(unit) || is_low(unit))
        replace(w, p, w->p, "\\ufffd");
}

/* At a quote: goes behind the string. */
static void string(walk *w)
{
    for (w->p++; w->p < w->end && *w->p != '"';)
        if (*w->p == '\\')
            escape(w);
        else
            w->p++;
    w->p += w->p < w->end;
}

/* At the first letter of a bare word: true when it is `word`; then behind it. */
static bool word(walk *w, const char *name)
{
    size_t n = strlen(name);
    if ((size_t)(w->end - w->p) < n || memcmp(w->p, name, n))
        return false;
    w->p += n;
    return true;
}

/* At a digit or minus: goes behind the number. */
static void number(walk *w)
{
    const char *start = w->p;
    bool is_real = false, has_exponent = false;
    if (word(w, "-Infinity")) {
        replace(w, start, w->p, "-" LARGEST);
        return;
    }
    for (w->p++; w->p < w->end && *w->p && strchr("0123456789+-.eE", *w->p); w->p++) {
        has_exponent |= *w->p == 'e' || *w->p == 'E';
        is_real |= *w->p == '.' || has_exponent;
    }
    size_t n = (size_t)(w->p - start);
    if (!has_exponent && n < (is_real ? 300 : 19))
        return; /* fits a double or 64 bits */
    char copy[MAX_NUMBER], *end;
    int64_t integer;
    if (n >= sizeof copy || (!is_real && (w->strict_integers || fj_text_i64((fj_text){ start, n }, &integer))))
        return;
    memcpy(copy, start, n);
    copy[n] = '\0';
    double value = strtod(copy, &end);
    if (*end)
        return; /* no number: the parser says so, with its place */
    if (isinf(value)) {
        replace(w, start, w->p, value > 0 ? LARGEST : "-" LARGEST);
    } else if (!is_real) {
        (void)snprintf(copy, sizeof copy, "%.17e", value);
        replace(w, start, w->p, copy);
    }
}

void fj_json_prepare(const char *text, size_t len, bool strict_integers, fj_str *out, size_t *depth)
{
    walk w = { .p = text, .end = text + len, .kept = text, .strict_integers = strict_integers, .out = out };
    size_t open = 0;
    *depth = 0;
    while (w.p < w.end) {
        const char *start = w.p;
        char c = *start;
        if (c == '"') {
            string(&w);
        } else if ((c >= '0' && c <= '9') || c == '-') {
            number(&w);
        } else if (c == 'N' && word(&w, "NaN")) {
            replace(&w, start, w.p, "null");
        } else if (c == 'I' && word(&w, "Infinity")) {
            replace(&w, start, w.p, LARGEST);
        } else {
            open += c == '{' || c == '[';
            open -= (c == '}' || c == ']') && open;
            *depth = FJ_MAX(*depth, open);
            w.p++;
        }
    }
    if (w.kept != text)
        fj_str_add(out, w.kept, (size_t)(w.end - w.kept));
}
