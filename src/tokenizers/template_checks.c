/* SPDX-License-Identifier: Apache-2.0
 * Tests of the template language (`x is defined`). Source: Jinja 2, "List of Builtin Tests". */

#include <string.h>

#include "base/utf8.h"
#include "tokenizers/template_internal.h"

static bool yes(tpl_value *out, bool b)
{
    *out = fj_tpl_bool(b);
    return true;
}

static bool test_defined(tpl_run *run, const tpl_call *c, tpl_value *out)
{
    (void)run;
    return yes(out, c->self.kind != TPL_UNDEFINED);
}

static bool test_undefined(tpl_run *run, const tpl_call *c, tpl_value *out)
{
    (void)run;
    return yes(out, c->self.kind == TPL_UNDEFINED);
}

static bool test_none(tpl_run *run, const tpl_call *c, tpl_value *out)
{
    (void)run;
    return yes(out, c->self.kind == TPL_NONE);
}

static bool test_string(tpl_run *run, const tpl_call *c, tpl_value *out)
{
    (void)run;
    return yes(out, c->self.kind == TPL_TEXT);
}

static bool test_number(tpl_run *run, const tpl_call *c, tpl_value *out)
{
    double x;
    (void)run;
    return yes(out, fj_tpl_number(c->self, &x));
}

static bool test_integer(tpl_run *run, const tpl_call *c, tpl_value *out)
{
    (void)run;
    return yes(out, c->self.kind == TPL_INT);
}

static bool test_float(tpl_run *run, const tpl_call *c, tpl_value *out)
{
    (void)run;
    return yes(out, c->self.kind == TPL_FLOAT);
}

static bool test_boolean(tpl_run *run, const tpl_call *c, tpl_value *out)
{
    (void)run;
    return yes(out, c->self.kind == TPL_BOOL);
}

static bool test_true(tpl_run *run, const tpl_call *c, tpl_value *out)
{
    (void)run;
    return yes(out, c->self.kind == TPL_BOOL && c->self.boolean);
}

static bool test_false(tpl_run *run, const tpl_call *c, tpl_value *out)
{
    (void)run;
    return yes(out, c->self.kind == TPL_BOOL && !c->self.boolean);
}

static bool test_mapping(tpl_run *run, const tpl_call *c, tpl_value *out)
{
    (void)run;
    return yes(out, c->self.kind == TPL_DICT);
}

/* Undefined counts, as in Jinja: it can be asked for its length and looped over. */
static bool test_sequence(tpl_run *run, const tpl_call *c, tpl_value *out)
{
    (void)run;
    tpl_kind k = c->self.kind;
    return yes(out, k == TPL_TEXT || k == TPL_LIST || k == TPL_TUPLE || k == TPL_DICT || k == TPL_UNDEFINED);
}

static bool test_callable(tpl_run *run, const tpl_call *c, tpl_value *out)
{
    (void)run;
    return yes(out, c->self.kind == TPL_CALLABLE);
}

static bool test_in(tpl_run *run, const tpl_call *c, tpl_value *out)
{
    bool b;
    return fj_tpl_contains(run, c->arg[0], c->self, &b) && yes(out, b);
}

static bool compare(tpl_run *run, const tpl_call *c, tpl_op op, tpl_value *out)
{
    bool b;
    return fj_tpl_compare(run, op, c->self, c->arg[0], &b) && yes(out, b);
}

static bool test_eq(tpl_run *run, const tpl_call *c, tpl_value *out)
{
    return compare(run, c, OP_EQ, out);
}

static bool test_ne(tpl_run *run, const tpl_call *c, tpl_value *out)
{
    return compare(run, c, OP_NE, out);
}

static bool test_lt(tpl_run *run, const tpl_call *c, tpl_value *out)
{
    return compare(run, c, OP_LT, out);
}

static bool test_le(tpl_run *run, const tpl_call *c, tpl_value *out)
{
    return compare(run, c, OP_LE, out);
}

static bool test_gt(tpl_run *run, const tpl_call *c, tpl_value *out)
{
    return compare(run, c, OP_GT, out);
}

static bool test_ge(tpl_run *run, const tpl_call *c, tpl_value *out)
{
    return compare(run, c, OP_GE, out);
}

static bool test_sameas(tpl_run *run, const tpl_call *c, tpl_value *out)
{
    return yes(out, c->self.kind == c->arg[0].kind && fj_tpl_equal(run, c->self, c->arg[0]));
}

static bool divides(tpl_run *run, tpl_value v, tpl_value by, bool *out)
{
    tpl_value rest;
    if (!fj_tpl_arith(run, OP_MOD, v, by, &rest))
        return false;
    *out = !fj_tpl_truth(rest);
    return true;
}

static bool test_odd(tpl_run *run, const tpl_call *c, tpl_value *out)
{
    tpl_value rest;
    return fj_tpl_arith(run, OP_MOD, c->self, fj_tpl_int(2), &rest) && yes(out, fj_tpl_equal(run, rest, fj_tpl_int(1)));
}

static bool test_even(tpl_run *run, const tpl_call *c, tpl_value *out)
{
    bool b;
    return divides(run, c->self, fj_tpl_int(2), &b) && yes(out, b);
}

static bool test_divisibleby(tpl_run *run, const tpl_call *c, tpl_value *out)
{
    bool b;
    return divides(run, c->self, c->arg[0], &b) && yes(out, b);
}

/* Python's isupper and islower: at least one cased letter, and none of the other case. */
static bool one_case(tpl_run *run, const tpl_call *c, const char *wanted, const char *unwanted, tpl_value *out)
{
    tpl_text *s;
    bool some = false;
    if (!fj_tpl_to_text(run, c->self, &s) || !fj_tpl_charge(run, s->len / 32))
        return false;
    for (size_t at = 0, n; at < s->len; at += n) {
        uint32_t code = 0;
        n = fj_tpl_char_at(s, at);
        if (!fj_utf8_get(s->data + at, s->len - at, &code))
            continue;
        const char *category = fj_unicode_category(code);
        if (memcmp(category, unwanted, 2) == 0)
            return yes(out, false);
        some |= memcmp(category, wanted, 2) == 0;
    }
    return yes(out, some);
}

static bool test_lower(tpl_run *run, const tpl_call *c, tpl_value *out)
{
    return one_case(run, c, "Ll", "Lu", out);
}

static bool test_upper(tpl_run *run, const tpl_call *c, tpl_value *out)
{
    return one_case(run, c, "Lu", "Ll", out);
}

static bool named_text(tpl_run *run, const tpl_call *c, char **name)
{
    return fj_tpl_charge(run, 1) && c->self.kind == TPL_TEXT &&
           (*name = fj_tpl_take(run, c->self.text->len + 1)) != NULL;
}

static bool test_filter(tpl_run *run, const tpl_call *c, tpl_value *out)
{
    char *name;
    if (!named_text(run, c, &name))
        return !run->err->status && yes(out, false);
    memcpy(name, c->self.text->data, c->self.text->len);
    return yes(out, fj_tpl_filter(name) != NULL);
}

static bool test_test(tpl_run *run, const tpl_call *c, tpl_value *out)
{
    char *name;
    if (!named_text(run, c, &name))
        return !run->err->status && yes(out, false);
    memcpy(name, c->self.text->data, c->self.text->len);
    return yes(out, fj_tpl_test(name) != NULL);
}

static const tpl_builtin tests[] = {
    { "!=", test_ne, 1, { "other" } },
    { "<", test_lt, 1, { "other" } },
    { "<=", test_le, 1, { "other" } },
    { "==", test_eq, 1, { "other" } },
    { ">", test_gt, 1, { "other" } },
    { ">=", test_ge, 1, { "other" } },
    { "boolean", test_boolean, 0, { NULL } },
    { "callable", test_callable, 0, { NULL } },
    { "defined", test_defined, 0, { NULL } },
    { "divisibleby", test_divisibleby, 1, { "num" } },
    { "eq", test_eq, 1, { "other" } },
    { "equalto", test_eq, 1, { "other" } },
    { "even", test_even, 0, { NULL } },
    { "false", test_false, 0, { NULL } },
    { "filter", test_filter, 0, { NULL } },
    { "float", test_float, 0, { NULL } },
    { "ge", test_ge, 1, { "other" } },
    { "greaterthan", test_gt, 1, { "other" } },
    { "gt", test_gt, 1, { "other" } },
    { "in", test_in, 1, { "seq" } },
    { "integer", test_integer, 0, { NULL } },
    { "iterable", test_sequence, 0, { NULL } },
    { "le", test_le, 1, { "other" } },
    { "lessthan", test_lt, 1, { "other" } },
    { "lower", test_lower, 0, { NULL } },
    { "lt", test_lt, 1, { "other" } },
    { "mapping", test_mapping, 0, { NULL } },
    { "ne", test_ne, 1, { "other" } },
    { "none", test_none, 0, { NULL } },
    { "number", test_number, 0, { NULL } },
    { "odd", test_odd, 0, { NULL } },
    { "sameas", test_sameas, 1, { "other" } },
    { "sequence", test_sequence, 0, { NULL } },
    { "string", test_string, 0, { NULL } },
    { "test", test_test, 0, { NULL } },
    { "true", test_true, 0, { NULL } },
    { "undefined", test_undefined, 0, { NULL } },
    { "upper", test_upper, 0, { NULL } },
};

const tpl_builtin *fj_tpl_test(const char *name)
{
    for (size_t i = 0; i < FJ_LEN(tests); i++)
        if (strcmp(tests[i].name, name) == 0)
            return &tests[i];
    return NULL;
}
