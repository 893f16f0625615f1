/* SPDX-License-Identifier: Apache-2.0
 * Values of the template language: making them, comparing them, asking them. Python's rules. */

#include <math.h>
#include <string.h>

#include "base/utf8.h"
#include "tokenizers/template_internal.h"

/* ---- making ------------------------------------------------------------------------------------------------------- */

tpl_value fj_tpl_none(void)
{
    return (tpl_value){ .kind = TPL_NONE };
}

tpl_value fj_tpl_bool(bool b)
{
    return (tpl_value){ .kind = TPL_BOOL, .boolean = b };
}

tpl_value fj_tpl_int(int64_t i)
{
    return (tpl_value){ .kind = TPL_INT, .integer = i };
}

tpl_value fj_tpl_real(double x)
{
    return (tpl_value){ .kind = TPL_FLOAT, .real = x };
}

tpl_value fj_tpl_undefined(const char *name, bool is_member)
{
    return (tpl_value){ .kind = TPL_UNDEFINED, .is_member = is_member, .name = name };
}

bool fj_tpl_text(tpl_run *run, const char *data, size_t len, bool marked, tpl_value *out)
{
    tpl_text *text = fj_tpl_take(run, sizeof *text);
    if (!text)
        return false;
    *text = (tpl_text){ .data = data, .len = len, .n_chars = -1, .marked = marked };
    *out = (tpl_value){ .kind = TPL_TEXT, .text = text };
    return true;
}

bool fj_tpl_part(tpl_run *run, const tpl_text *text, size_t from, size_t to, tpl_value *out)
{
    if (!fj_tpl_text(run, text->data + from, to - from, text->marked, out))
        return false;
    out->text->marks = text->marks ? text->marks + from : NULL;
    return true;
}

bool fj_tpl_new_list(tpl_run *run, size_t cap, tpl_value *out)
{
    tpl_list *list = fj_tpl_take(run, sizeof *list);
    if (!list)
        return false;
    if (cap > 0) {
        list->items = cap < TPL_MAX_MEMORY / sizeof *list->items ? fj_tpl_take(run, cap * sizeof *list->items) : NULL;
        if (!list->items)
            return fj_tpl_fail(run, FJ_ERR_FAILED, "a list of %zu items is too large", cap);
    }
    list->cap = cap;
    *out = (tpl_value){ .kind = TPL_LIST, .list = list };
    return true;
}

bool fj_tpl_append(tpl_run *run, tpl_list *list, tpl_value v)
{
    if (list->n == list->cap) {
        size_t cap = list->cap ? list->cap * 2 : 8;
        tpl_value *items = fj_tpl_take(run, cap * sizeof *items);
        if (!items)
            return false;
        if (list->n)
            memcpy(items, list->items, list->n * sizeof *items);
        list->items = items;
        list->cap = cap;
    }
    list->items[list->n++] = v;
    return fj_tpl_charge(run, 1);
}

bool fj_tpl_new_dict(tpl_run *run, tpl_value *out)
{
    tpl_dict *dict = fj_tpl_take(run, sizeof *dict);
    if (!dict)
        return false;
    dict->message = -1;
    *out = (tpl_value){ .kind = TPL_DICT, .dict = dict };
    return true;
}

static bool is_key(tpl_value v)
{
    return v.kind == TPL_TEXT || v.kind == TPL_INT || v.kind == TPL_BOOL || v.kind == TPL_NONE || v.kind == TPL_FLOAT ||
           v.kind == TPL_TUPLE;
}

bool fj_tpl_put(tpl_run *run, tpl_dict *dict, tpl_value key, tpl_value v)
{
    if (!is_key(key))
        return fj_tpl_fail(run, FJ_ERR_FORMAT, "unhashable type: '%s'", fj_tpl_type(key));
    tpl_value *old = fj_tpl_find(run, dict, key);
    if (run->err->status)
        return false;
    if (old) {
        *old = v;
        return true;
    }
    if (dict->n == dict->cap) {
        size_t cap = dict->cap ? dict->cap * 2 : 8;
        tpl_value *keys = fj_tpl_take(run, cap * sizeof *keys);
        tpl_value *values = keys ? fj_tpl_take(run, cap * sizeof *values) : NULL;
        if (!values)
            return false;
        if (dict->n) {
            memcpy(keys, dict->keys, dict->n * sizeof *keys);
            memcpy(values, dict->values, dict->n * sizeof *values);
        }
        dict->keys = keys;
        dict->values = values;
        dict->cap = cap;
    }
    dict->keys[dict->n] = key;
    dict->values[dict->n++] = v;
    return true;
}

/* ---- numbers and text --------------------------------------------------------------------------------------------- */

bool fj_tpl_number(tpl_value v, double *out)
{
    if (v.kind == TPL_INT)
        *out = (double)v.integer;
    else if (v.kind == TPL_BOOL)
        *out = v.boolean;
    else if (v.kind == TPL_FLOAT)
        *out = v.real;
    else
        return false;
    return true;
}

bool fj_tpl_integer(tpl_value v, int64_t *out)
{
    if (v.kind == TPL_INT)
        *out = v.integer;
    else if (v.kind == TPL_BOOL)
        *out = v.boolean;
    else
        return false;
    return true;
}

size_t fj_tpl_char_at(const tpl_text *text, size_t at)
{
    uint32_t code;
    size_t n = fj_utf8_get(text->data + at, text->len - at, &code);
    return n ? n : 1;
}

int64_t fj_tpl_chars(tpl_text *text)
{
    if (text->n_chars < 0) {
        text->n_chars = 0;
        for (size_t at = 0; at < text->len; at += fj_tpl_char_at(text, at))
            text->n_chars++;
    }
    return text->n_chars;
}

bool fj_tpl_text_is(tpl_value v, const char *text)
{
    size_t n = strlen(text);
    return v.kind == TPL_TEXT && v.text->len == n && memcmp(v.text->data, text, n) == 0;
}

const char *fj_tpl_type(tpl_value v)
{
    switch (v.kind) {
    case TPL_ABSENT:
    case TPL_UNDEFINED: return "Undefined";
    case TPL_NONE: return "NoneType";
    case TPL_BOOL: return "bool";
    case TPL_INT: return "int";
    case TPL_FLOAT: return "float";
    case TPL_TEXT: return "str";
    case TPL_LIST: return "list";
    case TPL_TUPLE: return "tuple";
    case TPL_DICT: return "dict";
    case TPL_NAMESPACE: return "Namespace";
    case TPL_LOOP: return "LoopContext";
    case TPL_CALLABLE: return v.callable->macro ? "Macro" : "function";
    }
    return "object";
}

bool fj_tpl_truth(tpl_value v)
{
    switch (v.kind) {
    case TPL_ABSENT:
    case TPL_UNDEFINED:
    case TPL_NONE: return false;
    case TPL_BOOL: return v.boolean;
    case TPL_INT: return v.integer != 0;
    case TPL_FLOAT: return v.real != 0;
    case TPL_TEXT: return v.text->len > 0;
    case TPL_LIST:
    case TPL_TUPLE: return v.list->n > 0;
    case TPL_DICT: return v.dict->n > 0;
    default: return true;
    }
}

/* ---- comparing ---------------------------------------------------------------------------------------------------- */

static bool equal_lists(tpl_run *run, const tpl_list *a, const tpl_list *b)
{
    if (a->n != b->n)
        return false;
    for (size_t i = 0; i < a->n; i++)
        if (!fj_tpl_equal(run, a->items[i], b->items[i]))
            return false;
    return true;
}

static bool equal_dicts(tpl_run *run, const tpl_dict *a, const tpl_dict *b)
{
    if (a->n != b->n)
        return false;
    for (size_t i = 0; i < a->n; i++) {
        const tpl_value *v = fj_tpl_find(run, b, a->keys[i]);
        if (!v || !fj_tpl_equal(run, a->values[i], *v))
            return false;
    }
    return true;
}

static bool equal_numbers(tpl_value a, tpl_value b, bool *out)
{
    int64_t i, j;
    double x, y;
    if (fj_tpl_integer(a, &i) && fj_tpl_integer(b, &j))
        *out = i == j;
    else if (fj_tpl_number(a, &x) && fj_tpl_number(b, &y))
        *out = x == y;
    else
        return false;
    return true;
}

/* False also at the step or depth limit; the error then stands in run. */
bool fj_tpl_equal(tpl_run *run, tpl_value a, tpl_value b)
{
    bool result = false;
    if (equal_numbers(a, b, &result))
        return result;
    if (a.kind != b.kind || !fj_tpl_charge(run, 1))
        return false;
    if (run->depth >= TPL_MAX_DEPTH)
        return fj_tpl_fail(run, FJ_ERR_FAILED, "values nested too deep to compare");
    run->depth++;
    switch (a.kind) {
    case TPL_UNDEFINED:
    case TPL_NONE: result = true; break;
    case TPL_TEXT: result = a.text->len == b.text->len && memcmp(a.text->data, b.text->data, a.text->len) == 0; break;
    case TPL_LIST:
    case TPL_TUPLE: result = a.list == b.list || equal_lists(run, a.list, b.list); break;
    case TPL_DICT: result = a.dict == b.dict || equal_dicts(run, a.dict, b.dict); break;
    case TPL_NAMESPACE: result = a.dict == b.dict; break;
    case TPL_CALLABLE: result = a.callable == b.callable; break;
    default: break;
    }
    run->depth--;
    return result;
}

static bool order_lists(tpl_run *run, const tpl_list *a, const tpl_list *b, int *out)
{
    for (size_t i = 0; i < a->n && i < b->n; i++) {
        if (fj_tpl_equal(run, a->items[i], b->items[i]))
            continue;
        return fj_tpl_order(run, a->items[i], b->items[i], out);
    }
    *out = (a->n > b->n) - (a->n < b->n);
    return true;
}

bool fj_tpl_order(tpl_run *run, tpl_value a, tpl_value b, int *out)
{
    int64_t i, j;
    double x, y;
    if (fj_tpl_integer(a, &i) && fj_tpl_integer(b, &j)) {
        *out = (i > j) - (i < j);
        return true;
    }
    if (fj_tpl_number(a, &x) && fj_tpl_number(b, &y)) {
        *out = (x > y) - (x < y);
        return true;
    }
    if (a.kind == TPL_TEXT && b.kind == TPL_TEXT) { /* UTF-8 sorts as its code points do */
        int c = memcmp(a.text->data, b.text->data, FJ_MIN(a.text->len, b.text->len));
        *out = c ? (c > 0) - (c < 0) : (a.text->len > b.text->len) - (a.text->len < b.text->len);
        return true;
    }
    if (a.kind == b.kind && (a.kind == TPL_LIST || a.kind == TPL_TUPLE) && run->depth < TPL_MAX_DEPTH) {
        run->depth++;
        bool ok = order_lists(run, a.list, b.list, out);
        run->depth--;
        return ok;
    }
    if (a.kind == TPL_UNDEFINED || b.kind == TPL_UNDEFINED) {
        tpl_value u = a.kind == TPL_UNDEFINED ? a : b;
        return fj_tpl_fail(run, FJ_ERR_FORMAT, "'%s' is undefined", u.name ? u.name : "value");
    }
    return fj_tpl_fail(run, FJ_ERR_FORMAT, "'<' not supported between '%s' and '%s'", fj_tpl_type(a), fj_tpl_type(b));
}

/* ---- asking ------------------------------------------------------------------------------------------------------- */

tpl_value *fj_tpl_find(tpl_run *run, const tpl_dict *dict, tpl_value key)
{
    if (!fj_tpl_charge(run, dict->n / 16))
        return NULL;
    for (size_t i = 0; i < dict->n; i++) {
        const tpl_value *k = &dict->keys[i];
        if (key.kind == TPL_TEXT && k->kind == TPL_TEXT) { /* the usual case, without charging each look */
            if (k->text->len == key.text->len && memcmp(k->text->data, key.text->data, key.text->len) == 0)
                return &dict->values[i];
        } else if (fj_tpl_equal(run, *k, key)) {
            return &dict->values[i];
        }
    }
    return NULL;
}

tpl_value *fj_tpl_find_name(tpl_run *run, const tpl_dict *dict, const char *key)
{
    tpl_text text = { .data = key, .len = strlen(key) };
    return fj_tpl_find(run, dict, (tpl_value){ .kind = TPL_TEXT, .text = &text });
}

static bool find_text(const tpl_text *in, const tpl_text *what)
{
    if (what->len == 0)
        return true;
    for (size_t i = 0; i + what->len <= in->len; i++) {
        const char *hit = memchr(in->data + i, what->data[0], in->len - what->len - i + 1);
        if (!hit)
            return false;
        i = (size_t)(hit - in->data);
        if (memcmp(hit, what->data, what->len) == 0)
            return true;
    }
    return false;
}

bool fj_tpl_contains(tpl_run *run, tpl_value where, tpl_value what, bool *out)
{
    *out = false;
    switch (where.kind) {
    case TPL_UNDEFINED: return true;
    case TPL_TEXT:
        if (what.kind != TPL_TEXT)
            return fj_tpl_fail(run, FJ_ERR_FORMAT, "'in <string>' requires string as left operand, not %s",
                               fj_tpl_type(what));
        *out = find_text(where.text, what.text);
        return fj_tpl_charge(run, where.text->len / 64);
    case TPL_LIST:
    case TPL_TUPLE:
        for (size_t i = 0; i < where.list->n && !*out; i++) {
            *out = fj_tpl_equal(run, where.list->items[i], what);
            if (!fj_tpl_charge(run, 1))
                return false;
        }
        return true;
    case TPL_DICT: *out = fj_tpl_find(run, where.dict, what) != NULL; return !run->err->status;
    default: return fj_tpl_fail(run, FJ_ERR_FORMAT, "argument of type '%s' is not iterable", fj_tpl_type(where));
    }
}

static bool iterate_text(tpl_run *run, const tpl_text *text, tpl_value *out)
{
    if (!fj_tpl_new_list(run, text->len, out))
        return false;
    for (size_t at = 0, n; at < text->len; at += n) {
        tpl_value c;
        n = fj_tpl_char_at(text, at);
        if (!fj_tpl_part(run, text, at, at + n, &c) || !fj_tpl_append(run, out->list, c))
            return false;
    }
    return true;
}

bool fj_tpl_iterate(tpl_run *run, tpl_value v, tpl_list **out)
{
    tpl_value list;
    switch (v.kind) {
    case TPL_UNDEFINED:
        if (!fj_tpl_new_list(run, 0, &list))
            return false;
        break;
    case TPL_TEXT:
        if (!iterate_text(run, v.text, &list))
            return false;
        break;
    case TPL_LIST:
    case TPL_TUPLE: list = v; break;
    case TPL_DICT:
        if (!fj_tpl_new_list(run, v.dict->n, &list))
            return false;
        for (size_t i = 0; i < v.dict->n; i++)
            if (!fj_tpl_append(run, list.list, v.dict->keys[i]))
                return false;
        break;
    default: return fj_tpl_fail(run, FJ_ERR_FORMAT, "'%s' object is not iterable", fj_tpl_type(v));
    }
    *out = list.list;
    return true;
}

bool fj_tpl_length(tpl_run *run, tpl_value v, int64_t *out)
{
    switch (v.kind) {
    case TPL_UNDEFINED: *out = 0; return true;
    case TPL_TEXT: *out = fj_tpl_chars(v.text); return fj_tpl_charge(run, v.text->len / 256);
    case TPL_LIST:
    case TPL_TUPLE: *out = (int64_t)v.list->n; return true;
    case TPL_DICT: *out = (int64_t)v.dict->n; return true;
    case TPL_LOOP: *out = (int64_t)v.loop->items->n; return true;
    default: return fj_tpl_fail(run, FJ_ERR_FORMAT, "object of type '%s' has no len()", fj_tpl_type(v));
    }
}
