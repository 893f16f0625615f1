/* SPDX-License-Identifier: Apache-2.0
 * Normalizers that look at characters: lower case, white space around, accents, BERT's. Source: tokenizers, normalizers/strip.rs,
 * utils.rs (Lowercase), bert.rs. */
#include <string.h>

#include "base/utf8.h"
#include "tokenizers/tokenizer_internal.h"
#include "tokenizers/parts.h"

static fj_status lowercase(const fj_step *step, fj_matcher *m, const fj_passage *src, fj_cut cut, fj_passage *out,
                           fj_err *err)
{
    fj_str lower = { 0 };
    size_t n;
    (void)step;
    (void)m;
    for (size_t at = cut.start; at < cut.end; at += n) {
        uint32_t c = 0;
        n = fj_utf8_get(src->text + at, cut.end - at, &c);
        fj_assert(n);
        if (c < 0x80) {
            char byte = (char)(c >= 'A' && c <= 'Z' ? c + 'a' - 'A' : c);
            fj_passage_replace(out, src, at, &byte, 1);
            continue;
        }
        fj_str_clear(&lower);
        fj_utf8_lower(src->text + at, n, &lower);
        fj_passage_replace(out, src, at, lower.data, lower.len);
    }
    bool has_failed = lower.failed;
    fj_str_free(&lower);
    return has_failed ? fj_fail(err, FJ_ERR_MEMORY, "no memory to normalize a text") : FJ_OK;
}

static fj_status open_lowercase(fj_tokenizer *t, const fj_json *spec, fj_steps *out, fj_err *err)
{
    (void)t;
    (void)spec;
    return fj_steps_add(out, (fj_step){ .name = "Lowercase", .rewrite = lowercase }, err);
}

/* ---- white space around ----------------------------------------------------------------------------------------------------------- */

typedef struct strip {
    bool left, right;
} strip;

static fj_status strip_blanks(const fj_step *step, fj_matcher *m, const fj_passage *src, fj_cut cut, fj_passage *out,
                              fj_err *err)
{
    const strip *s = step->state;
    size_t start = cut.start, end = cut.start;
    bool is_leading = true;
    (void)m;
    (void)err;
    for (size_t at = cut.start; at < cut.end;) {
        uint32_t c = 0;
        size_t n = fj_utf8_get(src->text + at, cut.end - at, &c);
        fj_assert(n);
        at += n;
        bool is_blank = fj_unicode_is_space(c);
        is_leading = is_leading && is_blank;
        if (is_leading && s->left)
            start = at;
        if (!is_blank)
            end = at;
    }
    end = s->right ? FJ_MAX(end, start) : cut.end;
    fj_passage_copy(out, src, start, end);
    return FJ_OK;
}

static fj_status open_strip(fj_tokenizer *t, const fj_json *spec, fj_steps *out, fj_err *err)
{
    strip s = { fj_json_bool(fj_json_get(spec, "strip_left"), true),
                fj_json_bool(fj_json_get(spec, "strip_right"), true) };
    void *state = fj_keep(t, &s, sizeof s, err);
    return state ? fj_steps_add(out, (fj_step){ .name = "Strip", .state = state, .rewrite = strip_blanks }, err)
                 : err->status;
}

/* ---- leaving characters out ------------------------------------------------------------------------------------------------------- */

static bool is_mark(uint32_t c)
{
    return c >= 0x300 && fj_unicode_category(c)[0] == 'M';
}

static bool is_nonspacing_mark(uint32_t c)
{
    return c >= 0x300 && !strcmp(fj_unicode_category(c), "Mn");
}

/* NUL, U+FFFD and control, format or private characters, but not tab, line feed and carriage return. The reference's table is older
 * than U+08E2. */
static bool is_dirt(uint32_t c)
{
    if (c < 0x80)
        return (c < 0x20 && c != '\t' && c != '\n' && c != '\r') || c == 0x7f;
    const char *k = fj_unicode_category(c);
    return c == 0xfffd || (k[0] == 'C' && k[1] != 'n' && c != 0x8e2);
}

typedef struct sieve {
    bool (*is_left_out)(uint32_t c);
} sieve;

static fj_status leave_out(const fj_step *step, fj_matcher *m, const fj_passage *src, fj_cut cut, fj_passage *out,
                           fj_err *err)
{
    const sieve *s = step->state;
    size_t start = cut.start, n;
    (void)m;
    (void)err;
    for (size_t at = cut.start; at < cut.end; at += n) {
        uint32_t c = 0;
        n = fj_utf8_get(src->text + at, cut.end - at, &c);
        fj_assert(n);
        if (s->is_left_out(c)) {
            fj_passage_copy(out, src, start, at);
            start = at + n;
        }
    }
    fj_passage_copy(out, src, start, cut.end);
    return FJ_OK;
}

static fj_status open_strip_accents(fj_tokenizer *t, const fj_json *spec, fj_steps *out, fj_err *err)
{
    static const sieve marks = { is_mark };
    (void)t;
    (void)spec;
    return fj_steps_add(out, (fj_step){ .name = "StripAccents", .state = &marks, .rewrite = leave_out }, err);
}

/* ---- BERT ---------------------------------------------------------------------------------------------------------------------------- */

static fj_status plain_spaces(const fj_step *step, fj_matcher *m, const fj_passage *src, fj_cut cut, fj_passage *out,
                              fj_err *err)
{
    size_t n;
    (void)step;
    (void)m;
    (void)err;
    for (size_t at = cut.start; at < cut.end; at += n) {
        uint32_t c = 0;
        n = fj_utf8_get(src->text + at, cut.end - at, &c);
        fj_assert(n);
        if (fj_unicode_is_space(c))
            fj_passage_replace(out, src, at, " ", 1);
        else
            fj_passage_copy(out, src, at, at + n);
    }
    return FJ_OK;
}

static bool is_chinese(uint32_t c)
{
    return (c >= 0x4e00 && c <= 0x9fff) || (c >= 0x3400 && c <= 0x4dbf) || (c >= 0x20000 && c <= 0x2a6df) ||
           (c >= 0x2a700 && c <= 0x2b73f) || (c >= 0x2b740 && c <= 0x2b81f) || (c >= 0x2b920 && c <= 0x2ceaf) ||
           (c >= 0xf900 && c <= 0xfaff) || (c >= 0x2f800 && c <= 0x2fa1f);
}

static fj_status space_chinese(const fj_step *step, fj_matcher *m, const fj_passage *src, fj_cut cut, fj_passage *out,
                               fj_err *err)
{
    size_t n;
    (void)step;
    (void)m;
    (void)err;
    for (size_t at = cut.start; at < cut.end; at += n) {
        uint32_t c = 0;
        n = fj_utf8_get(src->text + at, cut.end - at, &c);
        fj_assert(n);
        if (is_chinese(c))
            fj_passage_replace(out, src, at, " ", 1);
        fj_passage_copy(out, src, at, at + n);
        if (is_chinese(c))
            fj_passage_replace(out, src, at, " ", 1);
    }
    return FJ_OK;
}

static fj_status open_bert(fj_tokenizer *t, const fj_json *spec, fj_steps *out, fj_err *err)
{
    static const sieve dirt = { is_dirt }, marks = { is_nonspacing_mark };
    bool is_lower = fj_json_bool(fj_json_get(spec, "lowercase"), true);
    fj_status st = FJ_OK;
    if (fj_json_bool(fj_json_get(spec, "clean_text"), true)) {
        st = fj_steps_add(out, (fj_step){ .name = "dirt", .state = &dirt, .rewrite = leave_out }, err);
        if (!st)
            st = fj_steps_add(out, (fj_step){ .name = "spaces", .rewrite = plain_spaces }, err);
    }
    if (!st && fj_json_bool(fj_json_get(spec, "handle_chinese_chars"), true))
        st = fj_steps_add(out, (fj_step){ .name = "chinese", .rewrite = space_chinese }, err);
    if (!st && fj_json_bool(fj_json_get(spec, "strip_accents"), is_lower)) {
        st = fj_normalizer_nfd.open(t, spec, out, err);
        if (!st)
            st = fj_steps_add(out, (fj_step){ .name = "marks", .state = &marks, .rewrite = leave_out }, err);
    }
    if (!st && is_lower)
        st = open_lowercase(t, spec, out, err);
    return st;
}

const fj_part fj_normalizer_bert = { .name = "BertNormalizer", .open = open_bert };
const fj_part fj_normalizer_lowercase = { .name = "Lowercase", .open = open_lowercase };
const fj_part fj_normalizer_strip = { .name = "Strip", .open = open_strip };
const fj_part fj_normalizer_strip_accents = { .name = "StripAccents", .open = open_strip_accents };
