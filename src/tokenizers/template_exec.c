/* SPDX-License-Identifier: Apache-2.0
 * Running statements: loops, conditions, assignments, macros; and where output goes.
 * Source: Jinja 2, "Scoping Behavior": a loop's body and a macro have scopes of their own, an if has not. */

#include <stdlib.h>
#include <string.h>

#include "tokenizers/template_internal.h"

typedef enum flow { FLOW_NEXT, FLOW_BREAK, FLOW_CONTINUE, FLOW_FAILED } flow;

static flow run_body(tpl_run *run, tpl_scope *scope, const tpl_node *body);

/* ---- output ------------------------------------------------------------------------------------------------------- */

static bool add_span(tpl_run *run, size_t len, bool from_message)
{
    fj_rendering *out = run->out;
    fj_span *last = out->n_spans ? &out->spans[out->n_spans - 1] : NULL;
    if (last && last->from_message == from_message && last->message == run->message) {
        last->len += len;
        return true;
    }
    if (out->n_spans == run->spans_cap) {
        size_t cap = run->spans_cap ? run->spans_cap * 2 : 32;
        fj_span *new = realloc(out->spans, cap * sizeof *new);
        if (!new)
            return fj_tpl_fail(run, FJ_ERR_MEMORY, "no memory for the text");
        out->spans = new;
        run->spans_cap = cap;
    }
    out->spans[out->n_spans++] = (fj_span){
        .start = out->text.len - len, .len = len, .from_message = from_message, .message = run->message
    };
    return true;
}

static bool write_run(tpl_run *run, const char *data, size_t len, bool marked)
{
    if (len == 0)
        return true;
    if (!fj_tpl_charge(run, len / 256))
        return false;
    if (len > TPL_MAX_OUTPUT - run->out->text.len)
        return fj_tpl_fail(run, FJ_ERR_FAILED, "more than %d bytes of text", TPL_MAX_OUTPUT);
    fj_str_add(&run->out->text, data, len);
    if (run->out->text.failed)
        return fj_tpl_fail(run, FJ_ERR_MEMORY, "no memory for the text");
    return add_span(run, len, marked);
}

static bool write_text(tpl_run *run, const tpl_text *text)
{
    if (run->capture)
        return fj_tpl_add_part(run, run->capture, text, 0, text->len);
    if (!text->marks)
        return write_run(run, text->data, text->len, text->marked);
    for (size_t from = 0, end; from < text->len; from = end) {
        for (end = from + 1; end < text->len && text->marks[end] == text->marks[from]; end++)
            continue;
        if (!write_run(run, text->data + from, end - from, text->marks[from]))
            return false;
    }
    return true;
}

static flow run_print(tpl_run *run, tpl_scope *scope, const tpl_node *n)
{
    tpl_value v;
    tpl_text *text;
    bool ok = fj_tpl_eval(run, scope, n->a, &v) && fj_tpl_to_text(run, v, &text) && write_text(run, text);
    return ok ? FLOW_NEXT : FLOW_FAILED;
}

/* ---- scopes and assignment ---------------------------------------------------------------------------------------- */

bool fj_tpl_define(tpl_run *run, tpl_scope *scope, const char *name, tpl_value v)
{
    for (tpl_variable *old = scope->variables; old; old = old->next)
        if (old->name == name) {
            old->value = v;
            return true;
        }
    tpl_variable *new = fj_tpl_take(run, sizeof *new);
    if (!new)
        return false;
    *new = (tpl_variable){ .next = scope->variables, .name = name, .value = v };
    scope->variables = new;
    return true;
}

static tpl_scope *new_scope(tpl_run *run, tpl_scope *parent)
{
    tpl_scope *scope = fj_tpl_take(run, sizeof *scope);
    if (scope)
        scope->parent = parent;
    return scope;
}

static bool assign_member(tpl_run *run, tpl_scope *scope, const tpl_node *target, tpl_value v)
{
    tpl_value owner, key;
    if (!fj_tpl_eval(run, scope, target->a, &owner))
        return false;
    if (owner.kind != TPL_NAMESPACE)
        return fj_tpl_fail(run, FJ_ERR_FORMAT, "cannot assign attribute '%s' on a non-namespace object", target->name);
    return fj_tpl_text(run, target->name, strlen(target->name), false, &key) && fj_tpl_put(run, owner.dict, key, v);
}

static bool assign(tpl_run *run, tpl_scope *scope, const tpl_node *target, tpl_value v)
{
    tpl_list *items;
    size_t n_targets = 0, at = 0;
    if (target->kind == N_NAME)
        return fj_tpl_define(run, scope, target->name, v);
    if (target->kind == N_MEMBER)
        return assign_member(run, scope, target, v);
    for (const tpl_node *t = target->a; t; t = t->next)
        n_targets++;
    if (!fj_tpl_iterate(run, v, &items))
        return false;
    if (items->n != n_targets)
        return fj_tpl_fail(run, FJ_ERR_FORMAT, "cannot unpack %zu values into %zu names", items->n, n_targets);
    for (const tpl_node *t = target->a; t; t = t->next)
        if (!assign(run, scope, t, items->items[at++]))
            return false;
    return true;
}

/* Runs a body with its output captured; out becomes the text. */
static bool capture(tpl_run *run, tpl_scope *scope, const tpl_node *body, tpl_value *out)
{
    tpl_buf b = { 0 }, *outer = run->capture;
    run->capture = &b;
    bool ok = run_body(run, scope, body) != FLOW_FAILED;
    run->capture = outer;
    return ok && fj_tpl_done(run, &b, out);
}

/* A filter chain whose innermost filter works on a captured text: filter blocks and set blocks. */
static bool apply_chain(tpl_run *run, tpl_scope *scope, const tpl_node *filter, tpl_value *v)
{
    tpl_value self = *v;
    tpl_args args;
    if (filter->a) {
        if (!apply_chain(run, scope, filter->a, &self))
            return false;
    }
    run->line = filter->line;
    if (!filter->builtin)
        return fj_tpl_fail(run, FJ_ERR_FORMAT, "there is no filter '%s'", filter->name);
    return fj_tpl_eval_args(run, scope, filter->b, &args) &&
           fj_tpl_call_builtin(run, filter->builtin, "filter", self, &args, v);
}

static bool captured(tpl_run *run, tpl_scope *scope, const tpl_node *n, tpl_value *out)
{
    tpl_scope *inner = new_scope(run, scope);
    return inner && capture(run, inner, n->c, out) && (!n->b || apply_chain(run, scope, n->b, out));
}

static flow run_filtered(tpl_run *run, tpl_scope *scope, const tpl_node *n)
{
    tpl_value v;
    tpl_text *text;
    bool ok = captured(run, scope, n, &v) && fj_tpl_to_text(run, v, &text) && write_text(run, text);
    return ok ? FLOW_NEXT : FLOW_FAILED;
}

static flow run_set(tpl_run *run, tpl_scope *scope, const tpl_node *n)
{
    tpl_value v;
    bool ok = n->kind == N_CAPTURE ? captured(run, scope, n, &v) : fj_tpl_eval(run, scope, n->b, &v);
    return ok && assign(run, scope, n->a, v) ? FLOW_NEXT : FLOW_FAILED;
}

static flow run_with(tpl_run *run, tpl_scope *scope, const tpl_node *n)
{
    tpl_scope *inner = new_scope(run, scope);
    if (!inner)
        return FLOW_FAILED;
    for (const tpl_node *t = n->a, *e = n->b; t; t = t->next, e = e->next) {
        tpl_value v;
        if (!fj_tpl_eval(run, scope, e, &v) || !assign(run, inner, t, v))
            return FLOW_FAILED;
    }
    return run_body(run, inner, n->c);
}

/* ---- loops -------------------------------------------------------------------------------------------------------- */

/* The items that the loop's `if` keeps: they decide loop.length before the first turn. */
static bool filter_items(tpl_run *run, tpl_scope *scope, const tpl_node *n, tpl_list **items)
{
    tpl_value kept;
    if (!n->e)
        return true;
    if (!fj_tpl_new_list(run, 0, &kept))
        return false;
    for (size_t i = 0; i < (*items)->n; i++) {
        tpl_value yes;
        tpl_scope *inner = new_scope(run, scope);
        if (!inner || !assign(run, inner, n->a, (*items)->items[i]) || !fj_tpl_eval(run, inner, n->e, &yes))
            return false;
        if (fj_tpl_truth(yes) && !fj_tpl_append(run, kept.list, (*items)->items[i]))
            return false;
    }
    *items = kept.list;
    return true;
}

static flow run_turns(tpl_run *run, tpl_scope *scope, const tpl_node *n, tpl_loop *loop)
{
    const char *name = fj_tpl_interned(run->t, "loop");
    flow after = FLOW_NEXT;
    size_t count = loop->items->n; /* a body that appends to the list does not make the loop longer */
    for (loop->at = 0; loop->at < count && after != FLOW_BREAK; loop->at++) {
        tpl_value item = loop->items->items[loop->at];
        tpl_scope *inner = new_scope(run, scope);
        if (!inner || !fj_tpl_charge(run, 1) || !assign(run, inner, n->a, item))
            return FLOW_FAILED;
        if (name && !fj_tpl_define(run, inner, name, (tpl_value){ .kind = TPL_LOOP, .loop = loop }))
            return FLOW_FAILED;
        if (item.kind == TPL_DICT && item.dict->message >= 0)
            run->message = item.dict->message;
        after = run_body(run, inner, n->c);
        if (after == FLOW_FAILED)
            return FLOW_FAILED;
    }
    return FLOW_NEXT;
}

static flow run_for(tpl_run *run, tpl_scope *scope, const tpl_node *n)
{
    tpl_value what;
    tpl_list *items;
    if (!fj_tpl_eval(run, scope, n->b, &what) || !fj_tpl_iterate(run, what, &items) ||
        !filter_items(run, scope, n, &items))
        return FLOW_FAILED;
    if (items->n == 0) {
        tpl_scope *inner = new_scope(run, scope);
        return inner ? run_body(run, inner, n->d) : FLOW_FAILED;
    }
    tpl_loop *loop = fj_tpl_take(run, sizeof *loop);
    tpl_list *copy = fj_tpl_take(run, sizeof *copy);
    if (!loop || !copy)
        return FLOW_FAILED;
    *copy = *items;
    int message = run->message;
    loop->items = copy;
    flow after = run_turns(run, scope, n, loop);
    run->message = message;
    return after;
}

/* ---- macros ------------------------------------------------------------------------------------------------------- */

static bool bind_params(tpl_run *run, tpl_scope *scope, const tpl_node *macro, const tpl_args *args)
{
    size_t at = 0;
    for (const tpl_node *p = macro->a; p; p = p->next, at++) {
        const tpl_value *v = at < args->n_positional ? &args->positional[at] : NULL;
        for (size_t i = 0; i < args->n_named; i++)
            if (args->names[i] == p->name) {
                if (v)
                    return fj_tpl_fail(run, FJ_ERR_FORMAT, "macro '%s' got argument '%s' twice", macro->name, p->name);
                v = &args->named[i];
            }
        tpl_value value = v ? *v : fj_tpl_undefined(p->name, false);
        if (!v && p->a && !fj_tpl_eval(run, scope, p->a, &value))
            return false;
        if (!fj_tpl_define(run, scope, p->name, value))
            return false;
    }
    return true;
}

static bool is_param(const tpl_node *macro, const char *name)
{
    for (const tpl_node *p = macro->a; p; p = p->next)
        if (p->name == name)
            return true;
    return false;
}

/* What no parameter took: varargs and kwargs where the macro mentions them, else an error. */
static bool bind_rest(tpl_run *run, tpl_scope *scope, const tpl_node *macro, const tpl_args *args)
{
    size_t n_params = 0;
    tpl_value rest, named;
    for (const tpl_node *p = macro->a; p; p = p->next)
        n_params++;
    if (args->n_positional > n_params && !macro->takes_varargs)
        return fj_tpl_fail(run, FJ_ERR_FORMAT, "macro '%s' takes no more than %zu arguments", macro->name, n_params);
    if (!fj_tpl_new_list(run, 0, &rest) || !fj_tpl_new_dict(run, &named))
        return false;
    for (size_t i = n_params; i < args->n_positional; i++)
        if (!fj_tpl_append(run, rest.list, args->positional[i]))
            return false;
    for (size_t i = 0; i < args->n_named; i++) {
        tpl_value key;
        if (is_param(macro, args->names[i]))
            continue;
        if (!macro->takes_kwargs)
            return fj_tpl_fail(run, FJ_ERR_FORMAT, "macro '%s' takes no keyword argument '%s'", macro->name,
                               args->names[i]);
        if (!fj_tpl_text(run, args->names[i], strlen(args->names[i]), false, &key) ||
            !fj_tpl_put(run, named.dict, key, args->named[i]))
            return false;
    }
    rest.kind = TPL_TUPLE;
    if (macro->takes_varargs && !fj_tpl_define(run, scope, fj_tpl_interned(run->t, "varargs"), rest))
        return false;
    return !macro->takes_kwargs || fj_tpl_define(run, scope, fj_tpl_interned(run->t, "kwargs"), named);
}

bool fj_tpl_call_macro(tpl_run *run, const tpl_callable *macro, const tpl_args *args, tpl_value caller, tpl_value *out)
{
    const char *name = fj_tpl_interned(run->t, "caller");
    tpl_scope *scope = new_scope(run, macro->scope);
    if (!scope || !bind_params(run, scope, macro->macro, args) || !bind_rest(run, scope, macro->macro, args))
        return false;
    if (name && caller.kind == TPL_CALLABLE && !fj_tpl_define(run, scope, name, caller))
        return false;
    return capture(run, scope, macro->macro->c, out);
}

static bool macro_value(tpl_run *run, tpl_scope *scope, const tpl_node *n, tpl_value *out)
{
    tpl_callable *macro = fj_tpl_take(run, sizeof *macro);
    if (!macro)
        return false;
    macro->macro = n;
    macro->scope = scope;
    *out = (tpl_value){ .kind = TPL_CALLABLE, .callable = macro };
    return true;
}

static flow run_caller(tpl_run *run, tpl_scope *scope, const tpl_node *n)
{
    tpl_value caller, callee, v;
    tpl_text *text;
    tpl_args args;
    if (!macro_value(run, scope, n, &caller) || !fj_tpl_eval(run, scope, n->b->a, &callee) ||
        !fj_tpl_eval_args(run, scope, n->b->b, &args))
        return FLOW_FAILED;
    bool ok = callee.kind == TPL_CALLABLE && callee.callable->macro
                  ? fj_tpl_call_macro(run, callee.callable, &args, caller, &v)
                  : fj_tpl_fail(run, FJ_ERR_FORMAT, "a call block needs a macro to call");
    return ok && fj_tpl_to_text(run, v, &text) && write_text(run, text) ? FLOW_NEXT : FLOW_FAILED;
}

/* ---- statements --------------------------------------------------------------------------------------------------- */

static flow run_if(tpl_run *run, tpl_scope *scope, const tpl_node *n)
{
    while (n && n->kind == N_IF && n->a) {
        tpl_value v;
        if (!fj_tpl_eval(run, scope, n->a, &v))
            return FLOW_FAILED;
        if (fj_tpl_truth(v))
            return run_body(run, scope, n->b);
        if (!n->is_elif)
            return run_body(run, scope, n->c);
        n = n->c;
    }
    return FLOW_NEXT;
}

static flow run_statement(tpl_run *run, tpl_scope *scope, const tpl_node *n)
{
    tpl_value v;
    switch (n->kind) {
    case N_TEXT: return write_text(run, n->value.text) ? FLOW_NEXT : FLOW_FAILED;
    case N_PRINT: return run_print(run, scope, n);
    case N_IF: return run_if(run, scope, n);
    case N_FOR: return run_for(run, scope, n);
    case N_SET:
    case N_CAPTURE: return run_set(run, scope, n);
    case N_MACRO:
        return macro_value(run, scope, n, &v) && fj_tpl_define(run, scope, n->name, v) ? FLOW_NEXT : FLOW_FAILED;
    case N_CALLER: return run_caller(run, scope, n);
    case N_FILTERED: return run_filtered(run, scope, n);
    case N_WITH: return run_with(run, scope, n);
    case N_SCOPE: return run_body(run, scope, n->c);
    case N_BREAK: return FLOW_BREAK;
    case N_CONTINUE: return FLOW_CONTINUE;
    default: fj_tpl_fail(run, FJ_ERR_FORMAT, "not a statement"); return FLOW_FAILED;
    }
}

static flow run_body(tpl_run *run, tpl_scope *scope, const tpl_node *body)
{
    flow after = FLOW_NEXT;
    if (run->depth >= TPL_MAX_DEPTH) {
        fj_tpl_fail(run, FJ_ERR_FAILED, "nested more than %d deep", TPL_MAX_DEPTH);
        return FLOW_FAILED;
    }
    run->depth++;
    for (; body && after == FLOW_NEXT; body = body->next) {
        run->line = body->line;
        after = fj_tpl_charge(run, 1) ? run_statement(run, scope, body) : FLOW_FAILED;
    }
    run->depth--;
    return after;
}

bool fj_tpl_exec(tpl_run *run, tpl_scope *scope, const tpl_node *body)
{
    return run_body(run, scope, body) != FLOW_FAILED;
}
