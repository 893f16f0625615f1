/* SPDX-License-Identifier: Apache-2.0
 * Decoders that change tokens as text. Source: tokenizers, decoders/fuse.rs, strip.rs, bpe.rs, wordpiece.rs, normalizers/replace.rs,
 * pre_tokenizers/metaspace.rs. */
#define _GNU_SOURCE /* memmem */
#include <string.h>

#include "base/utf8.h"
#include "tokenizers/decoding.h"

static fj_status hand_made(fj_decoding *d, size_t at, fj_err *err)
{
    fj_step_memory *m = &d->memory[at];
    if (m->made.failed || m->token.failed || m->held.failed)
        return fj_fail(err, FJ_ERR_MEMORY, "no memory for a text");
    return fj_hand_token(d, at + 1, (fj_text){ m->made.data, m->made.len }, err);
}

/* ---- Fuse: one token of all ------------------------------------------------------------------------------------------------------- */

static fj_status decode_fuse(fj_decoding *d, size_t at, fj_fragment f, fj_err *err)
{
    fj_step_memory *m = &d->memory[at];
    fj_fragment whole = { .text = f.text, .begins = !m->is_open, .ends = f.is_last };
    m->is_open = true;
    fj_status st = fj_hand_on(d, at + 1, whole, err);
    return !st && f.is_last ? fj_hand_on(d, at + 1, f, err) : st;
}

static fj_status open_fuse(fj_tokenizer *t, const fj_json *spec, fj_steps *out, fj_err *err)
{
    (void)t;
    (void)spec;
    return fj_steps_add(out, (fj_step){ .name = "Fuse", .decode = decode_fuse }, err);
}

/* ---- Strip: some characters off each token's ends --------------------------------------------------------------------------------- */

typedef struct strip {
    char content[4];
    size_t len;
    uint64_t start, stop;
} strip;

static bool begins_with(const strip *s, fj_text t)
{
    return t.len >= s->len && !memcmp(t.data, s->content, s->len);
}

/* Only its beginning: parts of a token pass as they come. */
static fj_status strip_start(fj_decoding *d, size_t at, fj_fragment f, const strip *s, fj_err *err)
{
    fj_step_memory *m = &d->memory[at];
    if (f.begins) {
        m->count = 0;
        m->is_open = true;
    }
    while (m->is_open && m->count < s->start && begins_with(s, f.text)) {
        f.text = (fj_text){ f.text.data + s->len, f.text.len - s->len };
        m->count++;
    }
    m->is_open = m->is_open && !f.text.len;
    return fj_hand_on(d, at + 1, f, err);
}

static fj_status decode_strip(fj_decoding *d, size_t at, fj_fragment f, fj_err *err)
{
    const strip *s = d->steps->items[at].state;
    fj_text t;
    if (f.is_last)
        return fj_hand_on(d, at + 1, f, err);
    if (!s->stop)
        return strip_start(d, at, f, s, err);
    if (!fj_gather(&d->memory[at], f, &t))
        return FJ_OK;
    for (uint64_t i = 0; i < s->start && begins_with(s, t); i++)
        t = (fj_text){ t.data + s->len, t.len - s->len };
    for (uint64_t i = 0; i < s->stop && t.len >= s->len && !memcmp(t.data + t.len - s->len, s->content, s->len); i++)
        t.len -= s->len;
    return fj_hand_token(d, at + 1, t, err);
}

static fj_status open_strip(fj_tokenizer *t, const fj_json *spec, fj_steps *out, fj_err *err)
{
    fj_text content = fj_json_text(fj_json_get(spec, "content"));
    int64_t start = fj_json_int(fj_json_get(spec, "start"), 0), stop = fj_json_int(fj_json_get(spec, "stop"), 0);
    uint32_t c;
    if (!content.len || fj_utf8_get(content.data, content.len, &c) != content.len || start < 0 || stop < 0)
        return fj_fail(err, FJ_ERR_FORMAT, "\"content\" is not one character, or a count is negative");
    strip s = { .len = content.len, .start = (uint64_t)start, .stop = (uint64_t)stop };
    memcpy(s.content, content.data, content.len);
    void *state = fj_keep(t, &s, sizeof s, err);
    return state ? fj_steps_add(out, (fj_step){ .name = "Strip", .state = state, .decode = decode_strip }, err)
                 : err->status;
}

/* ---- Replace ------------------------------------------------------------------------------------------------------------------------ */

typedef struct replacement {
    fj_pattern pattern;
    fj_text content;
} replacement;

static fj_status replace(fj_decoding *d, const replacement *r, fj_text token, fj_str *out, fj_err *err)
{
    size_t at = 0, done = 0, start = 0, end = 0;
    if (r->pattern.regex && !d->matcher)
        d->matcher = fj_matcher_new();
    if (r->pattern.regex && !d->matcher)
        return fj_fail(err, FJ_ERR_MEMORY, "no memory to decode");
    while (at < token.len) {
        bool is_found = false;
        uint32_t c;
        fj_status st = fj_pattern_next(&r->pattern, d->matcher, token, at, &start, &end, &is_found, err);
        if (st)
            return st;
        if (!is_found)
            break;
        fj_str_add(out, token.data + done, start - done);
        fj_str_add(out, r->content.data, r->content.len);
        done = end;
        at = end > start ? end : end + FJ_MAX(fj_utf8_get(token.data + end, token.len - end, &c), (size_t)1);
    }
    fj_str_add(out, token.data + done, token.len - done);
    return FJ_OK;
}

static fj_status decode_replace(fj_decoding *d, size_t at, fj_fragment f, fj_err *err)
{
    fj_step_memory *m = &d->memory[at];
    fj_text token;
    if (f.is_last)
        return fj_hand_on(d, at + 1, f, err);
    if (!fj_gather(m, f, &token))
        return FJ_OK;
    const replacement *r = d->steps->items[at].state;
    if (r->pattern.regex && !fj_utf8_valid(token.data, token.len))
        return fj_hand_token(d, at + 1, token, err);
    fj_str_clear(&m->made);
    fj_status st = replace(d, r, token, &m->made, err);
    return st ? st : hand_made(d, at, err);
}

static fj_status open_replace(fj_tokenizer *t, const fj_json *spec, fj_steps *out, fj_err *err)
{
    replacement r = { 0 };
    fj_status st = fj_pattern_open(t, fj_json_get(spec, "pattern"), &r.pattern, err);
    if (!st)
        st = fj_keep_text(t, fj_json_text(fj_json_get(spec, "content")), &r.content, err);
    void *state = st ? NULL : fj_keep(t, &r, sizeof r, err);
    return state ? fj_steps_add(out, (fj_step){ .name = "Replace", .state = state, .decode = decode_replace }, err)
                 : err->status;
}

/* ---- Metaspace: ▁ is a space, but none at the text's beginning ---------------------------------------------------------------------- */

typedef struct metaspace {
    fj_text blank;
    bool drops_first;
} metaspace;

static fj_status decode_metaspace(fj_decoding *d, size_t at, fj_fragment f, fj_err *err)
{
    const metaspace *s = d->steps->items[at].state;
    fj_step_memory *m = &d->memory[at];
    fj_text token;
    if (f.is_last)
        return fj_hand_on(d, at + 1, f, err);
    if (!fj_gather(m, f, &token))
        return FJ_OK;
    bool is_dropped = s->drops_first && m->count++ == 0;
    fj_str_clear(&m->made);
    replacement r = { .pattern.text = s->blank, .content = fj_text_of(is_dropped ? "" : " ") };
    fj_status st = replace(d, &r, token, &m->made, err);
    return st ? st : hand_made(d, at, err);
}

static fj_status open_metaspace(fj_tokenizer *t, const fj_json *spec, fj_steps *out, fj_err *err)
{
    metaspace s = { 0 };
    fj_text scheme;
    fj_status st = fj_metaspace_options(t, spec, &s.blank, &scheme, err);
    s.drops_first = !st && !fj_text_is(scheme, "never");
    void *state = st ? NULL : fj_keep(t, &s, sizeof s, err);
    return state ? fj_steps_add(out, (fj_step){ .name = "Metaspace", .state = state, .decode = decode_metaspace }, err)
                 : err->status;
}

/* ---- BPEDecoder: the mark of a word's end is a space, but not at the text's end ---------------------------------------------------- */

static fj_status send_word(fj_decoding *d, size_t at, const char *space, fj_err *err)
{
    fj_step_memory *m = &d->memory[at];
    replacement r = { .pattern.text = *(const fj_text *)d->steps->items[at].state, .content = fj_text_of(space) };
    if (!m->is_open)
        return FJ_OK;
    m->is_open = false;
    fj_str_clear(&m->made);
    fj_status st = replace(d, &r, (fj_text){ m->held.data ? m->held.data : "", m->held.len }, &m->made, err);
    return st ? st : hand_made(d, at, err);
}

static fj_status decode_bpe(fj_decoding *d, size_t at, fj_fragment f, fj_err *err)
{
    fj_step_memory *m = &d->memory[at];
    fj_text token;
    if (f.is_last) {
        fj_status st = send_word(d, at, "", err);
        return st ? st : fj_hand_on(d, at + 1, f, err);
    }
    if (!fj_gather(m, f, &token))
        return FJ_OK;
    fj_status st = send_word(d, at, " ", err);
    fj_str_clear(&m->held);
    fj_str_add(&m->held, token.data, token.len);
    m->is_open = true;
    return st;
}

static fj_status open_bpe(fj_tokenizer *t, const fj_json *spec, fj_steps *out, fj_err *err)
{
    fj_text suffix = fj_json_text(fj_json_get(spec, "suffix"));
    fj_status st = fj_keep_text(t, suffix.data ? suffix : fj_text_of("</w>"), &suffix, err);
    void *state = st ? NULL : fj_keep(t, &suffix, sizeof suffix, err);
    return state ? fj_steps_add(out, (fj_step){ .name = "BPEDecoder", .state = state, .decode = decode_bpe }, err)
                 : err->status;
}

/* ---- WordPiece: a space before each token that does not go on with a word ---------------------------------------------------------- */

typedef struct word_piece {
    fj_text prefix;
    bool cleans_up;
} word_piece;

static void clean_up(fj_str *s)
{
    static const struct {
        const char *from, *to;
    } rows[] = { { " .", "." },   { " ?", "?" },     { " !", "!" },    { " ,", "," },
                 { " ' ", "'" },  { " n't", "n't" }, { " 'm", "'m" },  { " do not", " don't" },
                 { " 's", "'s" }, { " 've", "'ve" }, { " 're", "'re" } };
    for (size_t i = 0; i < FJ_LEN(rows); i++) {
        size_t from = strlen(rows[i].from), to = strlen(rows[i].to);
        for (size_t at = 0; at < s->len;) {
            char *found = memmem(s->data + at, s->len - at, rows[i].from, from);
            if (!found)
                break;
            at = (size_t)(found - s->data);
            memcpy(found, rows[i].to, to); /* never longer */
            memmove(found + to, found + from, s->len - at - from);
            s->len -= from - to;
            at += to;
        }
    }
}

static fj_status decode_word_piece(fj_decoding *d, size_t at, fj_fragment f, fj_err *err)
{
    const word_piece *w = d->steps->items[at].state;
    fj_step_memory *m = &d->memory[at];
    fj_text t;
    if (f.is_last)
        return fj_hand_on(d, at + 1, f, err);
    if (!fj_gather(m, f, &t))
        return FJ_OK;
    bool is_first = m->count++ == 0,
         goes_on = w->prefix.len && t.len >= w->prefix.len && !memcmp(t.data, w->prefix.data, w->prefix.len);
    fj_str_clear(&m->made);
    if (!is_first && goes_on)
        t = (fj_text){ t.data + w->prefix.len, t.len - w->prefix.len };
    else if (!is_first)
        fj_str_add_char(&m->made, ' ');
    fj_str_add(&m->made, t.data, t.len);
    if (w->cleans_up && !m->made.failed)
        clean_up(&m->made);
    return hand_made(d, at, err);
}

static fj_status open_word_piece(fj_tokenizer *t, const fj_json *spec, fj_steps *out, fj_err *err)
{
    word_piece w = { .cleans_up = fj_json_bool(fj_json_get(spec, "cleanup"), true) };
    fj_text prefix = fj_json_text(fj_json_get(spec, "prefix"));
    fj_status st = fj_keep_text(t, prefix.data ? prefix : fj_text_of("##"), &w.prefix, err);
    void *state = st ? NULL : fj_keep(t, &w, sizeof w, err);
    return state ? fj_steps_add(out, (fj_step){ .name = "WordPiece", .state = state, .decode = decode_word_piece }, err)
                 : err->status;
}

/* ---- none: tokens with a space between ---------------------------------------------------------------------------------------------- */

static fj_status decode_join(fj_decoding *d, size_t at, fj_fragment f, fj_err *err)
{
    fj_status st = FJ_OK;
    if (!f.is_last && f.begins && d->memory[at].count++ > 0)
        st = fj_hand_token(d, at + 1, fj_text_of(" "), err);
    return st ? st : fj_hand_on(d, at + 1, f, err);
}

fj_status fj_add_space_join(fj_steps *out, fj_err *err)
{
    return fj_steps_add(out, (fj_step){ .name = "join", .decode = decode_join }, err);
}

const fj_part fj_decoder_bpe = { .name = "BPEDecoder", .open = open_bpe };
const fj_part fj_decoder_fuse = { .name = "Fuse", .open = open_fuse };
const fj_part fj_decoder_metaspace = { .name = "Metaspace", .open = open_metaspace };
const fj_part fj_decoder_replace = { .name = "Replace", .open = open_replace };
const fj_part fj_decoder_strip = { .name = "Strip", .open = open_strip };
const fj_part fj_decoder_word_piece = { .name = "WordPiece", .open = open_word_piece };
