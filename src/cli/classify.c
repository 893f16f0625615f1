/* SPDX-License-Identifier: Apache-2.0
 * forja classify: what a model with a head of scores says of a text, label by label. A reward model gives its attributes as raw scores,
 * in its own order; they are those of the last token. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/arena.h"
#include "cli/commands.h"
#include "tokenizers/tokenizer.h"

typedef struct settings {
    fj_common common;
    const char *model, *text, *ids, *adapter;
    bool jsonl;
} settings;

static const fj_option options[] = {
    { "MODEL", NULL, FJ_OPT_ARG, offsetof(settings, model), NULL, "folder or .gguf file of a model that scores", 0, 0,
      0 },
    { "text", "TEXT", FJ_OPT_TEXT, offsetof(settings, text), NULL, "the text; without it, lines from standard input", 0,
      0, 0 },
    { "ids", "1,2,3", FJ_OPT_TEXT, offsetof(settings, ids), NULL, "token ids instead, taken as they are", 0, 0, 0 },
    { "adapter", "DIR", FJ_OPT_TEXT, offsetof(settings, adapter), NULL, "a LoRA adapter in PEFT's form, or hf:org/name",
      0, 0, 0 },
    { "jsonl", NULL, FJ_OPT_FLAG, offsetof(settings, jsonl), NULL, "each input line is an object: {\"text\":…}", 0, 0,
      0 },
    { 0 },
};

typedef struct work {
    const fj_call *call;
    const settings *s;
    fj_opened opened;
    fj_encoder *encoder; /* NULL where ids are given */
} work;

/* ---- scores ------------------------------------------------------------------------------------------------------------------------ */

/* The model's name of a label. */
static const char *label_of(const work *w, int64_t i, char spare[32])
{
    char number[24];
    (void)snprintf(number, sizeof number, "%lld", (long long)i);
    (void)snprintf(spare, 32, "LABEL_%lld", (long long)i);
    return fj_json_string(fj_json_get(fj_json_get(w->opened.bundle->config, "id2label"), number), spare);
}

static fj_status print_scores(const work *w, const float *scores, fj_err *err)
{
    int64_t n = w->opened.model->hp.n_labels;
    char spare[32];
    fj_json *list = fj_json_new_array();
    bool ok = list != NULL, as_json = w->s->common.json || w->s->jsonl;
    for (int64_t i = 0; ok && i < n; i++) {
        const char *label = label_of(w, i, spare);
        fj_json *one = fj_json_new_object();
        ok = fj_json_set(one, "label", fj_json_new_text(label, strlen(label))) &&
             fj_json_set(one, "score", fj_json_new_real((double)scores[i]));
        ok = fj_json_add(list, one) && ok;
        if (!as_json)
            printf("%-24s %.4f\n", label, (double)scores[i]);
    }
    if (ok && as_json)
        return fj_print_json(list, 0, err);
    fj_json_free(list);
    return ok ? FJ_OK : fj_fail(err, FJ_ERR_MEMORY, "no memory for the scores");
}

/* One text is one session, as long as the text. */
static fj_status score(const work *w, const int32_t *ids, int64_t n, fj_err *err)
{
    const fj_runtime *rt = w->call->rt;
    fj_session_settings wanted = { .n_ctx = n, .stop_layer = -1, .adapter = w->opened.adapter };
    fj_rows_in rows = { .n = n, .ids = ids };
    fj_session *session = NULL;
    float *scores = calloc((size_t)w->opened.model->hp.n_labels, sizeof *scores);
    fj_status st = scores ? FJ_OK : fj_fail(err, FJ_ERR_MEMORY, "no memory for the scores");
    if (!st && n < 1)
        st = fj_fail(err, FJ_ERR_DATA, "the text has no token");
    if (!st)
        st = fj_session_open(w->opened.model, &wanted, rt->pool, &rt->kernels, &session, err);
    if (!st)
        st = fj_session_forward(session, &rows, scores, rt->cancel, err);
    if (!st)
        st = print_scores(w, scores, err);
    fj_session_close(session);
    free(scores);
    return st;
}

/* ---- input ------------------------------------------------------------------------------------------------------------------------- */

static fj_status score_text(const work *w, fj_text text, fj_err *err)
{
    fj_encoding e = { 0 };
    fj_status st = fj_encode(w->encoder, text.data, text.len, FJ_ENCODE_SPECIAL, &e, err);
    if (!st)
        st = score(w, e.ids, (int64_t)e.n, err);
    fj_encoding_free(&e);
    return st;
}

static fj_status score_line(const work *w, fj_text line, fj_err *err)
{
    fj_json *v = NULL;
    if (!w->s->jsonl)
        return score_text(w, line, err);
    fj_status st = fj_json_parse(line.data, line.len, "the line", false, &v, err);
    fj_text text = fj_json_text(fj_json_get(v, "text"));
    if (st)
        st = err->status = FJ_ERR_DATA;
    else
        st = text.data ? score_text(w, text, err) : fj_fail(err, FJ_ERR_DATA, "no \"text\"");
    fj_json_free(v);
    return st;
}

static fj_status score_input(const work *w, fj_err *err)
{
    char *line = NULL;
    size_t cap = 0;
    ssize_t n;
    fj_status st = FJ_OK;
    for (int64_t number = 1; !st && (n = getline(&line, &cap, stdin)) >= 0; number++) {
        if (n && line[n - 1] == '\n')
            n--;
        if (n)
            st = score_line(w, (fj_text){ line, (size_t)n }, err);
        if (st)
            (void)fj_prefix(err, "line %lld", (long long)number);
    }
    free(line);
    return st;
}

static fj_status score_ids(const work *w, fj_err *err)
{
    int32_t *ids;
    int64_t n;
    fj_arena *arena = fj_arena_new();
    fj_status st = arena ? fj_parse_ids(w->s->ids, arena, &ids, &n, err)
                         : fj_fail(err, FJ_ERR_MEMORY, "no memory for the token ids");
    if (!st)
        st = score(w, ids, n, err);
    fj_arena_free(arena);
    return st;
}

static fj_status open_model(work *w, fj_err *err)
{
    const settings *s = w->s;
    if (s->text && s->ids)
        return fj_fail(err, FJ_ERR_USAGE, "classify: wants one of --text and --ids");
    fj_status st = fj_opened_open(s->model, s->adapter, s->ids ? FJ_OPEN_WEIGHTS : FJ_OPEN_ALL, w->call->rt->pool,
                                  &w->opened, err);
    if (st)
        return st;
    if (!w->opened.model->hp.n_labels) {
        (void)fj_fail(err, FJ_ERR_FORMAT, "%s: this model writes text, it has no scores", s->model);
        return fj_hint(err, "forja run answers with it");
    }
    if (!s->ids && !w->opened.bundle->tokenizer) {
        (void)fj_fail(err, FJ_ERR_FORMAT, "%s: no tokenizer", s->model);
        return fj_hint(err, "--ids takes token ids");
    }
    return s->ids ? FJ_OK : fj_encoder_new(w->opened.bundle->tokenizer, &w->encoder, err);
}

static fj_status run(const fj_call *call, fj_err *err)
{
    work w = { .call = call, .s = call->settings };
    fj_status st = open_model(&w, err);
    if (!st && w.s->ids)
        st = score_ids(&w, err);
    else if (!st && w.s->text)
        st = score_text(&w, fj_text_of(w.s->text), err);
    else if (!st)
        st = score_input(&w, err);
    fj_encoder_free(w.encoder);
    fj_opened_close(&w.opened);
    return st;
}

const fj_command fj_command_classify = { .name = "classify",
                                         .summary = "Scores of a text: the labels or attributes of a model.",
                                         .about = "Reward models give their attributes as raw scores.",
                                         .options = options,
                                         .settings_size = sizeof(settings),
                                         .run = run };
