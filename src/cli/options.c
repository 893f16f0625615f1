/* SPDX-License-Identifier: Apache-2.0
 * Our option tables to popt's and back to settings. Nothing else knows popt. */
#include <popt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli/command.h"

enum { MAX_OPTIONS = 160 };

const fj_option fj_common_options[] = {
    { "threads", "N", FJ_OPT_INT, offsetof(fj_common, threads), "0", "worker threads; 0: one for each processor", 0,
      256, 't' },
    { "seed", "N", FJ_OPT_INT, offsetof(fj_common, seed), "-1",
      "seed of all random choices; -1: the command's own default", -1, 9e15, 0 },
    { "isa", "NAME", FJ_OPT_TEXT, offsetof(fj_common, isa), "auto", "kernels to use", 0, 0, 0,
      "ref|avx2|avx512-base|avx512|neon-base|neon|auto" },
    { "json", NULL, FJ_OPT_FLAG, offsetof(fj_common, json), NULL, "JSON on standard output and nothing else there", 0,
      0, 0 },
    { "quiet", NULL, FJ_OPT_FLAG, offsetof(fj_common, quiet), NULL, "warnings and errors only", 0, 0, 'q' },
    { "verbose", NULL, FJ_OPT_FLAG, offsetof(fj_common, verbose), NULL, "say more", 0, 0, 'v' },
    { "help", NULL, FJ_OPT_FLAG, offsetof(fj_common, help), NULL, "this help", 0, 0, 'h' },
    { 0 },
};

/* One row of all the tables of a command, end to end. */
typedef struct known {
    const fj_option *option;
    size_t base; /* of the struct in the settings that its offset counts from */
} known;

static size_t add_table(const fj_option *table, size_t base, known *out, size_t n)
{
    for (const fj_option *o = table; o && o->name; o++) {
        fj_assert(n < MAX_OPTIONS);
        out[n++] = (known){ o, base };
    }
    return n;
}

static size_t list_options(const fj_command *c, known out[MAX_OPTIONS])
{
    size_t n = add_table(c->options, 0, out, 0);
    for (const fj_option_group *g = c->groups; g && g->title; g++)
        n = add_table(g->options, g->offset, out, n);
    return add_table(fj_common_options, 0, out, n);
}

size_t fj_options_count(const fj_command *c)
{
    known list[MAX_OPTIONS];
    return list_options(c, list);
}

bool fj_call_given(const fj_call *call, const char *option)
{
    known list[MAX_OPTIONS];
    size_t n = list_options(call->command, list);
    for (size_t i = 0; i < n; i++)
        if (!strcmp(list[i].option->name, option))
            return call->given[i];
    fj_assert(!"an option that the command does not have");
    return false;
}

/* What popt reads of an option: value is its place in the list, from 1. */
static struct poptOption popt_row(const fj_option *o, const char *name, char letter, int style, int value)
{
    return (struct poptOption){ .longName = name,
                                .shortName = letter,
                                .argInfo = (o->kind == FJ_OPT_FLAG ? POPT_ARG_NONE : POPT_ARG_STRING) | style,
                                .val = value };
}

static bool is_positional(const fj_option *o)
{
    return o->kind == FJ_OPT_ARG || o->kind == FJ_OPT_REST;
}

static fj_status set(const known *k, const char *text, fj_arena *arena, void *settings, fj_err *err)
{
    char label[64];
    (void)snprintf(label, sizeof label, "%s%.60s", is_positional(k->option) ? "" : "--", k->option->name);
    return fj_option_set(k->option, label, text, arena, (unsigned char *)settings + k->base, err);
}

static void reset(const fj_command *c, fj_arena *arena, void *settings)
{
    fj_options_reset(c->options, arena, settings);
    for (const fj_option_group *g = c->groups; g && g->title; g++)
        fj_options_reset(g->options, arena, (unsigned char *)settings + g->offset);
    fj_options_reset(fj_common_options, arena, settings);
}

static fj_status unknown_option(const known *list, size_t n, const char *text, fj_err *err)
{
    const char *names[MAX_OPTIONS];
    char name[64];
    size_t count = 0;
    const char *start = text + strspn(text, "-");
    (void)snprintf(name, sizeof name, "%.*s", (int)FJ_MIN(strcspn(start, "="), sizeof name - 1), start);
    for (size_t i = 0; i < n; i++)
        if (!is_positional(list[i].option))
            names[count++] = list[i].option->name;
    const char *nearest = fj_nearest(name, names, count);
    (void)fj_fail(err, FJ_ERR_USAGE, "unknown option '%.100s'", text);
    return nearest ? fj_hint(err, "did you mean --%s?", nearest) : fj_hint(err, "--help lists the options");
}

static fj_status set_positionals(const fj_command *c, const known *list, size_t n, char **args, fj_arena *arena,
                                 void *settings, bool *given, fj_err *err)
{
    for (size_t i = 0; i < n; i++) {
        const fj_option *o = list[i].option;
        if (!is_positional(o))
            continue;
        while (args && *args && !(o->kind == FJ_OPT_ARG && given[i])) {
            fj_status st = set(&list[i], *args++, arena, settings, err);
            if (st)
                return st;
            given[i] = true;
        }
        if (o->kind == FJ_OPT_ARG && !given[i] && !o->fallback) {
            (void)fj_fail(err, FJ_ERR_USAGE, "%s: %s is missing", c->name, o->name);
            return fj_hint(err, "forja %s --help", c->name);
        }
    }
    if (args && *args)
        return fj_fail(err, FJ_ERR_USAGE, "%s: '%.100s' is one argument too many", c->name, *args);
    return FJ_OK;
}

/* popt's copies die with its context. */
static fj_status keep_arguments(poptContext context, fj_arena *arena, char ***out, fj_err *err)
{
    const char **rest = poptGetArgs(context);
    size_t n = 0;
    while (rest && rest[n])
        n++;
    *out = fj_arena_array(arena, n + 1, sizeof **out);
    for (size_t i = 0; *out && i < n; i++) {
        (*out)[i] = fj_arena_text(arena, rest[i], strlen(rest[i]));
        if (!(*out)[i])
            *out = NULL;
    }
    return *out ? FJ_OK : fj_fail(err, FJ_ERR_MEMORY, "no memory for the arguments");
}

static fj_status take_options(poptContext context, const known *list, size_t n, fj_arena *arena, void *settings,
                              bool *given, fj_err *err)
{
    fj_status st = FJ_OK;
    int code;
    while (!st && (code = poptGetNextOpt(context)) != -1) {
        if (code == POPT_ERROR_BADOPT)
            return unknown_option(list, n, poptBadOption(context, 0), err);
        if (code < 0)
            return fj_fail(err, FJ_ERR_USAGE, "%s: %s", poptBadOption(context, 0), poptStrerror(code));
        char *value = poptGetOptArg(context);
        const char *kept = fj_arena_text(arena, value ? value : "", value ? strlen(value) : 0);
        free(value);
        if (!kept)
            return fj_fail(err, FJ_ERR_MEMORY, "no memory for the arguments");
        st = set(&list[code - 1], kept, arena, settings, err);
        given[code - 1] = true;
    }
    return st;
}

fj_status fj_options_parse(const fj_command *c, int argc, const char **argv, fj_arena *arena, void *settings,
                           bool *given, fj_err *err)
{
    known list[MAX_OPTIONS];
    struct poptOption table[2 * MAX_OPTIONS + 1] = { 0 };
    size_t n = list_options(c, list), at = 0;
    char **args = NULL;
    reset(c, arena, settings);
    for (size_t i = 0; i < n; i++) {
        const fj_option *o = list[i].option;
        if (!is_positional(o))
            table[at++] = popt_row(o, o->name, o->letter, 0, (int)i + 1);
        if (o->alias)
            table[at++] = popt_row(o, o->alias, '\0', POPT_ARGFLAG_ONEDASH, (int)i + 1);
    }
    poptContext context = poptGetContext("forja", argc, argv, table, 0);
    if (!context)
        return fj_fail(err, FJ_ERR_MEMORY, "no memory for the arguments");
    fj_status st = take_options(context, list, n, arena, settings, given, err);
    if (!st)
        st = keep_arguments(context, arena, &args, err);
    (void)poptFreeContext(context);
    if (!st && !((const fj_common *)settings)->help)
        st = set_positionals(c, list, n, args, arena, settings, given, err);
    return st;
}
