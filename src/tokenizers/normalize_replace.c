/* SPDX-License-Identifier: Apache-2.0
 * Normalizers that put text in place of text. Source: tokenizers, normalizers/replace.rs, prepend.rs. */
#include "base/utf8.h"
#include "tokenizers/tokenizer_internal.h"
#include "tokenizers/parts.h"

typedef struct replacement {
    fj_pattern pattern;
    fj_text content;
} replacement;

/* What replaces a match has the origin of the match's last byte. */
static fj_status replace(const fj_step *step, fj_matcher *m, const fj_passage *src, fj_cut cut, fj_passage *out,
                         fj_err *err)
{
    const replacement *r = step->state;
    fj_text text = { src->text + cut.start, cut.end - cut.start };
    size_t at = 0, done = 0, start = 0, end = 0;
    while (at < text.len) {
        bool is_found = false;
        fj_status st = fj_pattern_next(&r->pattern, m, text, at, &start, &end, &is_found, err);
        if (st)
            return st;
        if (!is_found)
            break;
        uint32_t c;
        fj_passage_copy(out, src, cut.start + done, cut.start + start);
        fj_passage_replace(out, src, cut.start + (end ? end - 1 : 0), r->content.data, r->content.len);
        done = end;
        at = end > start ? end : end + FJ_MAX(fj_utf8_get(text.data + end, text.len - end, &c), (size_t)1);
    }
    fj_passage_copy(out, src, cut.start + done, cut.end);
    return FJ_OK;
}

static fj_status open_replace(fj_tokenizer *t, const fj_json *spec, fj_steps *out, fj_err *err)
{
    replacement r = { 0 };
    fj_status st = fj_pattern_open(t, fj_json_get(spec, "pattern"), &r.pattern, err);
    if (!st)
        st = fj_keep_text(t, fj_json_text(fj_json_get(spec, "content")), &r.content, err);
    void *state = st ? NULL : fj_keep(t, &r, sizeof r, err);
    return state ? fj_steps_add(out, (fj_step){ .name = "Replace", .state = state, .rewrite = replace }, err)
                 : err->status;
}

static fj_status prepend(const fj_step *step, fj_matcher *m, const fj_passage *src, fj_cut cut, fj_passage *out,
                         fj_err *err)
{
    const fj_text *text = step->state;
    (void)m;
    (void)err;
    fj_passage_replace(out, src, cut.start, text->data, text->len);
    fj_passage_copy(out, src, cut.start, cut.end);
    return FJ_OK;
}

static fj_status open_prepend(fj_tokenizer *t, const fj_json *spec, fj_steps *out, fj_err *err)
{
    fj_text text = { 0 };
    fj_status st = fj_keep_text(t, fj_json_text(fj_json_get(spec, "prepend")), &text, err);
    void *state = st ? NULL : fj_keep(t, &text, sizeof text, err);
    fj_step step = { .name = "Prepend", .state = state, .rewrite = prepend };
    step.puts_blank = fj_text_is(text, "\xe2\x96\x81");
    return state ? fj_steps_add(out, step, err) : err->status;
}

const fj_part fj_normalizer_prepend = { .name = "Prepend", .open = open_prepend };
const fj_part fj_normalizer_replace = { .name = "Replace", .open = open_replace };
