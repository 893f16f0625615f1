/* SPDX-License-Identifier: Apache-2.0
 * Data sets: reading every row, applying the rule for long rows, counting, splitting, hashing. */

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/hash.h"
#include "base/rng.h"
#include "data/data_internal.h"

typedef enum long_rule { LONG_REFUSE, LONG_DROP, LONG_CUT } long_rule;

typedef struct loading {
    const fj_data_config *config;
    fj_arena *arena;
    fj_tokenizing tokenizing;
    fj_tokens tokens; /* the row at hand */
    fj_row *rows;
    int64_t n, cap;
    fj_data_counts counts;
    long_rule rule;
    fj_row_source *source;    /* the set at hand */
    const char *longest_path; /* the file of counts.longest_row */
    int64_t first_untrained;
    bool guessed;
    fj_str notes;
} loading;

static fj_status no_memory(fj_err *err)
{
    return fj_fail(err, FJ_ERR_MEMORY, "no memory for the data set's rows");
}

/* ---- one row ------------------------------------------------------------------------------------------------------ */

/* Copies tokens[from … from+n) into the arena as a row, unless nothing of it is trained. */
static fj_status keep_row(loading *l, int64_t from, int64_t n, int64_t number, fj_err *err)
{
    fj_tokens part = { .ids = l->tokens.ids + from, .labels = l->tokens.labels + from, .n = n };
    int64_t targets = fj_tokens_targets(&part);
    if (targets == 0) {
        if (!l->counts.untrained_dropped++)
            l->first_untrained = number;
        return FJ_OK;
    }
    if (l->n == l->cap) {
        int64_t cap = l->cap ? l->cap * 2 : 256;
        fj_row *rows = realloc(l->rows, (size_t)cap * sizeof *rows);
        if (!rows)
            return no_memory(err);
        l->rows = rows;
        l->cap = cap;
    }
    size_t columns = l->tokens.has_types ? 3 : 2, bytes = (size_t)n * sizeof(int32_t);
    int32_t *data = fj_arena_array(l->arena, columns * (size_t)n, sizeof *data);
    if (!data)
        return no_memory(err);
    memcpy(data, part.ids, bytes);
    memcpy(data + n, part.labels, bytes);
    if (l->tokens.has_types)
        memcpy(data + 2 * n, l->tokens.types + from, bytes);
    l->rows[l->n++] = (fj_row){ .ids = data,
                                .labels = data + n,
                                .types = l->tokens.has_types ? data + 2 * n : NULL,
                                .n = (int32_t)n,
                                .n_targets = (int32_t)targets,
                                .number = number };
    l->counts.kept++;
    l->counts.tokens += n;
    l->counts.targets += targets;
    return FJ_OK;
}

/* A long text of stage pt becomes pieces of cutoff_len: nothing is lost. */
static fj_status keep_pieces(loading *l, int64_t number, fj_err *err)
{
    int64_t cutoff = l->config->cutoff_len;
    fj_status st = FJ_OK;
    l->counts.split_rows++;
    for (int64_t at = 0; !st && at < l->tokens.n; at += cutoff) {
        st = keep_row(l, at, FJ_MIN(cutoff, l->tokens.n - at), number, err);
        l->counts.split_pieces++;
    }
    return st;
}

static fj_status finish_row(loading *l, int64_t number, fj_err *err)
{
    int64_t n = l->tokens.n, cutoff = l->config->cutoff_len;
    if (n > l->counts.longest) {
        l->counts.longest = n;
        l->counts.longest_row = number;
        l->longest_path = l->source->path;
    }
    if (!cutoff || n <= cutoff)
        return keep_row(l, 0, n, number, err);
    if (l->rule == LONG_REFUSE && l->tokenizing.is_pretraining && l->source->shape->kind == FJ_SHAPE_TEXT)
        return keep_pieces(l, number, err);
    l->counts.long_rows++;
    if (l->rule != LONG_CUT) {
        l->counts.long_dropped++;
        return FJ_OK;
    }
    fj_tokens_cut(&l->tokens, cutoff, l->config->mask_history);
    l->counts.long_cut++;
    l->counts.cut_tokens += n - l->tokens.n;
    return keep_row(l, 0, l->tokens.n, number, err);
}

static fj_status tokenize_text_row(loading *l, const fj_json *row, fj_err *err)
{
    const char *name = l->source->columns.text;
    fj_text text = fj_json_text(fj_json_is_string(row) ? row : fj_json_get(row, name));
    if (!text.data)
        return fj_fail(err, FJ_ERR_DATA, "column '%s' is missing or not a text", name);
    if (!l->tokenizing.is_pretraining) {
        (void)fj_fail(err, FJ_ERR_DATA, "plain text has no question and answer");
        return fj_hint(err, "choose stage: pt to train on text as it is");
    }
    return fj_tokenize_text(&l->tokenizing, text, &l->tokens, err);
}

static fj_status tokenize_chat_row(loading *l, const fj_json *row, fj_err *err)
{
    fj_json *messages = NULL, *tools = NULL;
    if (l->tokenizing.is_pretraining) {
        (void)fj_fail(err, FJ_ERR_DATA, "stage pt wants text, these rows are %s conversations", l->source->shape->name);
        return fj_hint(err,
                       "choose stage: sft, or name the text's column: columns: {\"prompt\": …} in dataset_info.json");
    }
    fj_status st = l->source->shape->messages(l->source, row, &messages, &tools, err);
    if (!st)
        st = fj_tokenize_chat(&l->tokenizing, messages, tools, &l->tokens, err);
    fj_json_free(messages);
    fj_json_free(tools);
    return st;
}

/* A column that people mean to be read, but that dataset_info.json does not list, is not passed over in silence. */
static void note_unlisted(loading *l, const fj_json *row)
{
    const fj_columns *c = &l->source->columns;
    const char *const known[][2] = { { "history", c->history }, { "system", c->system }, { "tools", c->tools } };
    for (size_t i = 0; i < FJ_LEN(known) && l->source->shape->kind == FJ_SHAPE_CHAT; i++)
        if (!known[i][1] && fj_json_len(row) && fj_json_get(row, known[i][0]))
            fj_str_printf(&l->notes, "%s: column '%s' is not read: `columns` in dataset_info.json does not list it\n",
                          l->source->path, known[i][0]);
}

static fj_status take_row(void *context, const fj_json *row, int64_t number, fj_err *err)
{
    loading *l = context;
    fj_status st = FJ_OK;
    if (!fj_json_is_object(row) && !fj_json_is_string(row))
        return fj_fail(err, FJ_ERR_DATA, "it is not an object");
    if (l->guessed && number == 1)
        st = fj_source_guess(l->source, row, err);
    if (st)
        return st;
    if (number == 1)
        note_unlisted(l, row);
    l->counts.read++;
    l->tokens.n = 0;
    l->tokens.has_types = false;
    /* tokenized rows are known by their columns also where dataset_info.json has no word for them */
    bool is_tokens = l->source->shape->kind == FJ_SHAPE_TOKENS || fj_json_get(row, "input_ids");
    if (is_tokens)
        st = fj_tokens_from_row(&l->tokenizing, row, &l->tokens, err);
    else if (l->source->shape->kind == FJ_SHAPE_TEXT)
        st = tokenize_text_row(l, row, err);
    else
        st = tokenize_chat_row(l, row, err);
    if (st == FJ_ERR_FORMAT || st == FJ_ERR_ARG)
        st = err->status = FJ_ERR_DATA; /* the row and the template do not suit each other */
    return st ? st : finish_row(l, number, err);
}

/* ---- one set ------------------------------------------------------------------------------------------------------ */

static fj_status load_source(loading *l, fj_row_source *s, fj_err *err)
{
    fj_row_sink sink = { .context = l, .take = take_row };
    int64_t before = l->counts.read;
    l->source = s;
    l->guessed = s->shape == NULL;
    fj_status st = fj_rows_read(s, l->config->max_samples, &sink, err);
    if (st)
        return st;
    if (l->counts.read == before)
        return fj_fail(err, FJ_ERR_DATA, "%s: there are no rows", s->path);
    fj_str_printf(&l->notes, "%s: %lld rows, %s%s", s->path, (long long)(l->counts.read - before), s->shape->name,
                  l->guessed ? " (guessed from the first row)" : "");
    if (l->guessed && s->shape == &fj_row_shape_alpaca)
        fj_str_printf(&l->notes, ": %s, %s", s->columns.prompt, s->columns.response);
    if (l->guessed && (s->shape == &fj_row_shape_sharegpt || s->shape == &fj_row_shape_openai))
        fj_str_printf(&l->notes, ": %s of %s, %s", s->columns.messages, s->tags.role, s->tags.content);
    fj_str_add_char(&l->notes, '\n');
    return FJ_OK;
}

static fj_status check_long_rows(const loading *l, fj_err *err)
{
    const fj_data_counts *c = &l->counts;
    if (l->rule != LONG_REFUSE || c->long_rows == 0)
        return FJ_OK;
    (void)fj_fail(err, FJ_ERR_DATA,
                  "%lld of %lld rows are longer than cutoff_len %lld; the longest has %lld tokens (%s: row %lld)",
                  (long long)c->long_rows, (long long)c->read, (long long)l->config->cutoff_len, (long long)c->longest,
                  l->longest_path, (long long)c->longest_row);
    return fj_hint(
        err, "cutoff_len: %lld takes them all; on_long_rows: drop leaves them out, on_long_rows: cut shortens them",
        (long long)c->longest);
}

static void add_totals(loading *l)
{
    const fj_data_counts *c = &l->counts;
    fj_str *notes = &l->notes;
    fj_str_printf(notes, "%lld rows, %lld tokens, %lld of them trained (%.1f %%), longest row %lld tokens\n",
                  (long long)c->kept, (long long)c->tokens, (long long)c->targets,
                  c->tokens ? 100.0 * (double)c->targets / (double)c->tokens : 0.0, (long long)c->longest);
    if (c->long_dropped)
        fj_str_printf(notes, "dropped %lld rows longer than %lld tokens\n", (long long)c->long_dropped,
                      (long long)l->config->cutoff_len);
    if (c->long_cut)
        fj_str_printf(notes, "cut %lld rows to %lld tokens, %lld tokens lost\n", (long long)c->long_cut,
                      (long long)l->config->cutoff_len, (long long)c->cut_tokens);
    if (c->split_rows)
        fj_str_printf(notes, "split %lld texts longer than %lld tokens into %lld rows\n", (long long)c->split_rows,
                      (long long)l->config->cutoff_len, (long long)c->split_pieces);
    if (c->untrained_dropped)
        fj_str_printf(notes, "left out %lld rows without any trained token (the first: row %lld)\n",
                      (long long)c->untrained_dropped, (long long)l->first_untrained);
}

/* ---- split and hash ----------------------------------------------------------------------------------------------- */

static fj_status split_count(const loading *l, int64_t *out, fj_err *err)
{
    double v = l->config->val_size;
    *out = 0;
    if (!(v >= 0) || isinf(v) || (v >= 1 && v != floor(v)))
        return fj_fail(err, FJ_ERR_USAGE, "val_size %g is neither a share below 1 nor a number of rows", v);
    *out = v < 1 ? (int64_t)ceil(v * (double)l->n) : (int64_t)FJ_MIN(v, 1e15);
    if (*out >= l->n)
        return fj_fail(err, FJ_ERR_DATA, "val_size %g takes all %lld rows, none is left to train on", v,
                       (long long)l->n);
    return FJ_OK;
}

/* The first n_eval rows of a keyed permutation are for evaluation; both parts keep the file's order. */
static fj_status split(loading *l, fj_dataset *d, fj_err *err)
{
    int64_t n_eval;
    fj_status st = split_count(l, &n_eval, err);
    if (st)
        return st;
    fj_row *rows = fj_arena_array(l->arena, (size_t)(l->n - n_eval) + 1, sizeof *rows);
    fj_row *eval = fj_arena_array(l->arena, (size_t)n_eval + 1, sizeof *eval);
    int64_t *order = calloc((size_t)l->n + 1, sizeof *order);
    char *is_eval = calloc((size_t)l->n + 1, 1);
    if (rows && eval && order && is_eval) {
        fj_rng_permutation(l->config->seed, FJ_STREAM_SPLIT, 0, order, l->n);
        for (int64_t i = 0; i < n_eval; i++)
            is_eval[order[i]] = 1;
        for (int64_t i = 0; i < l->n; i++) {
            if (is_eval[i])
                eval[d->n_eval++] = l->rows[i];
            else
                rows[d->n_rows++] = l->rows[i];
        }
    } else {
        st = no_memory(err);
    }
    free(order);
    free(is_eval);
    d->rows = rows;
    d->eval = eval;
    return st;
}

static void hash_rows(fj_digest *h, const fj_row *rows, int64_t n)
{
    fj_digest_add(h, &n, sizeof n);
    for (int64_t i = 0; i < n; i++) {
        int32_t head[2] = { rows[i].n, rows[i].types != NULL };
        size_t bytes = (size_t)rows[i].n * sizeof(int32_t);
        fj_digest_add(h, head, sizeof head);
        fj_digest_add(h, rows[i].ids, bytes);
        fj_digest_add(h, rows[i].labels, bytes);
        if (rows[i].types)
            fj_digest_add(h, rows[i].types, bytes);
    }
}

static fj_status finish(loading *l, fj_dataset *d, fj_err *err)
{
    fj_status st = check_long_rows(l, err);
    if (st)
        return st;
    if (l->n == 0) {
        (void)fj_fail(err, FJ_ERR_DATA, "none of the %lld rows of '%s' is left to train on", (long long)l->counts.read,
                      l->config->dataset);
        return fj_hint(err, "%lld were too long, %lld had nothing to train", (long long)l->counts.long_dropped,
                       (long long)l->counts.untrained_dropped);
    }
    st = split(l, d, err);
    if (st)
        return st;
    add_totals(l);
    if (d->n_eval)
        fj_str_printf(&l->notes, "%lld rows to train on, %lld to evaluate\n", (long long)d->n_rows,
                      (long long)d->n_eval);
    d->notes = fj_arena_text(l->arena, l->notes.data ? l->notes.data : "", l->notes.len);
    d->counts = l->counts;
    d->arena = l->arena;
    fj_digest *h = fj_sha256_new();
    if (!h || !d->notes || l->notes.failed) {
        if (h)
            fj_digest_end(h, d->hash);
        return no_memory(err);
    }
    hash_rows(h, d->rows, d->n_rows);
    hash_rows(h, d->eval, d->n_eval);
    fj_digest_end(h, d->hash);
    return FJ_OK;
}

static fj_status read_rule(const char *name, long_rule *out, fj_err *err)
{
    static const char *const names[] = { "refuse", "drop", "cut" };
    *out = LONG_REFUSE;
    for (size_t i = 0; name && i < FJ_LEN(names); i++)
        if (strcmp(name, names[i]) == 0) {
            *out = (long_rule)i;
            return FJ_OK;
        }
    return name ? fj_fail(err, FJ_ERR_USAGE, "on_long_rows is '%s', expected refuse, drop or cut", name) : FJ_OK;
}

fj_status fj_dataset_load(const fj_data_config *config, fj_dataset **out, fj_err *err)
{
    loading l = { .config = config, .arena = fj_arena_new() };
    fj_row_source *sources = NULL;
    size_t n_sources = 0;
    fj_status st = FJ_OK;

    *out = NULL;
    fj_dataset *d = l.arena ? fj_arena_take(l.arena, sizeof *d) : NULL;
    if (!d) {
        st = no_memory(err);
        goto cleanup;
    }
    st = read_rule(config->on_long_rows, &l.rule, err);
    if (!st)
        st = fj_tokenizing_open(config, l.arena, &l.tokenizing, err);
    if (!st)
        st = fj_sources_find(config, l.arena, &sources, &n_sources, err);
    for (size_t i = 0; !st && i < n_sources; i++)
        st = load_source(&l, &sources[i], err);
    if (!st)
        st = finish(&l, d, err);
    if (st)
        goto cleanup;
    *out = d;

cleanup:
    fj_tokenizing_close(&l.tokenizing);
    fj_tokens_free(&l.tokens);
    free(l.rows);
    fj_str_free(&l.notes);
    if (st)
        fj_arena_free(l.arena);
    return st;
}

void fj_dataset_free(fj_dataset *d)
{
    if (d)
        fj_arena_free(d->arena);
}

/* ---- showing ------------------------------------------------------------------------------------------------------ */

fj_status fj_row_show(const fj_row *row, const fj_tokenizer *t, fj_str *out, fj_err *err)
{
    for (int32_t at = 0, end; at < row->n; at = end) {
        bool trained = row->labels[at] != FJ_LABEL_NONE;
        for (end = at + 1; end < row->n && (row->labels[end] != FJ_LABEL_NONE) == trained; end++)
            continue;
        if (trained)
            fj_str_add_text(out, "\xe2\x9f\xa6");
        fj_status st = fj_decode(t, row->ids + at, (size_t)(end - at), false, out, err);
        if (st)
            return st;
        if (trained)
            fj_str_add_text(out, "\xe2\x9f\xa7");
    }
    return out->failed ? no_memory(err) : FJ_OK;
}
