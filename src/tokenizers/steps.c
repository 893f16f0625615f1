/* SPDX-License-Identifier: Apache-2.0
 * Opening the parts of a pipeline and running its steps. */
#define _GNU_SOURCE /* memmem */
#include <stdlib.h>
#include <string.h>

#include "tokenizers/tokenizer_internal.h"

fj_status fj_steps_add(fj_steps *steps, fj_step step, fj_err *err)
{
    if (steps->n == FJ_MAX_STEPS)
        return fj_fail(err, FJ_ERR_FORMAT, "a pipeline of more than %d steps", FJ_MAX_STEPS);
    steps->items[steps->n++] = step;
    return FJ_OK;
}

/* ---- opening ------------------------------------------------------------------------------------------------------------------------ */

static fj_status unknown(const fj_part *const *parts, const char *what, const char *type, fj_err *err)
{
    fj_str names = { 0 };
    for (size_t i = 0; parts[i]; i++)
        fj_str_printf(&names, "%s%s", i ? ", " : "", parts[i]->name);
    (void)fj_fail(err, FJ_ERR_FORMAT, "%s '%.100s' is not supported", what, type);
    (void)fj_hint(err, "known: %s, Sequence", names.data ? names.data : "");
    fj_str_free(&names);
    return err->status;
}

/* The members of a Sequence, under whatever name the kind has for them. */
static fj_json *members(const fj_json *spec)
{
    static const char *const keys[] = { "normalizers", "pretokenizers", "processors", "decoders" };
    for (size_t i = 0; i < FJ_LEN(keys); i++)
        if (fj_json_is_array(fj_json_get(spec, keys[i])))
            return fj_json_get(spec, keys[i]);
    return NULL;
}

/* Keeps a part as it was said, for fj_tokenizer_to_json. */
static fj_status keep_spec(fj_tokenizer *t, const char *what, fj_json *spec, fj_err *err)
{
    if (!t->pipeline)
        t->pipeline = fj_json_new_object();
    bool ok = fj_json_get(t->pipeline, what) || fj_json_set(t->pipeline, what, fj_json_new_array());
    ok = ok && fj_json_add(fj_json_get(t->pipeline, what), fj_json_share(spec));
    return ok ? FJ_OK : fj_fail(err, FJ_ERR_MEMORY, "no memory for a tokenizer");
}

static fj_status open_nested(fj_tokenizer *t, const fj_part *const *parts, const char *what, fj_json *spec, int depth,
                             fj_steps *out, fj_err *err)
{
    const char *type = fj_json_string(fj_json_get(spec, "type"), NULL);
    if (!spec || fj_json_is_null(spec))
        return FJ_OK;
    if (!type)
        return fj_fail(err, FJ_ERR_FORMAT, "%s has no \"type\"", what);
    if (strcmp(type, "Sequence")) {
        for (size_t i = 0; parts[i]; i++)
            if (!strcmp(parts[i]->name, type)) {
                fj_status st = parts[i]->open(t, spec, out, err);
                return st ? fj_prefix(err, "%s %s", what, type) : keep_spec(t, what, spec, err);
            }
        return unknown(parts, what, type, err);
    }
    fj_json *list = members(spec);
    if (!list || depth == FJ_MAX_NESTING)
        return fj_fail(err, FJ_ERR_FORMAT, "%s Sequence without members, or nested too deep", what);
    fj_status st = FJ_OK;
    for (size_t i = 0; !st && i < fj_json_len(list); i++)
        st = open_nested(t, parts, what, fj_json_at(list, i), depth + 1, out, err);
    return st;
}

fj_status fj_open_part(fj_tokenizer *t, const fj_part *const *parts, const char *what, fj_json *spec, fj_steps *out,
                       fj_err *err)
{
    return open_nested(t, parts, what, spec, 0, out, err);
}

fj_status fj_open_text(fj_tokenizer *t, const fj_part *const *parts, const char *what, const char *json, fj_steps *out,
                       fj_err *err)
{
    fj_json *spec = NULL;
    fj_status st = fj_json_parse(json, strlen(json), "a pipeline", false, &spec, err);
    if (!st)
        st = fj_open_part(t, parts, what, spec, out, err);
    fj_json_free(spec);
    return st;
}

void *fj_keep(fj_tokenizer *t, const void *state, size_t size, fj_err *err)
{
    void *copy = fj_arena_take(t->arena, size);
    if (copy)
        memcpy(copy, state, size);
    else
        (void)fj_fail(err, FJ_ERR_MEMORY, "no memory for a tokenizer");
    return copy;
}

fj_status fj_keep_text(fj_tokenizer *t, fj_text text, fj_text *out, fj_err *err)
{
    char *copy = fj_arena_text(t->arena, text.data ? text.data : "", text.len);
    if (!copy)
        return fj_fail(err, FJ_ERR_MEMORY, "no memory for a tokenizer");
    *out = (fj_text){ copy, text.len };
    return FJ_OK;
}

fj_status fj_keep_regex(fj_tokenizer *t, fj_text pattern, const fj_regex **out, fj_err *err)
{
    fj_regex **list = realloc(t->regexes, (t->n_regexes + 1) * sizeof(fj_regex *));
    if (!list)
        return fj_fail(err, FJ_ERR_MEMORY, "no memory for a tokenizer");
    t->regexes = list;
    fj_status st = fj_regex_new(pattern, &list[t->n_regexes], err);
    if (st)
        return st;
    *out = list[t->n_regexes++];
    return FJ_OK;
}

/* ---- patterns and cuts -------------------------------------------------------------------------------------------------------------- */

fj_status fj_pattern_open(fj_tokenizer *t, const fj_json *spec, fj_pattern *out, fj_err *err)
{
    fj_text text = fj_json_text(fj_json_get(spec, "String")), regex = fj_json_text(fj_json_get(spec, "Regex"));
    *out = (fj_pattern){ 0 };
    if (!text.data)
        text = fj_json_text(spec);
    if (regex.data)
        return fj_keep_regex(t, regex, &out->regex, err);
    if (!text.data)
        return fj_fail(err, FJ_ERR_FORMAT, "\"pattern\" is neither String nor Regex");
    return fj_keep_text(t, text, &out->text, err);
}

fj_status fj_pattern_next(const fj_pattern *p, fj_matcher *m, fj_text text, size_t at, size_t *start, size_t *end,
                          bool *is_found, fj_err *err)
{
    if (p->regex)
        return fj_regex_next(p->regex, m, text, at, start, end, is_found, err);
    const char *found = p->text.len ? memmem(text.data + at, text.len - at, p->text.data, p->text.len) : NULL;
    *is_found = found != NULL;
    if (found) {
        *start = (size_t)(found - text.data);
        *end = *start + p->text.len;
    }
    return FJ_OK;
}

fj_status fj_behavior_open(const fj_json *spec, fj_behavior *out, fj_err *err)
{
    static const char *const names[] = { "Removed", "Isolated", "MergedWithPrevious", "MergedWithNext", "Contiguous" };
    const char *name = fj_json_string(fj_json_get(spec, "behavior"), "Isolated");
    for (size_t i = 0; i < FJ_LEN(names); i++)
        if (!strcmp(name, names[i])) {
            *out = (fj_behavior)i;
            return FJ_OK;
        }
    return fj_fail(err, FJ_ERR_FORMAT, "behavior '%.100s' is not known", name);
}

void fj_joiner_end(fj_joiner *j)
{
    if (j->is_open)
        fj_cuts_add(j->out, j->start, j->end, -1);
    j->is_open = false;
}

/* Whether a stretch goes on with the cut before it. */
static bool joins(const fj_joiner *j, bool is_match)
{
    switch (j->behavior) {
    case FJ_SPLIT_CONTIGUOUS: return is_match == j->was_match;
    case FJ_SPLIT_MERGED_WITH_PREVIOUS: return is_match && !j->was_match;
    case FJ_SPLIT_MERGED_WITH_NEXT: return !is_match && j->was_match;
    default: return false;
    }
}

void fj_joiner_add(fj_joiner *j, size_t start, size_t end, bool is_match)
{
    if (j->behavior == FJ_SPLIT_REMOVED && is_match) {
        fj_joiner_end(j);
        return;
    }
    if (j->is_open && joins(j, is_match)) {
        j->end = end;
    } else {
        fj_joiner_end(j);
        j->start = start;
        j->end = end;
        j->is_open = true;
    }
    j->was_match = is_match;
}

/* ---- running ------------------------------------------------------------------------------------------------------------------------ */

static fj_status run_rewrite(const fj_step *step, fj_matcher *m, const fj_passage *src, fj_passage *out, fj_err *err)
{
    fj_status st = FJ_OK;
    fj_passage_clear(out, src->has_origins);
    for (size_t i = 0; !st && i < src->cuts.n; i++) {
        fj_cut cut = src->cuts.items[i];
        size_t start = out->len;
        if (cut.id >= 0)
            fj_passage_copy(out, src, cut.start, cut.end);
        else
            st = step->rewrite(step, m, src, cut, out, err);
        if (!st && (out->failed || out->cuts.failed))
            return fj_fail(err, FJ_ERR_MEMORY, "no memory to tokenize a text of %zu bytes", src->len);
        fj_cuts_add(&out->cuts, start, out->len, cut.id);
    }
    return st;
}

static fj_status run_split(const fj_step *step, fj_matcher *m, fj_passage *p, fj_cuts *spare, fj_err *err)
{
    fj_status st = FJ_OK;
    spare->n = 0;
    for (size_t i = 0; !st && i < p->cuts.n; i++) {
        fj_cut cut = p->cuts.items[i];
        if (cut.id >= 0)
            fj_cuts_add(spare, cut.start, cut.end, cut.id);
        else
            st = step->split(step, m, p, cut, spare, err);
    }
    if (!st && spare->failed)
        return fj_fail(err, FJ_ERR_MEMORY, "no memory to tokenize a text of %zu bytes", p->len);
    fj_cuts cuts = p->cuts;
    p->cuts = *spare;
    *spare = cuts;
    return st;
}

fj_status fj_run_steps(const fj_steps *steps, fj_matcher *m, fj_passage **now, fj_passage **next, fj_cuts *spare,
                       fj_err *err)
{
    fj_status st = FJ_OK;
    for (size_t i = 0; !st && i < steps->n; i++) {
        const fj_step *step = &steps->items[i];
        if (step->split) {
            st = run_split(step, m, *now, spare, err);
            continue;
        }
        st = run_rewrite(step, m, *now, *next, err);
        fj_passage *changed = *next;
        *next = *now;
        *now = changed;
    }
    return st;
}

fj_status fj_open_regex_split(fj_tokenizer *t, const char *regex, fj_err *err)
{
    fj_json *spec = fj_json_new_object(), *pattern = fj_json_new_object();
    bool ok = fj_json_set(spec, "type", fj_text_json(fj_text_of("Split")));
    ok = fj_json_set(spec, "pattern", pattern) && ok &&
         fj_json_set(pattern, "Regex", fj_text_json(fj_text_of(regex))) &&
         fj_json_set(spec, "behavior", fj_text_json(fj_text_of("Isolated"))) &&
         fj_json_set(spec, "invert", fj_json_new_bool(false));
    fj_status st = ok ? fj_open_part(t, fj_pre_tokenizers, "pre_tokenizer", spec, &t->pre_tokenizer, err)
                      : fj_fail(err, FJ_ERR_MEMORY, "no memory for a tokenizer");
    fj_json_free(spec);
    return st;
}
