/* SPDX-License-Identifier: Apache-2.0
 * Methods of lists, dicts and loops, and the global functions.
 * Source: Jinja 2, "List of Global Functions"; transformers adds raise_exception and strftime_now. */

#include <string.h>
#include <time.h>

#include "tokenizers/template_strings.h"

/* ---- lists -------------------------------------------------------------------------------------------------------- */

static bool list_append(tpl_run *run, const tpl_call *c, tpl_value *out)
{
    *out = fj_tpl_none();
    return fj_tpl_append(run, c->self.list, c->arg[0]);
}

static bool list_extend(tpl_run *run, const tpl_call *c, tpl_value *out)
{
    tpl_list *items;
    *out = fj_tpl_none();
    if (!fj_tpl_iterate(run, c->arg[0], &items))
        return false;
    size_t n = items->n; /* x.extend(x) ends */
    for (size_t i = 0; i < n; i++)
        if (!fj_tpl_append(run, c->self.list, items->items[i]))
            return false;
    return true;
}

static bool list_place(tpl_run *run, const tpl_list *list, tpl_value v, int64_t *at)
{
    if (v.kind != TPL_ABSENT && !fj_tpl_integer(v, at))
        return fj_tpl_fail(run, FJ_ERR_FORMAT, "expected an integer, got %s", fj_tpl_type(v));
    if (*at < 0)
        *at += (int64_t)list->n;
    return true;
}

static bool list_pop(tpl_run *run, const tpl_call *c, tpl_value *out)
{
    tpl_list *list = c->self.list;
    int64_t at = -1;
    if (!list_place(run, list, c->arg[0], &at))
        return false;
    if (at < 0 || at >= (int64_t)list->n)
        return fj_tpl_fail(run, FJ_ERR_FORMAT, "pop index out of range");
    *out = list->items[at];
    memmove(&list->items[at], &list->items[at + 1], (list->n - (size_t)at - 1) * sizeof *list->items);
    list->n--;
    return fj_tpl_charge(run, list->n / 16);
}

static bool list_insert(tpl_run *run, const tpl_call *c, tpl_value *out)
{
    tpl_list *list = c->self.list;
    int64_t at = 0;
    *out = fj_tpl_none();
    if (!list_place(run, list, c->arg[0], &at) || !fj_tpl_append(run, list, c->arg[1]) ||
        !fj_tpl_charge(run, list->n / 16))
        return false;
    at = at < 0 ? 0 : FJ_MIN(at, (int64_t)list->n - 1);
    memmove(&list->items[at + 1], &list->items[at], (list->n - 1 - (size_t)at) * sizeof *list->items);
    list->items[at] = c->arg[1];
    return true;
}

static bool list_index(tpl_run *run, const tpl_call *c, tpl_value *out)
{
    for (size_t i = 0; i < c->self.list->n; i++)
        if (fj_tpl_equal(run, c->self.list->items[i], c->arg[0])) {
            *out = fj_tpl_int((int64_t)i);
            return true;
        }
    return !run->err->status && fj_tpl_fail(run, FJ_ERR_FORMAT, "value is not in list");
}

static bool list_count(tpl_run *run, const tpl_call *c, tpl_value *out)
{
    *out = fj_tpl_int(0);
    for (size_t i = 0; i < c->self.list->n; i++)
        out->integer += fj_tpl_equal(run, c->self.list->items[i], c->arg[0]);
    return !run->err->status;
}

static bool list_reverse(tpl_run *run, const tpl_call *c, tpl_value *out)
{
    tpl_list *list = c->self.list;
    *out = fj_tpl_none();
    for (size_t i = 0; i < list->n / 2; i++) {
        tpl_value v = list->items[i];
        list->items[i] = list->items[list->n - 1 - i];
        list->items[list->n - 1 - i] = v;
    }
    return fj_tpl_charge(run, list->n / 16);
}

static bool list_copy(tpl_run *run, const tpl_call *c, tpl_value *out)
{
    if (!fj_tpl_new_list(run, c->self.list->n, out))
        return false;
    for (size_t i = 0; i < c->self.list->n; i++)
        if (!fj_tpl_append(run, out->list, c->self.list->items[i]))
            return false;
    return true;
}

static bool list_clear(tpl_run *run, const tpl_call *c, tpl_value *out)
{
    (void)run;
    *c->self.list = (tpl_list){ 0 }; /* a loop over it keeps its own view of the items */
    *out = fj_tpl_none();
    return true;
}

/* ---- dicts -------------------------------------------------------------------------------------------------------- */

static bool dict_list(tpl_run *run, const tpl_value *values, size_t n, tpl_value *out)
{
    if (!fj_tpl_new_list(run, n, out))
        return false;
    for (size_t i = 0; i < n; i++)
        if (!fj_tpl_append(run, out->list, values[i]))
            return false;
    return true;
}

static bool dict_keys(tpl_run *run, const tpl_call *c, tpl_value *out)
{
    return dict_list(run, c->self.dict->keys, c->self.dict->n, out);
}

static bool dict_values(tpl_run *run, const tpl_call *c, tpl_value *out)
{
    return dict_list(run, c->self.dict->values, c->self.dict->n, out);
}

static bool dict_items(tpl_run *run, const tpl_call *c, tpl_value *out)
{
    return fj_tpl_call_builtin(run, fj_tpl_filter("items"), "filter", c->self, c->all, out);
}

static bool dict_get(tpl_run *run, const tpl_call *c, tpl_value *out)
{
    const tpl_value *found = fj_tpl_find(run, c->self.dict, c->arg[0]);
    if (run->err->status)
        return false;
    *out = found ? *found : c->arg[1].kind == TPL_ABSENT ? fj_tpl_none() : c->arg[1];
    return true;
}

static bool dict_pop(tpl_run *run, const tpl_call *c, tpl_value *out)
{
    tpl_dict *dict = c->self.dict;
    tpl_value *found = fj_tpl_find(run, dict, c->arg[0]);
    if (run->err->status)
        return false;
    if (!found) {
        *out = c->arg[1];
        return c->arg[1].kind != TPL_ABSENT || fj_tpl_fail(run, FJ_ERR_FORMAT, "pop: no such key");
    }
    size_t at = (size_t)(found - dict->values), rest = dict->n - at - 1;
    *out = *found;
    memmove(&dict->keys[at], &dict->keys[at + 1], rest * sizeof *dict->keys);
    memmove(&dict->values[at], &dict->values[at + 1], rest * sizeof *dict->values);
    dict->n--;
    return fj_tpl_charge(run, rest / 16);
}

/* Puts the pairs of a mapping (or undefined: nothing) and of keyword arguments into a dict. */
static bool fill(tpl_run *run, tpl_dict *dict, const tpl_args *args)
{
    for (size_t k = 0; k < args->n_positional; k++) {
        if (args->positional[k].kind != TPL_DICT)
            return fj_tpl_fail(run, FJ_ERR_FORMAT, "expected a mapping, got %s", fj_tpl_type(args->positional[k]));
        const tpl_dict *from = args->positional[k].dict;
        size_t n = from->n;
        for (size_t i = 0; i < n; i++)
            if (!fj_tpl_put(run, dict, from->keys[i], from->values[i]))
                return false;
    }
    for (size_t i = 0; i < args->n_named; i++) {
        tpl_value key;
        if (!fj_tpl_text(run, args->names[i], strlen(args->names[i]), false, &key) ||
            !fj_tpl_put(run, dict, key, args->named[i]))
            return false;
    }
    return true;
}

static bool dict_update(tpl_run *run, const tpl_call *c, tpl_value *out)
{
    *out = fj_tpl_none();
    return fill(run, c->self.dict, c->all);
}

static bool dict_setdefault(tpl_run *run, const tpl_call *c, tpl_value *out)
{
    if (!dict_get(run, c, out))
        return false;
    bool there = fj_tpl_find(run, c->self.dict, c->arg[0]) != NULL;
    return there || fj_tpl_put(run, c->self.dict, c->arg[0], *out);
}

static bool dict_copy(tpl_run *run, const tpl_call *c, tpl_value *out)
{
    tpl_args all = { .positional = (tpl_value[]){ c->self }, .n_positional = 1 };
    return fj_tpl_new_dict(run, out) && fill(run, out->dict, &all);
}

static bool dict_clear(tpl_run *run, const tpl_call *c, tpl_value *out)
{
    (void)run;
    c->self.dict->n = 0;
    *out = fj_tpl_none();
    return true;
}

/* ---- loops -------------------------------------------------------------------------------------------------------- */

static bool loop_cycle(tpl_run *run, const tpl_call *c, tpl_value *out)
{
    if (c->all->n_positional == 0)
        return fj_tpl_fail(run, FJ_ERR_FORMAT, "loop.cycle needs something to choose from");
    *out = c->all->positional[c->self.loop->at % c->all->n_positional];
    return true;
}

static bool loop_changed(tpl_run *run, const tpl_call *c, tpl_value *out)
{
    tpl_loop *loop = c->self.loop;
    tpl_value now;
    if (!dict_list(run, c->all->positional, c->all->n_positional, &now))
        return false;
    *out = fj_tpl_bool(loop->changed.kind == TPL_ABSENT || !fj_tpl_equal(run, loop->changed, now));
    loop->changed = now;
    return !run->err->status;
}

/* ---- functions ---------------------------------------------------------------------------------------------------- */

static bool function_range(tpl_run *run, const tpl_call *c, tpl_value *out)
{
    int64_t part[3] = { 0, 0, 1 };
    for (int i = 0; i < 3; i++)
        if (c->arg[i].kind != TPL_ABSENT && !fj_tpl_integer(c->arg[i], &part[i]))
            return fj_tpl_fail(run, FJ_ERR_FORMAT, "range: expected an integer, got %s", fj_tpl_type(c->arg[i]));
    if (c->arg[1].kind == TPL_ABSENT) {
        part[1] = part[0];
        part[0] = 0;
    }
    int64_t step = part[2], span;
    if (step == 0)
        return fj_tpl_fail(run, FJ_ERR_FORMAT, "range: step is zero");
    if (__builtin_sub_overflow(part[1], part[0], &span) || step < -(INT64_C(1) << 40) || step > INT64_C(1) << 40)
        return fj_tpl_fail(run, FJ_ERR_FORMAT, "range too big");
    int64_t n = step > 0 ? (span > 0 ? (span - 1) / step + 1 : 0) : (span < 0 ? (-span - 1) / -step + 1 : 0);
    if (n > TPL_MAX_RANGE)
        return fj_tpl_fail(run, FJ_ERR_FAILED, "range of %lld numbers, at most %d", (long long)n, TPL_MAX_RANGE);
    if (!fj_tpl_new_list(run, (size_t)n, out))
        return false;
    for (int64_t i = 0; i < n; i++)
        if (!fj_tpl_append(run, out->list, fj_tpl_int(part[0] + i * step)))
            return false;
    return true;
}

static bool function_dict(tpl_run *run, const tpl_call *c, tpl_value *out)
{
    return fj_tpl_new_dict(run, out) && fill(run, out->dict, c->all);
}

static bool function_namespace(tpl_run *run, const tpl_call *c, tpl_value *out)
{
    bool ok = fj_tpl_new_dict(run, out) && fill(run, out->dict, c->all);
    out->kind = TPL_NAMESPACE;
    return ok;
}

/* joiner(sep): nothing the first time it is called, sep later; its list is empty until then. */
static bool joiner_call(tpl_run *run, const tpl_call *c, tpl_value *out)
{
    tpl_list *state = c->self.list; /* the separator, then one item more for each call */
    if (state->n > 1) {
        *out = state->items[0];
        return true;
    }
    return fj_tpl_append(run, state, fj_tpl_none()) && fj_tpl_text(run, "", 0, false, out);
}

static const tpl_builtin joiner = { "joiner", joiner_call, 0, { NULL } };

static bool function_joiner(tpl_run *run, const tpl_call *c, tpl_value *out)
{
    tpl_value separator = c->arg[0], state;
    tpl_callable *callable = fj_tpl_take(run, sizeof *callable);
    if (!callable || (separator.kind == TPL_ABSENT && !fj_tpl_text(run, ", ", 2, false, &separator)))
        return false;
    if (!fj_tpl_new_list(run, 2, &state) || !fj_tpl_append(run, state.list, separator))
        return false;
    callable->builtin = &joiner;
    callable->self = state;
    *out = (tpl_value){ .kind = TPL_CALLABLE, .callable = callable };
    return true;
}

static bool function_raise(tpl_run *run, const tpl_call *c, tpl_value *out)
{
    tpl_text *message;
    (void)out;
    if (!fj_tpl_to_text(run, c->arg[0], &message))
        return false;
    (void)fj_fail(run->err, FJ_ERR_DATA, "the chat template refuses this conversation: %.*s",
                  (int)FJ_MIN(message->len, (size_t)600), message->data);
    return false;
}

/* Local time of the clock, or the given time as UTC: what a test gives must not depend on the place. */
static bool function_strftime_now(tpl_run *run, const tpl_call *c, tpl_value *out)
{
    struct tm parts;
    char *format, *text = fj_tpl_take(run, 256);
    time_t now = run->now ? (time_t)run->now : time(NULL);
    if (!text || !fj_tpl_name_of(run, c->arg[0], &format))
        return false;
    if (!(run->now ? gmtime_r(&now, &parts) : localtime_r(&now, &parts)))
        return fj_tpl_fail(run, FJ_ERR_FAILED, "strftime_now: no such time");
    size_t n = strftime(text, 256, format, &parts);
    return fj_tpl_text(run, text, n, false, out);
}

/* ---- tables ------------------------------------------------------------------------------------------------------- */

static const tpl_builtin list_methods[] = {
    { "append", list_append, 1, { "object" } },
    { "clear", list_clear, 0, { NULL } },
    { "copy", list_copy, 0, { NULL } },
    { "count", list_count, 1, { "value" } },
    { "extend", list_extend, 1, { "iterable" } },
    { "index", list_index, 1, { "value" } },
    { "insert", list_insert, 2, { "index", "object" } },
    { "pop", list_pop, 0, { "index" } },
    { "reverse", list_reverse, 0, { NULL } },
    { 0 },
};

static const tpl_builtin tuple_methods[] = {
    { "count", list_count, 1, { "value" } },
    { "index", list_index, 1, { "value" } },
    { 0 },
};

static const tpl_builtin dict_methods[] = {
    { "clear", dict_clear, 0, { NULL } },
    { "copy", dict_copy, 0, { NULL } },
    { "get", dict_get, 1, { "key", "default" } },
    { "items", dict_items, 0, { NULL } },
    { "keys", dict_keys, 0, { NULL } },
    { "pop", dict_pop, 1, { "key", "default" } },
    { "setdefault", dict_setdefault, 1, { "key", "default" } },
    { "update", dict_update, 0, { NULL }, .variadic = true },
    { "values", dict_values, 0, { NULL } },
    { 0 },
};

static const tpl_builtin loop_methods[] = {
    { "changed", loop_changed, 0, { NULL }, .variadic = true },
    { "cycle", loop_cycle, 0, { NULL }, .variadic = true },
    { 0 },
};

static const tpl_builtin functions[] = {
    { "dict", function_dict, 0, { NULL }, .variadic = true },
    { "joiner", function_joiner, 0, { "sep" } },
    { "namespace", function_namespace, 0, { NULL }, .variadic = true },
    { "raise_exception", function_raise, 1, { "message" } },
    { "range", function_range, 1, { "start", "stop", "step" } },
    { "strftime_now", function_strftime_now, 1, { "format" } },
    { 0 },
};

static const tpl_builtin *find(const tpl_builtin *table, const char *name)
{
    for (; table->name; table++)
        if (strcmp(table->name, name) == 0)
            return table;
    return NULL;
}

const tpl_builtin *fj_tpl_object_method(tpl_kind kind, const char *name)
{
    switch (kind) {
    case TPL_LIST: return find(list_methods, name);
    case TPL_TUPLE: return find(tuple_methods, name);
    case TPL_DICT: return find(dict_methods, name);
    case TPL_LOOP: return find(loop_methods, name);
    default: return NULL;
    }
}

const tpl_builtin *fj_tpl_function(const char *name)
{
    return find(functions, name);
}
