/* SPDX-License-Identifier: Apache-2.0
 * forja run: an answer to one prompt; at a terminal without a prompt, a conversation (run_chat.c). */
#include "cli/run.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <unistd.h>

#include "base/arena.h"
#include "base/clock.h"
#include "base/map.h"
#include "base/utf8.h"
#include "cli/print.h"
#include "data/data.h"

enum { MAX_PROMPT = 256 << 20 };

#define AT(member) offsetof(fj_run_settings, member)

static const fj_option options[] = {
    { "MODEL", NULL, FJ_OPT_ARG, AT(model), NULL, "folder or .gguf file", 0, 0, 0 },
    { "prompt", "TEXT", FJ_OPT_TEXT, AT(prompt), NULL, "text to go on from, as it stands", 0, 0, 'p' },
    { "file", "FILE", FJ_OPT_TEXT, AT(file), NULL, "a file with that text", 0, 0, 'f' },
    { "ids", "1,2,3", FJ_OPT_TEXT, AT(ids), NULL, "the prompt as token ids, nothing added", 0, 0, 0 },
    { "chat", NULL, FJ_OPT_FLAG, AT(chat), NULL, "the prompt is a user's message: wrap it in the chat template", 0, 0,
      0 },
    { "system", "TEXT", FJ_OPT_TEXT, AT(system), NULL, "the same, with a system message in front", 0, 0, 0 },
    { "chat-template", "NAME", FJ_OPT_TEXT, AT(template_name), NULL,
      "a known template instead of the model's own (chatml, llama3, …)", 0, 0, 0 },
    { "chat-template-file", "FILE", FJ_OPT_TEXT, AT(template_file), NULL, "a Jinja file instead of it", 0, 0, 0 },
    { "predict", "N", FJ_OPT_INT, AT(n_predict), "-1", "new tokens at most; -1: until the answer ends", -1, 1e9, 'n' },
    { "ctx-size", "N", FJ_OPT_INT, AT(n_ctx), "0",
      "positions of the context; 0: the model's own, at most 4096 where less will do", 0, 1 << 24, 'c' },
    { "context-shift", NULL, FJ_OPT_FLAG, AT(context_shift), NULL,
      "when the context is full, forget half of it and go on; without it the answer ends there", 0, 0, 0 },
    { "keep", "N", FJ_OPT_INT, AT(n_keep), "0", "the first tokens, which are never forgotten; -1: the whole prompt", -1,
      1 << 24, 0 },
    { "ignore-eos", NULL, FJ_OPT_FLAG, AT(ignore_eos), NULL, "go on past the token that ends an answer", 0, 0, 0 },
    { "stop", "TEXT", FJ_OPT_LIST, AT(stop), NULL, "end at this text; may be repeated (also --reverse-prompt)", 0, 0,
      'r' },
    { "reverse-prompt", "TEXT", FJ_OPT_LIST, AT(stop), NULL, "the same as --stop", 0, 0, 0 },
    { "prompt-cache", "FILE", FJ_OPT_TEXT, AT(prompt_cache), NULL,
      "keeps what was computed of a prompt (of a chat: of all of it) for the next run that begins like it", 0, 0, 0 },
    { "prompt-cache-ro", NULL, FJ_OPT_FLAG, AT(prompt_cache_ro), NULL, "read that file and leave it as it is", 0, 0,
      0 },
    { "adapter", "DIR", FJ_OPT_TEXT, AT(adapter), NULL, "a LoRA adapter in PEFT's form, or hf:org/name", 0, 0, 0 },
    { "max-memory", "SIZE", FJ_OPT_TEXT, AT(max_memory), NULL,
      "stay below this (2G, 800M): weights that do not fit are read from the file each time", 0, 0, 0 },
    { "no-repack", NULL, FJ_OPT_FLAG, AT(no_repack), NULL, "use weights as they lie in the file", 0, 0, 0 },
    { 0 },
};

static const fj_option_group groups[] = { { "sampling", fj_sample_options, AT(sample) },
                                          { "guessing ahead", fj_draft_options, AT(draft) },
                                          { "experts", fj_expert_options, AT(experts) },
                                          { "cache of keys and values", fj_cache_options, AT(cache) },
                                          { 0 } };

/* ---- opening -------------------------------------------------------------------------------------------------------------------------- */

static fj_status read_template(fj_runner *r, fj_err *err)
{
    const fj_run_settings *s = r->s;
    fj_str text = { 0 };
    if (s->template_name) {
        const char *const *names = NULL;
        size_t n = 0;
        const char *known = fj_chat_template(s->template_name, &names);
        while (names && names[n])
            n++;
        if (known) {
            r->template_text = strdup(known);
            return r->template_text ? FJ_OK : fj_fail(err, FJ_ERR_MEMORY, "no memory for the template");
        }
        const char *nearest = fj_nearest(s->template_name, names, n);
        (void)fj_fail(err, FJ_ERR_USAGE, "--chat-template: no template is called '%s'", s->template_name);
        return nearest ? fj_hint(err, "did you mean %s?", nearest)
                       : fj_hint(err, "--chat-template-file takes a Jinja file");
    }
    if (!s->template_file)
        return FJ_OK;
    fj_status st = fj_file_read(s->template_file, 4 << 20, &text, err);
    r->template_text = text.data;
    return st;
}

static fj_status open_draft(fj_runner *r, fj_err *err)
{
    char *path = NULL;
    fj_draft_settings s = r->s->draft;
    fj_status st = s.model ? fj_call_fetch(r->call, s.model, &path, err) : FJ_OK;
    s.model = path;
    if (!st)
        st = fj_draft_open(&s, &r->opened, r->call->rt->pool, &r->draft, err);
    r->draft_path = path;
    return st;
}

static fj_status open_model(fj_runner *r, fj_err *err)
{
    const fj_run_settings *s = r->s;
    double started = fj_seconds();
    fj_status st = fj_opened_open(s->model, s->adapter, FJ_OPEN_ALL, NULL, &r->opened, err); /* see fj_opened_fit */
    if (!st && r->opened.model->hp.n_labels) {
        st = fj_fail(err, FJ_ERR_FORMAT, "%s: this model gives scores, it writes no text", s->model);
        (void)fj_hint(err, "forja classify prints them");
    }
    if (!st)
        st = fj_choose_experts(&s->experts, r->opened.model, err);
    if (!st)
        st = open_draft(r, err);
    if (!st)
        fj_debug(r->call->rt->log, "%s: opened in %.2f s", s->model, fj_seconds() - started);
    return st;
}

fj_status fj_run_open_session(fj_runner *r, int64_t n_ctx, int64_t length, fj_err *err)
{
    const fj_runtime *rt = r->call->rt;
    const fj_model *m = r->opened.model;
    fj_session_settings settings = { .n_ctx = n_ctx,
                                     .length = length,
                                     .fast = true,
                                     .stop_layer = -1,
                                     .k_type = fj_cache_type(r->s->cache.k),
                                     .v_type = fj_cache_type(r->s->cache.v),
                                     .adapter = r->opened.adapter };
    fj_fit fit = { r->s->max_memory, !r->s->no_repack, rt->pool, &rt->kernels, rt->log, 0 };
    fj_status st = r->draft ? fj_draft_plan(r->draft, n_ctx, &fit, &fit.beside, err) : FJ_OK;
    if (!st)
        st = fj_opened_fit(&r->opened, &fit, &settings, err);
    if (!st)
        st = fj_session_open(m, &settings, rt->pool, &rt->kernels, &r->session, err);
    if (!st)
        st = fj_generator_new(r->session, m->hp.n_vocab, r->opened.bundle, &r->generator, err);
    if (!st && r->draft)
        st = fj_draft_start(r->draft, n_ctx, &fit, err);
    if (!st && r->draft)
        st = fj_generator_use_draft(r->generator, r->draft, err);
    if (!st)
        st = fj_sampler_new(&r->s->sample, r->opened.bundle->generation, r->opened.bundle->tokenizer, m->hp.n_vocab,
                            fj_session_n_ctx(r->session), r->seed, &r->sampler, err);
    if (!st && fj_log_has(rt->log, FJ_LOG_DEBUG)) {
        fj_str text = { 0 };
        fj_sampler_describe(r->sampler, &text);
        fj_debug(rt->log, "context %lld; %s", (long long)fj_session_n_ctx(r->session), text.data ? text.data : "");
        fj_str_free(&text);
    }
    return st;
}

fj_generate_settings fj_run_generate_settings(const fj_runner *r)
{
    const fj_run_settings *s = r->s;
    return (fj_generate_settings){ .n_predict = s->n_predict,
                                   .ignore_eos = s->ignore_eos,
                                   .stop = &s->stop,
                                   .prompt_cache = s->prompt_cache,
                                   .shifts_context = s->context_shift,
                                   .n_keep = s->n_keep,
                                   .log = r->call->rt->log };
}

static void close_run(fj_runner *r)
{
    fj_sampler_free(r->sampler);
    fj_generator_free(r->generator);
    fj_draft_close(r->draft);
    fj_session_close(r->session);
    fj_opened_close(&r->opened);
    free(r->draft_path);
    free(r->template_text);
}

/* ---- the prompt ----------------------------------------------------------------------------------------------------------------------- */

static fj_status read_stdin(fj_str *out, fj_err *err)
{
    char piece[65536];
    size_t n;
    while ((n = fread(piece, 1, sizeof piece, stdin)) > 0 && out->len <= MAX_PROMPT)
        fj_str_add(out, piece, n);
    if (ferror(stdin) || out->failed || out->len > MAX_PROMPT)
        return fj_fail(err, FJ_ERR_FAILED, "cannot read the prompt from standard input");
    return FJ_OK;
}

/* The text of -p, -f or standard input; a file's last newline is not part of it. */
static fj_status read_text(const fj_run_settings *s, fj_str *out, fj_err *err)
{
    fj_status st = FJ_OK;
    if (s->prompt)
        fj_str_add_text(out, s->prompt);
    else if (s->file)
        st = fj_file_read(s->file, MAX_PROMPT, out, err);
    else
        st = read_stdin(out, err);
    if (!st && !s->prompt && out->len && out->data[out->len - 1] == '\n')
        out->data[--out->len] = '\0';
    if (!st && s->system && !fj_utf8_valid(s->system, strlen(s->system)))
        st = fj_fail(err, FJ_ERR_DATA, "the system message is not UTF-8");
    if (!st && !fj_utf8_valid(out->data ? out->data : "", out->len)) {
        (void)fj_fail(err, FJ_ERR_DATA, "%s%sthe prompt is not UTF-8", s->file ? s->file : "", s->file ? ": " : "");
        st = fj_hint(err, "iconv -f latin1 -t utf8 makes UTF-8 of old Western European text");
    }
    return st;
}

static fj_status encode_chat(const fj_runner *r, const fj_str *text, fj_encoding *out, fj_err *err)
{
    fj_chat *chat = NULL;
    fj_status st = fj_chat_new(r->opened.bundle, r->template_text, &chat, err);
    if (!st && r->s->system)
        st = fj_chat_add(chat, "system", r->s->system, strlen(r->s->system), err);
    if (!st)
        st = fj_chat_add(chat, "user", text->data ? text->data : "", text->len, err);
    if (!st)
        st = fj_chat_encode(chat, out, err);
    fj_chat_free(chat);
    return st;
}

static fj_status encode_plain(const fj_runner *r, const fj_str *text, fj_encoding *out, fj_err *err)
{
    fj_encoder *encoder = NULL;
    if (!r->opened.bundle->tokenizer) {
        (void)fj_fail(err, FJ_ERR_FORMAT, "%s: no tokenizer", r->s->model);
        return fj_hint(err, "--ids 1,2,3 gives the prompt as token ids");
    }
    fj_status st = fj_encoder_new(r->opened.bundle->tokenizer, &encoder, err);
    if (!st)
        st = fj_encode(encoder, text->data ? text->data : "", text->len, FJ_ENCODE_SPECIAL, out, err);
    fj_encoder_free(encoder);
    return st;
}

static fj_status encode_ids(const fj_runner *r, fj_encoding *out, fj_err *err)
{
    int32_t *ids;
    int64_t n;
    fj_arena *arena = fj_arena_new();
    fj_status st = arena ? fj_parse_ids(r->s->ids, arena, &ids, &n, err)
                         : fj_fail(err, FJ_ERR_MEMORY, "no memory for the ids");
    if (!st && !(out->ids = calloc((size_t)n, sizeof *ids)))
        st = fj_fail(err, FJ_ERR_MEMORY, "no memory for the ids");
    if (!st) {
        memcpy(out->ids, ids, (size_t)n * sizeof *ids);
        out->n = out->cap = (size_t)n;
    }
    fj_arena_free(arena);
    return st;
}

static fj_status encode_prompt(const fj_runner *r, fj_encoding *out, fj_err *err)
{
    fj_str text = { 0 };
    if (r->s->ids)
        return encode_ids(r, out, err);
    fj_status st = read_text(r->s, &text, err);
    if (!st)
        st = r->s->chat || r->s->system ? encode_chat(r, &text, out, err) : encode_plain(r, &text, out, err);
    fj_str_free(&text);
    return st;
}

/* ---- one answer ----------------------------------------------------------------------------------------------------------------------- */

/* A reader that is gone (head, a closed pager) ends the answer. */
static void show(void *context, const char *text, size_t len)
{
    const fj_runner *r = context;
    (void)fwrite(text, 1, len, stdout);
    if (fflush(stdout) || ferror(stdout))
        __atomic_store_n(r->call->rt->cancel, 1, __ATOMIC_RELAXED);
}

static fj_status print_answer(const fj_runner *r, const fj_encoding *prompt, const fj_generation *g, fj_err *err)
{
    fj_json *v = fj_json_new_object(), *timings = fj_json_new_object();
    bool ok = v && timings && fj_json_set(timings, "prompt_n", fj_json_new_int(g->prompt_n)) &&
              fj_json_set(timings, "prompt_ms", fj_json_new_real(g->prompt_ms)) &&
              fj_json_set(timings, "predicted_n", fj_json_new_int(g->n)) &&
              fj_json_set(timings, "predicted_ms", fj_json_new_real(g->predicted_ms));
    if (r->draft)
        ok = ok && fj_json_set(timings, "draft_n", fj_json_new_int(g->draft_n)) &&
             fj_json_set(timings, "draft_n_accepted", fj_json_new_int(g->draft_n_accepted));
    ok = ok && fj_json_set(v, "text", fj_json_new_text(g->text.data ? g->text.data : "", g->text.len)) &&
         fj_json_set(v, "ids", fj_json_of_ids(g->ids, (size_t)g->n)) &&
         fj_json_set(v, "prompt_ids", fj_json_of_ids(prompt->ids, prompt->n)) &&
         fj_json_set(v, "finish_reason", fj_json_new_text(g->finish_reason, strlen(g->finish_reason))) &&
         fj_json_set(v, "seed", fj_json_new_int((int64_t)(r->seed & INT64_MAX))) &&
         fj_json_set(v, "timings", fj_json_share(timings));
    fj_json_free(timings);
    if (!ok) {
        fj_json_free(v);
        v = NULL;
    }
    return fj_print_json(v, 0, err);
}

static void tell_speed(const fj_runner *r, const fj_generation *g)
{
    fj_debug(r->call->rt->log, "prompt %lld tokens, %.1f/s; answer %lld tokens, %.1f/s; %s", (long long)g->prompt_n,
             1e3 * (double)g->prompt_n / g->prompt_ms, (long long)g->n, 1e3 * (double)g->n / g->predicted_ms,
             g->finish_reason);
    if (r->draft)
        fj_debug(r->call->rt->log, "%lld tokens guessed, %lld of them right", (long long)g->draft_n,
                 (long long)g->draft_n_accepted);
}

/* The context that the prompt and its answer need, where the user did not say. */
static int64_t choose_context(const fj_runner *r, int64_t n_prompt)
{
    int64_t most = r->opened.model->hp.n_ctx, n = r->s->n_predict;
    if (r->s->n_ctx)
        return r->s->n_ctx;
    if (n >= 0)
        return FJ_MIN(FJ_MAX(n_prompt + FJ_MAX(n, 1), 2), FJ_MAX(most, 2));
    return FJ_MIN(FJ_MAX(4096, n_prompt + 1024), FJ_MAX(most, 2));
}

static fj_status answer_once(fj_runner *r, fj_err *err)
{
    fj_encoding prompt = { 0 };
    fj_generation g = { 0 };
    fj_generate_settings settings = fj_run_generate_settings(r);
    bool as_json = r->s->common.json;
    settings.writes_prompt_cache = !r->s->prompt_cache_ro;
    fj_status st = encode_prompt(r, &prompt, err);
    if (!st)
        st = fj_run_open_session(r, choose_context(r, (int64_t)prompt.n),
                                 r->s->n_predict < 0 ? 0 : (int64_t)prompt.n + r->s->n_predict, err);
    if (!st)
        st = fj_generate(r->generator, r->sampler, prompt.ids, (int64_t)prompt.n, &settings, as_json ? NULL : show, r,
                         r->call->rt->cancel, &g, err);
    if (!st && as_json)
        st = print_answer(r, &prompt, &g, err);
    if (st == FJ_ERR_CANCELLED && ferror(stdout))
        st = fj_fail(err, FJ_ERR_FAILED, "cannot write to standard output");
    if (!as_json && g.text.len && g.text.data[g.text.len - 1] != '\n')
        (void)putchar('\n');
    if (!as_json && !st && !r->opened.bundle->tokenizer) {
        for (int64_t i = 0; i < g.n; i++)
            (void)printf("%s%d", i ? "," : "", g.ids[i]);
        (void)putchar('\n');
    }
    if (!st)
        tell_speed(r, &g);
    fj_generation_free(&g);
    fj_encoding_free(&prompt);
    return st;
}

/* ---- the command ---------------------------------------------------------------------------------------------------------------------- */

static uint64_t choose_seed(int64_t given)
{
    uint64_t seed = 0;
    if (given >= 0)
        return (uint64_t)given;
    if (getrandom(&seed, sizeof seed, 0) != sizeof seed)
        seed = (uint64_t)(1e9 * fj_seconds());
    return seed >> 32; /* short enough to be typed again */
}

static fj_status run(const fj_call *call, fj_err *err)
{
    const fj_run_settings *s = call->settings;
    fj_runner r = { .call = call, .s = s, .seed = choose_seed(s->common.seed) };
    bool has_prompt = s->prompt || s->file || s->ids;
    bool is_chat = !has_prompt && !s->common.json && isatty(STDIN_FILENO);
    if ((s->prompt != NULL) + (s->file != NULL) + (s->ids != NULL) > 1)
        return fj_fail(err, FJ_ERR_USAGE, "run: give one of --prompt, --file and --ids");
    if (s->ids && (s->chat || s->system))
        return fj_fail(err, FJ_ERR_USAGE, "run: --ids are taken as they are, --%s does not go with them",
                       s->chat ? "chat" : "system");
    if (s->prompt_cache_ro && !s->prompt_cache)
        return fj_fail(err, FJ_ERR_USAGE, "run: --prompt-cache-ro needs --prompt-cache FILE");
    if (fj_call_given(call, "keep") && !s->context_shift)
        return fj_fail(err, FJ_ERR_USAGE, "run: --keep says what --context-shift never forgets; it is missing");
    fj_status st = read_template(&r, err);
    if (!st)
        st = open_model(&r, err);
    if (!st)
        st = is_chat ? fj_run_chat(&r, err) : answer_once(&r, err);
    close_run(&r);
    return st;
}

const fj_command fj_command_run = {
    .name = "run",
    .summary = "Chat with a model, or let it answer a prompt.",
    .about = "Without a prompt, at a terminal, it chats; from a pipe, standard input is the prompt.\n"
             "Filters run in llama.cpp's order: penalties, dry, top-nsigma, top-k, typical, top-p, min-p, xtc, temp.",
    .options = options,
    .groups = groups,
    .settings_size = sizeof(fj_run_settings),
    .run = run,
};
