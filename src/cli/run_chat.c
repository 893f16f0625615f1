/* SPDX-License-Identifier: Apache-2.0
 * The conversation at the terminal. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/map.h"
#include "base/utf8.h"
#include "cli/line.h"
#include "cli/print.h"
#include "cli/run.h"

enum { MAX_FILE = 16 << 20 };

typedef struct talk {
    fj_runner *r;
    fj_chat *chat;
    fj_lines *lines;
    fj_arena *arena;           /* values of /set */
    fj_sample_settings sample; /* as /set left them */
    fj_encoding prompt;
    fj_generation answer;
    bool wants_stats, is_over, color;
    uint64_t n_answers;
} talk;

/* ---- answering ------------------------------------------------------------------------------------------------------------------------ */

static void show(void *context, const char *text, size_t len)
{
    (void)context;
    (void)fwrite(text, 1, len, stdout);
    (void)fflush(stdout);
}

static void tell_stats(const talk *t)
{
    const fj_generation *g = &t->answer;
    char guesses[64] = "";
    if (t->r->draft)
        (void)snprintf(guesses, sizeof guesses, "%lld guessed, %lld right; ", (long long)g->draft_n,
                       (long long)g->draft_n_accepted);
    (void)printf("%s[prompt %lld tokens, %.1f/s; answer %lld tokens, %.1f/s; %scontext %lld of %lld]%s\n",
                 fj_style_code(FJ_STYLE_DIM, t->color), (long long)g->prompt_n,
                 1e3 * (double)g->prompt_n / g->prompt_ms, (long long)g->n, 1e3 * (double)g->n / g->predicted_ms,
                 guesses, (long long)fj_session_length(t->r->session, 0), (long long)fj_session_n_ctx(t->r->session),
                 fj_style_code(FJ_STYLE_NONE, t->color));
}

/* Ids of the conversation with room for an answer: the oldest exchanges are forgotten, aloud, when it has grown too long. */
static fj_status encode(talk *t, fj_err *err)
{
    int64_t room = fj_session_n_ctx(t->r->session);
    int64_t wanted = FJ_MIN(t->r->s->n_predict >= 0 ? t->r->s->n_predict : 256, room / 4);
    fj_status st = fj_chat_encode(t->chat, &t->prompt, err);
    while (!st && (int64_t)t->prompt.n + wanted > room) {
        size_t first = !strcmp(fj_chat_role(t->chat, 0), "system");
        if (fj_chat_count(t->chat) < first + 3)
            break; /* one message alone is too long: generating says so */
        (void)printf("%s[the context is full: the oldest exchange is forgotten]%s\n",
                     fj_style_code(FJ_STYLE_YELLOW, t->color), fj_style_code(FJ_STYLE_NONE, t->color));
        st = fj_chat_remove(t->chat, first, 2, err);
        if (!st)
            st = fj_chat_encode(t->chat, &t->prompt, err);
    }
    return st;
}

/* The model's turn. Ctrl-C ends the answer, not the conversation. */
static fj_status answer(talk *t, fj_err *err)
{
    fj_runner *r = t->r;
    fj_generate_settings s = fj_run_generate_settings(r);
    fj_status st = encode(t, err);
    fj_sampler_restart(r->sampler, r->seed + t->n_answers++);
    if (!st)
        st = fj_generate(r->generator, r->sampler, t->prompt.ids, (int64_t)t->prompt.n, &s, show, NULL,
                         r->call->rt->cancel, &t->answer, err);
    bool was_cancelled = st == FJ_ERR_CANCELLED;
    if (was_cancelled)
        __atomic_store_n(r->call->rt->cancel, 0, __ATOMIC_RELAXED);
    if (st && !was_cancelled)
        return st;
    (void)printf("%s\n", was_cancelled ? " …" : "");
    if (t->wants_stats && !was_cancelled)
        tell_stats(t);
    return fj_chat_add(t->chat, "assistant", t->answer.text.data ? t->answer.text.data : "", t->answer.text.len, err);
}

/* An error that the conversation survives: the message that led to it is taken back. */
static void survive(talk *t, fj_err *err)
{
    size_t n = fj_chat_count(t->chat);
    fj_err ignored = { 0 };
    (void)fj_print_error(err);
    if (n && !strcmp(fj_chat_role(t->chat, n - 1), "user")) {
        fj_status st = fj_chat_remove(t->chat, n - 1, 1, &ignored);
        t->is_over = st != FJ_OK;
    }
    *err = (fj_err){ 0 };
}

/* ---- commands ------------------------------------------------------------------------------------------------------------------------- */

typedef struct verb {
    const char *name, *argument, *help;
    fj_status (*run)(talk *t, const char *rest, fj_err *err);
} verb;

static fj_status do_help(talk *t, const char *rest, fj_err *err); /* lists the table that it stands in */

static fj_status do_clear(talk *t, const char *rest, fj_err *err)
{
    (void)rest;
    size_t first = fj_chat_count(t->chat) && !strcmp(fj_chat_role(t->chat, 0), "system");
    return fj_chat_remove(t->chat, first, fj_chat_count(t->chat), err);
}

static fj_status do_exit(talk *t, const char *rest, fj_err *err)
{
    (void)rest, (void)err;
    t->is_over = true;
    return FJ_OK;
}

/* Forgets answers until the last message is the user's. False when there is none. */
static fj_status back_to_user(talk *t, bool *found, fj_err *err)
{
    fj_status st = FJ_OK;
    while (!st && fj_chat_count(t->chat) && !strcmp(fj_chat_role(t->chat, fj_chat_count(t->chat) - 1), "assistant"))
        st = fj_chat_remove(t->chat, fj_chat_count(t->chat) - 1, 1, err);
    *found = fj_chat_count(t->chat) && !strcmp(fj_chat_role(t->chat, fj_chat_count(t->chat) - 1), "user");
    return st;
}

static fj_status do_regen(talk *t, const char *rest, fj_err *err)
{
    bool found = false;
    (void)rest;
    fj_status st = back_to_user(t, &found, err);
    if (!st && !found)
        return fj_fail(err, FJ_ERR_USAGE, "/regen: nothing was asked yet");
    return st ? st : answer(t, err);
}

static fj_status do_save(talk *t, const char *rest, fj_err *err)
{
    fj_str text = { 0 };
    if (!*rest)
        return fj_fail(err, FJ_ERR_USAGE, "/save wants the name of a file");
    fj_str_add_text(&text, "{\"messages\": ");
    bool ok = fj_json_write(fj_chat_messages(t->chat), 0, 17, &text);
    fj_str_add_text(&text, "}\n");
    fj_status st = ok && !text.failed ? fj_file_write(rest, text.data, text.len, err)
                                      : fj_fail(err, FJ_ERR_MEMORY, "no memory to save");
    if (!st)
        (void)printf("%s: %zu messages, one row of training data\n", rest, fj_chat_count(t->chat));
    fj_str_free(&text);
    return st;
}

/* A conversation as /save writes it: the first row of a file of rows. */
static fj_status read_saved(const char *path, fj_json **out, fj_err *err)
{
    fj_str text = { 0 };
    fj_status st = fj_file_read(path, MAX_FILE, &text, err);
    if (!st)
        st = fj_json_parse(text.data ? text.data : "", text.data ? strcspn(text.data, "\n") : 0, path, false, out, err);
    const fj_json *messages = fj_json_get(*out, "messages");
    for (size_t i = 0; i < fj_json_len(messages) && !st; i++)
        if (!fj_json_string(fj_json_get(fj_json_at(messages, i), "role"), NULL) ||
            !fj_json_text(fj_json_get(fj_json_at(messages, i), "content")).data)
            st = fj_fail(err, FJ_ERR_DATA, "%s: message %zu has no role and content", path, i + 1);
    if (!st && !fj_json_len(messages))
        st = fj_fail(err, FJ_ERR_DATA, "%s: no messages are in it", path);
    fj_str_free(&text);
    return st;
}

static fj_status do_load(talk *t, const char *rest, fj_err *err)
{
    fj_json *saved = NULL;
    if (!*rest)
        return fj_fail(err, FJ_ERR_USAGE, "/load wants the name of a file");
    fj_status st = read_saved(rest, &saved, err);
    const fj_json *messages = fj_json_get(saved, "messages");
    if (!st)
        st = fj_chat_remove(t->chat, 0, fj_chat_count(t->chat), err);
    for (size_t i = 0; i < fj_json_len(messages) && !st; i++) {
        const fj_json *m = fj_json_at(messages, i);
        fj_text content = fj_json_text(fj_json_get(m, "content"));
        st = fj_chat_add(t->chat, fj_json_string(fj_json_get(m, "role"), ""), content.data, content.len, err);
    }
    if (!st)
        (void)printf("%s: %zu messages, the conversation goes on from there\n", rest, fj_chat_count(t->chat));
    fj_json_free(saved);
    return st;
}

static fj_status do_read(talk *t, const char *rest, fj_err *err)
{
    fj_str text = { 0 };
    if (!*rest)
        return fj_fail(err, FJ_ERR_USAGE, "/read wants the name of a file");
    fj_status st = fj_file_read(rest, MAX_FILE, &text, err);
    if (!st && !fj_utf8_valid(text.data ? text.data : "", text.len))
        st = fj_fail(err, FJ_ERR_DATA, "%s: not valid UTF-8", rest);
    if (!st)
        st = fj_chat_add(t->chat, "user", text.data ? text.data : "", text.len, err);
    fj_str_free(&text);
    return st ? st : answer(t, err);
}

static fj_status list_settings(const talk *t)
{
    fj_str text = { 0 };
    fj_sampler_describe(t->r->sampler, &text);
    (void)printf("%s\n", text.data ? text.data : "");
    fj_str_free(&text);
    return FJ_OK;
}

static fj_status do_set(talk *t, const char *rest, fj_err *err)
{
    char name[40];
    size_t len = strcspn(rest, " ");
    const fj_option *o = fj_sample_options;
    const fj_model *m = t->r->opened.model;
    fj_sample_settings changed = t->sample;
    fj_sampler *sampler = NULL;
    if (!*rest)
        return list_settings(t);
    (void)snprintf(name, sizeof name, "%.*s", (int)FJ_MIN(len, sizeof name - 1), rest);
    while (o->name && strcmp(o->name, name))
        o++;
    if (!o->name) {
        const char *names[64];
        size_t n = 0;
        for (o = fj_sample_options; o->name && n < FJ_LEN(names); o++)
            names[n++] = o->name;
        const char *nearest = fj_nearest(name, names, n);
        (void)fj_fail(err, FJ_ERR_USAGE, "/set: no sampling option is called %s", name);
        return nearest ? fj_hint(err, "did you mean %s?", nearest) : fj_hint(err, "/set alone lists them");
    }
    if (!rest[len])
        return fj_fail(err, FJ_ERR_USAGE, "/set wants a sampling option and a value, as in /set temp 0.5");
    const char *value = fj_arena_text(t->arena, rest + len + 1, strlen(rest + len + 1));
    fj_status st = value ? fj_option_set(o, name, value, t->arena, &changed, err)
                         : fj_fail(err, FJ_ERR_MEMORY, "no memory");
    if (!st)
        st = fj_sampler_new(&changed, t->r->opened.bundle->generation, t->r->opened.bundle->tokenizer, m->hp.n_vocab,
                            fj_session_n_ctx(t->r->session), t->r->seed, &sampler, err);
    if (st)
        return st;
    fj_sampler_free(t->r->sampler);
    t->r->sampler = sampler;
    t->sample = changed;
    return list_settings(t);
}

static fj_status do_stats(talk *t, const char *rest, fj_err *err)
{
    (void)rest, (void)err;
    t->wants_stats = !t->wants_stats;
    (void)printf("speed and context after each answer: %s\n", t->wants_stats ? "on" : "off");
    return FJ_OK;
}

static fj_status do_system(talk *t, const char *rest, fj_err *err)
{
    fj_status st = fj_chat_remove(t->chat, 0, fj_chat_count(t->chat), err);
    if (!st && *rest)
        st = fj_chat_add(t->chat, "system", rest, strlen(rest), err);
    if (!st)
        (void)printf("%s; the conversation begins anew\n", *rest ? "system message set" : "no system message");
    return st;
}

static fj_status do_undo(talk *t, const char *rest, fj_err *err)
{
    bool found = false;
    (void)rest;
    fj_status st = back_to_user(t, &found, err);
    if (!st && !found)
        return fj_fail(err, FJ_ERR_USAGE, "/undo: nothing was asked yet");
    return st ? st : fj_chat_remove(t->chat, fj_chat_count(t->chat) - 1, 1, err);
}

static const verb verbs[] = {
    { "?", "", "this list", do_help },
    { "bye", "", "leave", do_exit },
    { "clear", "", "begin anew, with the same system message", do_clear },
    { "exit", "", "leave", do_exit },
    { "help", "", "this list", do_help },
    { "load", "FILE", "go on from a conversation that /save wrote", do_load },
    { "quit", "", "leave", do_exit },
    { "read", "FILE", "the text of a file as the next message", do_read },
    { "regen", "", "another answer to the last message", do_regen },
    { "save", "FILE", "write the conversation as a row of training data", do_save },
    { "set", "[OPTION VALUE]", "a sampling option, as in /set temp 0.5", do_set },
    { "stats", "", "speed and context after each answer, on or off", do_stats },
    { "system", "[TEXT]", "another system message; begins anew", do_system },
    { "undo", "", "take back the last message and its answer", do_undo },
    { 0 },
};

static fj_status do_help(talk *t, const char *rest, fj_err *err)
{
    (void)t, (void)rest, (void)err;
    for (const verb *v = verbs; v->name; v++)
        (void)printf("  /%s %-*s %s\n", v->name, (int)(22 - strlen(v->name)), v->argument, v->help);
    (void)printf("  %-26s %s\n", "\"\"\" … \"\"\"", "a message of several lines (or end a line with \\)");
    (void)printf("  %-24s %s\n", "Ctrl-C, Ctrl-D", "stop the answer; leave");
    return FJ_OK;
}

static fj_status command(talk *t, const char *text, fj_err *err)
{
    size_t len = strcspn(text, " \n");
    const char *names[FJ_LEN(verbs)], *rest = text + len + strspn(text + len, " \n");
    size_t n = 0;
    char typed[40];
    for (const verb *v = verbs; v->name; v++) {
        names[n++] = v->name;
        if (strlen(v->name) == len && !strncmp(v->name, text, len))
            return v->run(t, rest, err);
    }
    (void)snprintf(typed, sizeof typed, "%.*s", (int)FJ_MIN(len, sizeof typed - 1), text);
    const char *nearest = fj_nearest(typed, names, n);
    (void)fj_fail(err, FJ_ERR_USAGE, "no command is called /%s", typed);
    return nearest ? fj_hint(err, "did you mean /%s?", nearest) : fj_hint(err, "/help lists them");
}

/* ---- the loop ------------------------------------------------------------------------------------------------------------------------- */

static fj_status converse(talk *t, fj_err *err)
{
    fj_str line = { 0 };
    fj_status st = FJ_OK;
    while (!t->is_over) {
        fj_line_end end = fj_lines_read(t->lines, "> ", &line);
        if (end == FJ_LINE_CLOSED)
            break;
        if (end == FJ_LINE_CANCELLED || line.len == 0)
            continue;
        if (line.data[0] == '/') {
            st = command(t, line.data + 1, err);
        } else {
            st = fj_chat_add(t->chat, "user", line.data, line.len, err);
            if (!st)
                st = answer(t, err);
        }
        if (st)
            survive(t, err);
    }
    fj_str_free(&line);
    return FJ_OK;
}

static void greet(const talk *t)
{
    char memory[24];
    const fj_model *m = t->r->opened.model;
    (void)printf("%s%s%s: %.0f M parameters, %s; context %lld. /help lists commands, Ctrl-D leaves.\n",
                 fj_style_code(FJ_STYLE_BOLD, t->color), t->r->s->model, fj_style_code(FJ_STYLE_NONE, t->color),
                 (double)fj_model_parameters(m) / 1e6, fj_format_bytes(fj_model_bytes(m), memory),
                 (long long)fj_session_n_ctx(t->r->session));
}

fj_status fj_run_chat(fj_runner *r, fj_err *err)
{
    talk t = { .r = r, .sample = r->s->sample, .arena = fj_arena_new(), .color = fj_wants_color(STDOUT_FILENO) };
    char *history = fj_state_path("history");
    fj_status st = t.arena ? fj_chat_new(r->opened.bundle, r->template_text, &t.chat, err)
                           : fj_fail(err, FJ_ERR_MEMORY, "no memory");
    if (!st && r->s->system)
        st = fj_chat_add(t.chat, "system", r->s->system, strlen(r->s->system), err);
    if (!st)
        st = fj_run_open_session(r, r->s->n_ctx, 0, err);
    if (!st)
        st = fj_lines_open(history, &t.lines, err);
    if (!st) {
        greet(&t);
        st = converse(&t, err);
    }
    if (!st && r->s->prompt_cache && !r->s->prompt_cache_ro && fj_session_length(r->session, 0))
        st = fj_generator_save(r->generator, r->s->prompt_cache, err);
    fj_lines_close(t.lines);
    fj_chat_free(t.chat);
    fj_encoding_free(&t.prompt);
    fj_generation_free(&t.answer);
    fj_arena_free(t.arena);
    free(history);
    return st;
}
