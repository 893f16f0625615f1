/* SPDX-License-Identifier: Apache-2.0
 * The parser of template expressions: precedence climbing, one function a level, loosest first.
 * Source: Jinja 2 documentation, "Expressions"; ** is left-associative there and binds weaker than a sign. */

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "tokenizers/template_internal.h"

static tpl_node *parse_or(tpl_parser *p);
static tpl_node *parse_unary(tpl_parser *p, bool with_filters);

tpl_node *fj_tpl_syntax(tpl_parser *p, const char *format, ...)
{
    char text[512];
    va_list args;
    va_start(args, format);
    vsnprintf(text, sizeof text, format, args);
    va_end(args);
    if (!p->err->status) /* the first cause is the one to tell */
        (void)fj_fail(p->err, FJ_ERR_FORMAT, "chat template, line %d: %s", p->at->line, text);
    return NULL;
}

tpl_node *fj_tpl_node(tpl_parser *p, tpl_node_kind kind)
{
    tpl_node *n = fj_arena_take(p->t->arena, sizeof *n);
    if (!n) {
        (void)fj_fail(p->err, FJ_ERR_MEMORY, "no memory for a chat template");
        return NULL;
    }
    n->kind = kind;
    n->line = p->at->line;
    return n;
}

bool fj_tpl_is_op(const tpl_parser *p, const char *op)
{
    return p->at->kind == T_OP && fj_text_is(p->at->text, op);
}

bool fj_tpl_is_name(const tpl_parser *p, const char *name)
{
    return p->at->kind == T_NAME && fj_text_is(p->at->text, name);
}

bool fj_tpl_skip_op(tpl_parser *p, const char *op)
{
    bool yes = fj_tpl_is_op(p, op);
    p->at += yes;
    return yes;
}

bool fj_tpl_skip_name(tpl_parser *p, const char *name)
{
    bool yes = fj_tpl_is_name(p, name);
    p->at += yes;
    return yes;
}

bool fj_tpl_deeper(tpl_parser *p)
{
    if (p->depth >= TPL_MAX_NESTING) {
        fj_tpl_syntax(p, "nested more than %d deep", TPL_MAX_NESTING);
        return false;
    }
    p->depth++;
    return true;
}

static tpl_node *expect_op(tpl_parser *p, const char *op, tpl_node *result)
{
    if (!result || fj_tpl_skip_op(p, op))
        return result;
    if (p->at->kind == T_OP || p->at->kind == T_NAME)
        return fj_tpl_syntax(p, "expected '%s', got '%.*s'", op, (int)FJ_MIN(p->at->text.len, 40u), p->at->text.data);
    return fj_tpl_syntax(p, "expected '%s'", op);
}

static tpl_node *binary(tpl_parser *p, tpl_node_kind kind, tpl_op op, tpl_node *a, tpl_node *b)
{
    tpl_node *n = a && b ? fj_tpl_node(p, kind) : NULL;
    if (!n)
        return NULL;
    n->op = op;
    n->a = a;
    n->b = b;
    n->line = a->line;
    return n;
}

static const char *intern_here(tpl_parser *p)
{
    const char *name = fj_tpl_intern(p->t, p->at->text.data, p->at->text.len);
    if (!name)
        (void)fj_fail(p->err, FJ_ERR_MEMORY, "no memory for a chat template");
    return name;
}

/* A constant text made of the tokens' bytes, which live as long as the template. */
static tpl_node *text_constant(tpl_parser *p, const char *data, size_t len)
{
    tpl_node *n = fj_tpl_node(p, N_CONST);
    tpl_text *text = n ? fj_arena_take(p->t->arena, sizeof *text) : NULL;
    if (!text)
        return fj_tpl_syntax(p, "no memory");
    *text = (tpl_text){ .data = data, .len = len, .n_chars = -1 };
    n->value = (tpl_value){ .kind = TPL_TEXT, .text = text };
    return n;
}

static tpl_node *parse_string(tpl_parser *p)
{
    const tpl_token *first = p->at;
    size_t len = 0;
    for (; p->at->kind == T_STRING; p->at++)
        len += p->at->text.len;
    if (p->at == first + 1)
        return text_constant(p, first->text.data, len);
    char *joined = fj_arena_take(p->t->arena, len + 1); /* neighbours are one string, as in Python */
    if (!joined)
        return fj_tpl_syntax(p, "no memory");
    len = 0;
    for (const tpl_token *t = first; t < p->at; t++) {
        memcpy(joined + len, t->text.data, t->text.len);
        len += t->text.len;
    }
    return text_constant(p, joined, len);
}

static tpl_node *parse_name(tpl_parser *p)
{
    static const struct {
        const char *name;
        tpl_value value;
    } constants[] = {
        { "true", { .kind = TPL_BOOL, .boolean = true } },
        { "True", { .kind = TPL_BOOL, .boolean = true } },
        { "false", { .kind = TPL_BOOL, .boolean = false } },
        { "False", { .kind = TPL_BOOL, .boolean = false } },
        { "none", { .kind = TPL_NONE } },
        { "None", { .kind = TPL_NONE } },
    };
    for (size_t i = 0; i < FJ_LEN(constants); i++)
        if (fj_tpl_is_name(p, constants[i].name)) {
            tpl_node *n = fj_tpl_node(p, N_CONST);
            if (n)
                n->value = constants[i].value;
            p->at++;
            return n;
        }
    tpl_node *n = fj_tpl_node(p, N_NAME);
    if (!n)
        return NULL;
    n->name = intern_here(p);
    if (!n->name)
        return NULL;
    if (p->macro && fj_tpl_is_name(p, "varargs"))
        p->macro->takes_varargs = true;
    if (p->macro && fj_tpl_is_name(p, "kwargs"))
        p->macro->takes_kwargs = true;
    p->at++;
    return n;
}

/* Items up to `close`, which is skipped; a dict's are key, value, key, value. */
static tpl_node *parse_items(tpl_parser *p, tpl_node_kind kind, const char *close)
{
    tpl_node *n = fj_tpl_node(p, kind);
    if (!n)
        return NULL;
    tpl_node **end = &n->a;
    p->at++;
    while (!fj_tpl_is_op(p, close)) {
        tpl_node *item = fj_tpl_parse_expression(p);
        if (!item)
            return NULL;
        *end = item;
        end = &item->next;
        if (kind == N_DICT) {
            item = expect_op(p, ":", item) ? fj_tpl_parse_expression(p) : NULL;
            if (!item)
                return NULL;
            *end = item;
            end = &item->next;
        }
        if (!fj_tpl_skip_op(p, ","))
            break;
    }
    return expect_op(p, close, n);
}

static tpl_node *parse_parentheses(tpl_parser *p)
{
    p->at++;
    if (fj_tpl_skip_op(p, ")"))
        return fj_tpl_node(p, N_TUPLE);
    return expect_op(p, ")", fj_tpl_parse_tuple(p, true));
}

static tpl_node *parse_primary(tpl_parser *p)
{
    tpl_node *n;
    switch (p->at->kind) {
    case T_NAME: return parse_name(p);
    case T_STRING: return parse_string(p);
    case T_INT:
    case T_FLOAT:
        n = fj_tpl_node(p, N_CONST);
        if (n && p->at->kind == T_INT)
            n->value = (tpl_value){ .kind = TPL_INT, .integer = p->at->integer };
        else if (n)
            n->value = (tpl_value){ .kind = TPL_FLOAT, .real = p->at->real };
        p->at++;
        return n;
    case T_OP:
        if (!fj_tpl_is_op(p, "(") && !fj_tpl_is_op(p, "[") && !fj_tpl_is_op(p, "{"))
            return fj_tpl_syntax(p, "unexpected '%.*s'", (int)p->at->text.len, p->at->text.data);
        if (!fj_tpl_deeper(p))
            return NULL;
        n = fj_tpl_is_op(p, "(")   ? parse_parentheses(p)
            : fj_tpl_is_op(p, "[") ? parse_items(p, N_LIST, "]")
                                   : parse_items(p, N_DICT, "}");
        p->depth--;
        return n;
    default: return fj_tpl_syntax(p, "an expression ends too early");
    }
}

/* `(…)` of a call, as a list of values and N_KEYWORD. *args stays NULL without any. */
static bool parse_args(tpl_parser *p, tpl_node **args)
{
    tpl_node **end = args;
    *args = NULL;
    p->at++; /* ( */
    if (!fj_tpl_deeper(p))
        return false;
    bool has_keyword = false;
    while (!fj_tpl_is_op(p, ")")) {
        if (fj_tpl_is_op(p, "*") || fj_tpl_is_op(p, "**"))
            return fj_tpl_syntax(p, "calls with * or ** arguments are not supported");
        tpl_node *item;
        if (p->at->kind == T_NAME && p->at[1].kind == T_OP && fj_text_is(p->at[1].text, "=")) {
            item = fj_tpl_node(p, N_KEYWORD);
            if (!item)
                return false;
            item->name = intern_here(p);
            has_keyword = true;
            p->at += 2;
            item->a = fj_tpl_parse_expression(p);
            if (!item->name || !item->a)
                return false;
        } else {
            if (has_keyword)
                return fj_tpl_syntax(p, "a positional argument follows a keyword argument");
            item = fj_tpl_parse_expression(p);
            if (!item)
                return false;
        }
        *end = item;
        end = &item->next;
        if (!fj_tpl_skip_op(p, ","))
            break;
    }
    p->depth--;
    if (fj_tpl_skip_op(p, ")"))
        return true;
    fj_tpl_syntax(p, "expected ',' or ')' in a call");
    return false;
}

static tpl_node *parse_call(tpl_parser *p, tpl_node *callee)
{
    tpl_node *n = callee ? fj_tpl_node(p, N_CALL) : NULL;
    if (!n)
        return NULL;
    n->a = callee;
    return parse_args(p, &n->b) ? n : NULL;
}

/* start:stop:step or an index, between the brackets. */
static tpl_node *parse_subscript(tpl_parser *p)
{
    tpl_node *part[3] = { NULL, NULL, NULL };
    int colons = 0;
    while (!fj_tpl_is_op(p, "]")) {
        if (fj_tpl_skip_op(p, ":")) {
            if (++colons > 2)
                return fj_tpl_syntax(p, "a slice has at most three parts");
            continue;
        }
        if (part[colons])
            return fj_tpl_syntax(p, "expected ']' or ':'");
        part[colons] = fj_tpl_parse_expression(p);
        if (!part[colons])
            return NULL;
    }
    if (colons == 0)
        return part[0] ? part[0] : fj_tpl_syntax(p, "an empty index");
    tpl_node *n = fj_tpl_node(p, N_SLICE);
    if (n) {
        n->a = part[0];
        n->b = part[1];
        n->c = part[2];
    }
    return n;
}

static tpl_node *parse_member(tpl_parser *p, tpl_node *of)
{
    tpl_node *n = fj_tpl_node(p, N_MEMBER);
    p->at++; /* . */
    if (!n)
        return NULL;
    n->a = of;
    if (p->at->kind == T_NAME) {
        n->name = intern_here(p);
        p->at++;
        return n->name ? n : NULL;
    }
    if (p->at->kind == T_INT) {
        n->kind = N_ITEM;
        n->b = parse_primary(p);
        return n->b ? n : NULL;
    }
    return fj_tpl_syntax(p, "expected a name after '.'");
}

static tpl_node *parse_item(tpl_parser *p, tpl_node *of)
{
    tpl_node *n = fj_tpl_node(p, N_ITEM);
    p->at++; /* [ */
    if (!n || !fj_tpl_deeper(p))
        return NULL;
    n->a = of;
    n->b = parse_subscript(p);
    p->depth--;
    return n->b ? expect_op(p, "]", n) : NULL;
}

static tpl_node *parse_postfix(tpl_parser *p, tpl_node *n)
{
    while (n) {
        if (fj_tpl_is_op(p, "."))
            n = parse_member(p, n);
        else if (fj_tpl_is_op(p, "["))
            n = parse_item(p, n);
        else if (fj_tpl_is_op(p, "("))
            n = parse_call(p, n);
        else
            return n;
    }
    return NULL;
}

static tpl_node *parse_test(tpl_parser *p, tpl_node *value)
{
    tpl_node *n = fj_tpl_node(p, N_TEST);
    if (!n)
        return NULL;
    n->a = value;
    n->op = fj_tpl_skip_name(p, "not") ? OP_NOT : OP_NONE;
    if (p->at->kind != T_NAME)
        return fj_tpl_syntax(p, "expected the name of a test after 'is'");
    n->name = intern_here(p);
    if (!n->name)
        return NULL;
    n->builtin = fj_tpl_test(n->name);
    p->at++;
    if (fj_tpl_is_op(p, "("))
        return parse_args(p, &n->b) ? n : NULL;
    bool starts = p->at->kind == T_NAME || p->at->kind == T_STRING || p->at->kind == T_INT || p->at->kind == T_FLOAT ||
                  fj_tpl_is_op(p, "[") || fj_tpl_is_op(p, "{");
    static const char *const no[] = {
        "else", "or", "and", "if", "is", "in", "not"
    }; /* these go on the expression around */
    for (size_t i = 0; i < FJ_LEN(no); i++)
        starts = starts && !fj_tpl_is_name(p, no[i]);
    if (!starts)
        return n;
    n->b = parse_postfix(p, parse_primary(p)); /* one argument without parentheses: is divisibleby 3 */
    return n->b ? n : NULL;
}

static tpl_node *parse_one_filter(tpl_parser *p, tpl_node *value)
{
    tpl_node *n = fj_tpl_node(p, N_FILTER);
    if (!n)
        return NULL;
    if (p->at->kind != T_NAME)
        return fj_tpl_syntax(p, "expected the name of a filter");
    n->a = value;
    n->name = intern_here(p);
    if (!n->name)
        return NULL;
    n->builtin = fj_tpl_filter(n->name);
    p->at++;
    if (fj_tpl_is_op(p, "(") && !parse_args(p, &n->b))
        return NULL;
    return n;
}

tpl_node *fj_tpl_parse_filters(tpl_parser *p, tpl_node *value)
{
    do
        value = parse_one_filter(p, value);
    while (value && fj_tpl_skip_op(p, "|"));
    return value;
}

static tpl_node *parse_filters_and_tests(tpl_parser *p, tpl_node *n)
{
    while (n) {
        if (fj_tpl_skip_op(p, "|"))
            n = parse_one_filter(p, n);
        else if (fj_tpl_skip_name(p, "is"))
            n = parse_test(p, n);
        else if (fj_tpl_is_op(p, "("))
            n = parse_call(p, n);
        else
            return n;
    }
    return NULL;
}

static tpl_node *parse_sign(tpl_parser *p, tpl_op op)
{
    if (!fj_tpl_deeper(p))
        return NULL;
    tpl_node *n = fj_tpl_node(p, N_UNARY);
    p->at++;
    tpl_node *a = parse_unary(p, false);
    p->depth--;
    if (!n || !a)
        return NULL;
    n->op = op;
    n->a = a;
    return n;
}

static tpl_node *parse_unary(tpl_parser *p, bool with_filters)
{
    tpl_node *n = fj_tpl_is_op(p, "-")   ? parse_sign(p, OP_SUB)
                  : fj_tpl_is_op(p, "+") ? parse_sign(p, OP_ADD)
                                         : parse_primary(p);
    n = parse_postfix(p, n);
    return with_filters ? parse_filters_and_tests(p, n) : n;
}

static tpl_node *parse_power(tpl_parser *p)
{
    tpl_node *n = parse_unary(p, true);
    while (n && fj_tpl_skip_op(p, "**"))
        n = binary(p, N_BINARY, OP_POW, n, parse_unary(p, true));
    return n;
}

static tpl_node *parse_product(tpl_parser *p)
{
    static const struct {
        const char *text;
        tpl_op op;
    } table[] = { { "*", OP_MUL }, { "/", OP_DIV }, { "//", OP_FLOORDIV }, { "%", OP_MOD } };
    tpl_node *n = parse_power(p);
    for (size_t i = 0; n && i < FJ_LEN(table); i++)
        if (fj_tpl_skip_op(p, table[i].text)) {
            n = binary(p, N_BINARY, table[i].op, n, parse_power(p));
            i = SIZE_MAX; /* look at all of them again */
        }
    return n;
}

static tpl_node *parse_concat(tpl_parser *p)
{
    tpl_node *first = parse_product(p);
    if (!first || !fj_tpl_is_op(p, "~"))
        return first;
    tpl_node *n = fj_tpl_node(p, N_CONCAT);
    if (!n)
        return NULL;
    n->a = first;
    while (fj_tpl_skip_op(p, "~")) {
        first->next = parse_product(p);
        first = first->next;
        if (!first)
            return NULL;
    }
    return n;
}

static tpl_node *parse_sum(tpl_parser *p)
{
    tpl_node *n = parse_concat(p);
    while (n) {
        if (fj_tpl_skip_op(p, "+"))
            n = binary(p, N_BINARY, OP_ADD, n, parse_concat(p));
        else if (fj_tpl_skip_op(p, "-"))
            n = binary(p, N_BINARY, OP_SUB, n, parse_concat(p));
        else
            return n;
    }
    return NULL;
}

static tpl_op comparison(tpl_parser *p)
{
    static const struct {
        const char *text;
        tpl_op op;
    } table[] = { { "==", OP_EQ }, { "!=", OP_NE }, { "<=", OP_LE }, { ">=", OP_GE }, { "<", OP_LT }, { ">", OP_GT } };
    for (size_t i = 0; i < FJ_LEN(table); i++)
        if (fj_tpl_skip_op(p, table[i].text))
            return table[i].op;
    if (fj_tpl_skip_name(p, "in"))
        return OP_IN;
    if (fj_tpl_is_name(p, "not") && p->at[1].kind == T_NAME && fj_text_is(p->at[1].text, "in")) {
        p->at += 2;
        return OP_NOT_IN;
    }
    return OP_NONE;
}

static tpl_node *parse_comparison(tpl_parser *p)
{
    tpl_node *first = parse_sum(p), *n = NULL, **end = NULL;
    if (!first)
        return NULL;
    for (tpl_op op = comparison(p); op; op = comparison(p)) {
        tpl_node *operand = fj_tpl_node(p, N_OPERAND);
        if (!operand)
            return NULL;
        operand->op = op;
        operand->a = parse_sum(p);
        if (!operand->a)
            return NULL;
        if (!n) {
            n = fj_tpl_node(p, N_COMPARE);
            if (!n)
                return NULL;
            n->a = first;
            end = &n->b;
        }
        *end = operand;
        end = &operand->next;
    }
    return n ? n : first;
}

static tpl_node *parse_not(tpl_parser *p)
{
    if (!fj_tpl_is_name(p, "not"))
        return parse_comparison(p);
    if (!fj_tpl_deeper(p))
        return NULL;
    tpl_node *n = fj_tpl_node(p, N_UNARY);
    p->at++;
    tpl_node *a = parse_not(p);
    p->depth--;
    if (!n || !a)
        return NULL;
    n->op = OP_NOT;
    n->a = a;
    return n;
}

static tpl_node *parse_and(tpl_parser *p)
{
    tpl_node *n = parse_not(p);
    while (n && fj_tpl_skip_name(p, "and"))
        n = binary(p, N_AND, OP_NONE, n, parse_not(p));
    return n;
}

static tpl_node *parse_or(tpl_parser *p)
{
    tpl_node *n = parse_and(p);
    while (n && fj_tpl_skip_name(p, "or"))
        n = binary(p, N_OR, OP_NONE, n, parse_and(p));
    return n;
}

tpl_node *fj_tpl_parse_expression(tpl_parser *p)
{
    if (!fj_tpl_deeper(p))
        return NULL;
    tpl_node *n = parse_or(p);
    while (n && fj_tpl_skip_name(p, "if")) {
        tpl_node *condition = fj_tpl_node(p, N_COND);
        if (!condition)
            return NULL;
        condition->a = n;
        condition->b = parse_or(p);
        if (!condition->b)
            return NULL;
        if (fj_tpl_skip_name(p, "else")) {
            condition->c = fj_tpl_parse_expression(p);
            if (!condition->c)
                return NULL;
        }
        n = condition;
    }
    p->depth--;
    return n;
}

tpl_node *fj_tpl_parse_tuple(tpl_parser *p, bool with_condition)
{
    tpl_node *first = with_condition ? fj_tpl_parse_expression(p) : parse_or(p);
    if (!first || !fj_tpl_is_op(p, ","))
        return first;
    tpl_node *n = fj_tpl_node(p, N_TUPLE);
    if (!n)
        return NULL;
    n->a = first;
    while (fj_tpl_skip_op(p, ",")) {
        if (p->at->kind == T_BLOCK_CLOSE || p->at->kind == T_PRINT_CLOSE || fj_tpl_is_op(p, ")"))
            break; /* a comma at the end makes a tuple of one */
        first->next = with_condition ? fj_tpl_parse_expression(p) : parse_or(p);
        first = first->next;
        if (!first)
            return NULL;
    }
    return n;
}
