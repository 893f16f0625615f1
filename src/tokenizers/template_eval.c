/* SPDX-License-Identifier: Apache-2.0
 * Evaluating expressions: names, members, items, slices, calls, filters and tests.
 * Source: Jinja 2, "Variables" (x.y looks for a method first, x['y'] for an item first) and Undefined. */

#include <string.h>

#include "tokenizers/template_internal.h"

static bool undefined_used(tpl_run *run, tpl_value v)
{
    if (v.is_member)
        return fj_tpl_fail(run, FJ_ERR_FORMAT, "there is no member '%s'", v.name ? v.name : "?");
    return fj_tpl_fail(run, FJ_ERR_FORMAT, "'%s' is undefined", v.name ? v.name : "value");
}

/* ---- names, members, items ---------------------------------------------------------------------------------------- */

static bool callable_value(tpl_run *run, const tpl_builtin *builtin, tpl_value self, tpl_value *out)
{
    tpl_callable *callable = fj_tpl_take(run, sizeof *callable);
    if (!callable)
        return false;
    callable->builtin = builtin;
    callable->self = self;
    *out = (tpl_value){ .kind = TPL_CALLABLE, .callable = callable };
    return true;
}

static bool eval_name(tpl_run *run, const tpl_scope *scope, const char *name, tpl_value *out)
{
    for (; scope; scope = scope->parent)
        for (const tpl_variable *v = scope->variables; v; v = v->next)
            if (v->name == name) {
                *out = v->value;
                return true;
            }
    const tpl_builtin *function = fj_tpl_function(name);
    if (function)
        return callable_value(run, function, fj_tpl_none(), out);
    *out = fj_tpl_undefined(name, false);
    return true;
}

static tpl_value loop_member(const tpl_loop *loop, const char *name)
{
    int64_t at = (int64_t)loop->at, n = (int64_t)loop->items->n;
    if (strcmp(name, "index") == 0)
        return fj_tpl_int(at + 1);
    if (strcmp(name, "index0") == 0)
        return fj_tpl_int(at);
    if (strcmp(name, "revindex") == 0)
        return fj_tpl_int(n - at);
    if (strcmp(name, "revindex0") == 0)
        return fj_tpl_int(n - at - 1);
    if (strcmp(name, "first") == 0)
        return fj_tpl_bool(at == 0);
    if (strcmp(name, "last") == 0)
        return fj_tpl_bool(at == n - 1);
    if (strcmp(name, "length") == 0)
        return fj_tpl_int(n);
    if (strcmp(name, "depth") == 0 || strcmp(name, "depth0") == 0)
        return fj_tpl_int(strcmp(name, "depth") == 0); /* it counts recursion, which there is none of */
    if (strcmp(name, "previtem") == 0 && at > 0)
        return loop->items->items[at - 1];
    if (strcmp(name, "nextitem") == 0 && at < n - 1)
        return loop->items->items[at + 1];
    return fj_tpl_undefined(name, true);
}

bool fj_tpl_member(tpl_run *run, tpl_value v, const char *name, tpl_value *out)
{
    const tpl_value *found = NULL;
    if (v.kind == TPL_UNDEFINED)
        return undefined_used(run, v);
    const tpl_builtin *method = fj_tpl_method(v.kind, name);
    if (method)
        return callable_value(run, method, v, out);
    if (v.kind == TPL_DICT || v.kind == TPL_NAMESPACE)
        found = fj_tpl_find_name(run, v.dict, name);
    if (run->err->status)
        return false;
    if (found)
        *out = *found;
    else
        *out = v.kind == TPL_LOOP ? loop_member(v.loop, name) : fj_tpl_undefined(name, true);
    return true;
}

/* Index n of a sequence of len: counted from the end when negative. */
static bool index_in(int64_t n, int64_t len, size_t *out)
{
    if (n < 0)
        n += len;
    *out = (size_t)n;
    return n >= 0 && n < len;
}

static bool text_item(tpl_run *run, tpl_text *text, int64_t n, tpl_value *out)
{
    size_t index, at = 0;
    *out = fj_tpl_undefined("index", true);
    if (!index_in(n, fj_tpl_chars(text), &index))
        return true;
    if (!fj_tpl_charge(run, text->len / 64))
        return false;
    if (text->n_chars == (int64_t)text->len)
        at = index;
    else
        while (index-- > 0)
            at += fj_tpl_char_at(text, at);
    return fj_tpl_part(run, text, at, at + fj_tpl_char_at(text, at), out);
}

bool fj_tpl_item(tpl_run *run, tpl_value v, tpl_value key, tpl_value *out)
{
    int64_t n;
    size_t index;
    if (v.kind == TPL_UNDEFINED)
        return undefined_used(run, v);
    if (v.kind == TPL_DICT) {
        const tpl_value *found = fj_tpl_find(run, v.dict, key);
        if (run->err->status)
            return false;
        if (found) {
            *out = *found;
            return true;
        }
    }
    if ((v.kind == TPL_LIST || v.kind == TPL_TUPLE) && fj_tpl_integer(key, &n)) {
        *out = index_in(n, (int64_t)v.list->n, &index) ? v.list->items[index] : fj_tpl_undefined("index", true);
        return true;
    }
    if (v.kind == TPL_TEXT && fj_tpl_integer(key, &n))
        return text_item(run, v.text, n, out);
    if (key.kind != TPL_TEXT) {
        *out = fj_tpl_undefined("item", true);
        return true;
    }
    char *name = fj_tpl_take(run, key.text->len + 1);
    if (!name)
        return false;
    memcpy(name, key.text->data, key.text->len);
    return fj_tpl_member(run, v, name, out);
}

bool fj_tpl_path(tpl_run *run, tpl_value v, tpl_value path, tpl_value *out)
{
    if (path.kind != TPL_TEXT)
        return fj_tpl_item(run, v, path, out);
    *out = v;
    for (size_t at = 0; at <= path.text->len;) {
        size_t end = at;
        while (end < path.text->len && path.text->data[end] != '.')
            end++;
        int64_t n;
        tpl_value key, of = *out;
        fj_text part = { path.text->data + at, end - at };
        if (fj_text_i64(part, &n))
            key = fj_tpl_int(n);
        else if (!fj_tpl_part(run, path.text, at, end, &key))
            return false;
        if (!fj_tpl_item(run, of, key, out))
            return false;
        at = end + 1;
    }
    return true;
}

/* ---- slices ------------------------------------------------------------------------------------------------------- */

typedef struct slice {
    int64_t start, step, n;
} slice;

static int64_t clamp(int64_t v, int64_t low, int64_t high)
{
    return v < low ? low : v > high ? high : v;
}

static bool slice_part(tpl_run *run, tpl_scope *scope, const tpl_node *n, int64_t *out, bool *given)
{
    tpl_value v;
    *given = false;
    if (!n)
        return true;
    if (!fj_tpl_eval(run, scope, n, &v))
        return false;
    if (v.kind == TPL_NONE)
        return true;
    *given = true;
    if (v.kind == TPL_UNDEFINED)
        return undefined_used(run, v);
    if (!fj_tpl_integer(v, out))
        return fj_tpl_fail(run, FJ_ERR_FORMAT, "slice indices must be integers, not %s", fj_tpl_type(v));
    return true;
}

/* Python's rules for start:stop:step over len items. */
static bool read_slice(tpl_run *run, tpl_scope *scope, const tpl_node *n, int64_t len, slice *out)
{
    int64_t start = 0, stop = 0, step = 1;
    bool has_start, has_stop, has_step;
    if (!slice_part(run, scope, n->a, &start, &has_start) || !slice_part(run, scope, n->b, &stop, &has_stop) ||
        !slice_part(run, scope, n->c, &step, &has_step))
        return false;
    if (step == 0)
        return fj_tpl_fail(run, FJ_ERR_FORMAT, "slice step cannot be zero");
    step = clamp(step, -(INT64_C(1) << 40), INT64_C(1) << 40);
    int64_t low = step > 0 ? 0 : -1, high = step > 0 ? len : len - 1;
    start = has_start ? clamp(start < 0 ? clamp(start, -len - 1, 0) + len : start, low, high) : step > 0 ? 0 : len - 1;
    stop = has_stop ? clamp(stop < 0 ? clamp(stop, -len - 1, 0) + len : stop, low, high) : step > 0 ? len : -1;
    int64_t span = step > 0 ? stop - start : start - stop, size = step > 0 ? step : -step;
    *out = (slice){ start, step, span > 0 ? (span + size - 1) / size : 0 };
    return true;
}

static bool slice_text(tpl_run *run, tpl_text *text, const slice *s, tpl_value *out)
{
    tpl_list *chars;
    tpl_buf b = { 0 };
    if (text->n_chars == (int64_t)text->len && s->step == 1)
        return fj_tpl_part(run, text, (size_t)s->start, (size_t)(s->start + s->n), out);
    if (!fj_tpl_iterate(run, (tpl_value){ .kind = TPL_TEXT, .text = text }, &chars))
        return false;
    for (int64_t i = 0; i < s->n; i++)
        if (!fj_tpl_charge(run, 1) || !fj_tpl_add_value(run, &b, chars->items[s->start + i * s->step]))
            return false;
    return fj_tpl_done(run, &b, out);
}

static bool eval_slice(tpl_run *run, tpl_scope *scope, tpl_value v, const tpl_node *n, tpl_value *out)
{
    slice s = { 0 };
    if (v.kind == TPL_UNDEFINED)
        return undefined_used(run, v);
    if (v.kind != TPL_TEXT && v.kind != TPL_LIST && v.kind != TPL_TUPLE) {
        *out = fj_tpl_undefined("slice", true);
        return true;
    }
    int64_t len = v.kind == TPL_TEXT ? fj_tpl_chars(v.text) : (int64_t)v.list->n;
    if (!read_slice(run, scope, n, len, &s))
        return false;
    if (v.kind == TPL_TEXT)
        return slice_text(run, v.text, &s, out);
    if (!fj_tpl_new_list(run, (size_t)s.n, out))
        return false;
    out->kind = v.kind;
    for (int64_t i = 0; i < s.n; i++)
        if (!fj_tpl_append(run, out->list, v.list->items[s.start + i * s.step]))
            return false;
    return true;
}

/* ---- calls -------------------------------------------------------------------------------------------------------- */

bool fj_tpl_eval_args(tpl_run *run, tpl_scope *scope, const tpl_node *list, tpl_args *out)
{
    size_t n_all = 0;
    *out = (tpl_args){ 0 };
    for (const tpl_node *n = list; n; n = n->next)
        n_all++;
    if (n_all == 0)
        return true;
    out->positional = fj_tpl_take(run, n_all * sizeof *out->positional);
    out->named = fj_tpl_take(run, n_all * sizeof *out->named);
    out->names = fj_tpl_take(run, n_all * sizeof *out->names);
    if (!out->positional || !out->named || !out->names)
        return false;
    for (const tpl_node *n = list; n; n = n->next) {
        bool is_named = n->kind == N_KEYWORD;
        if (!fj_tpl_eval(run, scope, is_named ? n->a : n,
                         is_named ? &out->named[out->n_named] : &out->positional[out->n_positional]))
            return false;
        if (is_named)
            out->names[out->n_named++] = n->name;
        else
            out->n_positional++;
    }
    return true;
}

static bool bind_named(tpl_run *run, const tpl_builtin *builtin, const char *what, const tpl_args *args, tpl_call *call)
{
    for (size_t i = 0; i < args->n_named; i++) {
        int at = 0;
        while (at < TPL_MAX_ARGS && builtin->params[at] && strcmp(builtin->params[at], args->names[i]) != 0)
            at++;
        if (at == TPL_MAX_ARGS || !builtin->params[at])
            return fj_tpl_fail(run, FJ_ERR_FORMAT, "%s '%s' has no argument '%s'", what, builtin->name, args->names[i]);
        if (call->arg[at].kind != TPL_ABSENT)
            return fj_tpl_fail(run, FJ_ERR_FORMAT, "%s '%s' got argument '%s' twice", what, builtin->name,
                               args->names[i]);
        call->arg[at] = args->named[i];
    }
    return true;
}

bool fj_tpl_call_builtin(tpl_run *run, const tpl_builtin *builtin, const char *what, tpl_value self,
                         const tpl_args *args, tpl_value *out)
{
    tpl_call call = { .self = self, .all = args };
    if (!builtin->variadic) {
        size_t n_params = 0;
        while (n_params < TPL_MAX_ARGS && builtin->params[n_params])
            n_params++;
        if (args->n_positional > n_params)
            return fj_tpl_fail(run, FJ_ERR_FORMAT, "%s '%s' takes at most %zu arguments, got %zu", what, builtin->name,
                               n_params, args->n_positional);
        for (size_t i = 0; i < args->n_positional; i++)
            call.arg[i] = args->positional[i];
        if (!bind_named(run, builtin, what, args, &call))
            return false;
        for (int i = 0; i < builtin->n_required; i++)
            if (call.arg[i].kind == TPL_ABSENT)
                return fj_tpl_fail(run, FJ_ERR_FORMAT, "%s '%s' needs argument '%s'", what, builtin->name,
                                   builtin->params[i]);
    }
    return builtin->fn(run, &call, out);
}

bool fj_tpl_call(tpl_run *run, tpl_value callee, const tpl_args *args, tpl_value *out)
{
    if (callee.kind == TPL_UNDEFINED)
        return undefined_used(run, callee);
    if (callee.kind != TPL_CALLABLE)
        return fj_tpl_fail(run, FJ_ERR_FORMAT, "'%s' object is not callable", fj_tpl_type(callee));
    if (callee.callable->macro)
        return fj_tpl_call_macro(run, callee.callable, args, fj_tpl_none(), out);
    return fj_tpl_call_builtin(run, callee.callable->builtin, "function", callee.callable->self, args, out);
}

static bool eval_call(tpl_run *run, tpl_scope *scope, const tpl_node *n, tpl_value *out)
{
    tpl_value callee;
    tpl_args args;
    return fj_tpl_eval(run, scope, n->a, &callee) && fj_tpl_eval_args(run, scope, n->b, &args) &&
           fj_tpl_call(run, callee, &args, out);
}

static bool eval_filter(tpl_run *run, tpl_scope *scope, const tpl_node *n, tpl_value *out)
{
    tpl_value self;
    tpl_args args;
    if (!n->builtin)
        return fj_tpl_fail(run, FJ_ERR_FORMAT, "there is no filter '%s'", n->name);
    return fj_tpl_eval(run, scope, n->a, &self) && fj_tpl_eval_args(run, scope, n->b, &args) &&
           fj_tpl_call_builtin(run, n->builtin, "filter", self, &args, out);
}

static bool eval_test(tpl_run *run, tpl_scope *scope, const tpl_node *n, tpl_value *out)
{
    tpl_value self;
    tpl_args args;
    if (!n->builtin)
        return fj_tpl_fail(run, FJ_ERR_FORMAT, "there is no test '%s'", n->name);
    if (!fj_tpl_eval(run, scope, n->a, &self) || !fj_tpl_eval_args(run, scope, n->b, &args) ||
        !fj_tpl_call_builtin(run, n->builtin, "test", self, &args, out))
        return false;
    *out = fj_tpl_bool(fj_tpl_truth(*out) == (n->op != OP_NOT));
    return true;
}

/* ---- operators and literals --------------------------------------------------------------------------------------- */

static bool eval_unary(tpl_run *run, tpl_scope *scope, const tpl_node *n, tpl_value *out)
{
    tpl_value v;
    if (!fj_tpl_eval(run, scope, n->a, &v))
        return false;
    if (n->op == OP_NOT) {
        *out = fj_tpl_bool(!fj_tpl_truth(v));
        return true;
    }
    if (v.kind == TPL_FLOAT) {
        *out = fj_tpl_real(n->op == OP_SUB ? -v.real : v.real);
        return true;
    }
    return fj_tpl_arith(run, n->op, fj_tpl_int(0), v, out);
}

static bool eval_compare(tpl_run *run, tpl_scope *scope, const tpl_node *n, tpl_value *out)
{
    tpl_value a, b;
    bool yes = true;
    if (!fj_tpl_eval(run, scope, n->a, &a))
        return false;
    for (const tpl_node *operand = n->b; operand && yes; operand = operand->next) {
        if (!fj_tpl_eval(run, scope, operand->a, &b) || !fj_tpl_compare(run, operand->op, a, b, &yes))
            return false;
        a = b;
    }
    *out = fj_tpl_bool(yes);
    return true;
}

static bool eval_concat(tpl_run *run, tpl_scope *scope, const tpl_node *n, tpl_value *out)
{
    tpl_buf b = { 0 };
    for (const tpl_node *part = n->a; part; part = part->next) {
        tpl_value v;
        if (!fj_tpl_eval(run, scope, part, &v) || !fj_tpl_add_value(run, &b, v))
            return false;
    }
    return fj_tpl_done(run, &b, out);
}

static bool eval_list(tpl_run *run, tpl_scope *scope, const tpl_node *n, tpl_value *out)
{
    if (!fj_tpl_new_list(run, 0, out))
        return false;
    for (const tpl_node *item = n->a; item; item = item->next) {
        tpl_value v;
        if (!fj_tpl_eval(run, scope, item, &v) || !fj_tpl_append(run, out->list, v))
            return false;
    }
    if (n->kind == N_TUPLE)
        out->kind = TPL_TUPLE;
    return true;
}

static bool eval_dict(tpl_run *run, tpl_scope *scope, const tpl_node *n, tpl_value *out)
{
    if (!fj_tpl_new_dict(run, out))
        return false;
    for (const tpl_node *item = n->a; item; item = item->next->next) {
        tpl_value key, v;
        if (!fj_tpl_eval(run, scope, item, &key) || !fj_tpl_eval(run, scope, item->next, &v) ||
            !fj_tpl_put(run, out->dict, key, v))
            return false;
    }
    return true;
}

static bool eval_binary(tpl_run *run, tpl_scope *scope, const tpl_node *n, tpl_value *out)
{
    tpl_value a, b;
    return fj_tpl_eval(run, scope, n->a, &a) && fj_tpl_eval(run, scope, n->b, &b) &&
           fj_tpl_arith(run, n->op, a, b, out);
}

static bool eval_logic(tpl_run *run, tpl_scope *scope, const tpl_node *n, tpl_value *out)
{
    if (!fj_tpl_eval(run, scope, n->a, out))
        return false;
    return fj_tpl_truth(*out) == (n->kind == N_OR) ? true : fj_tpl_eval(run, scope, n->b, out);
}

static bool eval_condition(tpl_run *run, tpl_scope *scope, const tpl_node *n, tpl_value *out)
{
    tpl_value condition;
    if (!fj_tpl_eval(run, scope, n->b, &condition))
        return false;
    if (fj_tpl_truth(condition))
        return fj_tpl_eval(run, scope, n->a, out);
    if (n->c)
        return fj_tpl_eval(run, scope, n->c, out);
    *out = fj_tpl_undefined("the inline if without else", false);
    return true;
}

static bool eval_item(tpl_run *run, tpl_scope *scope, const tpl_node *n, tpl_value *out)
{
    tpl_value v, key;
    if (!fj_tpl_eval(run, scope, n->a, &v))
        return false;
    if (n->b->kind == N_SLICE)
        return eval_slice(run, scope, v, n->b, out);
    return fj_tpl_eval(run, scope, n->b, &key) && fj_tpl_item(run, v, key, out);
}

static bool eval_member(tpl_run *run, tpl_scope *scope, const tpl_node *n, tpl_value *out)
{
    tpl_value v;
    return fj_tpl_eval(run, scope, n->a, &v) && fj_tpl_member(run, v, n->name, out);
}

static bool eval_node(tpl_run *run, tpl_scope *scope, const tpl_node *n, tpl_value *out)
{
    switch (n->kind) {
    case N_CONST: *out = n->value; return true;
    case N_NAME: return eval_name(run, scope, n->name, out);
    case N_LIST:
    case N_TUPLE: return eval_list(run, scope, n, out);
    case N_DICT: return eval_dict(run, scope, n, out);
    case N_UNARY: return eval_unary(run, scope, n, out);
    case N_BINARY: return eval_binary(run, scope, n, out);
    case N_COMPARE: return eval_compare(run, scope, n, out);
    case N_CONCAT: return eval_concat(run, scope, n, out);
    case N_AND:
    case N_OR: return eval_logic(run, scope, n, out);
    case N_COND: return eval_condition(run, scope, n, out);
    case N_MEMBER: return eval_member(run, scope, n, out);
    case N_ITEM: return eval_item(run, scope, n, out);
    case N_CALL: return eval_call(run, scope, n, out);
    case N_FILTER: return eval_filter(run, scope, n, out);
    case N_TEST: return eval_test(run, scope, n, out);
    default: return fj_tpl_fail(run, FJ_ERR_FORMAT, "not an expression");
    }
}

bool fj_tpl_eval(tpl_run *run, tpl_scope *scope, const tpl_node *n, tpl_value *out)
{
    run->line = n->line;
    if (!fj_tpl_charge(run, 1))
        return false;
    if (run->depth >= TPL_MAX_DEPTH)
        return fj_tpl_fail(run, FJ_ERR_FAILED, "nested more than %d deep", TPL_MAX_DEPTH);
    run->depth++;
    bool ok = eval_node(run, scope, n, out);
    run->depth--;
    return ok;
}
