/* SPDX-License-Identifier: Apache-2.0
 * SentencePiece's blanks: ▁ for each space, one in front of the text, a cut before each. Source: tokenizers,
 * pre_tokenizers/metaspace.rs. */
#define _GNU_SOURCE /* memmem */
#include <string.h>

#include "base/utf8.h"
#include "tokenizers/tokenizer_internal.h"
#include "tokenizers/parts.h"

typedef struct metaspace {
    fj_text blank; /* the replacement character */
    bool is_first_only, puts_before;
} metaspace;

static bool begins_with(const fj_passage *p, fj_cut cut, fj_text what)
{
    return cut.end - cut.start >= what.len && !memcmp(p->text + cut.start, what.data, what.len);
}

static fj_status put_blanks(const fj_step *step, fj_matcher *m, const fj_passage *src, fj_cut cut, fj_passage *out,
                            fj_err *err)
{
    const metaspace *s = step->state;
    bool is_wanted = s->puts_before && (!s->is_first_only || src->from[cut.start] == 0);
    (void)m;
    (void)err;
    if (is_wanted && src->text[cut.start] != ' ' && !begins_with(src, cut, s->blank))
        fj_passage_replace(out, src, cut.start, s->blank.data, s->blank.len);
    for (size_t at = cut.start; at < cut.end;) {
        const char *space = memchr(src->text + at, ' ', cut.end - at);
        size_t end = space ? (size_t)(space - src->text) : cut.end;
        fj_passage_copy(out, src, at, end);
        if (space)
            fj_passage_replace(out, src, end, s->blank.data, s->blank.len);
        at = end + 1;
    }
    return FJ_OK;
}

static fj_status cut_before_blanks(const fj_step *step, fj_matcher *m, const fj_passage *src, fj_cut cut, fj_cuts *out,
                                   fj_err *err)
{
    const metaspace *s = step->state;
    size_t start = cut.start;
    (void)m;
    (void)err;
    for (size_t at = cut.start + 1; at < cut.end; at++) {
        const char *blank = memmem(src->text + at, cut.end - at, s->blank.data, s->blank.len);
        if (!blank)
            break;
        at = (size_t)(blank - src->text);
        fj_cuts_add(out, start, at, -1);
        start = at;
    }
    fj_cuts_add(out, start, cut.end, -1);
    return FJ_OK;
}

fj_status fj_metaspace_options(fj_tokenizer *t, const fj_json *spec, fj_text *blank, fj_text *scheme, fj_err *err)
{
    fj_text text = fj_json_text(fj_json_get(spec, "replacement"));
    uint32_t c;
    if (!text.data)
        text = fj_text_of("\xe2\x96\x81");
    if (!text.len || fj_utf8_get(text.data, text.len, &c) != text.len)
        return fj_fail(err, FJ_ERR_FORMAT, "\"replacement\" is not one character");
    *scheme = fj_json_text(fj_json_get(spec, "prepend_scheme"));
    if (!scheme->data) /* files from before there was a scheme */
        *scheme = fj_text_of(fj_json_bool(fj_json_get(spec, "add_prefix_space"), true) ? "always" : "never");
    if (!fj_text_is(*scheme, "always") && !fj_text_is(*scheme, "first") && !fj_text_is(*scheme, "never"))
        return fj_fail(err, FJ_ERR_FORMAT, "prepend_scheme '%.*s' is not known", (int)FJ_MIN(scheme->len, 100),
                       scheme->data);
    return fj_keep_text(t, text, blank, err);
}

static fj_status open_pre_tokenizer(fj_tokenizer *t, const fj_json *spec, fj_steps *out, fj_err *err)
{
    metaspace s = { 0 };
    fj_text scheme;
    fj_status st = fj_metaspace_options(t, spec, &s.blank, &scheme, err);
    if (st)
        return st;
    s.puts_before = !fj_text_is(scheme, "never");
    s.is_first_only = fj_text_is(scheme, "first");
    t->needs_origins |= s.is_first_only;
    void *state = fj_keep(t, &s, sizeof s, err);
    if (!state)
        return err->status;
    st = fj_steps_add(
        out, (fj_step){ .name = "Metaspace", .state = state, .rewrite = put_blanks, .puts_blank = s.puts_before }, err);
    if (!st && fj_json_bool(fj_json_get(spec, "split"), true))
        st = fj_steps_add(out, (fj_step){ .name = "blanks", .state = state, .split = cut_before_blanks }, err);
    return st;
}

/* ---- cuts that change nothing but the time it takes ------------------------------------------------------------------------------ */

static fj_status cut_before_runs(const fj_step *step, fj_matcher *m, const fj_passage *src, fj_cut cut, fj_cuts *out,
                                 fj_err *err)
{
    static const char blank[] = "\xe2\x96\x81";
    size_t start = cut.start, at = cut.start;
    (void)step;
    (void)m;
    (void)err;
    while (at < cut.end) {
        const char *found = memmem(src->text + at, cut.end - at, blank, 3);
        if (!found)
            break;
        size_t place = (size_t)(found - src->text);
        if (place > at) { /* something else stands before it */
            fj_cuts_add(out, start, place, -1);
            start = place;
        }
        at = place + 3;
    }
    fj_cuts_add(out, start, cut.end, -1);
    return FJ_OK;
}

bool fj_has_blank_inside(fj_text token)
{
    static const char blank[] = "\xe2\x96\x81";
    size_t at = 0;
    while (token.len - at >= 3 && !memcmp(token.data + at, blank, 3))
        at += 3;
    return memmem(token.data + at, token.len - at, blank, 3) != NULL;
}

fj_status fj_add_metaspace_cuts(fj_steps *out, fj_err *err)
{
    return fj_steps_add(out, (fj_step){ .name = "words", .split = cut_before_runs }, err);
}

const fj_part fj_pre_tokenizer_metaspace = { .name = "Metaspace", .open = open_pre_tokenizer };
