/* SPDX-License-Identifier: Apache-2.0
 * Filters on sequences and dicts. Where Jinja gives a generator this gives a list.
 * Source: Jinja 2, "List of Builtin Filters". */

#include <string.h>

#include "tokenizers/template_strings.h"

static bool self_items(tpl_run *run, const tpl_call *c, tpl_list **out)
{
    return fj_tpl_iterate(run, c->self, out);
}

/* What a sort, unique, min or max looks at: the attribute if one is named, letters in lower case unless case_sensitive. */
static bool key_of(tpl_run *run, tpl_value item, tpl_value attribute, bool case_sensitive, tpl_value *out)
{
    *out = item;
    if (attribute.kind != TPL_ABSENT && attribute.kind != TPL_NONE && !fj_tpl_path(run, item, attribute, out))
        return false;
    return case_sensitive || out->kind != TPL_TEXT || fj_tpl_case(run, out->text, TPL_LOWER, out);
}

/* ---- joining, ends, order ----------------------------------------------------------------------------------------- */

static bool filter_join(tpl_run *run, const tpl_call *c, tpl_value *out)
{
    tpl_list *items;
    tpl_buf b = { 0 };
    if (!self_items(run, c, &items))
        return false;
    for (size_t i = 0; i < items->n; i++) {
        tpl_value v = items->items[i];
        if (c->arg[1].kind != TPL_ABSENT && c->arg[1].kind != TPL_NONE &&
            !fj_tpl_path(run, items->items[i], c->arg[1], &v))
            return false;
        if (i > 0 && c->arg[0].kind != TPL_ABSENT && !fj_tpl_add_value(run, &b, c->arg[0]))
            return false;
        if (!fj_tpl_charge(run, 1) || !fj_tpl_add_value(run, &b, v))
            return false;
    }
    return fj_tpl_done(run, &b, out);
}

static bool filter_first(tpl_run *run, const tpl_call *c, tpl_value *out)
{
    tpl_list *items;
    if (!self_items(run, c, &items))
        return false;
    *out = items->n ? items->items[0] : fj_tpl_undefined("first item of an empty sequence", true);
    return true;
}

static bool filter_last(tpl_run *run, const tpl_call *c, tpl_value *out)
{
    tpl_list *items;
    if (!self_items(run, c, &items))
        return false;
    *out = items->n ? items->items[items->n - 1] : fj_tpl_undefined("last item of an empty sequence", true);
    return true;
}

static bool copy_list(tpl_run *run, const tpl_list *items, bool reversed, tpl_value *out)
{
    if (!fj_tpl_new_list(run, items->n, out))
        return false;
    for (size_t i = 0; i < items->n; i++)
        if (!fj_tpl_append(run, out->list, items->items[reversed ? items->n - 1 - i : i]))
            return false;
    return true;
}

static bool filter_list(tpl_run *run, const tpl_call *c, tpl_value *out)
{
    tpl_list *items;
    return self_items(run, c, &items) && copy_list(run, items, false, out);
}

static bool filter_reverse(tpl_run *run, const tpl_call *c, tpl_value *out)
{
    tpl_list *items;
    tpl_buf b = { 0 };
    if (!self_items(run, c, &items) || !copy_list(run, items, true, out))
        return false;
    if (c->self.kind != TPL_TEXT)
        return true;
    items = out->list;
    for (size_t i = 0; i < items->n; i++)
        if (!fj_tpl_add_value(run, &b, items->items[i]))
            return false;
    return fj_tpl_done(run, &b, out);
}

typedef struct pair {
    tpl_value key, value;
} pair;

/* Stable merge sort of n pairs by key; scratch holds n pairs too. */
static bool sort_pairs(tpl_run *run, pair *p, pair *scratch, size_t n, bool reverse)
{
    if (n < 2)
        return true;
    size_t half = n / 2, i = 0, j = half, k = 0;
    if (!sort_pairs(run, p, scratch, half, reverse) || !sort_pairs(run, p + half, scratch, n - half, reverse))
        return false;
    while (i < half && j < n) {
        int order;
        if (!fj_tpl_charge(run, 1) || !fj_tpl_order(run, p[i].key, p[j].key, &order))
            return false;
        scratch[k++] = (reverse ? order >= 0 : order <= 0) ? p[i++] : p[j++];
    }
    while (i < half)
        scratch[k++] = p[i++];
    while (j < n)
        scratch[k++] = p[j++];
    memcpy(p, scratch, n * sizeof *p);
    return true;
}

static bool filter_sort(tpl_run *run, const tpl_call *c, tpl_value *out)
{
    tpl_list *items;
    bool reverse = fj_tpl_truth(c->arg[0]), case_sensitive = fj_tpl_truth(c->arg[1]);
    if (!self_items(run, c, &items))
        return false;
    pair *pairs = fj_tpl_take(run, (2 * items->n + 1) * sizeof *pairs);
    if (!pairs)
        return false;
    for (size_t i = 0; i < items->n; i++) {
        pairs[i].value = items->items[i];
        if (!key_of(run, items->items[i], c->arg[2], case_sensitive, &pairs[i].key))
            return false;
    }
    if (!sort_pairs(run, pairs, pairs + items->n, items->n, reverse) || !fj_tpl_new_list(run, items->n, out))
        return false;
    for (size_t i = 0; i < items->n; i++)
        if (!fj_tpl_append(run, out->list, pairs[i].value))
            return false;
    return true;
}

static bool append_pair(tpl_run *run, tpl_list *list, tpl_value a, tpl_value b)
{
    tpl_value tuple;
    if (!fj_tpl_new_list(run, 2, &tuple) || !fj_tpl_append(run, tuple.list, a) || !fj_tpl_append(run, tuple.list, b))
        return false;
    tuple.kind = TPL_TUPLE;
    return fj_tpl_append(run, list, tuple);
}

static bool need_dict(tpl_run *run, const tpl_call *c, const char *filter)
{
    return c->self.kind == TPL_DICT ||
           fj_tpl_fail(run, FJ_ERR_FORMAT, "filter '%s' needs a mapping, got %s", filter, fj_tpl_type(c->self));
}

static bool filter_dictsort(tpl_run *run, const tpl_call *c, tpl_value *out)
{
    bool case_sensitive = fj_tpl_truth(c->arg[0]), by_value = fj_tpl_text_is(c->arg[1], "value");
    if (!need_dict(run, c, "dictsort"))
        return false;
    const tpl_dict *dict = c->self.dict;
    pair *pairs = fj_tpl_take(run, (2 * dict->n + 1) * sizeof *pairs);
    if (!pairs)
        return false;
    for (size_t i = 0; i < dict->n; i++) { /* the value is the place in the dict */
        pairs[i].value = fj_tpl_int((int64_t)i);
        if (!key_of(run, by_value ? dict->values[i] : dict->keys[i], (tpl_value){ 0 }, case_sensitive, &pairs[i].key))
            return false;
    }
    if (!sort_pairs(run, pairs, pairs + dict->n, dict->n, fj_tpl_truth(c->arg[2])) ||
        !fj_tpl_new_list(run, dict->n, out))
        return false;
    for (size_t i = 0; i < dict->n; i++)
        if (!append_pair(run, out->list, dict->keys[pairs[i].value.integer], dict->values[pairs[i].value.integer]))
            return false;
    return true;
}

static bool filter_items(tpl_run *run, const tpl_call *c, tpl_value *out)
{
    if (!fj_tpl_new_list(run, 0, out))
        return false;
    if (c->self.kind == TPL_UNDEFINED)
        return true;
    if (!need_dict(run, c, "items"))
        return false;
    for (size_t i = 0; i < c->self.dict->n; i++)
        if (!append_pair(run, out->list, c->self.dict->keys[i], c->self.dict->values[i]))
            return false;
    return true;
}

static bool filter_unique(tpl_run *run, const tpl_call *c, tpl_value *out)
{
    tpl_list *items;
    tpl_value seen;
    if (!self_items(run, c, &items) || !fj_tpl_new_list(run, 0, out) || !fj_tpl_new_list(run, 0, &seen))
        return false;
    for (size_t i = 0; i < items->n; i++) {
        tpl_value key;
        bool known;
        if (!key_of(run, items->items[i], c->arg[1], fj_tpl_truth(c->arg[0]), &key) ||
            !fj_tpl_contains(run, seen, key, &known))
            return false;
        if (!known && (!fj_tpl_append(run, seen.list, key) || !fj_tpl_append(run, out->list, items->items[i])))
            return false;
    }
    return true;
}

static bool extreme(tpl_run *run, const tpl_call *c, int sign, tpl_value *out)
{
    tpl_list *items;
    tpl_value best, key;
    int order;
    if (!self_items(run, c, &items))
        return false;
    *out = fj_tpl_undefined("item of an empty sequence", true);
    for (size_t i = 0; i < items->n; i++) {
        if (!key_of(run, items->items[i], c->arg[1], fj_tpl_truth(c->arg[0]), &key))
            return false;
        if (i > 0 && !fj_tpl_order(run, key, best, &order))
            return false;
        if (i == 0 || order * sign > 0) {
            best = key;
            *out = items->items[i];
        }
    }
    return true;
}

static bool filter_min(tpl_run *run, const tpl_call *c, tpl_value *out)
{
    return extreme(run, c, -1, out);
}

static bool filter_max(tpl_run *run, const tpl_call *c, tpl_value *out)
{
    return extreme(run, c, 1, out);
}

static bool filter_sum(tpl_run *run, const tpl_call *c, tpl_value *out)
{
    tpl_list *items;
    if (!self_items(run, c, &items))
        return false;
    *out = c->arg[1].kind == TPL_ABSENT ? fj_tpl_int(0) : c->arg[1];
    for (size_t i = 0; i < items->n; i++) {
        tpl_value v = items->items[i], sum = *out;
        if (c->arg[0].kind != TPL_ABSENT && c->arg[0].kind != TPL_NONE &&
            !fj_tpl_path(run, items->items[i], c->arg[0], &v))
            return false;
        if (!fj_tpl_arith(run, OP_ADD, sum, v, out))
            return false;
    }
    return true;
}

/* ---- groups ------------------------------------------------------------------------------------------------------- */

static bool filter_batch(tpl_run *run, const tpl_call *c, tpl_value *out)
{
    tpl_list *items;
    tpl_value row = { 0 };
    int64_t size = 0;
    if (!self_items(run, c, &items) || !fj_tpl_new_list(run, 0, out))
        return false;
    if (!fj_tpl_integer(c->arg[0], &size) || size < 1)
        return fj_tpl_fail(run, FJ_ERR_FORMAT, "batch: expected a count of at least 1");
    for (size_t i = 0; i < items->n; i++) {
        if (i % (size_t)size == 0 && (!fj_tpl_new_list(run, 0, &row) || !fj_tpl_append(run, out->list, row)))
            return false;
        if (!fj_tpl_append(run, row.list, items->items[i]))
            return false;
    }
    while (items->n && c->arg[1].kind != TPL_ABSENT && c->arg[1].kind != TPL_NONE && row.list->n < (size_t)size)
        if (!fj_tpl_append(run, row.list, c->arg[1]))
            return false;
    return true;
}

static bool filter_slice(tpl_run *run, const tpl_call *c, tpl_value *out)
{
    tpl_list *items;
    int64_t slices = 0;
    if (!self_items(run, c, &items) || !fj_tpl_new_list(run, 0, out))
        return false;
    if (!fj_tpl_integer(c->arg[0], &slices) || slices < 1)
        return fj_tpl_fail(run, FJ_ERR_FORMAT, "slice: expected a count of at least 1");
    size_t each = items->n / (size_t)slices, extra = items->n % (size_t)slices, at = 0;
    for (size_t s = 0; s < (size_t)slices; s++) {
        tpl_value row;
        if (!fj_tpl_new_list(run, 0, &row) || !fj_tpl_append(run, out->list, row))
            return false;
        for (size_t k = 0; k < each + (s < extra); k++)
            if (!fj_tpl_append(run, row.list, items->items[at++]))
                return false;
        if (c->arg[1].kind != TPL_ABSENT && c->arg[1].kind != TPL_NONE && s >= extra &&
            !fj_tpl_append(run, row.list, c->arg[1]))
            return false;
    }
    return true;
}

/* [(key, [items…]), …] sorted by key. */
static bool filter_groupby(tpl_run *run, const tpl_call *c, tpl_value *out)
{
    tpl_value sorted;
    bool case_sensitive = fj_tpl_truth(c->arg[2]);
    tpl_call sort = { .self = c->self, .all = c->all };
    tpl_value last = { 0 }, group = { 0 };
    sort.arg[1] = fj_tpl_bool(case_sensitive);
    sort.arg[2] = c->arg[0];
    if (!filter_sort(run, &sort, &sorted) || !fj_tpl_new_list(run, 0, out))
        return false;
    for (size_t i = 0; i < sorted.list->n; i++) {
        tpl_value item = sorted.list->items[i], key, shown;
        if (!key_of(run, item, c->arg[0], case_sensitive, &key) || !fj_tpl_path(run, item, c->arg[0], &shown))
            return false;
        if (i == 0 || !fj_tpl_equal(run, key, last)) {
            if (!fj_tpl_new_list(run, 0, &group) || !append_pair(run, out->list, shown, group))
                return false;
            last = key;
        }
        if (!fj_tpl_append(run, group.list, item))
            return false;
    }
    return true;
}

/* ---- map and select ----------------------------------------------------------------------------------------------- */

static const tpl_value *named_arg(const tpl_args *args, const char *name)
{
    for (size_t i = 0; i < args->n_named; i++)
        if (strcmp(args->names[i], name) == 0)
            return &args->named[i];
    return NULL;
}

static bool map_attribute(tpl_run *run, const tpl_list *items, tpl_value path, const tpl_value *fallback,
                          tpl_value *out)
{
    for (size_t i = 0; i < items->n; i++) {
        tpl_value v;
        if (!fj_tpl_path(run, items->items[i], path, &v))
            return false;
        if (v.kind == TPL_UNDEFINED && fallback)
            v = *fallback;
        if (!fj_tpl_append(run, out->list, v))
            return false;
    }
    return true;
}

static bool filter_map(tpl_run *run, const tpl_call *c, tpl_value *out)
{
    tpl_list *items;
    char *name;
    tpl_args rest = *c->all;
    const tpl_value *attribute = named_arg(c->all, "attribute");
    if (!self_items(run, c, &items) || !fj_tpl_new_list(run, 0, out))
        return false;
    if (attribute && rest.n_positional == 0)
        return map_attribute(run, items, *attribute, named_arg(c->all, "default"), out);
    if (rest.n_positional == 0)
        return fj_tpl_fail(run, FJ_ERR_FORMAT, "map needs a filter's name or attribute=");
    if (!fj_tpl_name_of(run, rest.positional[0], &name))
        return false;
    const tpl_builtin *filter = fj_tpl_filter(name);
    if (!filter)
        return fj_tpl_fail(run, FJ_ERR_FORMAT, "there is no filter '%.60s'", name);
    rest.positional++;
    rest.n_positional--;
    for (size_t i = 0; i < items->n; i++) {
        tpl_value v;
        if (!fj_tpl_charge(run, 1) || !fj_tpl_call_builtin(run, filter, "filter", items->items[i], &rest, &v) ||
            !fj_tpl_append(run, out->list, v))
            return false;
    }
    return true;
}

/* select, reject, selectattr, rejectattr: args are [attribute,] [test, its arguments]. */
static bool choose(tpl_run *run, const tpl_call *c, bool by_attribute, bool wanted, tpl_value *out)
{
    tpl_list *items;
    char *name;
    tpl_args rest = *c->all;
    tpl_value path = { 0 };
    const tpl_builtin *test = NULL;
    if (!self_items(run, c, &items) || !fj_tpl_new_list(run, 0, out))
        return false;
    if (by_attribute) {
        if (rest.n_positional == 0)
            return fj_tpl_fail(run, FJ_ERR_FORMAT, "selectattr and rejectattr need an attribute");
        path = *rest.positional++;
        rest.n_positional--;
    }
    if (rest.n_positional > 0) {
        if (!fj_tpl_name_of(run, rest.positional[0], &name))
            return false;
        test = fj_tpl_test(name);
        if (!test)
            return fj_tpl_fail(run, FJ_ERR_FORMAT, "there is no test '%.60s'", name);
        rest.positional++;
        rest.n_positional--;
    }
    for (size_t i = 0; i < items->n; i++) {
        tpl_value v = items->items[i], yes;
        if (by_attribute && !fj_tpl_path(run, items->items[i], path, &v))
            return false;
        yes = v;
        if (!fj_tpl_charge(run, 1) || (test && !fj_tpl_call_builtin(run, test, "test", v, &rest, &yes)))
            return false;
        if (fj_tpl_truth(yes) == wanted && !fj_tpl_append(run, out->list, items->items[i]))
            return false;
    }
    return true;
}

static bool filter_select(tpl_run *run, const tpl_call *c, tpl_value *out)
{
    return choose(run, c, false, true, out);
}

static bool filter_reject(tpl_run *run, const tpl_call *c, tpl_value *out)
{
    return choose(run, c, false, false, out);
}

static bool filter_selectattr(tpl_run *run, const tpl_call *c, tpl_value *out)
{
    return choose(run, c, true, true, out);
}

static bool filter_rejectattr(tpl_run *run, const tpl_call *c, tpl_value *out)
{
    return choose(run, c, true, false, out);
}

static const tpl_builtin filters[] = {
    { "batch", filter_batch, 1, { "linecount", "fill_with" } },
    { "dictsort", filter_dictsort, 0, { "case_sensitive", "by", "reverse" } },
    { "first", filter_first, 0, { NULL } },
    { "groupby", filter_groupby, 1, { "attribute", "default", "case_sensitive" } },
    { "items", filter_items, 0, { NULL } },
    { "join", filter_join, 0, { "d", "attribute" } },
    { "last", filter_last, 0, { NULL } },
    { "list", filter_list, 0, { NULL } },
    { "map", filter_map, 0, { NULL }, .variadic = true },
    { "max", filter_max, 0, { "case_sensitive", "attribute" } },
    { "min", filter_min, 0, { "case_sensitive", "attribute" } },
    { "reject", filter_reject, 0, { NULL }, .variadic = true },
    { "rejectattr", filter_rejectattr, 0, { NULL }, .variadic = true },
    { "reverse", filter_reverse, 0, { NULL } },
    { "select", filter_select, 0, { NULL }, .variadic = true },
    { "selectattr", filter_selectattr, 0, { NULL }, .variadic = true },
    { "slice", filter_slice, 1, { "slices", "fill_with" } },
    { "sort", filter_sort, 0, { "reverse", "case_sensitive", "attribute" } },
    { "sum", filter_sum, 0, { "attribute", "start" } },
    { "unique", filter_unique, 0, { "case_sensitive", "attribute" } },
};

const tpl_builtin *fj_tpl_filter_more(const char *name)
{
    for (size_t i = 0; i < FJ_LEN(filters); i++)
        if (strcmp(filters[i].name, name) == 0)
            return &filters[i];
    return NULL;
}
