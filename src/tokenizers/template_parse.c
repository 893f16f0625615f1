/* SPDX-License-Identifier: Apache-2.0
 * The parser of template statements: for, if, set, macro, call, filter, with, generation, break, continue.
 * Source: Jinja 2 documentation, "List of Control Structures"; transformers' AssistantTracker ({% generation %}). */

#include <string.h>

#include "tokenizers/template_internal.h"

static tpl_node *parse_body(tpl_parser *p, const char *const *ends, bool *ok);

static bool block_end(tpl_parser *p)
{
    if (p->at->kind != T_BLOCK_CLOSE) {
        if (p->at->kind == T_NAME || p->at->kind == T_OP)
            fj_tpl_syntax(p, "unexpected '%.*s' in a block", (int)FJ_MIN(p->at->text.len, 40u), p->at->text.data);
        else
            fj_tpl_syntax(p, "expected the end of a block '%%}'");
        return false;
    }
    p->at++;
    return true;
}

/* A body up to one of `ends`; p stands on that word afterwards. *list may be NULL: an empty body. */
static bool body_until(tpl_parser *p, tpl_node **list, const char *const *ends)
{
    bool ok = false;
    if (!fj_tpl_deeper(p))
        return false;
    *list = parse_body(p, ends, &ok);
    p->depth--;
    return ok;
}

/* `%} body {% end %}`: from before the opening block's end to behind the closing word (its %} is read by the caller's caller). */
static bool whole_body(tpl_parser *p, tpl_node **list, const char *end)
{
    const char *const ends[] = { end, NULL };
    if (!block_end(p) || !body_until(p, list, ends))
        return false;
    p->at++;
    return true;
}

static tpl_node *target_name(tpl_parser *p)
{
    tpl_node *n = fj_tpl_node(p, N_NAME);
    if (!n)
        return NULL;
    if (p->at->kind != T_NAME)
        return fj_tpl_syntax(p, "expected a name to assign to");
    static const char *const fixed[] = { "true", "false", "none", "True", "False", "None" };
    for (size_t i = 0; i < FJ_LEN(fixed); i++)
        if (fj_tpl_is_name(p, fixed[i]))
            return fj_tpl_syntax(p, "can't assign to '%s'", fixed[i]);
    n->name = fj_tpl_intern(p->t, p->at->text.data, p->at->text.len);
    p->at++;
    return n->name ? n : fj_tpl_syntax(p, "no memory");
}

static tpl_node *one_target(tpl_parser *p, bool only_names)
{
    if (fj_tpl_is_op(p, "(")) {
        p->at++;
        if (!fj_tpl_deeper(p))
            return NULL;
        tpl_node *n = fj_tpl_parse_target(p, only_names);
        p->depth--;
        if (n && !fj_tpl_skip_op(p, ")"))
            return fj_tpl_syntax(p, "expected ')'");
        return n;
    }
    tpl_node *n = target_name(p);
    if (!n || only_names || !fj_tpl_skip_op(p, "."))
        return n;
    tpl_node *member = fj_tpl_node(p, N_MEMBER);
    tpl_node *name = target_name(p);
    if (!member || !name)
        return NULL;
    member->a = n;
    member->name = name->name;
    return member;
}

tpl_node *fj_tpl_parse_target(tpl_parser *p, bool only_names)
{
    tpl_node *first = one_target(p, only_names);
    if (!first || !fj_tpl_is_op(p, ","))
        return first;
    tpl_node *n = fj_tpl_node(p, N_TUPLE);
    if (!n)
        return NULL;
    n->a = first;
    while (fj_tpl_skip_op(p, ",")) {
        if (p->at->kind != T_NAME && !fj_tpl_is_op(p, "("))
            break;
        if (fj_tpl_is_name(p, "in"))
            break;
        first->next = one_target(p, only_names);
        first = first->next;
        if (!first)
            return NULL;
    }
    return n;
}

static tpl_node *parse_for(tpl_parser *p)
{
    static const char *const ends[] = { "else", "endfor", NULL }, *const last[] = { "endfor", NULL };
    tpl_node *n = fj_tpl_node(p, N_FOR);
    if (!n)
        return NULL;
    n->a = fj_tpl_parse_target(p, true);
    if (!n->a)
        return NULL;
    if (!fj_tpl_skip_name(p, "in"))
        return fj_tpl_syntax(p, "expected 'in' in a for loop");
    n->b = fj_tpl_parse_tuple(p, false);
    if (!n->b)
        return NULL;
    if (fj_tpl_skip_name(p, "if")) {
        n->e = fj_tpl_parse_expression(p);
        if (!n->e)
            return NULL;
    }
    if (fj_tpl_is_name(p, "recursive"))
        return fj_tpl_syntax(p, "recursive loops are not supported");
    p->loops++;
    bool ok = block_end(p) && body_until(p, &n->c, ends);
    p->loops--;
    if (!ok)
        return NULL;
    if (fj_tpl_skip_name(p, "else") && (!block_end(p) || !body_until(p, &n->d, last)))
        return NULL;
    p->at++; /* endfor */
    return n;
}

static tpl_node *parse_if(tpl_parser *p)
{
    static const char *const ends[] = { "elif", "else", "endif", NULL }, *const last[] = { "endif", NULL };
    tpl_node *first = fj_tpl_node(p, N_IF);
    for (tpl_node *n = first; n;) { /* elif makes a chain through c, read without recursion */
        n->a = fj_tpl_parse_tuple(p, false);
        if (!n->a || !block_end(p) || !body_until(p, &n->b, ends))
            return NULL;
        if (fj_tpl_skip_name(p, "elif")) {
            n->is_elif = true;
            n->c = fj_tpl_node(p, N_IF);
            n = n->c;
            continue;
        }
        if (fj_tpl_skip_name(p, "else") && (!block_end(p) || !body_until(p, &n->c, last)))
            return NULL;
        p->at++; /* endif */
        return first;
    }
    return NULL;
}

static tpl_node *parse_set(tpl_parser *p)
{
    tpl_node *n = fj_tpl_node(p, N_SET);
    if (!n)
        return NULL;
    n->a = fj_tpl_parse_target(p, false);
    if (!n->a)
        return NULL;
    if (fj_tpl_skip_op(p, "=")) {
        n->b = fj_tpl_parse_tuple(p, true);
        return n->b ? n : NULL;
    }
    n->kind = N_CAPTURE;
    if (fj_tpl_skip_op(p, "|")) {
        n->b = fj_tpl_parse_filters(p, NULL);
        if (!n->b)
            return NULL;
    }
    return whole_body(p, &n->c, "endset") ? n : NULL;
}

tpl_node *fj_tpl_parse_params(tpl_parser *p, tpl_node *owner)
{
    tpl_node **end = &owner->a;
    bool has_default = false;
    if (!fj_tpl_skip_op(p, "("))
        return fj_tpl_syntax(p, "expected '(' after a macro's name");
    while (!fj_tpl_is_op(p, ")")) {
        tpl_node *name = target_name(p);
        tpl_node *param = name ? fj_tpl_node(p, N_PARAM) : NULL;
        if (!param)
            return NULL;
        param->name = name->name;
        if (fj_tpl_skip_op(p, "=")) {
            param->a = fj_tpl_parse_expression(p);
            has_default = true;
            if (!param->a)
                return NULL;
        } else if (has_default) {
            return fj_tpl_syntax(p, "a parameter without a default follows one with a default");
        }
        *end = param;
        end = &param->next;
        if (!fj_tpl_skip_op(p, ","))
            break;
    }
    return fj_tpl_skip_op(p, ")") ? owner : fj_tpl_syntax(p, "expected ')' after a macro's parameters");
}

/* A macro's or call block's body is a function: break and continue may not leave it. */
static bool function_body(tpl_parser *p, tpl_node *n, const char *end)
{
    tpl_node *outer = p->macro;
    int loops = p->loops;
    p->macro = n;
    p->loops = 0;
    bool ok = whole_body(p, &n->c, end);
    p->macro = outer;
    p->loops = loops;
    return ok;
}

static tpl_node *parse_macro(tpl_parser *p)
{
    tpl_node *n = fj_tpl_node(p, N_MACRO);
    tpl_node *name = n ? target_name(p) : NULL;
    if (!name || !fj_tpl_parse_params(p, n))
        return NULL;
    n->name = name->name;
    return function_body(p, n, "endmacro") ? n : NULL;
}

static tpl_node *parse_caller(tpl_parser *p)
{
    tpl_node *n = fj_tpl_node(p, N_CALLER);
    if (!n || (fj_tpl_is_op(p, "(") && !fj_tpl_parse_params(p, n)))
        return NULL;
    n->b = fj_tpl_parse_expression(p);
    if (!n->b)
        return NULL;
    if (n->b->kind != N_CALL)
        return fj_tpl_syntax(p, "expected a call in a call block");
    n->name = "caller";
    return function_body(p, n, "endcall") ? n : NULL;
}

static tpl_node *parse_filtered(tpl_parser *p)
{
    tpl_node *n = fj_tpl_node(p, N_FILTERED);
    if (!n)
        return NULL;
    n->b = fj_tpl_parse_filters(p, NULL);
    return n->b && whole_body(p, &n->c, "endfilter") ? n : NULL;
}

static tpl_node *parse_with(tpl_parser *p)
{
    tpl_node *n = fj_tpl_node(p, N_WITH);
    if (!n)
        return NULL;
    tpl_node **target = &n->a, **value = &n->b;
    while (p->at->kind != T_BLOCK_CLOSE) {
        *target = one_target(p, true);
        if (!*target)
            return NULL;
        if (!fj_tpl_skip_op(p, "="))
            return fj_tpl_syntax(p, "expected '=' in a with block");
        *value = fj_tpl_parse_expression(p);
        if (!*value)
            return NULL;
        target = &(*target)->next;
        value = &(*value)->next;
        if (!fj_tpl_skip_op(p, ","))
            break;
    }
    return whole_body(p, &n->c, "endwith") ? n : NULL;
}

static tpl_node *parse_generation(tpl_parser *p)
{
    tpl_node *n = fj_tpl_node(p, N_SCOPE);
    return n && whole_body(p, &n->c, "endgeneration") ? n : NULL;
}

static tpl_node *parse_loop_control(tpl_parser *p)
{
    bool is_break = fj_text_is(p->at[-1].text, "break");
    if (p->loops == 0)
        return fj_tpl_syntax(p, "'%s' outside of a loop", is_break ? "break" : "continue");
    return fj_tpl_node(p, is_break ? N_BREAK : N_CONTINUE);
}

static tpl_node *parse_print(tpl_parser *p)
{
    tpl_node *n = fj_tpl_node(p, N_PRINT);
    if (!n)
        return NULL;
    n->a = fj_tpl_parse_tuple(p, true);
    return n->a ? n : NULL;
}

/* {% print a, b %} prints a, then b. */
static tpl_node *parse_print_statement(tpl_parser *p)
{
    tpl_node *n = parse_print(p);
    if (n && n->a->kind == N_TUPLE && !fj_text_is(p->at[-1].text, ")"))
        n->a->kind = N_CONCAT;
    return n;
}

static const struct {
    const char *word;
    tpl_node *(*parse)(tpl_parser *p);
} statements[] = {
    { "break", parse_loop_control },
    { "call", parse_caller },
    { "continue", parse_loop_control },
    { "filter", parse_filtered },
    { "for", parse_for },
    { "generation", parse_generation },
    { "if", parse_if },
    { "macro", parse_macro },
    { "print", parse_print_statement },
    { "set", parse_set },
    { "with", parse_with },
};

static tpl_node *parse_statement(tpl_parser *p)
{
    if (p->at->kind != T_NAME)
        return fj_tpl_syntax(p, "expected a statement after '{%%'");
    for (size_t i = 0; i < FJ_LEN(statements); i++)
        if (fj_tpl_is_name(p, statements[i].word)) {
            p->at++;
            tpl_node *n = statements[i].parse(p);
            return n && block_end(p) ? n : NULL;
        }
    fj_text word = p->at->text;
    return fj_tpl_syntax(p, "unknown or misplaced statement '%.*s'", (int)FJ_MIN(word.len, 40u), word.data);
}

static tpl_node *parse_text(tpl_parser *p)
{
    tpl_node *n = fj_tpl_node(p, N_TEXT);
    tpl_text *text = n ? fj_arena_take(p->t->arena, sizeof *text) : NULL;
    if (!text)
        return fj_tpl_syntax(p, "no memory");
    *text = (tpl_text){ .data = p->at->text.data, .len = p->at->text.len, .n_chars = -1 };
    n->value = (tpl_value){ .kind = TPL_TEXT, .text = text };
    p->at++;
    return n;
}

/* One text, print or statement. *at_end: p stands on one of `ends` instead. */
static tpl_node *parse_piece(tpl_parser *p, const char *const *ends, bool *at_end)
{
    if (p->at->kind == T_DATA)
        return parse_text(p);
    if (p->at->kind == T_PRINT_OPEN) {
        p->at++;
        tpl_node *n = parse_print(p);
        if (n && p->at->kind != T_PRINT_CLOSE)
            return fj_tpl_syntax(p, "expected the end of a print '}}'");
        p->at += n != NULL;
        return n;
    }
    p->at++; /* {% */
    for (; ends && *ends; ends++)
        if (fj_tpl_is_name(p, *ends)) {
            *at_end = true;
            return NULL;
        }
    return parse_statement(p);
}

static tpl_node *parse_body(tpl_parser *p, const char *const *ends, bool *ok)
{
    tpl_node *first = NULL, **last = &first;
    bool at_end = false;
    while (p->at->kind != T_END) {
        tpl_node *n = parse_piece(p, ends, &at_end);
        if (at_end) {
            *ok = true;
            return first;
        }
        if (!n)
            return NULL;
        *last = n;
        last = &n->next;
    }
    *ok = ends == NULL;
    if (ends)
        fj_tpl_syntax(p, "the template ends, but '%s' is missing", ends[ends[1] ? (ends[2] ? 2 : 1) : 0]);
    return first;
}

fj_status fj_tpl_parse(fj_template *t, const tpl_token *tokens, fj_err *err)
{
    tpl_parser p = { .t = t, .tokens = tokens, .at = tokens, .err = err };
    bool ok = false;
    err->status = FJ_OK; /* the parser keeps the first cause */
    t->body = parse_body(&p, NULL, &ok);
    if (ok)
        return FJ_OK;
    return err->status ? err->status : fj_fail(err, FJ_ERR_FORMAT, "chat template: not understood");
}
