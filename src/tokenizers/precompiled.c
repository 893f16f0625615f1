/* SPDX-License-Identifier: Apache-2.0
 * SentencePiece's precompiled map of characters: a double-array trie (darts-clone) of what is replaced, and the texts that replace it.
 *
 *   u32 bytes of the trie | units, u32 each | texts, each ending in NUL
 *   unit: 0-7 label, 8 has a leaf, 9 offset is shifted by 8, 10-30 offset;  a leaf's value (31 bits): place of the text
 *
 * Source: tokenizers, spm_precompiled (which looks up graphemes of up to 5 bytes, then characters, and takes the shortest match);
 * sentencepiece, normalizer.cc (which takes the longest match at each place). */
#include <stdlib.h>
#include <string.h>

#include "base/cursor.h"
#include "base/utf8.h"
#include "tokenizers/parts.h"

enum { MAX_GRAPHEME = 6, MAX_MAP = 64 << 20 };

typedef struct charsmap {
    const uint32_t *units;
    size_t n_units;
    fj_text texts;
    const fj_regex *graphemes; /* NULL: SentencePiece's own way */
} charsmap;

/* ---- looking up ----------------------------------------------------------------------------------------------------------------------- */

static size_t offset_of(uint32_t unit)
{
    return (size_t)(unit >> 10) << ((unit & (1u << 9)) >> 6);
}

/* The shortest or longest beginning of text that is replaced: its length, 0 when there is none. */
static size_t find(const charsmap *m, fj_text text, bool wants_longest, fj_text *to)
{
    size_t place = m->n_units ? offset_of(m->units[0]) : 0, found = 0;
    for (size_t i = 0; i < text.len; i++) {
        unsigned char c = (unsigned char)text.data[i];
        place ^= c;
        if (!c || place >= m->n_units || (m->units[place] & (1u << 31 | 0xff)) != c)
            break;
        uint32_t unit = m->units[place];
        place ^= offset_of(unit);
        if (!(unit >> 8 & 1) || place >= m->n_units)
            continue;
        size_t at = m->units[place] & 0x7fffffff;
        if (at >= m->texts.len)
            break;
        *to = (fj_text){ m->texts.data + at, strnlen(m->texts.data + at, m->texts.len - at) };
        found = i + 1;
        if (!wants_longest)
            break;
    }
    return found;
}

/* ---- writing with origins as transform_range gives them ----------------------------------------------------------------------------- */

/* One character waits, because what is left out behind it moves the origin of the next. */
typedef struct writer {
    const fj_passage *src;
    fj_passage *out;
    size_t at, end; /* the next character of the source that a written one replaces */
    char text[4];
    size_t len;
    int64_t change; /* 1: added; 0: replaces one; -n: replaces one and n more */
    bool is_waiting;
} writer;

static void step(writer *w)
{
    uint32_t c;
    if (w->at < w->end)
        w->at += FJ_MAX(fj_utf8_get(w->src->text + w->at, w->end - w->at, &c), (size_t)1);
}

static void flush(writer *w)
{
    if (!w->is_waiting)
        return;
    bool is_added = w->change > 0 && w->at > 0;
    size_t origin = FJ_MIN(is_added ? w->at - 1 : w->at, w->src->len - 1);
    fj_passage_replace(w->out, w->src, origin, w->text, w->len);
    for (int64_t i = w->change; i <= 0; i++)
        step(w);
    w->is_waiting = false;
}

static void write(writer *w, const char *text, size_t len, int64_t change)
{
    flush(w);
    memcpy(w->text, text, len);
    w->len = len;
    w->change = change;
    w->is_waiting = true;
}

static int64_t count_characters(fj_text text)
{
    int64_t n = 0;
    for (size_t i = 0; i < text.len; i++)
        n += ((unsigned char)text.data[i] & 0xc0) != 0x80;
    return n;
}

static void write_text(writer *w, fj_text old, fj_text new)
{
    int64_t n_old = count_characters(old), n_new = count_characters(new), i = 0;
    size_t n = 1;
    for (size_t at = 0; at < new.len; at += n, i++) {
        uint32_t c;
        n = FJ_MAX(fj_utf8_get(new.data + at, new.len - at, &c), (size_t)1);
        write(w, new.data + at, n, i >= n_old ? 1 : 0);
    }
    if (n_new < n_old && w->is_waiting)
        w->change -= n_old - n_new;
}

/* ---- normalizing ------------------------------------------------------------------------------------------------------------------------ */

static void write_characters(const charsmap *m, writer *w, fj_text part, bool wants_longest)
{
    size_t n = 1;
    for (size_t at = 0; at < part.len; at += n) {
        fj_text to;
        uint32_t c;
        size_t character = FJ_MAX(fj_utf8_get(part.data + at, part.len - at, &c), (size_t)1);
        n = find(m, (fj_text){ part.data + at, wants_longest ? part.len - at : character }, wants_longest, &to);
        if (n)
            write_text(w, (fj_text){ part.data + at, wants_longest ? n : character }, to);
        else
            write(w, part.data + at, character, 0);
        n = wants_longest && n ? n : character;
    }
}

static fj_status normalize(const fj_step *s, fj_matcher *matcher, const fj_passage *src, fj_cut cut, fj_passage *out,
                           fj_err *err)
{
    const charsmap *m = s->state;
    fj_text text = { src->text + cut.start, cut.end - cut.start };
    writer w = { .src = src, .out = out, .at = cut.start, .end = cut.end };
    size_t start = 0, end = 0;
    if (!m->graphemes)
        write_characters(m, &w, text, true);
    for (size_t at = 0; m->graphemes && at < text.len; at = end) {
        bool is_found = false;
        fj_text to;
        end = text.len;
        fj_status st = FJ_OK;
        if (at + 1 < text.len && ((unsigned char)text.data[at] | (unsigned char)text.data[at + 1]) < 0x80 &&
            text.data[at] != '\r') { /* two of ASCII are never one grapheme, but for CR LF */
            end = at + 1;
        } else {
            st = fj_regex_next(m->graphemes, matcher, text, at, &start, &end, &is_found, err);
            if (!st && (!is_found || start != at || end == at))
                st = fj_fail(err, FJ_ERR_DATA, "a text without a grapheme at byte %zu", at);
        }
        if (st)
            return st;
        fj_text part = { text.data + at, end - at };
        if (part.len < MAX_GRAPHEME && find(m, part, false, &to))
            write_text(&w, part, to);
        else
            write_characters(m, &w, part, false);
    }
    flush(&w);
    return FJ_OK;
}

/* ---- opening -------------------------------------------------------------------------------------------------------------------------- */

static int digit_of(char c)
{
    return c >= 'A' && c <= 'Z'   ? c - 'A'
           : c >= 'a' && c <= 'z' ? c - 'a' + 26
           : c >= '0' && c <= '9' ? c - '0' + 52
           : c == '+'             ? 62
           : c == '/'             ? 63
                                  : -1;
}

/* Base64 into out (3 bytes for each 4 characters); false for another character. */
static bool decode_base64(fj_text text, char *out, size_t *n)
{
    uint32_t bits = 0;
    int have = 0;
    *n = 0;
    while (text.len && text.data[text.len - 1] == '=')
        text.len--;
    for (size_t i = 0; i < text.len; i++) {
        int digit = digit_of(text.data[i]);
        if (digit < 0)
            return false;
        bits = bits << 6 | (uint32_t)digit;
        have += 6;
        if (have >= 8) {
            have -= 8;
            out[(*n)++] = (char)(bits >> have & 0xff);
        }
    }
    return true;
}

static fj_status add_map(fj_tokenizer *t, const char *bytes, size_t n, bool by_graphemes, fj_steps *out, fj_err *err)
{
    fj_cursor c = fj_cursor_over(bytes, n);
    uint32_t size = fj_cursor_u32(&c);
    fj_text trie = fj_cursor_take(&c, size);
    fj_text texts = fj_cursor_take(&c, fj_cursor_left(&c));
    if (c.bad || size % 4 || !fj_utf8_valid(texts.data, texts.len))
        return fj_fail(err, FJ_ERR_FORMAT,
                       "a precompiled_charsmap of %zu bytes with a trie of %u, or texts that are not UTF-8", n, size);
    uint32_t *units = fj_arena_take(t->arena, size);
    charsmap m = { .units = units, .n_units = size / 4 };
    if (!units)
        return fj_fail(err, FJ_ERR_MEMORY, "no memory for a precompiled_charsmap");
    if (size)
        memcpy(units, trie.data, size);
    fj_status st = fj_keep_text(t, texts, &m.texts, err);
    if (!st && by_graphemes)
        st = fj_keep_regex(t, fj_text_of("\\X"), &m.graphemes, err);
    void *state = st ? NULL : fj_keep(t, &m, sizeof m, err);
    return state ? fj_steps_add(out, (fj_step){ .name = "Precompiled", .state = state, .rewrite = normalize }, err)
                 : err->status;
}

fj_status fj_add_charsmap(fj_tokenizer *t, fj_text bytes, fj_steps *out, fj_err *err)
{
    return add_map(t, bytes.data, bytes.len, false, out, err);
}

static fj_status open_precompiled(fj_tokenizer *t, const fj_json *spec, fj_steps *out, fj_err *err)
{
    fj_text text = fj_json_text(fj_json_get(spec, "precompiled_charsmap"));
    size_t n = 0;
    if (!text.data || text.len > MAX_MAP)
        return fj_fail(err, FJ_ERR_FORMAT, "no \"precompiled_charsmap\", or one above %d bytes", MAX_MAP);
    char *bytes = malloc(text.len + 4);
    if (!bytes)
        return fj_fail(err, FJ_ERR_MEMORY, "no memory for a precompiled_charsmap");
    fj_status st = decode_base64(text, bytes, &n)
                       ? add_map(t, bytes, n, true, out, err)
                       : fj_fail(err, FJ_ERR_FORMAT, "\"precompiled_charsmap\" is not base64");
    free(bytes);
    return st;
}

const fj_part fj_normalizer_precompiled = { .name = "Precompiled", .open = open_precompiled };
