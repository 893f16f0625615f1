/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/test.h"

#include "cli/command.h"

typedef struct inner {
    double temp;
    int64_t top_k;
} inner;

typedef struct settings {
    fj_common common;
    const char *model, *out, *format, *ids, *cache;
    fj_list rest, stop;
    int64_t n;
    bool chat, early;
    inner sample;
} settings;

static const fj_option options[] = {
    { "MODEL", NULL, FJ_OPT_ARG, offsetof(settings, model), NULL, "a model", 0, 0, 0 },
    { "OUT", NULL, FJ_OPT_ARG, offsetof(settings, out), "", "a file", 0, 0, 0 },
    { "KEY=VALUE", NULL, FJ_OPT_REST, offsetof(settings, rest), NULL, "keys", 0, 0, 0 },
    { "predict", "N", FJ_OPT_INT, offsetof(settings, n), "-1", "new tokens", -1, 1e6, 'n' },
    { "ids", "1,2", FJ_OPT_TEXT, offsetof(settings, ids), NULL, "token ids", 0, 0, 0 },
    { "format", "NAME", FJ_OPT_TEXT, offsetof(settings, format), "hf", "what to write", 0, 0, 0, "hf|gguf" },
    { "cache-type", "NAME", FJ_OPT_TEXT, offsetof(settings, cache), NULL, "of a cache", 0, 0, 0, NULL, "nt" },
    { "stop", "TEXT", FJ_OPT_LIST, offsetof(settings, stop), NULL, "end at this text", 0, 0, 'r' },
    { "chat", NULL, FJ_OPT_FLAG, offsetof(settings, chat), NULL, "wrap", 0, 0, 0 },
    { "early-stopping", "true|false", FJ_OPT_BOOL, offsetof(settings, early), "true", "stop early", 0, 0, 0 },
    { 0 },
};

static const fj_option sampling[] = {
    { "temp", "X", FJ_OPT_REAL, offsetof(inner, temp), NULL, "temperature", 0, 100, 0 },
    { "top-k", "N", FJ_OPT_INT, offsetof(inner, top_k), NULL, "best so many", 0, 1e9, 0 },
    { 0 },
};

static const fj_option_group groups[] = { { "sampling", sampling, offsetof(settings, sample) }, { 0 } };

static const fj_command command = {
    .name = "thing", .summary = "Does a thing.", .options = options, .groups = groups, .settings_size = sizeof(settings)
};

typedef struct parsed {
    fj_arena *arena;
    settings s;
    bool given[32];
    fj_status st;
    fj_err err;
} parsed;

static void parse(parsed *p, int n, const char **words)
{
    const char *argv[16] = { "thing" };
    *p = (parsed){ .arena = fj_arena_new() };
    for (int i = 0; i < n; i++)
        argv[i + 1] = words[i];
    p->st = fj_options_parse(&command, n + 1, argv, p->arena, &p->s, p->given, &p->err);
}

#define PARSE(p, ...) parse((p), (int)FJ_LEN(((const char *[]){ __VA_ARGS__ })), (const char *[]){ __VA_ARGS__ })

TEST(options_have_their_fallbacks_or_are_not_given)
{
    parsed p;
    PARSE(&p, "m");
    CHECK(p.st == FJ_OK);
    CHECK_TEXT(p.s.model, "m");
    CHECK(!p.s.out && !p.s.ids && p.s.n == -1 && !p.s.chat && p.s.early && p.s.rest.n == 0);
    CHECK_TEXT(p.s.format, "hf");
    CHECK(isnan(p.s.sample.temp) && p.s.sample.top_k == FJ_NOT_GIVEN);
    CHECK(p.s.common.seed == -1);
    fj_arena_free(p.arena);
}

TEST(options_are_taken_with_a_blank_and_with_an_equals_sign)
{
    parsed p;
    PARSE(&p, "--ids=-1,-2", "m", "-n", "-1", "--temp=0.5", "--top-k", "7", "o", "a=1", "b=2", "--early-stopping", "no",
          "-t2");
    CHECK(p.st == FJ_OK);
    CHECK_TEXT(p.s.ids, "-1,-2");
    CHECK_TEXT(p.s.out, "o");
    CHECK(p.s.rest.n == 2 && p.s.sample.temp == 0.5 && p.s.sample.top_k == 7 && !p.s.early && p.s.common.threads == 2);
    CHECK_TEXT(p.s.rest.items[1], "b=2");
    fj_call call = { .command = &command, .settings = &p.s, .given = p.given };
    CHECK(fj_call_given(&call, "temp") && !fj_call_given(&call, "format") && fj_call_given(&call, "threads"));
    fj_arena_free(p.arena);
}

TEST(options_with_another_name_are_taken_with_one_dash_and_with_two)
{
    static const char *const words[] = { "-nt", "--nt", "--cache-type" };
    for (size_t i = 0; i < FJ_LEN(words); i++) {
        parsed p;
        PARSE(&p, "m", words[i], "q8_0", "-n", "5");
        CHECK(p.st == FJ_OK && p.s.n == 5);
        CHECK_TEXT(p.s.cache, "q8_0");
        fj_arena_free(p.arena);
    }
}

TEST(options_that_repeat_make_a_list)
{
    parsed p;
    PARSE(&p, "m", "--stop", "a", "-r", "b", "--stop=", "--stop", "d", "--stop", "e");
    CHECK(p.st == FJ_OK && p.s.stop.n == 5);
    CHECK_TEXT(p.s.stop.items[1], "b");
    CHECK_TEXT(p.s.stop.items[2], "");
    CHECK_TEXT(p.s.stop.items[4], "e");
    fj_arena_free(p.arena);
}

static void check_refused(parsed *p, const char *message, const char *hint)
{
    CHECK(p->st == FJ_ERR_USAGE);
    CHECK_TEXT(p->err.message, message);
    CHECK_TEXT(p->err.hint, hint);
    fj_arena_free(p->arena);
}

TEST(options_that_are_wrong_are_named)
{
    parsed p;
    PARSE(&p, "m", "--fromat", "hf");
    check_refused(&p, "unknown option '--fromat'", "did you mean --format?");
    PARSE(&p, "m", "--format", "pdf");
    check_refused(&p, "--format: 'pdf' is not one of hf|gguf", "");
    PARSE(&p, "m", "--temp", "warm");
    check_refused(&p, "--temp: 'warm' is not a number between 0 and 100", "");
    PARSE(&p, "m", "--temp", "nan");
    check_refused(&p, "--temp: 'nan' is not a number between 0 and 100", "");
    PARSE(&p, "m", "-n", "1.5");
    check_refused(&p, "--predict: '1.5' is not a whole number between -1 and 1000000", "");
    PARSE(&p, "--chat");
    check_refused(&p, "thing: MODEL is missing", "forja thing --help");
    PARSE(&p, "m", "--ids");
    check_refused(&p, "--ids: missing argument", "");
    PARSE(&p, "m", "--early-stopping", "maybe");
    check_refused(&p, "--early-stopping: 'maybe' is neither true nor false", "");
}

TEST(help_needs_no_positionals_and_tells_every_option)
{
    parsed p;
    fj_str page = { 0 };
    PARSE(&p, "--help");
    CHECK(p.st == FJ_OK && p.s.common.help);
    fj_help_command(&command, 80, &page);
    CHECK(strstr(page.data, "usage: forja thing MODEL [OUT] [KEY=VALUE ...] [OPTIONS]\n\nDoes a thing.\n"));
    CHECK(strstr(page.data, "  -n, --predict N             new tokens [-1]\n"));
    CHECK(strstr(page.data, "sampling:\n      --temp X                temperature\n"));
    CHECK(strstr(page.data, "what to write: hf|gguf [hf]"));
    fj_str_free(&page);
    fj_arena_free(p.arena);
}

TEST(every_command_has_help_and_a_table_that_its_own_fallbacks_pass)
{
    for (const fj_command *const *c = fj_commands; *c; c++) {
        fj_str page = { 0 };
        fj_arena *arena = fj_arena_new();
        void *into = fj_arena_take(arena, (*c)->settings_size);
        bool *given = fj_arena_array(arena, fj_options_count(*c), sizeof *given);
        fj_err err = { 0 };
        const char *argv[] = { (*c)->name, "--help", NULL };
        CHECK_OK(fj_options_parse(*c, 2, argv, arena, into, given, &err));
        CHECK(strlen((*c)->summary) > 10 && (*c)->run);
        CHECK(c == fj_commands || strcmp(c[-1]->name, (*c)->name) < 0);
        fj_help_command(*c, 100, &page);
        CHECK(page.data && !page.failed && strstr(page.data, (*c)->name));
        fj_str_free(&page);
        fj_arena_free(arena);
    }
}
