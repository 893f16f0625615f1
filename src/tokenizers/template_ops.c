/* SPDX-License-Identifier: Apache-2.0
 * Operators of the template language: arithmetic, comparison, and % on text. Python's rules; integers have 64 bits, and one
 * that does not fit is an error. */

#include <math.h>
#include <stdio.h>
#include <string.h>

#include "tokenizers/template_internal.h"

static const char *const symbols[] = {
    [OP_ADD] = "+",       [OP_SUB] = "-", [OP_MUL] = "*",  [OP_DIV] = "/",
    [OP_FLOORDIV] = "//", [OP_MOD] = "%", [OP_POW] = "**",
};

static bool overflow(tpl_run *run)
{
    return fj_tpl_fail(run, FJ_ERR_FORMAT, "an integer does not fit 64 bits");
}

static bool no_division(tpl_run *run)
{
    return fj_tpl_fail(run, FJ_ERR_FORMAT, "division by zero");
}

static bool power(tpl_run *run, int64_t base, int64_t exponent, tpl_value *out)
{
    int64_t result = 1;
    if (exponent < 0) {
        if (base == 0)
            return no_division(run);
        *out = fj_tpl_real(pow((double)base, (double)exponent));
        return true;
    }
    while (exponent > 0) {
        if ((exponent & 1) && __builtin_mul_overflow(result, base, &result))
            return overflow(run);
        exponent >>= 1;
        if (exponent > 0 && __builtin_mul_overflow(base, base, &base))
            return overflow(run);
    }
    *out = fj_tpl_int(result);
    return true;
}

static bool integers(tpl_run *run, tpl_op op, int64_t a, int64_t b, tpl_value *out)
{
    int64_t r = 0;
    bool wraps = false;
    switch (op) {
    case OP_ADD: wraps = __builtin_add_overflow(a, b, &r); break;
    case OP_SUB: wraps = __builtin_sub_overflow(a, b, &r); break;
    case OP_MUL: wraps = __builtin_mul_overflow(a, b, &r); break;
    case OP_POW: return power(run, a, b, out);
    case OP_DIV:
        if (b == 0)
            return no_division(run);
        *out = fj_tpl_real((double)a / (double)b);
        return true;
    default: /* // and %: rounded towards minus infinity */
        if (b == 0)
            return no_division(run);
        if (b == -1) { /* INT64_MIN / -1 has no result */
            wraps = __builtin_sub_overflow((int64_t)0, a, &r);
            r = op == OP_MOD ? 0 : r;
            wraps = wraps && op != OP_MOD;
            break;
        }
        r = op == OP_MOD ? a % b : a / b;
        if (a % b != 0 && (a % b < 0) != (b < 0))
            r += op == OP_MOD ? b : -1;
        break;
    }
    *out = fj_tpl_int(r);
    return wraps ? overflow(run) : true;
}

static bool reals(tpl_run *run, tpl_op op, double a, double b, tpl_value *out)
{
    double r = 0;
    if ((op == OP_DIV || op == OP_FLOORDIV || op == OP_MOD) && b == 0)
        return no_division(run);
    switch (op) {
    case OP_ADD: r = a + b; break;
    case OP_SUB: r = a - b; break;
    case OP_MUL: r = a * b; break;
    case OP_DIV: r = a / b; break;
    case OP_FLOORDIV: r = floor(a / b); break;
    case OP_MOD:
        r = fmod(a, b);
        if (r != 0 && (r < 0) != (b < 0))
            r += b;
        break;
    default: r = pow(a, b); break;
    }
    *out = fj_tpl_real(r);
    return true;
}

static bool join_lists(tpl_run *run, tpl_value a, tpl_value b, tpl_value *out)
{
    if (!fj_tpl_new_list(run, a.list->n + b.list->n, out))
        return false;
    out->kind = a.kind;
    for (size_t i = 0; i < a.list->n; i++)
        if (!fj_tpl_append(run, out->list, a.list->items[i]))
            return false;
    for (size_t i = 0; i < b.list->n; i++)
        if (!fj_tpl_append(run, out->list, b.list->items[i]))
            return false;
    return true;
}

/* text or list times n */
static bool repeat(tpl_run *run, tpl_value v, int64_t n, tpl_value *out)
{
    if (v.kind == TPL_TEXT) {
        tpl_buf b = { 0 };
        for (int64_t i = 0; i < n && v.text->len > 0; i++)
            if (!fj_tpl_charge(run, 1) || !fj_tpl_add_value(run, &b, v))
                return false;
        return fj_tpl_done(run, &b, out);
    }
    if (!fj_tpl_new_list(run, 0, out))
        return false;
    out->kind = v.kind;
    for (int64_t i = 0; i < n && v.list->n > 0; i++)
        for (size_t k = 0; k < v.list->n; k++)
            if (!fj_tpl_append(run, out->list, v.list->items[k]))
                return false;
    return true;
}

static bool is_sequence(tpl_value v)
{
    return v.kind == TPL_TEXT || v.kind == TPL_LIST || v.kind == TPL_TUPLE;
}

/* Operators on what is not two numbers; *done false: there is none. */
static bool on_sequences(tpl_run *run, tpl_op op, tpl_value a, tpl_value b, tpl_value *out, bool *done)
{
    int64_t n;
    *done = true;
    if (op == OP_ADD && a.kind == TPL_TEXT && b.kind == TPL_TEXT) {
        tpl_buf buf = { 0 };
        return fj_tpl_add_value(run, &buf, a) && fj_tpl_add_value(run, &buf, b) && fj_tpl_done(run, &buf, out);
    }
    if (op == OP_ADD && a.kind == b.kind && (a.kind == TPL_LIST || a.kind == TPL_TUPLE))
        return join_lists(run, a, b, out);
    if (op == OP_MUL && is_sequence(a) && fj_tpl_integer(b, &n))
        return repeat(run, a, n, out);
    if (op == OP_MUL && is_sequence(b) && fj_tpl_integer(a, &n))
        return repeat(run, b, n, out);
    if (op == OP_MOD && a.kind == TPL_TEXT) {
        if (b.kind == TPL_TUPLE)
            return fj_tpl_percent(run, a.text, b.list->items, b.list->n, NULL, out);
        return fj_tpl_percent(run, a.text, &b, 1, b.kind == TPL_DICT ? b.dict : NULL, out);
    }
    *done = false;
    return false;
}

bool fj_tpl_arith(tpl_run *run, tpl_op op, tpl_value a, tpl_value b, tpl_value *out)
{
    int64_t i, j;
    double x, y;
    bool done;
    if (fj_tpl_integer(a, &i) && fj_tpl_integer(b, &j))
        return integers(run, op, i, j, out);
    if (fj_tpl_number(a, &x) && fj_tpl_number(b, &y))
        return reals(run, op, x, y, out);
    bool ok = on_sequences(run, op, a, b, out, &done);
    if (done)
        return ok;
    if (a.kind == TPL_UNDEFINED || b.kind == TPL_UNDEFINED) {
        tpl_value u = a.kind == TPL_UNDEFINED ? a : b;
        return fj_tpl_fail(run, FJ_ERR_FORMAT, "'%s' is undefined", u.name ? u.name : "value");
    }
    return fj_tpl_fail(run, FJ_ERR_FORMAT, "unsupported operand types for %s: '%s' and '%s'", symbols[op],
                       fj_tpl_type(a), fj_tpl_type(b));
}

bool fj_tpl_compare(tpl_run *run, tpl_op op, tpl_value a, tpl_value b, bool *out)
{
    int c = 0;
    switch (op) {
    case OP_EQ:
    case OP_NE: *out = fj_tpl_equal(run, a, b) == (op == OP_EQ); return !run->err->status;
    case OP_IN:
    case OP_NOT_IN:
        if (!fj_tpl_contains(run, b, a, out))
            return false;
        *out = *out == (op == OP_IN);
        return true;
    default:
        if (!fj_tpl_order(run, a, b, &c))
            return false;
        *out = op == OP_LT ? c < 0 : op == OP_LE ? c <= 0 : op == OP_GT ? c > 0 : c >= 0;
        return true;
    }
}

/* ---- "%s is %d" % values ------------------------------------------------------------------------------------------ */

typedef struct directive {
    bool left, zero, plus, space;
    int width, precision; /* precision -1: none given */
    char type;
} directive;

static const char *read_number(const char *s, const char *end, int *out)
{
    for (*out = 0; s < end && *s >= '0' && *s <= '9' && *out < 10000; s++)
        *out = *out * 10 + (*s - '0');
    return s;
}

/* s: behind the % and a (name). Returns behind the type letter, or NULL. */
static const char *read_directive(const char *s, const char *end, directive *d)
{
    *d = (directive){ .precision = -1 };
    for (; s < end && strchr("-0+ #", *s) && *s; s++) {
        d->left |= *s == '-';
        d->zero |= *s == '0';
        d->plus |= *s == '+';
        d->space |= *s == ' ';
    }
    s = read_number(s, end, &d->width);
    if (s < end && *s == '.')
        s = read_number(s + 1, end, &d->precision);
    if (s >= end || d->width >= 10000 || d->precision >= 10000)
        return NULL;
    d->type = *s;
    return s + 1;
}

static bool add_padded(tpl_run *run, tpl_buf *b, const directive *d, const tpl_buf *text, bool is_number)
{
    tpl_value v;
    if (!fj_tpl_done(run, text, &v))
        return false;
    int64_t n = fj_tpl_chars(v.text), pad = d->width > n ? d->width - n : 0;
    size_t sign = is_number && d->zero && !d->left && text->len && strchr("+- ", text->data[0]) ? 1 : 0;
    char fill = is_number && d->zero && !d->left ? '0' : ' ';
    bool ok = fj_tpl_add_part(run, b, v.text, 0, sign);
    for (int64_t i = 0; ok && !d->left && i < pad; i++)
        ok = fj_tpl_add(run, b, &fill, 1, false);
    ok = ok && fj_tpl_add_part(run, b, v.text, sign, v.text->len);
    for (int64_t i = 0; ok && d->left && i < pad; i++)
        ok = fj_tpl_add(run, b, &fill, 1, false);
    return ok;
}

static bool format_number(tpl_run *run, const directive *d, tpl_value v, tpl_buf *text)
{
    char number[400];
    int64_t i = 0;
    double x;
    if (!fj_tpl_number(v, &x))
        return fj_tpl_fail(run, FJ_ERR_FORMAT, "%%%c format: a number is required, not %s", d->type, fj_tpl_type(v));
    if (strchr("di", d->type) && v.kind == TPL_FLOAT && !(x >= -9.2e18 && x <= 9.2e18))
        return overflow(run);
    if (strchr("diuxXo", d->type) && !fj_tpl_integer(v, &i))
        i = (int64_t)x;
    int precision = d->precision < 0 ? 6 : FJ_MIN(d->precision, 60);
    if (strchr("diu", d->type))
        snprintf(number, sizeof number, d->plus ? "%+lld" : d->space ? "% lld" : "%lld", (long long)i);
    else if (strchr("xXo", d->type))
        snprintf(number, sizeof number,
                 d->type == 'x'   ? "%s%llx"
                 : d->type == 'X' ? "%s%llX"
                                  : "%s%llo",
                 i < 0 ? "-" : "", i < 0 ? 0ull - (unsigned long long)i : (unsigned long long)i);
    else if (strchr("fF", d->type))
        snprintf(number, sizeof number, d->plus ? "%+.*f" : "%.*f", precision, x);
    else if (strchr("eE", d->type))
        snprintf(number, sizeof number, d->plus ? "%+.*e" : "%.*e", precision, x);
    else
        snprintf(number, sizeof number, d->plus ? "%+.*g" : "%.*g", precision, x);
    return fj_tpl_add(run, text, number, strlen(number), false);
}

static bool format_one(tpl_run *run, tpl_buf *b, const directive *d, tpl_value v)
{
    tpl_buf text = { 0 };
    if (!strchr("sra", d->type))
        return format_number(run, d, v, &text) && add_padded(run, b, d, &text, true);
    bool ok = d->type == 's' ? fj_tpl_add_value(run, &text, v) : fj_tpl_add_repr(run, &text, v);
    if (ok && d->precision >= 0 && (size_t)d->precision < text.len) {
        tpl_text whole = { .data = text.data, .len = text.len };
        size_t at = 0;
        for (int i = 0; i < d->precision && at < whole.len; i++)
            at += fj_tpl_char_at(&whole, at);
        text.len = at;
    }
    return ok && add_padded(run, b, d, &text, false);
}

bool fj_tpl_percent(tpl_run *run, tpl_text *format, const tpl_value *args, size_t n, const tpl_dict *named,
                    tpl_value *out)
{
    tpl_buf b = { 0 };
    size_t used = 0;
    const char *s = format->data, *end = s + format->len, *plain = s;
    while (s < end) {
        if (*s != '%') {
            s++;
            continue;
        }
        if (!fj_tpl_add_part(run, &b, format, (size_t)(plain - format->data), (size_t)(s - format->data)))
            return false;
        s++;
        const tpl_value *v = NULL;
        const char *close = s < end && *s == '(' ? memchr(s, ')', (size_t)(end - s)) : NULL;
        if (close && named) {
            tpl_text key = { .data = s + 1, .len = (size_t)(close - s - 1) };
            v = fj_tpl_find(run, named, (tpl_value){ .kind = TPL_TEXT, .text = &key });
            s = close + 1;
            if (!v)
                return fj_tpl_fail(run, FJ_ERR_FORMAT, "%% format: no value for '%.*s'", (int)FJ_MIN(key.len, 40u),
                                   key.data);
        }
        directive d;
        s = read_directive(s, end, &d);
        if (!s || !strchr("%sradiuxXofFeEgG", d.type))
            return fj_tpl_fail(run, FJ_ERR_FORMAT, "incomplete or unsupported %% format");
        plain = s;
        if (d.type == '%') {
            if (!fj_tpl_add(run, &b, "%", 1, false))
                return false;
            continue;
        }
        if (!v && used >= n)
            return fj_tpl_fail(run, FJ_ERR_FORMAT, "not enough arguments for %% format");
        if (!format_one(run, &b, &d, v ? *v : args[used++]))
            return false;
    }
    if (used < n && !named)
        return fj_tpl_fail(run, FJ_ERR_FORMAT, "not all arguments converted by %% format");
    return fj_tpl_add_part(run, &b, format, (size_t)(plain - format->data), format->len) && fj_tpl_done(run, &b, out);
}
