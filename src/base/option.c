/* SPDX-License-Identifier: Apache-2.0
 * See option.h. */
#include "base/option.h"

#include <math.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "base/str.h"

enum { MAX_ITEMS = 1 << 20 };

bool fj_text_bool(const char *text, bool *out)
{
    static const char *const yes[] = { "true", "yes", "on" }, *const no[] = { "false", "no", "off" };
    for (size_t i = 0; i < FJ_LEN(yes); i++) {
        if (strcasecmp(text, yes[i]) && strcasecmp(text, no[i]))
            continue;
        *out = !strcasecmp(text, yes[i]);
        return true;
    }
    return false;
}

static bool is_any_number(const fj_option *o)
{
    return o->least == 0 && o->most == 0;
}

/* "a whole number of at least 1", "a number between 0 and 1". */
static fj_status bad_number(const fj_option *o, const char *label, const char *text, fj_err *err)
{
    const char *what = o->kind == FJ_OPT_INT ? "a whole number" : "a number";
    if (is_any_number(o))
        return fj_fail(err, FJ_ERR_USAGE, "%s: '%.80s' is not %s", label, text, what);
    if (o->most > 1e15)
        return fj_fail(err, FJ_ERR_USAGE, "%s: '%.80s' is not %s of at least %g", label, text, what, o->least);
    return fj_fail(err, FJ_ERR_USAGE, "%s: '%.80s' is not %s between %.9g and %.9g", label, text, what, o->least,
                   o->most);
}

static bool is_in_range(const fj_option *o, double value)
{
    return is_any_number(o) || (value >= o->least && value <= o->most);
}

/* Whether text is one of "a|b|c", any case; *out becomes that spelling, in the arena. */
static bool choose(const char *choices, const char *text, fj_arena *arena, const char **out)
{
    while (*choices) {
        size_t len = strcspn(choices, "|");
        if (strlen(text) == len && !strncasecmp(choices, text, len)) {
            *out = fj_arena_text(arena, choices, len);
            return true;
        }
        choices += len + (choices[len] == '|');
    }
    return false;
}

static fj_status append(fj_list *list, const char *label, const char *text, fj_arena *arena, fj_err *err)
{
    if (list->n >= MAX_ITEMS)
        return fj_fail(err, FJ_ERR_USAGE, "%s: more than %d values", label, MAX_ITEMS);
    if ((list->n & (list->n - 1)) == 0) { /* full at every power of two */
        const char **grown = fj_arena_array(arena, list->n ? 2 * list->n : 1, sizeof *grown);
        if (!grown)
            return fj_fail(err, FJ_ERR_MEMORY, "%s: no memory for %zu values", label, list->n);
        if (list->n)
            memcpy(grown, list->items, list->n * sizeof *grown);
        list->items = grown;
    }
    list->items[list->n++] = text;
    return FJ_OK;
}

static fj_status set_text(const fj_option *o, const char *label, const char *text, fj_arena *arena, const char **to,
                          fj_err *err)
{
    *to = text;
    if (!o->choices)
        return FJ_OK;
    if (!choose(o->choices, text, arena, to))
        return fj_fail(err, FJ_ERR_USAGE, "%s: '%.80s' is not one of %s", label, text, o->choices);
    return *to ? FJ_OK : fj_fail(err, FJ_ERR_MEMORY, "%s: no memory", label);
}

fj_status fj_option_set(const fj_option *o, const char *label, const char *text, fj_arena *arena, void *settings,
                        fj_err *err)
{
    void *to = (unsigned char *)settings + o->offset;
    int64_t i;
    double d;
    bool b;
    switch (o->kind) {
    case FJ_OPT_ARG:
    case FJ_OPT_TEXT: return set_text(o, label, text, arena, to, err);
    case FJ_OPT_REST:
    case FJ_OPT_LIST: return append(to, label, text, arena, err);
    case FJ_OPT_FLAG: *(bool *)to = true; return FJ_OK;
    case FJ_OPT_BOOL:
        if (!fj_text_bool(text, &b))
            return fj_fail(err, FJ_ERR_USAGE, "%s: '%.80s' is neither true nor false", label, text);
        *(bool *)to = b;
        return FJ_OK;
    case FJ_OPT_INT:
        if (!fj_text_i64(fj_text_of(text), &i) || !is_in_range(o, (double)i))
            return bad_number(o, label, text, err);
        *(int64_t *)to = i;
        return FJ_OK;
    case FJ_OPT_REAL:
        if (!fj_text_f64(fj_text_of(text), &d) || isnan(d) || !is_in_range(o, d))
            return bad_number(o, label, text, err);
        *(double *)to = d;
        return FJ_OK;
    }
    return FJ_OK;
}

static void clear(const fj_option *o, void *settings)
{
    void *to = (unsigned char *)settings + o->offset;
    switch (o->kind) {
    case FJ_OPT_ARG:
    case FJ_OPT_TEXT: *(const char **)to = NULL; break;
    case FJ_OPT_REST:
    case FJ_OPT_LIST: *(fj_list *)to = (fj_list){ 0 }; break;
    case FJ_OPT_FLAG:
    case FJ_OPT_BOOL: *(bool *)to = false; break;
    case FJ_OPT_INT: *(int64_t *)to = FJ_NOT_GIVEN; break;
    case FJ_OPT_REAL: *(double *)to = NAN; break;
    }
}

void fj_options_reset(const fj_option *table, fj_arena *arena, void *settings)
{
    for (const fj_option *o = table; o && o->name; o++) {
        fj_err err = { 0 };
        clear(o, settings);
        if (o->fallback && *o->fallback) {
            fj_status st = fj_option_set(o, o->name, o->fallback, arena, settings, &err);
            fj_assert(st != FJ_ERR_USAGE && "a fallback that its own row refuses");
        }
    }
}
