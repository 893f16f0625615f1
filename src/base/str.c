/* SPDX-License-Identifier: Apache-2.0
 * See str.h. */
#include "base/str.h"

#include <ctype.h>
#include <errno.h>
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/err.h"

enum { DEFAULT_LIMIT = 1 << 30, MAX_WORD = 63, MAX_DISTANCE = 255 };

fj_text fj_text_of(const char *s)
{
    return (fj_text){ s, s ? strlen(s) : 0 };
}

bool fj_text_is(fj_text text, const char *s)
{
    size_t n = strlen(s);
    return text.len == n && (n == 0 || !memcmp(text.data, s, n));
}

bool fj_text_starts(fj_text text, const char *prefix)
{
    size_t n = strlen(prefix);
    return text.len >= n && (n == 0 || !memcmp(text.data, prefix, n));
}

void fj_str_free(fj_str *s)
{
    free(s->data);
    *s = (fj_str){ .limit = s->limit };
}

void fj_str_clear(fj_str *s)
{
    s->len = 0;
    if (s->data)
        s->data[0] = '\0';
}

static bool reserve(fj_str *s, size_t more)
{
    size_t limit = s->limit ? s->limit : DEFAULT_LIMIT;
    if (s->failed || more > limit || s->len > limit - more) {
        s->failed = true;
        return false;
    }
    size_t need = s->len + more + 1;
    if (need <= s->cap)
        return true;
    size_t cap = FJ_MAX(need, s->cap + s->cap / 2);
    cap = FJ_MAX(cap, 64);
    char *grown = realloc(s->data, cap);
    if (!grown) {
        s->failed = true;
        return false;
    }
    s->data = grown;
    s->cap = cap;
    return true;
}

void fj_str_add(fj_str *s, const void *bytes, size_t len)
{
    if (!reserve(s, len))
        return;
    if (len)
        memcpy(s->data + s->len, bytes, len);
    s->len += len;
    s->data[s->len] = '\0';
}

void fj_str_add_text(fj_str *s, const char *text)
{
    fj_str_add(s, text, strlen(text));
}

void fj_str_add_char(fj_str *s, char c)
{
    fj_str_add(s, &c, 1);
}

void fj_str_printf(fj_str *s, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    int n = vsnprintf(NULL, 0, format, args);
    va_end(args);
    if (n < 0 || !reserve(s, (size_t)n)) {
        s->failed = true;
        return;
    }
    va_start(args, format);
    (void)vsnprintf(s->data + s->len, (size_t)n + 1, format, args);
    va_end(args);
    s->len += (size_t)n;
}

/* Optimal string alignment over three rows. */
int fj_text_distance(const char *a, const char *b)
{
    size_t n = strlen(a), m = strlen(b);
    int row[3][MAX_WORD + 1];
    if (n > MAX_WORD || m > MAX_WORD)
        return strcmp(a, b) ? MAX_DISTANCE : 0;
    int *before = row[0], *last = row[1], *now = row[2];
    for (size_t j = 0; j <= m; j++) {
        last[j] = (int)j;
        before[j] = 0;
    }
    for (size_t i = 1; i <= n; i++) {
        now[0] = (int)i;
        for (size_t j = 1; j <= m; j++) {
            int x = tolower((unsigned char)a[i - 1]), y = tolower((unsigned char)b[j - 1]);
            int d = FJ_MIN(FJ_MIN(last[j] + 1, now[j - 1] + 1), last[j - 1] + (x != y));
            if (i > 1 && j > 1 && x == tolower((unsigned char)b[j - 2]) && tolower((unsigned char)a[i - 2]) == y)
                d = FJ_MIN(d, before[j - 2] + 1);
            now[j] = d;
        }
        int *free_row = before;
        before = last;
        last = now;
        now = free_row;
    }
    return last[m];
}

const char *fj_nearest(const char *name, const char *const *names, size_t n)
{
    const char *best = NULL;
    int least = (int)(strlen(name) + 2) / 3 + 1;
    for (size_t i = 0; i < n; i++) {
        int d = fj_text_distance(name, names[i]);
        if (d < least) {
            least = d;
            best = names[i];
        }
    }
    return best;
}

bool fj_text_i64(fj_text text, int64_t *out)
{
    bool is_negative = text.len && text.data[0] == '-';
    size_t i = text.len && (text.data[0] == '-' || text.data[0] == '+');
    int64_t value = 0;
    if (i == text.len)
        return false;
    for (; i < text.len; i++) {
        char c = text.data[i];
        if (c < '0' || c > '9' || __builtin_mul_overflow(value, 10, &value) ||
            __builtin_add_overflow(value, is_negative ? -(c - '0') : c - '0', &value))
            return false;
    }
    *out = value;
    return true;
}

bool fj_text_bytes(fj_text text, uint64_t *out)
{
    static const char units[] = "kmgt";
    size_t digits = 0;
    double value, unit = 1;
    while (digits < text.len && strchr("0123456789.", text.data[digits]) && text.data[digits])
        digits++;
    char rest[4] = { 0 };
    if (text.len - digits >= sizeof rest || !fj_text_f64((fj_text){ text.data, digits }, &value))
        return false;
    for (size_t i = digits; i < text.len; i++)
        rest[i - digits] = (char)tolower((unsigned char)text.data[i]);
    const char *at = rest[0] ? strchr(units, rest[0]) : NULL;
    const char *behind = at ? rest + 1 : rest;
    bool is_binary = at && !strcmp(behind, "ib");
    if (*behind && strcmp(behind, "b") != 0 && !is_binary)
        return false;
    for (const char *u = units; at && u <= at; u++)
        unit *= is_binary ? 1024 : 1000;
    if (value * unit > 9e18)
        return false;
    *out = (uint64_t)(value * unit);
    return true;
}

bool fj_text_f64(fj_text text, double *out)
{
    char copy[64], *end;
    if (!text.len || text.len >= sizeof copy || isspace((unsigned char)text.data[0]))
        return false;
    for (size_t i = 0; i < text.len; i++)
        if (!strchr("0123456789+-.eE", text.data[i]) || !text.data[i])
            return false;
    memcpy(copy, text.data, text.len);
    copy[text.len] = '\0';
    errno = 0;
    double value = strtod(copy, &end); /* LC_NUMERIC is never set, so the point is a point */
    if (*end || !isfinite(value))
        return false;
    *out = value;
    return true;
}

char *fj_format_bytes(uint64_t bytes, char out[24])
{
    static const char *const units[] = { "B", "kB", "MB", "GB", "TB", "PB" };
    double value = (double)bytes;
    size_t u = 0;
    while (value >= 999.95 && u + 1 < FJ_LEN(units)) {
        value /= 1000;
        u++;
    }
    (void)snprintf(out, 24, u ? "%.1f %s" : "%.0f %s", value, units[u]);
    return out;
}
