/* SPDX-License-Identifier: Apache-2.0
 * JSON over jansson. jansson is strict where Python's writer is not; prepare() rewrites what it would refuse: a byte-order mark, the
 * bare words NaN, Infinity and -Infinity (to null), numbers too large for a double (to the largest), lone surrogates (to U+FFFD). */
#include "base/json.h"

#include <jansson.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/map.h"
#include "base/utf8.h"

enum { MAX_DEPTH = 512, MAX_FILE = 1 << 30 };

/* ---- reading --------------------------------------------------------------------------------------------------------------- */

static int hex4(const char *p, const char *end)
{
    int value = 0;
    if (end - p < 4)
        return -1;
    for (int i = 0; i < 4; i++) {
        char c = p[i];
        int digit = c >= '0' && c <= '9'   ? c - '0'
                    : c >= 'a' && c <= 'f' ? c - 'a' + 10
                    : c >= 'A' && c <= 'F' ? c - 'A' + 10
                                           : -1;
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

/* At a backslash inside a string: where the escape ends; *lone when it is half a surrogate pair. */
static const char *escape_end(const char *p, const char *end, bool *lone)
{
    *lone = false;
    if (end - p < 2 || p[1] != 'u')
        return end - p < 2 ? end : p + 2;
    int unit = hex4(p + 2, end);
    if (unit < 0)
        return p + 2;
    if (is_high(unit) && end - p >= 12 && p[6] == '\\' && p[7] == 'u' && is_low(hex4(p + 8, end)))
        return p + 12;
    *lone = is_high(unit) || is_low(unit);
    return p + 6;
}

/* Length of a bare word that Python writes and JSON does not have, at p. */
static size_t python_word(const char *p, const char *end)
{
    static const char *const words[] = { "NaN", "Infinity", "-Infinity" };
    for (size_t i = 0; i < FJ_LEN(words); i++) {
        size_t n = strlen(words[i]);
        if ((size_t)(end - p) >= n && !memcmp(p, words[i], n))
            return n;
    }
    return 0;
}

/* Whether anything has to be rewritten at all, and that the nesting is bearable. */
static bool scan(const char *text, size_t len, bool *needs_rewrite, size_t *deepest)
{
    size_t depth = 0;
    const char *end = text + len;
    *needs_rewrite = false;
    *deepest = 0;
    for (const char *p = text; p < end; p++) {
        if (*p == '"') {
            for (p++; p < end && *p != '"';) {
                bool lone = false;
                p = *p == '\\' ? escape_end(p, end, &lone) : p + 1;
                *needs_rewrite |= lone;
            }
        } else if (*p == '{' || *p == '[') {
            depth++;
            *deepest = FJ_MAX(*deepest, depth);
        } else if (*p == '}' || *p == ']') {
            depth -= depth > 0;
        } else if (*p == 'N' || *p == 'I' || (*p == '-' && end - p > 1 && p[1] == 'I')) {
            *needs_rewrite |= python_word(p, end) > 0;
        } else if (*p == 'e' || *p == 'E') {
            *needs_rewrite = true; /* perhaps 1e999 */
        }
    }
    return *deepest <= MAX_DEPTH;
}

static bool is_number_char(char c)
{
    return (c >= '0' && c <= '9') || c == '-' || c == '+' || c == '.' || c == 'e' || c == 'E';
}

/* A number that overflows a double becomes the largest one of its sign. */
static const char *rewrite_number(const char *p, const char *end, fj_str *out)
{
    const char *start = p;
    char copy[64];
    while (p < end && is_number_char(*p))
        p++;
    size_t n = (size_t)(p - start);
    if (n < sizeof copy) {
        memcpy(copy, start, n);
        copy[n] = '\0';
        double v = strtod(copy, NULL);
        if (isinf(v)) {
            fj_str_add_text(out, v > 0 ? "1.7976931348623157e308" : "-1.7976931348623157e308");
            return p;
        }
    }
    fj_str_add(out, start, n);
    return p;
}

static void rewrite(const char *text, size_t len, fj_str *out)
{
    const char *end = text + len;
    for (const char *p = text; p < end;) {
        size_t word = python_word(p, end);
        if (*p == '"') {
            fj_str_add_char(out, *p++);
            while (p < end && *p != '"') {
                bool lone = false;
                const char *next = *p == '\\' ? escape_end(p, end, &lone) : p + 1;
                if (lone)
                    fj_str_add_text(out, "\\ufffd");
                else
                    fj_str_add(out, p, (size_t)(next - p));
                p = next;
            }
            if (p < end)
                fj_str_add_char(out, *p++);
        } else if (word) {
            fj_str_add_text(out, "null");
            p += word;
        } else if (is_number_char(*p) && *p != 'e' && *p != 'E') {
            p = rewrite_number(p, end, out);
        } else {
            fj_str_add_char(out, *p++);
        }
    }
}

fj_status fj_json_parse(const char *text, size_t len, const char *name, bool strict_integers, fj_json **out,
                        fj_err *err)
{
    fj_str copy = { 0 };
    json_error_t e;
    bool needs_rewrite;
    size_t depth, flags = JSON_DECODE_ANY | JSON_ALLOW_NUL;
    *out = NULL;
    if (len >= 3 && !memcmp(text, "\xef\xbb\xbf", 3)) {
        text += 3;
        len -= 3;
    }
    if (!scan(text, len, &needs_rewrite, &depth))
        return fj_fail(err, FJ_ERR_FORMAT, "%s: nested %zu deep, at most %d is read", name, depth, MAX_DEPTH);
    if (needs_rewrite) {
        copy.limit = 2 * len + 64;
        rewrite(text, len, &copy);
        if (copy.failed) {
            fj_str_free(&copy);
            return fj_fail(err, FJ_ERR_MEMORY, "%s: no memory for %zu bytes of JSON", name, len);
        }
        text = copy.data ? copy.data : "";
        len = copy.len;
    }
    *out = json_loadb(text, len, flags, &e);
    if (!*out && !strict_integers && json_error_code(&e) == json_error_numeric_overflow)
        *out = json_loadb(text, len, flags | JSON_DECODE_INT_AS_REAL, &e);
    fj_str_free(&copy);
    if (*out)
        return FJ_OK;
    return fj_fail(err, FJ_ERR_FORMAT, "%s: not JSON: line %d, column %d: %s", name, e.line, e.column, e.text);
}

fj_status fj_json_load(const char *path, fj_json **out, fj_err *err)
{
    fj_str text = { 0 };
    *out = NULL;
    fj_status st = fj_file_read(path, MAX_FILE, &text, err);
    if (!st)
        st = fj_json_parse(text.data ? text.data : "", text.len, path, false, out, err);
    fj_str_free(&text);
    return st;
}

void fj_json_free(fj_json *v)
{
    json_decref(v);
}

fj_json *fj_json_share(fj_json *v)
{
    return json_incref(v);
}

bool fj_json_is_object(const fj_json *v)
{
    return json_is_object(v);
}

bool fj_json_is_array(const fj_json *v)
{
    return json_is_array(v);
}

bool fj_json_is_string(const fj_json *v)
{
    return json_is_string(v);
}

bool fj_json_is_number(const fj_json *v)
{
    return json_is_number(v);
}

bool fj_json_is_integer(const fj_json *v)
{
    return json_is_integer(v);
}

bool fj_json_is_bool(const fj_json *v)
{
    return json_is_boolean(v);
}

bool fj_json_is_null(const fj_json *v)
{
    return json_is_null(v);
}

fj_json *fj_json_get(const fj_json *v, const char *key)
{
    return v ? json_object_get(v, key) : NULL;
}

fj_json *fj_json_at(const fj_json *v, size_t index)
{
    return v ? json_array_get(v, index) : NULL;
}

size_t fj_json_len(const fj_json *v)
{
    return json_is_object(v) ? json_object_size(v) : json_is_array(v) ? json_array_size(v) : 0;
}

/* jansson's iterators take a value that is not const, and change nothing. */
static json_t *loose(const fj_json *v)
{
    return (json_t *)(uintptr_t)v;
}

void *fj_json_first(const fj_json *object)
{
    return json_is_object(object) ? json_object_iter(loose(object)) : NULL;
}

void *fj_json_next(const fj_json *object, void *iterator)
{
    return json_object_iter_next(loose(object), iterator);
}

const char *fj_json_key(void *iterator)
{
    return json_object_iter_key(iterator);
}

fj_json *fj_json_member(void *iterator)
{
    return json_object_iter_value(iterator);
}

int64_t fj_json_int(const fj_json *v, int64_t fallback)
{
    if (json_is_integer(v))
        return json_integer_value(v);
    if (!json_is_real(v))
        return fallback;
    double d = json_real_value(v);
    return d == floor(d) && fabs(d) < 9007199254740992.0 ? (int64_t)d : fallback;
}

double fj_json_real(const fj_json *v, double fallback)
{
    return json_is_number(v) ? json_number_value(v) : fallback;
}

bool fj_json_bool(const fj_json *v, bool fallback)
{
    return json_is_boolean(v) ? json_is_true(v) : fallback;
}

fj_text fj_json_text(const fj_json *v)
{
    if (!json_is_string(v))
        return (fj_text){ 0 };
    return (fj_text){ json_string_value(v), json_string_length(v) };
}

const char *fj_json_string(const fj_json *v, const char *fallback)
{
    return json_is_string(v) ? json_string_value(v) : fallback;
}

/* ---- building and writing ---------------------------------------------------------------------------------------------------- */

fj_json *fj_json_new_object(void)
{
    return json_object();
}

fj_json *fj_json_new_array(void)
{
    return json_array();
}

fj_json *fj_json_new_text(const char *text, size_t len)
{
    if (fj_utf8_valid(text, len))
        return json_stringn_nocheck(text ? text : "", len);
    fj_str whole = { 0 };
    fj_utf8_repair(text, len, &whole);
    fj_json *v = whole.failed ? NULL : json_stringn_nocheck(whole.data ? whole.data : "", whole.len);
    fj_str_free(&whole);
    return v;
}

fj_json *fj_json_new_int(int64_t value)
{
    return json_integer(value);
}

fj_json *fj_json_new_real(double value)
{
    return isfinite(value) ? json_real(value) : json_null();
}

fj_json *fj_json_new_bool(bool value)
{
    return json_boolean(value);
}

fj_json *fj_json_new_null(void)
{
    return json_null();
}

bool fj_json_set(fj_json *object, const char *key, fj_json *value)
{
    return json_object_set_new(object, key, value) == 0;
}

bool fj_json_add(fj_json *array, fj_json *value)
{
    return json_array_append_new(array, value) == 0;
}

static int add_bytes(const char *bytes, size_t len, void *context)
{
    fj_str *out = context;
    fj_str_add(out, bytes, len);
    return out->failed ? -1 : 0;
}

bool fj_json_write(const fj_json *v, int indent, int digits, fj_str *out)
{
    size_t flags = JSON_ENCODE_ANY | JSON_REAL_PRECISION(digits) | (indent ? JSON_INDENT(indent) : 0);
    return v && json_dump_callback(v, add_bytes, out, flags) == 0 && !out->failed;
}
