/* SPDX-License-Identifier: Apache-2.0
 * JSON over jansson, which is strict where Python's writer is not; json_prepare.c sees to that beforehand. */
#include "base/json.h"

#include <jansson.h>
#include <math.h>
#include <stdint.h>
#include <string.h>

#include "base/json_internal.h"
#include "base/map.h"
#include "base/utf8.h"

enum { MAX_DEPTH = 512, MAX_FILE = 1 << 30 };

fj_status fj_json_parse(const char *text, size_t len, const char *name, bool strict_integers, fj_json **out,
                        fj_err *err)
{
    fj_str rewritten = { .limit = SIZE_MAX / 2 };
    json_error_t e;
    size_t depth;
    *out = NULL;
    if (len >= 3 && !memcmp(text, "\xef\xbb\xbf", 3)) { /* byte-order mark */
        text += 3;
        len -= 3;
    }
    fj_json_prepare(text, len, strict_integers, &rewritten, &depth);
    bool failed = rewritten.failed;
    if (!failed && depth <= MAX_DEPTH)
        *out = json_loadb(rewritten.data ? rewritten.data : text, rewritten.data ? rewritten.len : len,
                          JSON_DECODE_ANY | JSON_ALLOW_NUL, &e);
    fj_str_free(&rewritten);
    if (*out)
        return FJ_OK;
    if (failed || (depth <= MAX_DEPTH && json_error_code(&e) == json_error_out_of_memory))
        return fj_fail(err, FJ_ERR_MEMORY, "%s: no memory for %zu bytes of JSON", name, len);
    if (depth > MAX_DEPTH)
        return fj_fail(err, FJ_ERR_FORMAT, "%s: nested %zu deep, at most %d is read", name, depth, MAX_DEPTH);
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

/* Walks one name, member by member. */
static fj_json *member_at(const fj_json *v, const char *name, size_t len)
{
    const fj_json *at = v;
    while (at && len) {
        size_t part = 0;
        while (part < len && name[part] != '.')
            part++;
        at = json_object_getn(at, name, part);
        name += FJ_MIN(part + 1, len);
        len -= FJ_MIN(part + 1, len);
    }
    return (fj_json *)(uintptr_t)at;
}

fj_json *fj_json_find(const fj_json *v, const char *names)
{
    while (*names) {
        size_t len = strcspn(names, "|");
        fj_json *found = member_at(v, names, len);
        if (found && !json_is_null(found))
            return found;
        names += len + (names[len] == '|');
    }
    return NULL;
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
