/* SPDX-License-Identifier: Apache-2.0
 * Pre-tokenizers that cut at a class of characters. Source: tokenizers, pre_tokenizers/digits.rs, punctuation.rs, bert.rs,
 * whitespace.rs, delimiter.rs. */
#include "base/utf8.h"
#include "tokenizers/tokenizer_internal.h"
#include "tokenizers/parts.h"

typedef struct class_split {
    bool (*is_match)(const struct class_split *s, uint32_t c);
    fj_behavior behavior;
    uint32_t delimiter;
} class_split;

static bool is_numeric(const class_split *s, uint32_t c)
{
    (void)s;
    return c < 0x80 ? c >= '0' && c <= '9' : fj_unicode_category(c)[0] == 'N';
}

bool fj_is_punctuation(uint32_t c)
{
    if (c < 0x80)
        return (c > 0x20 && c < '0') || (c > '9' && c < 'A') || (c > 'Z' && c < 'a') || (c > 'z' && c < 0x7f);
    return fj_unicode_category(c)[0] == 'P' || c == 0x166d; /* the reference's table has that one still */
}

static bool is_punctuation(const class_split *s, uint32_t c)
{
    (void)s;
    return fj_is_punctuation(c);
}

static bool is_space(const class_split *s, uint32_t c)
{
    (void)s;
    return fj_unicode_is_space(c);
}

static bool is_delimiter(const class_split *s, uint32_t c)
{
    return c == s->delimiter;
}

/* Each character of the class is a match of its own. */
static fj_status cut_at_class(const fj_step *step, fj_matcher *m, const fj_passage *src, fj_cut cut, fj_cuts *out,
                              fj_err *err)
{
    const class_split *s = step->state;
    fj_joiner j = { .behavior = s->behavior, .out = out };
    size_t done = cut.start, n = 1;
    (void)m;
    (void)err;
    for (size_t at = cut.start; at < cut.end; at += n) {
        uint32_t c = 0;
        n = fj_utf8_get(src->text + at, cut.end - at, &c);
        fj_assert(n); /* the text is valid and cut at characters */
        if (!s->is_match(s, c))
            continue;
        if (done < at)
            fj_joiner_add(&j, done, at, false);
        fj_joiner_add(&j, at, at + n, true);
        done = at + n;
    }
    if (done < cut.end)
        fj_joiner_add(&j, done, cut.end, false);
    fj_joiner_end(&j);
    return FJ_OK;
}

static fj_status add(fj_tokenizer *t, class_split s, const char *regex, fj_steps *out, fj_err *err)
{
    void *state = fj_keep(t, &s, sizeof s, err);
    fj_step step = { .name = "class", .state = state, .split = cut_at_class, .regex = regex };
    return state ? fj_steps_add(out, step, err) : err->status;
}

static fj_status open_digits(fj_tokenizer *t, const fj_json *spec, fj_steps *out, fj_err *err)
{
    bool is_single = fj_json_bool(fj_json_get(spec, "individual_digits"), false);
    class_split s = { .is_match = is_numeric, .behavior = is_single ? FJ_SPLIT_ISOLATED : FJ_SPLIT_CONTIGUOUS };
    return add(t, s, is_single ? "\\p{N}" : "\\p{N}+", out, err);
}

static fj_status open_punctuation(fj_tokenizer *t, const fj_json *spec, fj_steps *out, fj_err *err)
{
    class_split s = { .is_match = is_punctuation };
    fj_status st = fj_behavior_open(spec, &s.behavior, err);
    const char *regex = s.behavior == FJ_SPLIT_CONTIGUOUS ? "[\\p{P}\\$\\+<=>\\^~\\|`]+" : NULL;
    return st ? st : add(t, s, regex, out, err);
}

static fj_status open_whitespace_split(fj_tokenizer *t, const fj_json *spec, fj_steps *out, fj_err *err)
{
    (void)spec;
    return add(t, (class_split){ .is_match = is_space, .behavior = FJ_SPLIT_REMOVED }, NULL, out, err);
}

static fj_status open_bert(fj_tokenizer *t, const fj_json *spec, fj_steps *out, fj_err *err)
{
    fj_status st = open_whitespace_split(t, spec, out, err);
    return st ? st : add(t, (class_split){ .is_match = is_punctuation, .behavior = FJ_SPLIT_ISOLATED }, NULL, out, err);
}

static fj_status open_delimiter(fj_tokenizer *t, const fj_json *spec, fj_steps *out, fj_err *err)
{
    fj_text text = fj_json_text(fj_json_get(spec, "delimiter"));
    class_split s = { .is_match = is_delimiter, .behavior = FJ_SPLIT_REMOVED };
    if (!text.data || fj_utf8_get(text.data, text.len, &s.delimiter) != text.len || !text.len)
        return fj_fail(err, FJ_ERR_FORMAT, "\"delimiter\" is not one character");
    return add(t, s, NULL, out, err);
}

const fj_part fj_pre_tokenizer_bert = { .name = "BertPreTokenizer", .open = open_bert };
const fj_part fj_pre_tokenizer_delimiter = { .name = "CharDelimiterSplit", .open = open_delimiter };
const fj_part fj_pre_tokenizer_digits = { .name = "Digits", .open = open_digits };
const fj_part fj_pre_tokenizer_punctuation = { .name = "Punctuation", .open = open_punctuation };
const fj_part fj_pre_tokenizer_whitespace_split = { .name = "WhitespaceSplit", .open = open_whitespace_split };
