/* SPDX-License-Identifier: Apache-2.0
 * forja tokenize: text to ids, pieces and offsets, and back. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli/commands.h"
#include "tokenizers/tokenizer.h"

typedef struct settings {
    fj_common common;
    const char *model, *text;
    bool detokenize, no_special, jsonl;
} settings;

static const fj_option options[] = {
    { "MODEL", NULL, FJ_OPT_ARG, offsetof(settings, model), NULL, "folder or .gguf file; a tokenizer alone will do", 0,
      0, 0 },
    { "text", "TEXT", FJ_OPT_TEXT, offsetof(settings, text), NULL, "the text; without it, lines from standard input", 0,
      0, 0 },
    { "detokenize", NULL, FJ_OPT_FLAG, offsetof(settings, detokenize), NULL,
      "ids to text: lines of {\"ids\":[…]} or of numbers", 0, 0, 0 },
    { "no-special", NULL, FJ_OPT_FLAG, offsetof(settings, no_special), NULL,
      "none of the tokenizer's own ids; leave special tokens out", 0, 0, 0 },
    { "jsonl", NULL, FJ_OPT_FLAG, offsetof(settings, jsonl), NULL,
      "each input line is an object: {\"text\":…} or {\"ids\":[…]}", 0, 0, 0 },
    { 0 },
};

typedef struct work {
    const settings *s;
    const fj_tokenizer *t;
    fj_encoder *e;
    int64_t line;
} work;

static fj_json *offsets(const fj_encoding *e)
{
    fj_json *list = fj_json_new_array();
    for (size_t i = 0; list && i < e->n; i++) {
        fj_json *pair = fj_json_new_array();
        bool ok = pair && fj_json_add(pair, fj_json_new_int(e->starts[i])) &&
                  fj_json_add(pair, fj_json_new_int(e->ends[i]));
        if (!ok) {
            fj_json_free(pair);
            pair = NULL;
        }
        if (!fj_json_add(list, pair)) {
            fj_json_free(list);
            return NULL;
        }
    }
    return list;
}

static fj_json *pieces(const fj_encoding *e)
{
    fj_json *list = fj_json_new_array();
    for (size_t i = 0; list && i < e->n; i++)
        if (!fj_json_add(list, fj_json_new_text(e->pieces[i].data, e->pieces[i].len))) {
            fj_json_free(list);
            return NULL;
        }
    return list;
}

static fj_status print_encoding(const work *w, const fj_encoding *e, fj_err *err)
{
    if (!w->s->common.json && !w->s->jsonl) {
        for (size_t i = 0; i < e->n; i++) {
            printf("%7d  %-24.*s %lld..%lld\n", e->ids[i], (int)e->pieces[i].len, e->pieces[i].data,
                   (long long)e->starts[i], (long long)e->ends[i]);
        }
        return FJ_OK;
    }
    fj_json *v = fj_json_new_object();
    bool ok = v && fj_json_set(v, "ids", fj_json_of_ids(e->ids, e->n)) && fj_json_set(v, "tokens", pieces(e)) &&
              fj_json_set(v, "offsets", offsets(e));
    if (!ok) {
        fj_json_free(v);
        v = NULL;
    }
    return fj_print_json(v, 0, err);
}

static fj_status encode(const work *w, fj_text text, fj_err *err)
{
    fj_encoding e = { 0 };
    int flags = FJ_ENCODE_OFFSETS | FJ_ENCODE_PIECES | (w->s->no_special ? 0 : FJ_ENCODE_SPECIAL);
    fj_status st = fj_encode(w->e, text.data, text.len, flags, &e, err);
    if (st && w->line)
        (void)fj_prefix(err, "line %lld", (long long)w->line);
    if (!st)
        st = print_encoding(w, &e, err);
    fj_encoding_free(&e);
    return st;
}

static fj_status decode(const work *w, const fj_json *list, fj_err *err)
{
    size_t n = fj_json_len(list);
    int32_t *ids = calloc(n + 1, sizeof *ids);
    fj_str text = { 0 };
    fj_status st = ids ? FJ_OK : fj_fail(err, FJ_ERR_MEMORY, "no memory for %zu ids", n);
    for (size_t i = 0; !st && i < n; i++) {
        int64_t id = fj_json_int(fj_json_at(list, i), -1);
        if (id < 0 || id > INT32_MAX)
            st = fj_fail(err, FJ_ERR_DATA, "line %lld: id %zu is not a token id", (long long)w->line, i);
        ids[i] = (int32_t)id;
    }
    if (!st) {
        st = fj_decode(w->t, ids, n, w->s->no_special, &text, err);
        if (st && w->line)
            (void)fj_prefix(err, "line %lld", (long long)w->line);
    }
    if (!st && (w->s->common.json || w->s->jsonl)) {
        fj_json *v = fj_json_new_object();
        if (v && !fj_json_set(v, "text", fj_json_new_text(text.data ? text.data : "", text.len))) {
            fj_json_free(v);
            v = NULL;
        }
        st = fj_print_json(v, 0, err);
    } else if (!st) {
        printf("%s\n", text.data ? text.data : "");
    }
    fj_str_free(&text);
    free(ids);
    return st;
}

/* "1, 2 3" as a JSON list. */
static fj_status parse_numbers(fj_text line, fj_json **out, fj_err *err)
{
    fj_str text = { 0 };
    fj_str_add_char(&text, '[');
    for (size_t i = 0; i < line.len; i++) {
        bool is_gap = line.data[i] == ' ' || line.data[i] == ',';
        if (is_gap && text.len > 1 && text.data[text.len - 1] != ',')
            fj_str_add_char(&text, ',');
        else if (!is_gap)
            fj_str_add_char(&text, line.data[i]);
    }
    if (text.len > 1 && text.data[text.len - 1] == ',')
        text.len--;
    fj_str_add_char(&text, ']');
    fj_status st = fj_json_parse(text.data, text.len, "the ids", true, out, err);
    fj_str_free(&text);
    return st;
}

static fj_status do_line(const work *w, fj_text line, fj_err *err)
{
    fj_json *v = NULL;
    char name[64];
    (void)snprintf(name, sizeof name, "line %lld", (long long)w->line);
    if (!w->s->jsonl && !w->s->detokenize)
        return encode(w, line, err);
    bool is_object = line.len && line.data[0] == '{';
    fj_status st = is_object ? fj_json_parse(line.data, line.len, name, false, &v, err) : FJ_OK;
    if (st)
        return err->status = FJ_ERR_DATA;
    if (!is_object && w->s->jsonl)
        return fj_fail(err, FJ_ERR_DATA, "%s: not an object", name);
    if (!is_object)
        st = parse_numbers(line, &v, err);
    if (!st && w->s->detokenize) {
        const fj_json *ids = is_object ? fj_json_get(v, "ids") : v;
        st = fj_json_is_array(ids) ? decode(w, ids, err) : fj_fail(err, FJ_ERR_DATA, "%s: no \"ids\"", name);
    } else if (!st) {
        fj_text text = fj_json_text(fj_json_get(v, "text"));
        st = text.data ? encode(w, text, err) : fj_fail(err, FJ_ERR_DATA, "%s: no \"text\"", name);
    }
    fj_json_free(v);
    return st;
}

static fj_status do_input(work *w, fj_err *err)
{
    char *line = NULL;
    size_t cap = 0;
    ssize_t n;
    fj_status st = FJ_OK;
    while (!st && (n = getline(&line, &cap, stdin)) >= 0) {
        w->line++;
        if (n && line[n - 1] == '\n')
            n--;
        if (n == 0 && (w->s->jsonl || w->s->detokenize))
            continue;
        st = do_line(w, (fj_text){ line, (size_t)n }, err);
    }
    free(line);
    return st;
}

static fj_status run(const fj_call *call, fj_err *err)
{
    work w = { .s = call->settings };
    fj_bundle *b = NULL;
    fj_status st = fj_bundle_open(w.s->model, FJ_OPEN_TOKENIZER, &b, err);
    if (!st && !b->tokenizer) {
        st = fj_fail(err, FJ_ERR_FORMAT, "%s: no tokenizer", w.s->model);
        (void)fj_hint(err, "a folder has tokenizer.json or tokenizer.model, a GGUF file tokenizer.ggml.tokens");
    }
    if (!st) {
        w.t = b->tokenizer;
        st = fj_encoder_new(w.t, &w.e, err);
    }
    if (!st && w.s->text && w.s->detokenize)
        st = do_line(&w, fj_text_of(w.s->text), err);
    else if (!st && w.s->text)
        st = encode(&w, fj_text_of(w.s->text), err);
    else if (!st)
        st = do_input(&w, err);
    fj_encoder_free(w.e);
    fj_bundle_close(b);
    return st;
}

const fj_command fj_command_tokenize = { .name = "tokenize",
                                         .summary = "Text to token ids and back.",
                                         .options = options,
                                         .settings_size = sizeof(settings),
                                         .run = run,
                                         .spares_weights = true };
