/* SPDX-License-Identifier: Apache-2.0
 * Pre-tokenizers that cut at a pattern: Split, Whitespace, and what GPT-2's ByteLevel does before mapping bytes. Source: tokenizers,
 * pre_tokenizers/split.rs, whitespace.rs; NormalizedString.split. */
#include "base/utf8.h"
#include "tokenizers/tokenizer_internal.h"
#include "tokenizers/parts.h"

#define RUST_WORD                                                                                                      \
    "\\p{L}\\p{M}\\p{Nd}\\p{Nl}\\p{Pc}\\x{200C}\\x{200D}\\x{24B6}-\\x{24E9}\\x{1F130}-\\x{1F149}\\x{1F150}-\\x{1F169}" \
    "\\x{1F170}-\\x{1F189}"

typedef struct split {
    fj_pattern pattern;
    fj_behavior behavior;
    bool is_inverted;
} split;

/* One character further: behind an empty match. */
static size_t step_over(fj_text text, size_t at)
{
    uint32_t c;
    size_t n = fj_utf8_get(text.data + at, text.len - at, &c);
    return at + (n ? n : 1);
}

static fj_status cut_at_matches(const fj_step *step, fj_matcher *m, const fj_passage *src, fj_cut cut, fj_cuts *out,
                                fj_err *err)
{
    const split *s = step->state;
    fj_text text = { src->text + cut.start, cut.end - cut.start };
    fj_joiner j = { .behavior = s->behavior, .out = out };
    size_t done = 0, at = 0, start = 0, end = 0;
    while (at < text.len) {
        bool is_found = false;
        fj_status st = fj_pattern_next(&s->pattern, m, text, at, &start, &end, &is_found, err);
        if (st)
            return st;
        if (!is_found)
            break;
        if (done < start)
            fj_joiner_add(&j, cut.start + done, cut.start + start, s->is_inverted);
        fj_joiner_add(&j, cut.start + start, cut.start + end, !s->is_inverted);
        done = end;
        at = end > start ? end : step_over(text, end);
    }
    if (done < text.len)
        fj_joiner_add(&j, cut.start + done, cut.end, s->is_inverted);
    fj_joiner_end(&j);
    return FJ_OK;
}

/* regex: NULL for a pattern that is a text. */
static fj_status add(fj_tokenizer *t, const split *s, const char *regex, fj_steps *out, fj_err *err)
{
    void *state = fj_keep(t, s, sizeof *s, err);
    bool is_plain = s->is_inverted ? s->behavior == FJ_SPLIT_REMOVED : s->behavior == FJ_SPLIT_ISOLATED;
    fj_step step = { .name = "Split", .state = state, .split = cut_at_matches, .regex = is_plain ? regex : NULL };
    return state ? fj_steps_add(out, step, err) : err->status;
}

static fj_status open_split(fj_tokenizer *t, const fj_json *spec, fj_steps *out, fj_err *err)
{
    split s = { .is_inverted = fj_json_bool(fj_json_get(spec, "invert"), false) };
    fj_text regex = { 0 };
    fj_status st = fj_behavior_open(spec, &s.behavior, err);
    if (!st)
        st = fj_pattern_open(t, fj_json_get(spec, "pattern"), &s.pattern, err);
    if (!st && s.pattern.regex)
        st = fj_keep_text(t, fj_json_text(fj_json_get(fj_json_get(spec, "pattern"), "Regex")), &regex, err);
    return st ? st : add(t, &s, regex.data, out, err);
}

fj_status fj_add_regex_split(fj_tokenizer *t, const char *regex, fj_behavior behavior, bool is_inverted, fj_steps *out,
                             fj_err *err)
{
    split s = { .behavior = behavior, .is_inverted = is_inverted };
    fj_status st = fj_keep_regex(t, fj_text_of(regex), &s.pattern.regex, err);
    return st ? st : add(t, &s, regex, out, err);
}

static fj_status open_whitespace(fj_tokenizer *t, const fj_json *spec, fj_steps *out, fj_err *err)
{
    /* \w of Rust's regex: alphabetic, marks, digits, connectors, joiners */
    static const char pattern[] = "[" RUST_WORD "]+|[^" RUST_WORD "\\s]+";
    (void)spec;
    return fj_add_regex_split(t, pattern, FJ_SPLIT_REMOVED, true, out, err);
}

const fj_part fj_pre_tokenizer_split = { .name = "Split", .open = open_split };
const fj_part fj_pre_tokenizer_whitespace = { .name = "Whitespace", .open = open_whitespace };
