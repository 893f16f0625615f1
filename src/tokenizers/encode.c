/* SPDX-License-Identifier: Apache-2.0
 * Text to ids: added tokens, normalizer, added tokens of the normalized text, pre-tokenizer, model, post-processor. Source: tokenizers,
 * TokenizerImpl.encode. */
#include <stdlib.h>
#include <string.h>

#include "base/utf8.h"
#include "tokenizers/tokenizer_internal.h"
#include "tokenizers/word_cache.h"

struct fj_encoder {
    const fj_tokenizer *t;
    fj_matcher *matcher;
    void *work; /* the model's */
    fj_passage passages[2];
    fj_cuts spare;
    fj_ids word;
    fj_word_cache cache;
    fj_str joined; /* text of pieces */
    size_t first;  /* of the ids of the text in work */
    int flags;
};

fj_status fj_encoder_new(const fj_tokenizer *t, fj_encoder **out, fj_err *err)
{
    fj_encoder *e = calloc(1, sizeof *e);
    if (e) {
        e->t = t;
        e->matcher = fj_matcher_new();
        e->work = t->kind->work_new(t);
    }
    if (!e || !e->matcher || !e->work) {
        fj_encoder_free(e);
        return fj_fail(err, FJ_ERR_MEMORY, "no memory to encode");
    }
    *out = e;
    return FJ_OK;
}

void fj_encoder_free(fj_encoder *e)
{
    if (!e)
        return;
    fj_matcher_free(e->matcher);
    if (e->work)
        e->t->kind->work_free(e->work);
    fj_passage_free(&e->passages[0]);
    fj_passage_free(&e->passages[1]);
    free(e->spare.items);
    free(e->word.ids);
    free(e->word.lens);
    fj_word_cache_free(&e->cache);
    fj_str_free(&e->joined);
    free(e);
}

void fj_encoding_free(fj_encoding *e)
{
    free(e->ids);
    free(e->starts);
    free(e->ends);
    free(e->pieces);
    *e = (fj_encoding){ 0 };
}

/* ---- ids into the encoding ----------------------------------------------------------------------------------------------------------- */

/* Room for cap items; n are there, or none yet: these are zeroed. */
static bool grow(void **list, size_t n, size_t cap, size_t size)
{
    bool is_new = !*list;
    void *grown = realloc(*list, cap * size);
    if (!grown)
        return false;
    if (is_new)
        memset(grown, 0, n * size);
    *list = grown;
    return true;
}

static bool make_room(fj_encoding *e, size_t more, int flags)
{
    size_t cap = e->cap;
    bool wants_offsets = e->starts || (flags & FJ_ENCODE_OFFSETS),
         wants_pieces = e->pieces || (flags & FJ_ENCODE_PIECES);
    bool lacks = (wants_offsets && !e->starts) || (wants_pieces && !e->pieces);
    if (e->n + more <= cap && !lacks)
        return true;
    if (e->n + more > cap || !cap)
        cap = FJ_MAX(e->n + more, FJ_MAX((size_t)64, 2 * cap));
    void *ids = e->ids, *starts = e->starts, *ends = e->ends, *texts = e->pieces;
    bool ok = grow(&ids, e->n, cap, sizeof *e->ids) &&
              (!wants_offsets ||
               (grow(&starts, e->n, cap, sizeof *e->starts) && grow(&ends, e->n, cap, sizeof *e->ends))) &&
              (!wants_pieces || grow(&texts, e->n, cap, sizeof *e->pieces));
    e->ids = ids;
    e->starts = starts;
    e->ends = ends;
    e->pieces = texts;
    if (ok)
        e->cap = cap;
    return ok;
}

static void put(fj_encoding *e, int32_t id, fj_text piece, int64_t start, int64_t end)
{
    e->ids[e->n] = id;
    if (e->starts) {
        e->starts[e->n] = start;
        e->ends[e->n] = end;
    }
    if (e->pieces)
        e->pieces[e->n] = piece;
    e->n++;
}

static size_t count_blanks(fj_text token, bool from_end)
{
    size_t count = 0, n;
    uint32_t c;
    while (token.len) {
        size_t at = 0;
        if (from_end) {
            at = token.len - 1;
            while (at && ((unsigned char)token.data[at] & 0xc0) == 0x80)
                at--;
        }
        n = fj_utf8_get(token.data + at, token.len - at, &c);
        if (!n || (c != fj_byte_character(' ') && !fj_unicode_is_space(c)))
            break;
        count++;
        token = from_end ? (fj_text){ token.data, at } : (fj_text){ token.data + n, token.len - n };
    }
    return count;
}

/* Offsets of the last id leave out its blanks, but not the one that the pre-tokenizer put before the text. */
static void trim(const fj_post *post, fj_text token, fj_encoding *e, size_t first)
{
    size_t i = e->n - 1;
    for (size_t k = 0; k < post->n_trims; k++) {
        int64_t leading = (int64_t)count_blanks(token, false), trailing = (int64_t)count_blanks(token, true);
        if (leading == 1 && post->keeps_first_blank[k] && (i == first || e->starts[i] == 0))
            leading = 0;
        e->starts[i] = FJ_MIN(e->starts[i] + leading, e->ends[i]);
        if (e->ends[i] >= trailing)
            e->ends[i] = FJ_MAX(e->ends[i] - trailing, e->starts[i]);
    }
}

/* The ids of a word or added token that begins at byte `at`. An added token may be more than the vocabulary spells: the blanks around it
 * count too. */
static bool put_ids(const fj_encoder *e, const fj_passage *p, size_t at, const int32_t *ids, const uint32_t *lens,
                    size_t n, bool is_added, fj_encoding *out)
{
    const fj_tokenizer *t = e->t;
    bool with_offsets = e->flags & FJ_ENCODE_OFFSETS;
    if (!make_room(out, n, e->flags))
        return false;
    for (size_t i = 0; i < n; i++) {
        uint32_t len = lens[i] & ~FJ_LEN_STAYS;
        bool shows_text = is_added || ids[i] == t->shown_unk;
        fj_text piece = shows_text ? (fj_text){ p->text + at, len } : t->tokens[ids[i]];
        put(out, ids[i], piece, with_offsets ? p->from[at] : 0, with_offsets ? p->to[at + len - 1] : 0);
        if (with_offsets)
            trim(&t->post, piece, out, e->first);
        if (len == lens[i])
            at += len;
    }
    return true;
}

/* ---- words ----------------------------------------------------------------------------------------------------------------------------- */

static fj_status encode_word(fj_encoder *e, const fj_passage *p, fj_cut cut, fj_encoding *out, fj_err *err)
{
    fj_text word = { p->text + cut.start, cut.end - cut.start };
    const fj_word_slot *known = NULL;
    uint64_t hash = 0;
    bool ok = true;
    if (word.len <= FJ_CACHED_WORD)
        known = fj_word_cache_find(&e->cache, word, &hash);
    if (known && !known->n_ids)
        return FJ_OK; /* letters that the model does not know and has no word for */
    if (known) {
        ok = put_ids(e, p, cut.start, e->cache.ids.ids + known->ids, e->cache.ids.lens + known->ids, known->n_ids,
                     false, out);
    } else {
        e->word.n = 0;
        fj_status st = e->t->kind->encode(e->t, e->work, word, &e->word, err);
        if (st)
            return st;
        fj_word_cache_put(&e->cache, word, hash, e->word.ids, e->word.lens, e->word.n);
        ok = !e->word.failed && put_ids(e, p, cut.start, e->word.ids, e->word.lens, e->word.n, false, out);
    }
    return ok ? FJ_OK : fj_fail(err, FJ_ERR_MEMORY, "no memory for the ids of a text of %zu bytes", p->len);
}

static fj_status encode_cuts(fj_encoder *e, const fj_passage *p, fj_encoding *out, fj_err *err)
{
    fj_status st = FJ_OK;
    for (size_t i = 0; !st && i < p->cuts.n; i++) {
        fj_cut cut = p->cuts.items[i];
        uint32_t len = cut.end - cut.start;
        if (cut.id < 0)
            st = encode_word(e, p, cut, out, err);
        else if (!put_ids(e, p, cut.start, &cut.id, &len, 1, true, out))
            st = fj_fail(err, FJ_ERR_MEMORY, "no memory for the ids of a text of %zu bytes", p->len);
    }
    return st;
}

/* ---- after the model ------------------------------------------------------------------------------------------------------------------ */

static fj_status post_process(const fj_tokenizer *t, int flags, fj_encoding *e, size_t first, fj_err *err)
{
    const fj_post *p = &t->post;
    size_t n = e->n - first;
    if (!(flags & FJ_ENCODE_SPECIAL))
        return FJ_OK;
    if (!make_room(e, p->n_before + p->n_after, flags))
        return fj_fail(err, FJ_ERR_MEMORY, "no memory for ids");
    if (p->n_before && n) {
        memmove(e->ids + first + p->n_before, e->ids + first, n * sizeof *e->ids);
        if (e->starts) {
            memmove(e->starts + first + p->n_before, e->starts + first, n * sizeof *e->starts);
            memmove(e->ends + first + p->n_before, e->ends + first, n * sizeof *e->ends);
        }
        if (e->pieces)
            memmove(e->pieces + first + p->n_before, e->pieces + first, n * sizeof *e->pieces);
    }
    e->n = first;
    for (size_t i = 0; i < p->n_before; i++)
        put(e, p->before[i], t->tokens[p->before[i]], 0, 0);
    e->n += n;
    for (size_t i = 0; i < p->n_after; i++)
        put(e, p->after[i], t->tokens[p->after[i]], 0, 0);
    return FJ_OK;
}

/* ---- the whole way -------------------------------------------------------------------------------------------------------------------- */

static fj_status split_added(fj_encoder *e, const fj_added_set *set, const fj_trust *trust, fj_passage *p, fj_err *err)
{
    if (!set->n)
        return FJ_OK;
    e->spare.n = 0;
    for (size_t i = 0; i < p->cuts.n; i++) {
        fj_cut cut = p->cuts.items[i];
        if (cut.id < 0)
            fj_added_split(set, trust, p, cut, &e->spare);
        else
            fj_cuts_add(&e->spare, cut.start, cut.end, cut.id);
    }
    if (e->spare.failed)
        return fj_fail(err, FJ_ERR_MEMORY, "no memory to tokenize a text of %zu bytes", p->len);
    fj_cuts cuts = p->cuts;
    p->cuts = e->spare;
    e->spare = cuts;
    return FJ_OK;
}

static fj_status encode_text(fj_encoder *e, fj_text text, const fj_trust *trust, int flags, fj_encoding *out,
                             fj_err *err)
{
    const fj_tokenizer *t = e->t;
    fj_passage *now = &e->passages[0], *next = &e->passages[1];
    bool with_offsets = flags & FJ_ENCODE_OFFSETS;
    size_t first = out->n;
    e->first = first;
    e->flags = flags;
    if (text.len > FJ_MAX_PASSAGE / 2)
        return fj_fail(err, FJ_ERR_DATA, "a text of %zu bytes, at most %zu are read at once", text.len,
                       FJ_MAX_PASSAGE / 2);
    if (!fj_utf8_valid(text.data, text.len))
        return fj_fail(err, FJ_ERR_DATA, "the text is not UTF-8");
    if (!make_room(out, 0, flags))
        return fj_fail(err, FJ_ERR_MEMORY, "no memory for ids");
    fj_passage_view(now, text, with_offsets || t->needs_origins || trust->n);
    if (now->failed || now->cuts.failed)
        return fj_fail(err, FJ_ERR_MEMORY, "no memory to tokenize a text of %zu bytes", text.len);
    fj_status st = split_added(e, &t->raw, trust, now, err);
    if (!st)
        st = fj_run_steps(&t->normalizer, e->matcher, &now, &next, &e->spare, err);
    if (!st)
        st = split_added(e, &t->normalized, trust, now, err);
    if (!st)
        st = fj_run_steps(&t->pre_tokenizer, e->matcher, &now, &next, &e->spare, err);
    if (!st)
        st = encode_cuts(e, now, out, err);
    if (!st)
        st = post_process(t, flags, out, first, err);
    if (st)
        out->n = first;
    return st;
}

fj_status fj_encode(fj_encoder *e, const char *text, size_t len, int flags, fj_encoding *out, fj_err *err)
{
    fj_trust trust = { .blocks_all = flags & FJ_ENCODE_PLAIN };
    return encode_text(e, (fj_text){ len ? text : "", len }, &trust, flags, out, err);
}

static uint32_t count_characters(fj_text text)
{
    uint32_t n = 0;
    for (size_t i = 0; i < text.len; i++)
        n += ((unsigned char)text.data[i] & 0xc0) != 0x80;
    return n;
}

/* starts and ends of the pieces that are not trusted, in code points of the joined text; neighbours are one range. */
static size_t block(const fj_piece *pieces, size_t n, uint32_t *starts, uint32_t *ends)
{
    size_t n_blocked = 0;
    uint32_t at = 0;
    for (size_t i = 0; i < n; i++) {
        uint32_t end = at + count_characters(pieces[i].text);
        if (!pieces[i].trusted && end > at) {
            bool goes_on = n_blocked && ends[n_blocked - 1] == at;
            n_blocked -= goes_on;
            if (!goes_on)
                starts[n_blocked] = at;
            ends[n_blocked++] = end;
        }
        at = end;
    }
    return n_blocked;
}

fj_status fj_encode_pieces(fj_encoder *e, const fj_piece *pieces, size_t n, int flags, fj_encoding *out, fj_err *err)
{
    fj_str_clear(&e->joined);
    for (size_t i = 0; i < n; i++) {
        if (pieces[i].text.len > FJ_MAX_PASSAGE / 2 || e->joined.len > FJ_MAX_PASSAGE / 2)
            return fj_fail(err, FJ_ERR_DATA, "pieces of more than %zu bytes", FJ_MAX_PASSAGE / 2);
        if (!fj_utf8_valid(pieces[i].text.data, pieces[i].text.len))
            return fj_fail(err, FJ_ERR_DATA, "piece %zu is not UTF-8", i);
        fj_str_add(&e->joined, pieces[i].text.data, pieces[i].text.len);
    }
    uint32_t *starts = calloc(n + 1, sizeof *starts), *ends = calloc(n + 1, sizeof *ends);
    fj_status st = FJ_OK;
    if (e->joined.failed || !starts || !ends) {
        fj_str_free(&e->joined);
        e->joined.failed = false;
        st = fj_fail(err, FJ_ERR_MEMORY, "no memory for a text of %zu pieces", n);
    } else {
        fj_trust trust = { .blocks_all = flags & FJ_ENCODE_PLAIN, .starts = starts, .ends = ends };
        trust.n = block(pieces, n, starts, ends);
        st = encode_text(e, (fj_text){ e->joined.data ? e->joined.data : "", e->joined.len }, &trust, flags, out, err);
    }
    free(starts);
    free(ends);
    return st;
}
