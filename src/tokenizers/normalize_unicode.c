/* SPDX-License-Identifier: Apache-2.0
 * Unicode normal forms, stretch by stretch: a character and the marks behind it, so that each result knows where it came from.
 * Source: Unicode Standard Annex 15; tokenizers, normalizers/unicode.rs. */
#include "base/utf8.h"
#include "tokenizers/tokenizer_internal.h"
#include "tokenizers/parts.h"

/* Below this no character changes or is a mark that could change the one before it. */
static const uint32_t stable_below[] = { [FJ_NFC] = 0x300, [FJ_NFD] = 0xc0, [FJ_NFKC] = 0xa0, [FJ_NFKD] = 0xa0 };

/* Marks, and the vowels and finals of Hangul, belong to what stands before them. */
static bool continues(uint32_t c)
{
    if (c < 0x300)
        return false;
    return (c >= 0x1160 && c <= 0x11ff) || (c >= 0xff9e && c <= 0xff9f) || fj_unicode_category(c)[0] == 'M';
}

/* The end of the stretch that begins at `at`: at least one character. *is_stable: no character of it can change. */
static size_t stretch(const fj_passage *p, size_t at, size_t end, uint32_t stable, bool *is_stable)
{
    uint32_t c = 0;
    size_t n = fj_utf8_get(p->text + at, end - at, &c);
    fj_assert(n);
    *is_stable = c < stable;
    for (at += n; at < end; at += n) {
        n = fj_utf8_get(p->text + at, end - at, &c);
        if (*is_stable ? c >= stable && continues(c) : continues(c))
            *is_stable = false;
        else if (!*is_stable || c >= stable)
            break;
    }
    return at;
}

/* How many characters the first one of text decomposes to. */
static size_t count_parts(fj_text text, fj_normal_form form, fj_str *scratch)
{
    bool is_compatible = form == FJ_NFKC || form == FJ_NFKD;
    uint32_t c;
    size_t n = fj_utf8_get(text.data, text.len, &c), count = 0;
    if (c < 0xa0)
        return 1;
    fj_str_clear(scratch);
    if (!fj_utf8_normalize(text.data, n, is_compatible ? FJ_NFKD : FJ_NFD, scratch))
        return 1;
    for (size_t i = 0; i < scratch->len; i++)
        count += ((unsigned char)scratch->data[i] & 0xc0) != 0x80;
    return count;
}

/* Appends what became of bytes start … end. Both sides decompose to the same characters (but for the order of marks): a result's
 * origin is the character that its first part belongs to. */
static void put(const fj_passage *src, size_t start, size_t end, fj_text made, fj_normal_form form, fj_str *scratch,
                fj_passage *out)
{
    size_t from = start, n = 0, parts = 0,
           passed = 0; /* parts: of the results so far; passed: of the text up to `from` */
    uint32_t c;
    for (size_t at = 0; at < made.len; at += n) {
        n = fj_utf8_get(made.data + at, made.len - at, &c);
        while (src->has_origins && from < end) {
            size_t more = count_parts((fj_text){ src->text + from, end - from }, form, scratch);
            size_t next = from + fj_utf8_get(src->text + from, end - from, &c);
            if (passed + more > parts || next == end)
                break;
            passed += more;
            from = next;
        }
        fj_passage_replace(out, src, from, made.data + at, n);
        if (src->has_origins)
            parts += count_parts((fj_text){ made.data + at, n }, form, scratch);
    }
}

static fj_status normalize(const fj_step *step, fj_matcher *m, const fj_passage *src, fj_cut cut, fj_passage *out,
                           fj_err *err)
{
    fj_normal_form form = *(const fj_normal_form *)step->state;
    fj_str made = { 0 }, scratch = { 0 };
    fj_status st = FJ_OK;
    (void)m;
    for (size_t at = cut.start, end; !st && at < cut.end; at = end) {
        bool is_stable = false;
        end = stretch(src, at, cut.end, stable_below[form], &is_stable);
        if (is_stable) {
            fj_passage_copy(out, src, at, end);
            continue;
        }
        fj_str_clear(&made);
        if (fj_utf8_normalize(src->text + at, end - at, form, &made))
            put(src, at, end, (fj_text){ made.data, made.len }, form, &scratch, out);
        else
            st = fj_fail(err, FJ_ERR_MEMORY, "no memory to normalize a text");
    }
    fj_str_free(&made);
    fj_str_free(&scratch);
    return st;
}

static fj_status add(fj_normal_form form, fj_steps *out, fj_err *err)
{
    static const fj_normal_form forms[] = { FJ_NFC, FJ_NFD, FJ_NFKC, FJ_NFKD };
    return fj_steps_add(out, (fj_step){ .name = "normal form", .state = &forms[form], .rewrite = normalize }, err);
}

static fj_status open_nfc(fj_tokenizer *t, const fj_json *spec, fj_steps *out, fj_err *err)
{
    (void)t;
    (void)spec;
    return add(FJ_NFC, out, err);
}

static fj_status open_nfd(fj_tokenizer *t, const fj_json *spec, fj_steps *out, fj_err *err)
{
    (void)t;
    (void)spec;
    return add(FJ_NFD, out, err);
}

static fj_status open_nfkc(fj_tokenizer *t, const fj_json *spec, fj_steps *out, fj_err *err)
{
    (void)t;
    (void)spec;
    return add(FJ_NFKC, out, err);
}

static fj_status open_nfkd(fj_tokenizer *t, const fj_json *spec, fj_steps *out, fj_err *err)
{
    (void)t;
    (void)spec;
    return add(FJ_NFKD, out, err);
}

const fj_part fj_normalizer_nfc = { .name = "NFC", .open = open_nfc };
const fj_part fj_normalizer_nfd = { .name = "NFD", .open = open_nfd };
const fj_part fj_normalizer_nfkc = { .name = "NFKC", .open = open_nfkc };
const fj_part fj_normalizer_nfkd = { .name = "NFKD", .open = open_nfkd };
