/* SPDX-License-Identifier: Apache-2.0
 * Rows that are not conversations: text, and tokens made elsewhere; and the list of all shapes. */

#include <stdlib.h>
#include <string.h>

#include "data/data_internal.h"

static bool text_looks_like(const fj_json *row, fj_row_source *s)
{
    s->columns = fj_columns_default();
    return fj_json_is_string(row) || fj_json_is_string(fj_json_get(row, "text"));
}

static bool tokenized_looks_like(const fj_json *row, fj_row_source *s)
{
    (void)s;
    return fj_json_is_array(fj_json_get(row, "input_ids"));
}

const fj_row_shape fj_row_shape_text = { .name = "text", .kind = FJ_SHAPE_TEXT, .looks_like = text_looks_like };
const fj_row_shape fj_row_shape_tokenized = { .name = "tokenized",
                                              .kind = FJ_SHAPE_TOKENS,
                                              .looks_like = tokenized_looks_like };

const fj_row_shape *const fj_row_shapes[] = { &fj_row_shape_tokenized, &fj_row_shape_openai, &fj_row_shape_sharegpt,
                                              &fj_row_shape_alpaca,    &fj_row_shape_text,   NULL };

/* ---- tokenized rows ----------------------------------------------------------------------------------------------- */

bool fj_tokens_add(fj_tokens *t, int32_t id, int32_t label, int32_t type)
{
    if (t->n == t->cap) {
        int64_t cap = t->cap ? t->cap * 2 : 1024;
        size_t bytes = (size_t)cap * sizeof(int32_t);
        int32_t *ids = realloc(t->ids, bytes);
        t->ids = ids ? ids : t->ids;
        int32_t *labels = realloc(t->labels, bytes);
        t->labels = labels ? labels : t->labels;
        int32_t *types = realloc(t->types, bytes);
        t->types = types ? types : t->types;
        bool *in_answer = realloc(t->in_answer, (size_t)cap * sizeof *in_answer);
        t->in_answer = in_answer ? in_answer : t->in_answer;
        if (!ids || !labels || !types || !in_answer)
            return false;
        t->cap = cap;
    }
    t->ids[t->n] = id;
    t->labels[t->n] = label;
    t->in_answer[t->n] = label != FJ_LABEL_NONE;
    t->types[t->n++] = type;
    t->has_types |= type != 0;
    return true;
}

void fj_tokens_free(fj_tokens *t)
{
    free(t->ids);
    free(t->labels);
    free(t->types);
    free(t->in_answer);
    *t = (fj_tokens){ 0 };
}

int64_t fj_tokens_targets(const fj_tokens *t)
{
    int64_t n = 0;
    for (int64_t i = 1; i < t->n; i++)
        n += t->labels[i] != FJ_LABEL_NONE;
    return n;
}

/* Element i of a column of integers: in 0 … limit-1 (limit 0: any that is not negative), or -100 where allowed. */
static fj_status token_at(const fj_json *list, const char *name, size_t i, int64_t limit, bool or_none, int32_t *out,
                          fj_err *err)
{
    const fj_json *v = fj_json_at(list, i);
    int64_t id = fj_json_int(v, -1);
    if (!fj_json_is_integer(v))
        return fj_fail(err, FJ_ERR_DATA, "%s[%zu] is not an integer", name, i);
    if (or_none && id == FJ_LABEL_NONE) {
        *out = FJ_LABEL_NONE;
        return FJ_OK;
    }
    if (id < 0 || id > INT32_MAX || (limit && id >= limit)) {
        if (limit)
            return fj_fail(err, FJ_ERR_DATA, "%s[%zu] is %lld, the vocabulary has %lld", name, i, (long long)id,
                           (long long)limit);
        return fj_fail(err, FJ_ERR_DATA, "%s[%zu] is %lld", name, i, (long long)id);
    }
    *out = (int32_t)id;
    return FJ_OK;
}

static fj_status same_length(const fj_json *list, const char *name, size_t n, fj_err *err)
{
    if (!list || (fj_json_is_array(list) && fj_json_len(list) == n))
        return FJ_OK;
    if (!fj_json_is_array(list))
        return fj_fail(err, FJ_ERR_DATA, "'%s' is not a list", name);
    return fj_fail(err, FJ_ERR_DATA, "%zu input_ids, but %zu %s", n, fj_json_len(list), name);
}

fj_status fj_tokens_from_row(const fj_tokenizing *t, const fj_json *row, fj_tokens *out, fj_err *err)
{
    const fj_json *ids = fj_json_get(row, "input_ids"), *labels = fj_json_get(row, "labels"),
                  *types = fj_json_get(row, "token_type_ids");
    const fj_json *attention = fj_json_get(row, "attention_mask");
    size_t n = fj_json_len(ids);
    if (!fj_json_is_array(ids) || n == 0)
        return fj_fail(err, FJ_ERR_DATA, "'input_ids' is missing, empty or not a list");
    if (n > FJ_DATA_MAX_TOKENS)
        return fj_fail(err, FJ_ERR_DATA, "%zu input_ids, at most %d are read", n, FJ_DATA_MAX_TOKENS);
    if (!labels && !t->is_pretraining && !t->train_on_prompt) {
        (void)fj_fail(err, FJ_ERR_DATA, "'labels' is missing");
        return fj_hint(
            err, "give labels (-100: not trained), or choose stage: pt or train_on_prompt: true to train every token");
    }
    fj_status st = same_length(labels, "labels", n, err);
    if (!st)
        st = same_length(types, "token_type_ids", n, err);
    if (!st)
        st = same_length(attention, "attention_mask", n, err);
    for (size_t i = 0; !st && i < n; i++) {
        int32_t id, label, type = 0;
        st = token_at(ids, "input_ids", i, t->n_vocab, false, &id, err);
        label = id;
        if (!st && labels)
            st = token_at(labels, "labels", i, t->n_vocab, true, &label, err);
        if (!st && types)
            st = token_at(types, "token_type_ids", i, 0, false, &type, err);
        if (!st && attention && fj_json_int(fj_json_at(attention, i), 0) != 1)
            st = fj_fail(err, FJ_ERR_DATA, "attention_mask[%zu] is not 1: rows are given without padding", i);
        if (!st && !fj_tokens_add(out, id, label, type))
            st = fj_fail(err, FJ_ERR_MEMORY, "no memory for a row");
    }
    return st;
}

/* ---- cutting ------------------------------------------------------------------------------------------------------ */

/* Training sheet 1.1 (LLaMA-Factory infer_seqlen): how a turn of source and target shares `room` tokens. */
static void share(int64_t source, int64_t target, int64_t room, int64_t *new_source, int64_t *new_target)
{
    int64_t most = target * 2 < room ? room : source * 2 < room ? room - source : room * target / (source + target);
    *new_target = FJ_MIN(most, target);
    *new_source = FJ_MIN(FJ_MAX(room - *new_target, (int64_t)0), source);
}

/* Tokens [from, from+n) go to `to`; the places may overlap. */
static void move(fj_tokens *t, int64_t to, int64_t from, int64_t n)
{
    size_t bytes = (size_t)n * sizeof(int32_t);
    memmove(t->ids + to, t->ids + from, bytes);
    memmove(t->labels + to, t->labels + from, bytes);
    memmove(t->types + to, t->types + from, bytes);
    memmove(t->in_answer + to, t->in_answer + from, (size_t)n * sizeof *t->in_answer);
}

static void cut_from_first(fj_tokens *t, int64_t cutoff)
{
    int64_t to = 0, at = 0;
    while (at < t->n && to < cutoff) {
        int64_t source = at, target, new_source, new_target;
        while (at < t->n && !t->in_answer[at])
            at++;
        target = at;
        while (at < t->n && t->in_answer[at])
            at++;
        if (at == target)
            break; /* what follows the last answer is of no use in a row that is cut */
        share(target - source, at - target, cutoff - to, &new_source, &new_target);
        move(t, to, source, new_source);
        move(t, to + new_source, target, new_target);
        to += new_source + new_target;
    }
    t->n = to;
}

/* Kept tokens gather at the end of the row, each right of where it was, and move to the front at last. */
static void cut_from_last(fj_tokens *t, int64_t cutoff)
{
    int64_t at = t->n, to = t->n, n;
    while (at > 0 && !t->in_answer[at - 1])
        at--;
    while (at > 0 && t->n - to < cutoff) {
        int64_t end = at, target, new_source, new_target;
        while (at > 0 && t->in_answer[at - 1])
            at--;
        target = at;
        while (at > 0 && !t->in_answer[at - 1])
            at--;
        share(target - at, end - target, cutoff - (t->n - to), &new_source, &new_target);
        move(t, to - new_target, target, new_target);
        move(t, to - new_target - new_source, at, new_source);
        to -= new_target + new_source;
    }
    n = t->n - to;
    move(t, 0, to, n);
    t->n = n;
}

void fj_tokens_cut(fj_tokens *t, int64_t cutoff, bool from_last)
{
    if (from_last)
        cut_from_last(t, cutoff);
    else
        cut_from_first(t, cutoff);
}
