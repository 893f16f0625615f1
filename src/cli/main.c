/* SPDX-License-Identifier: Apache-2.0
 * The command line: finds the command, fills its settings, makes the runtime, prints what went wrong. */
#include <langinfo.h>
#include <locale.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/arena.h"
#include "base/cpu.h"
#include "base/map.h"
#include "base/str.h"
#include "cli/commands.h"
#include "cli/print.h"

/* Ctrl-C: the one flag that a signal handler may set. Twice ends the process. */
static int interrupted;

static void on_interrupt(int number)
{
    (void)number;
    if (__atomic_exchange_n(&interrupted, 1, __ATOMIC_RELAXED))
        _exit(130);
}

static void install_signals(void)
{
    struct sigaction action = { .sa_handler = on_interrupt };
    (void)sigaction(SIGINT, &action, NULL);
    (void)sigaction(SIGTERM, &action, NULL);
    (void)signal(SIGPIPE, SIG_IGN);
    (void)signal(SIGXFSZ, SIG_IGN); /* a file that may not grow is an error of the write, as on a full disk */
    fj_map_install_sigbus();
}

/* The command of argv[1], or of argv[1] and argv[2] ("probe logits"); *used: how many words. */
static const fj_command *find_command(int argc, char **argv, int *used)
{
    for (const fj_command *const *c = fj_commands; *c; c++) {
        size_t first = strcspn((*c)->name, " ");
        bool has_two = (*c)->name[first] == ' ';
        if (strlen(argv[1]) != first || strncmp(argv[1], (*c)->name, first))
            continue;
        if (has_two && (argc < 3 || strcmp(argv[2], (*c)->name + first + 1)))
            continue;
        *used = 1 + has_two;
        return *c;
    }
    return NULL;
}

/* Whether a command's name is `group` and another word. */
static bool is_in_group(const fj_command *c, const char *group)
{
    size_t first = strcspn(c->name, " ");
    return c->name[first] && strlen(group) == first && !strncmp(group, c->name, first);
}

/* "forja probe" and "forja probe --help" list the group. False when there is no such group. */
static bool print_group(const char *group)
{
    bool found = false;
    for (const fj_command *const *c = fj_commands; *c; c++) {
        if (!is_in_group(*c, group))
            continue;
        (void)printf(found ? "  forja %-16s %s\n" : "commands:\n  forja %-16s %s\n", (*c)->name, (*c)->summary);
        found = true;
    }
    return found;
}

static int unknown_command(int argc, char **argv)
{
    const char *names[64], *second = argc > 2 ? argv[2] : "--help";
    size_t n = 0;
    fj_err err = { 0 };
    char typed[128];
    bool is_group = false;
    if ((!strcmp(second, "--help") || !strcmp(second, "-h")) && print_group(argv[1]))
        return argc > 2 ? 0 : fj_exit_code(FJ_ERR_USAGE);
    for (const fj_command *const *c = fj_commands; *c && n < FJ_LEN(names); c++) {
        is_group |= is_in_group(*c, argv[1]);
        names[n++] = (*c)->name;
    }
    (void)snprintf(typed, sizeof typed, "%.60s%s%.60s", argv[1], is_group ? " " : "", is_group ? second : "");
    const char *nearest = fj_nearest(typed, names, n);
    (void)fj_fail(&err, FJ_ERR_USAGE, "unknown command '%s'", typed);
    if (nearest)
        (void)fj_hint(&err, "did you mean forja %s?", nearest);
    else
        (void)fj_hint(&err, "forja --help lists the commands");
    return fj_print_error(&err);
}

static fj_status open_runtime(const fj_common *common, fj_runtime *rt, fj_err *err)
{
    unsigned mask = 0, features = fj_cpu_features();
    if (!fj_cpu_mask(common->isa, &mask))
        return fj_fail(err, FJ_ERR_USAGE, "--isa: no kernels are called '%s'", common->isa);
    if (strcmp(common->isa, "auto") && (mask & ~features & ~(unsigned)FJ_CPU_EXTRAS))
        return fj_fail(err, FJ_ERR_USAGE, "--isa %s: this processor does not have it", common->isa);
    fj_kernels_init(&rt->kernels, features & mask);
    rt->log = fj_log_new(common->quiet ? FJ_LOG_WARN : common->verbose ? FJ_LOG_DEBUG : FJ_LOG_NOTE);
    rt->cancel = &interrupted;
    return fj_pool_open((int)common->threads, &rt->pool, err);
}

static fj_status print_help(const fj_command *c, fj_err *err)
{
    fj_str text = { 0 };
    if (c)
        fj_help_command(c, fj_terminal_width(STDOUT_FILENO), &text);
    else
        fj_help_all(fj_terminal_width(STDOUT_FILENO), &text);
    fj_status st = text.failed ? fj_fail(err, FJ_ERR_MEMORY, "no memory for the help") : FJ_OK;
    if (!st)
        (void)fputs(text.data, stdout);
    fj_str_free(&text);
    return st;
}

/* A name of the hub becomes a path in the arena. */
static fj_status resolve(const fj_call *call, const char **model, fj_arena *arena, fj_err *err)
{
    char *path = NULL;
    if (!*model || fj_path_exists(*model) || !fj_model_is_remote(*model))
        return FJ_OK;
    fj_status st = fj_call_fetch(call, *model, &path, err);
    if (!st)
        *model = fj_arena_text(arena, path, strlen(path));
    free(path);
    return st || *model ? st : fj_fail(err, FJ_ERR_MEMORY, "no memory for the options");
}

/* Whether the value is a MODEL, or an adapter, which may lie on the hub as models do. */
static bool is_model(const fj_option *o)
{
    if (o->kind != FJ_OPT_TEXT)
        return !strcmp(o->name, "MODEL");
    return !strcmp(o->name, "adapter") || (o->value && !strcmp(o->value, "MODEL"));
}

static fj_status resolve_models(const fj_call *call, void *settings, fj_arena *arena, fj_err *err)
{
    fj_status st = FJ_OK;
    for (const fj_option *o = call->command->options; o && o->name && !st; o++) {
        void *at = (char *)settings + o->offset;
        if (!is_model(o))
            continue;
        if (o->kind == FJ_OPT_ARG || o->kind == FJ_OPT_TEXT)
            st = resolve(call, at, arena, err);
        for (size_t i = 0; o->kind == FJ_OPT_REST && i < ((fj_list *)at)->n && !st; i++)
            st = resolve(call, &((fj_list *)at)->items[i], arena, err);
    }
    return st;
}

static fj_status run_command(const fj_command *c, int argc, const char **argv, fj_err *err)
{
    fj_runtime rt = { 0 };
    fj_arena *arena = fj_arena_new();
    void *settings = arena ? fj_arena_take(arena, c->settings_size) : NULL;
    bool *given = arena ? fj_arena_array(arena, fj_options_count(c), sizeof *given) : NULL;
    fj_status st = settings && given ? FJ_OK : fj_fail(err, FJ_ERR_MEMORY, "no memory for the options");
    if (!st)
        st = fj_options_parse(c, argc, argv, arena, settings, given, err);
    const fj_common *common = settings;
    if (!st && common->help) {
        st = print_help(c, err);
    } else if (!st) {
        st = open_runtime(common, &rt, err);
        fj_call call = { .command = c, .rt = &rt, .settings = settings, .given = given };
        if (!st && !c->keeps_names)
            st = resolve_models(&call, settings, arena, err);
        if (!st)
            st = c->run(&call, err);
        if (!st && (fflush(stdout) || ferror(stdout)))
            st = fj_fail(err, FJ_ERR_FAILED, "cannot write to standard output");
    }
    fj_pool_close(rt.pool);
    fj_log_free(rt.log);
    fj_arena_free(arena);
    return st;
}

int fj_cli_main(int argc, char **argv)
{
    fj_err err = { 0 };
    int used = 0;
    (void)setlocale(LC_CTYPE, ""); /* never LC_NUMERIC: a comma must not become the point of numbers */
    if (strcmp(nl_langinfo(CODESET), "UTF-8") != 0)
        (void)setlocale(LC_CTYPE,
                        "C.UTF-8"); /* containers often name no locale; letters with accents are typed there, too */
    install_signals();
    bool wants_help = argc >= 2 && (!strcmp(argv[1], "--help") || !strcmp(argv[1], "-h") || !strcmp(argv[1], "help"));
    if (argc < 2 || (wants_help && argc == 2)) {
        fj_status st = print_help(NULL, &err);
        return st ? fj_print_error(&err) : argc < 2 ? fj_exit_code(FJ_ERR_USAGE) : 0;
    }
    if (wants_help) { /* forja help run: forja run --help */
        for (int i = 1; i + 1 < argc; i++)
            argv[i] = argv[i + 1];
        argv[argc - 1] = (char *)(uintptr_t) "--help";
    } else if (!strcmp(argv[1], "--version") || !strcmp(argv[1], "-V")) {
        argv[1] = (char *)(uintptr_t) "version";
    }
    const fj_command *c = find_command(argc, argv, &used);
    if (!c)
        return unknown_command(argc, argv);
    fj_status st = run_command(c, argc - used, (const char **)argv + used, &err);
    return st ? fj_print_error(&err) : 0;
}
