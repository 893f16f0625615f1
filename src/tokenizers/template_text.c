/* SPDX-License-Identifier: Apache-2.0
 * Writing text in templates: pieces that keep their origin, str(), repr() and tojson as Python prints them, and JSON read
 * into values. */

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/utf8.h"
#include "tokenizers/template_internal.h"

/* ---- pieces ------------------------------------------------------------------------------------------------------- */

static bool grow(tpl_run *run, tpl_buf *b, size_t len)
{
    if (len > TPL_MAX_OUTPUT || b->len + len > TPL_MAX_OUTPUT)
        return fj_tpl_fail(run, FJ_ERR_FAILED, "a text of more than %d bytes", TPL_MAX_OUTPUT);
    if (b->len + len <= b->cap)
        return true;
    size_t cap = FJ_MAX(b->cap * 2, FJ_MAX(b->len + len, (size_t)64));
    char *new = fj_tpl_take(run, cap);
    if (!new)
        return false;
    if (b->len)
        memcpy(new, b->data, b->len);
    if (b->marks) {
        unsigned char *marks = fj_tpl_take(run, cap);
        if (!marks)
            return false;
        memcpy(marks, b->marks, b->len);
        b->marks = marks;
    }
    b->data = new;
    b->cap = cap;
    return true;
}

/* From here on bytes differ in origin: one mark a byte. */
static bool split_marks(tpl_run *run, tpl_buf *b)
{
    b->marks = fj_tpl_take(run, b->cap);
    if (!b->marks)
        return false;
    memset(b->marks, b->marked, b->len);
    return true;
}

bool fj_tpl_add(tpl_run *run, tpl_buf *b, const char *data, size_t len, bool marked)
{
    if (len == 0)
        return true;
    if (!fj_tpl_charge(run, len / 256) || !grow(run, b, len))
        return false;
    if (b->len == 0 && !b->marks)
        b->marked = marked;
    if (!b->marks && b->marked != marked && !split_marks(run, b))
        return false;
    memcpy(b->data + b->len, data, len);
    if (b->marks)
        memset(b->marks + b->len, marked, len);
    b->len += len;
    return true;
}

bool fj_tpl_add_part(tpl_run *run, tpl_buf *b, const tpl_text *text, size_t from, size_t to)
{
    if (!text->marks)
        return fj_tpl_add(run, b, text->data + from, to - from, text->marked);
    while (from < to) {
        size_t end = from + 1;
        while (end < to && text->marks[end] == text->marks[from])
            end++;
        if (!fj_tpl_add(run, b, text->data + from, end - from, text->marks[from]))
            return false;
        from = end;
    }
    return true;
}

bool fj_tpl_done(tpl_run *run, const tpl_buf *b, tpl_value *out)
{
    if (!fj_tpl_text(run, b->data ? b->data : "", b->len, b->marked, out))
        return false;
    out->text->marks = b->marks;
    return true;
}

static bool add(tpl_run *run, tpl_buf *b, const char *text)
{
    return fj_tpl_add(run, b, text, strlen(text), false);
}

/* ---- str and repr ------------------------------------------------------------------------------------------------- */

void fj_tpl_format_real(double x, char out[40])
{
    if (isnan(x) || isinf(x)) {
        snprintf(out, 40, "%s", isnan(x) ? "nan" : x > 0 ? "inf" : "-inf");
        return;
    }
    char digits[40];
    int precision = 0; /* the fewest digits that read back as x */
    for (; precision < 17; precision++) {
        snprintf(digits, sizeof digits, "%.*e", precision, x);
        if (strtod(digits, NULL) == x)
            break;
    }
    int exponent = (int)strtol(strchr(digits, 'e') + 1, NULL, 10);
    if (exponent >= -4 && exponent < 16) {
        snprintf(out, 40, "%.*f", FJ_MAX(precision - exponent, 1), x);
        return;
    }
    *strchr(digits, 'e') = 0;
    snprintf(out, 40, "%.25se%c%02d", digits, exponent < 0 ? '-' : '+', abs(exponent) % 1000);
}

static bool is_printable(uint32_t code)
{
    const char *category = fj_unicode_category(code);
    return code == ' ' || (category[0] != 'C' && category[0] != 'Z');
}

static bool repr_text(tpl_run *run, tpl_buf *b, const tpl_text *text)
{
    bool single = memchr(text->data, '\'', text->len) && !memchr(text->data, '"', text->len);
    char quote = single ? '"' : '\'', escaped[16];
    bool ok = fj_tpl_add(run, b, &quote, 1, false);
    for (size_t at = 0, n; ok && at < text->len; at += n) {
        uint32_t code = (unsigned char)text->data[at];
        n = fj_utf8_get(text->data + at, text->len - at, &code);
        n = n ? n : 1;
        bool marked = text->marks ? text->marks[at] : text->marked;
        if (code == '\n' || code == '\t' || code == '\r')
            snprintf(escaped, sizeof escaped, "\\%c", code == '\n' ? 'n' : code == '\t' ? 't' : 'r');
        else if (code == '\\' || code == (uint32_t)quote)
            snprintf(escaped, sizeof escaped, "\\%c", (char)code);
        else if (is_printable(code)) {
            ok = fj_tpl_add_part(run, b, text, at, at + n);
            continue;
        } else
            snprintf(escaped, sizeof escaped,
                     code < 0x100     ? "\\x%02x"
                     : code < 0x10000 ? "\\u%04x"
                                      : "\\U%08x",
                     (unsigned)code);
        ok = fj_tpl_add(run, b, escaped, strlen(escaped), marked);
    }
    return ok && fj_tpl_add(run, b, &quote, 1, false);
}

static bool repr_list(tpl_run *run, tpl_buf *b, const tpl_value v)
{
    bool is_tuple = v.kind == TPL_TUPLE;
    bool ok = add(run, b, is_tuple ? "(" : "[");
    for (size_t i = 0; ok && i < v.list->n; i++)
        ok = (i == 0 || add(run, b, ", ")) && fj_tpl_add_repr(run, b, v.list->items[i]);
    if (ok && is_tuple && v.list->n == 1)
        ok = add(run, b, ",");
    return ok && add(run, b, is_tuple ? ")" : "]");
}

static bool repr_dict(tpl_run *run, tpl_buf *b, const tpl_dict *dict)
{
    bool ok = add(run, b, "{");
    for (size_t i = 0; ok && i < dict->n; i++)
        ok = (i == 0 || add(run, b, ", ")) && fj_tpl_add_repr(run, b, dict->keys[i]) && add(run, b, ": ") &&
             fj_tpl_add_repr(run, b, dict->values[i]);
    return ok && add(run, b, "}");
}

bool fj_tpl_add_repr(tpl_run *run, tpl_buf *b, tpl_value v)
{
    char number[40];
    bool ok;
    if (!fj_tpl_charge(run, 1))
        return false;
    if (run->depth >= TPL_MAX_DEPTH)
        return fj_tpl_fail(run, FJ_ERR_FAILED, "a value nested too deep to print");
    run->depth++;
    switch (v.kind) {
    case TPL_NONE: ok = add(run, b, "None"); break;
    case TPL_BOOL: ok = add(run, b, v.boolean ? "True" : "False"); break;
    case TPL_INT:
        snprintf(number, sizeof number, "%lld", (long long)v.integer);
        ok = add(run, b, number);
        break;
    case TPL_FLOAT:
        fj_tpl_format_real(v.real, number);
        ok = add(run, b, number);
        break;
    case TPL_TEXT: ok = repr_text(run, b, v.text); break;
    case TPL_LIST:
    case TPL_TUPLE: ok = repr_list(run, b, v); break;
    case TPL_DICT: ok = repr_dict(run, b, v.dict); break;
    case TPL_NAMESPACE: ok = add(run, b, "<Namespace ") && repr_dict(run, b, v.dict) && add(run, b, ">"); break;
    case TPL_LOOP:
        snprintf(number, sizeof number, "<LoopContext %zu/%zu>", v.loop->at + 1, v.loop->items->n);
        ok = add(run, b, number);
        break;
    case TPL_CALLABLE: ok = add(run, b, v.callable->macro ? "<Macro>" : "<function>"); break;
    default: ok = add(run, b, "Undefined"); break;
    }
    run->depth--;
    return ok;
}

bool fj_tpl_add_value(tpl_run *run, tpl_buf *b, tpl_value v)
{
    if (v.kind == TPL_UNDEFINED)
        return true;
    return v.kind == TPL_TEXT ? fj_tpl_add_part(run, b, v.text, 0, v.text->len) : fj_tpl_add_repr(run, b, v);
}

bool fj_tpl_to_text(tpl_run *run, tpl_value v, tpl_text **out)
{
    if (v.kind == TPL_TEXT) {
        *out = v.text;
        return true;
    }
    tpl_buf b = { 0 };
    tpl_value text;
    if (!fj_tpl_add_value(run, &b, v) || !fj_tpl_done(run, &b, &text))
        return false;
    *out = text.text;
    return true;
}

/* ---- tojson ------------------------------------------------------------------------------------------------------- */

typedef struct json_style {
    const tpl_text *indent; /* of one level, or NULL: one line */
    const tpl_text *item_separator, *key_separator;
    bool ascii, sorted;
} json_style;

static bool json_value(tpl_run *run, tpl_buf *b, const json_style *style, tpl_value v, int level);

static bool json_escape(tpl_run *run, tpl_buf *b, uint32_t code, bool marked)
{
    char text[16];
    if (code >= 0x10000) {
        uint32_t rest = code - 0x10000;
        snprintf(text, sizeof text, "\\u%04x\\u%04x", (unsigned)(0xD800 + (rest >> 10)),
                 (unsigned)(0xDC00 + (rest & 0x3FF)));
    } else {
        snprintf(text, sizeof text, "\\u%04x", (unsigned)code);
    }
    return fj_tpl_add(run, b, text, strlen(text), marked);
}

static bool json_text(tpl_run *run, tpl_buf *b, const json_style *style, const tpl_text *text)
{
    static const char special[] = "\"\\\n\r\t\f\b", names[] = "\"\\nrtfb";
    bool ok = add(run, b, "\"");
    size_t plain = 0, at = 0; /* text[plain…at) needs no escape and waits to be written */
    while (ok && at < text->len) {
        uint32_t code = (unsigned char)text->data[at];
        size_t n = fj_utf8_get(text->data + at, text->len - at, &code);
        const char *hit = code < 0x80 && code ? strchr(special, (int)code) : NULL;
        bool hard = code < 0x20 || (style->ascii && code >= 0x7f);
        n = n ? n : 1;
        if (!hit && (!hard || code == 0x7f)) {
            at += n;
            continue;
        }
        bool marked = text->marks ? text->marks[at] : text->marked;
        ok = fj_tpl_add_part(run, b, text, plain, at);
        if (ok && hit)
            ok = fj_tpl_add(run, b, (char[]){ '\\', names[hit - special] }, 2, marked);
        else if (ok)
            ok = json_escape(run, b, code, marked);
        at += n;
        plain = at;
    }
    return ok && fj_tpl_add_part(run, b, text, plain, text->len) && add(run, b, "\"");
}

static bool json_newline(tpl_run *run, tpl_buf *b, const json_style *style, int level)
{
    if (!style->indent)
        return true;
    bool ok = add(run, b, "\n");
    for (int i = 0; ok && i < level; i++)
        ok = fj_tpl_add_part(run, b, style->indent, 0, style->indent->len);
    return ok;
}

static bool json_separator(tpl_run *run, tpl_buf *b, const json_style *style, int level)
{
    return fj_tpl_add_part(run, b, style->item_separator, 0, style->item_separator->len) &&
           json_newline(run, b, style, level);
}

static bool json_list(tpl_run *run, tpl_buf *b, const json_style *style, const tpl_list *list, int level)
{
    if (list->n == 0)
        return add(run, b, "[]");
    bool ok = add(run, b, "[") && json_newline(run, b, style, level + 1);
    for (size_t i = 0; ok && i < list->n; i++)
        ok = (i == 0 || json_separator(run, b, style, level + 1)) &&
             json_value(run, b, style, list->items[i], level + 1);
    return ok && json_newline(run, b, style, level) && add(run, b, "]");
}

static bool json_key(tpl_run *run, tpl_buf *b, const json_style *style, tpl_value key)
{
    if (key.kind == TPL_TEXT)
        return json_text(run, b, style, key.text);
    if (key.kind == TPL_TUPLE)
        return fj_tpl_fail(run, FJ_ERR_FORMAT, "tojson: a key is a tuple");
    return add(run, b, "\"") && json_value(run, b, style, key, 0) && add(run, b, "\"");
}

/* The order of a dict's keys: as inserted, or sorted (by insertion: dicts are small). NULL after an error. */
static size_t *key_order(tpl_run *run, const tpl_dict *dict, bool sorted)
{
    size_t *order = fj_tpl_take(run, (dict->n + 1) * sizeof *order);
    for (size_t i = 0; order && i < dict->n; i++) {
        size_t at = i;
        for (int c = 0; sorted && at > 0; at--) {
            if (!fj_tpl_charge(run, 1) || !fj_tpl_order(run, dict->keys[i], dict->keys[order[at - 1]], &c))
                return NULL;
            if (c >= 0)
                break;
            order[at] = order[at - 1];
        }
        order[at] = i;
    }
    return order;
}

static bool json_dict(tpl_run *run, tpl_buf *b, const json_style *style, const tpl_dict *dict, int level)
{
    if (dict->n == 0)
        return add(run, b, "{}");
    size_t *order = key_order(run, dict, style->sorted);
    bool ok = order && add(run, b, "{") && json_newline(run, b, style, level + 1);
    for (size_t i = 0; ok && i < dict->n; i++)
        ok = (i == 0 || json_separator(run, b, style, level + 1)) && json_key(run, b, style, dict->keys[order[i]]) &&
             fj_tpl_add_part(run, b, style->key_separator, 0, style->key_separator->len) &&
             json_value(run, b, style, dict->values[order[i]], level + 1);
    return ok && json_newline(run, b, style, level) && add(run, b, "}");
}

static bool json_real(tpl_run *run, tpl_buf *b, double x)
{
    char number[40];
    fj_tpl_format_real(x, number);
    return add(run, b, isnan(x) ? "NaN" : isinf(x) ? (x > 0 ? "Infinity" : "-Infinity") : number);
}

static bool json_value(tpl_run *run, tpl_buf *b, const json_style *style, tpl_value v, int level)
{
    if (!fj_tpl_charge(run, 1))
        return false;
    if (level > 600)
        return fj_tpl_fail(run, FJ_ERR_FAILED, "tojson: a value nested too deep");
    switch (v.kind) {
    case TPL_NONE: return add(run, b, "null");
    case TPL_BOOL: return add(run, b, v.boolean ? "true" : "false");
    case TPL_INT: return fj_tpl_add_repr(run, b, v);
    case TPL_FLOAT: return json_real(run, b, v.real);
    case TPL_TEXT: return json_text(run, b, style, v.text);
    case TPL_LIST:
    case TPL_TUPLE: return json_list(run, b, style, v.list, level);
    case TPL_DICT: return json_dict(run, b, style, v.dict, level);
    default:
        return fj_tpl_fail(run, FJ_ERR_FORMAT, "tojson: object of type %s is not JSON serializable", fj_tpl_type(v));
    }
}

/* options: tojson(ensure_ascii=False, indent=None, separators=None, sort_keys=False), as transformers defines it. */
bool fj_tpl_add_json(tpl_run *run, tpl_buf *b, tpl_value v, const tpl_call *options)
{
    char spaces[64];
    const tpl_value ascii = options->arg[0], indent = options->arg[1], separators = options->arg[2],
                    sorted = options->arg[3];
    tpl_text comma = { .data = ", ", .len = 2 }, bare = { .data = ",", .len = 1 }, colon = { .data = ": ", .len = 2 };
    tpl_text step = { .data = spaces };
    json_style style = {
        .item_separator = &comma, .key_separator = &colon, .ascii = fj_tpl_truth(ascii), .sorted = fj_tpl_truth(sorted)
    };
    int64_t width;
    if (fj_tpl_integer(indent, &width)) {
        step.len = (size_t)FJ_MAX(0, FJ_MIN(width, (int64_t)sizeof spaces));
        memset(spaces, ' ', step.len);
        style.indent = &step;
    } else if (indent.kind == TPL_TEXT) {
        style.indent = indent.text;
    }
    if (style.indent)
        style.item_separator = &bare;
    if ((separators.kind == TPL_LIST || separators.kind == TPL_TUPLE) && separators.list->n == 2 &&
        separators.list->items[0].kind == TPL_TEXT && separators.list->items[1].kind == TPL_TEXT) {
        style.item_separator = separators.list->items[0].text;
        style.key_separator = separators.list->items[1].text;
    }
    return json_value(run, b, &style, v, 0);
}

/* ---- JSON to values ----------------------------------------------------------------------------------------------- */

static bool text_from_json(tpl_run *run, fj_text text, bool marked, tpl_value *out)
{
    return fj_tpl_charge(run, 1) && fj_tpl_text(run, text.data, text.len, marked, out);
}

static bool dict_from_json(tpl_run *run, const fj_json *json, bool marked, tpl_value *out)
{
    if (!fj_tpl_new_dict(run, out))
        return false;
    size_t n = fj_json_len(json);
    out->dict->keys = fj_tpl_take(run, (n + 1) * sizeof(tpl_value));
    out->dict->values = fj_tpl_take(run, (n + 1) * sizeof(tpl_value));
    out->dict->cap = n;
    if (!out->dict->keys || !out->dict->values)
        return false;
    for (void *i = fj_json_first(json); i && out->dict->n < n; i = fj_json_next(json, i)) {
        tpl_value key, value;
        if (!text_from_json(run, fj_text_of(fj_json_key(i)), marked, &key) ||
            !fj_tpl_from_json(run, fj_json_member(i), marked, &value))
            return false;
        out->dict->keys[out->dict->n] = key;
        out->dict->values[out->dict->n++] = value;
    }
    return true;
}

/* The texts are views of the document, which outlives the run. Its depth is limited by the JSON reader. */
bool fj_tpl_from_json(tpl_run *run, const fj_json *json, bool marked, tpl_value *out)
{
    *out = fj_tpl_none();
    if (!fj_tpl_charge(run, 1))
        return false;
    if (fj_json_is_string(json))
        return text_from_json(run, fj_json_text(json), marked, out);
    if (fj_json_is_object(json))
        return dict_from_json(run, json, marked, out);
    if (fj_json_is_bool(json))
        *out = fj_tpl_bool(fj_json_bool(json, false));
    else if (fj_json_is_integer(json))
        *out = fj_tpl_int(fj_json_int(json, 0));
    else if (fj_json_is_number(json))
        *out = fj_tpl_real(fj_json_real(json, 0));
    if (!fj_json_is_array(json))
        return true;
    size_t n = fj_json_len(json);
    if (!fj_tpl_new_list(run, n, out))
        return false;
    for (size_t i = 0; i < n; i++) {
        tpl_value item;
        if (!fj_tpl_from_json(run, fj_json_at(json, i), marked, &item) || !fj_tpl_append(run, out->list, item))
            return false;
    }
    return true;
}
