/* SPDX-License-Identifier: Apache-2.0
 * SentencePiece's tokenizer.model, a protocol buffer. Read are the pieces, the kind of model and what the normalizer does:
 *   ModelProto       1 piece (repeated)  2 trainer_spec  3 normalizer_spec
 *   SentencePiece    1 text  2 score (f32)  3 type
 *   TrainerSpec      3 model_type (1 Unigram, 2 BPE, 3 word, 4 char)  35 byte_fallback  40 … 43 ids of unk, bos, eos, pad
 *   NormalizerSpec   1 name  2 precompiled_charsmap  3 add_dummy_prefix  4 remove_extra_whitespaces  5 escape_whitespaces
 * Source: sentencepiece, sentencepiece_model.proto; transformers, LlamaTokenizer (bos and eos). */
#include <stdlib.h>
#include <string.h>

#include "base/cursor.h"
#include "base/utf8.h"
#include "tokenizers/parts.h"
#include "tokenizers/spm.h"

enum { UNIGRAM = 1, BPE = 2 };

typedef struct proto {
    fj_text *texts;
    float *scores;
    int32_t *types;
    size_t n, cap;
    uint64_t model_type;
    int64_t unk, bos, eos, pad;
    fj_text charsmap;
    bool byte_fallback, adds_prefix, removes_blanks, escapes_blanks;
} proto;

/* ---- protocol buffers ------------------------------------------------------------------------------------------------------------- */

typedef struct field {
    uint64_t number, value; /* value: of a varint or fixed number */
    fj_text bytes;          /* of a length-delimited one */
    bool is_bytes;
} field;

static uint64_t varint(fj_cursor *c)
{
    uint64_t v = 0;
    for (int shift = 0; shift < 64; shift += 7) {
        uint8_t byte = fj_cursor_u8(c);
        v |= (uint64_t)(byte & 0x7f) << shift;
        if (!(byte & 0x80))
            return v;
    }
    c->bad = true;
    return 0;
}

/* The next field, or false at the end or where the bytes are broken (c->bad). */
static bool next_field(fj_cursor *c, field *f)
{
    if (c->bad || !fj_cursor_left(c))
        return false;
    uint64_t key = varint(c);
    *f = (field){ .number = key >> 3 };
    switch (key & 7) {
    case 0: f->value = varint(c); break;
    case 1: f->value = fj_cursor_u64(c); break;
    case 2:
        f->bytes = fj_cursor_take(c, varint(c));
        f->is_bytes = true;
        break;
    case 5: f->value = fj_cursor_u32(c); break;
    default: c->bad = true;
    }
    return !c->bad;
}

static bool read_piece(proto *p, fj_text bytes)
{
    fj_cursor c = fj_cursor_over(bytes.data, bytes.len);
    field f;
    if (p->n == p->cap) {
        size_t cap = p->cap ? 2 * p->cap : 1024;
        fj_text *texts = realloc(p->texts, cap * sizeof *texts);
        p->texts = texts ? texts : p->texts;
        float *scores = texts ? realloc(p->scores, cap * sizeof *scores) : NULL;
        p->scores = scores ? scores : p->scores;
        int32_t *types = scores ? realloc(p->types, cap * sizeof *types) : NULL;
        p->types = types ? types : p->types;
        if (!types)
            return false;
        p->cap = cap;
    }
    p->texts[p->n] = (fj_text){ "", 0 };
    p->scores[p->n] = 0;
    p->types[p->n] = FJ_PIECE_NORMAL;
    while (next_field(&c, &f)) {
        uint32_t bits = (uint32_t)f.value;
        if (f.number == 1 && f.is_bytes)
            p->texts[p->n] = f.bytes;
        else if (f.number == 2)
            memcpy(&p->scores[p->n], &bits, sizeof bits);
        else if (f.number == 3)
            p->types[p->n] = (int32_t)FJ_MIN(f.value, (uint64_t)INT32_MAX);
    }
    p->n++;
    return !c.bad;
}

static bool read_trainer(proto *p, fj_text bytes)
{
    fj_cursor c = fj_cursor_over(bytes.data, bytes.len);
    field f;
    while (next_field(&c, &f)) {
        int64_t id = (int32_t)f.value;
        switch (f.number) {
        case 3: p->model_type = f.value; break;
        case 35: p->byte_fallback = f.value != 0; break;
        case 40: p->unk = id; break;
        case 41: p->bos = id; break;
        case 42: p->eos = id; break;
        case 43: p->pad = id; break;
        default: break;
        }
    }
    return !c.bad;
}

static bool read_normalizer(proto *p, fj_text bytes)
{
    fj_cursor c = fj_cursor_over(bytes.data, bytes.len);
    field f;
    while (next_field(&c, &f))
        switch (f.number) {
        case 2: p->charsmap = f.bytes; break;
        case 3: p->adds_prefix = f.value != 0; break;
        case 4: p->removes_blanks = f.value != 0; break;
        case 5: p->escapes_blanks = f.value != 0; break;
        default: break;
        }
    return !c.bad;
}

static fj_status read_proto(proto *p, const void *data, size_t len, fj_err *err)
{
    fj_cursor c = fj_cursor_over(data, len);
    field f;
    bool ok = true;
    *p = (proto){ .model_type = 1, .unk = 0, .bos = 1, .eos = 2, .pad = -1 };
    p->adds_prefix = p->removes_blanks = p->escapes_blanks = true;
    while (ok && next_field(&c, &f)) {
        if (f.number == 1 && f.is_bytes && p->n < FJ_MAX_TOKENS)
            ok = read_piece(p, f.bytes);
        else if (f.number == 1)
            ok = false;
        else if (f.number == 2 && f.is_bytes)
            ok = read_trainer(p, f.bytes);
        else if (f.number == 3 && f.is_bytes)
            ok = read_normalizer(p, f.bytes);
    }
    if (!ok || c.bad || !p->n)
        return fj_fail(err, FJ_ERR_FORMAT, "not a SentencePiece model, or broken at byte %zu of %zu (piece %zu)", c.at,
                       len, p->n);
    return FJ_OK;
}

/* ---- pieces and scores: shared with GGUF ----------------------------------------------------------------------------------------- */

/* Pieces that are looked for in the text itself. Control pieces are never made from text by merging. */
static fj_status add_pieces(fj_tokenizer *t, const fj_pieces *p, fj_err *err)
{
    size_t count = 0;
    fj_added_token *added = calloc(p->n + 1, sizeof *added);
    if (!added)
        return fj_fail(err, FJ_ERR_MEMORY, "no memory for %zu pieces", p->n);
    for (size_t i = 0; i < p->n; i++) {
        bool is_special = p->types[i] == FJ_PIECE_CONTROL || p->types[i] == FJ_PIECE_UNKNOWN;
        if ((!is_special && p->types[i] != FJ_PIECE_USER_DEFINED) || !p->texts[i].len)
            continue;
        if (!is_special && p->matches_normalized)
            t->unwritable = "user-defined pieces that are looked for where spaces are \xe2\x96\x81";
        added[count++] = (fj_added_token){ .text = p->texts[i],
                                           .id = (int32_t)i,
                                           .is_special = is_special,
                                           .is_normalized = !is_special && p->matches_normalized };
    }
    fj_status st = fj_tokenizer_set_added(t, added, count, err);
    free(added);
    return st;
}

static bool is_of_text(const fj_pieces *p, size_t i)
{
    return p->types[i] == FJ_PIECE_NORMAL || p->types[i] == FJ_PIECE_USER_DEFINED || p->types[i] == FJ_PIECE_UNUSED;
}

static fj_status add_unigram(fj_tokenizer *t, const fj_pieces *p, fj_err *err)
{
    int64_t unk = -1;
    bool has_inside = false;
    uint8_t *may_use = calloc(p->n + 1, 1);
    double *scores = fj_arena_array(t->arena, p->n, sizeof *scores);
    fj_status st = may_use && scores ? FJ_OK : fj_fail(err, FJ_ERR_MEMORY, "no memory for %zu pieces", p->n);
    for (size_t i = 0; !st && i < p->n; i++) {
        may_use[i] = is_of_text(p, i) && p->types[i] != FJ_PIECE_UNUSED;
        scores[i] = p->scores ? p->scores[i] : 0;
        has_inside |= may_use[i] && fj_has_blank_inside(p->texts[i]);
        if (p->types[i] == FJ_PIECE_UNKNOWN && unk < 0)
            unk = (int64_t)i;
    }
    if (!st && !has_inside)
        st = fj_add_metaspace_cuts(&t->pre_tokenizer, err);
    if (!st)
        st = fj_unigram_init(t, scores, may_use, unk, p->byte_fallback, err);
    free(may_use);
    return st;
}

static fj_status add_bpe(fj_tokenizer *t, const fj_pieces *p, fj_err *err)
{
    fj_merge *merges = NULL;
    size_t n = 0;
    fj_bpe_options o = { .fuse_unk = true, .byte_fallback = true };
    uint8_t *may_merge = calloc(p->n + 1, 1);
    float *scores = fj_arena_array(t->arena, p->n, sizeof *scores);
    fj_status st = may_merge && scores ? FJ_OK : fj_fail(err, FJ_ERR_MEMORY, "no memory for %zu pieces", p->n);
    for (size_t i = 0; !st && i < p->n; i++) {
        may_merge[i] = is_of_text(p, i);
        scores[i] = p->scores ? p->scores[i] : 0;
        if (p->types[i] == FJ_PIECE_UNKNOWN && !o.unk.len)
            o.unk = t->vocab_tokens[i];
    }
    if (!st)
        st = fj_merges_of_scores(t, scores, may_merge, &merges, &n, err);
    if (!st)
        st = fj_bpe_init(t, merges, n, &o, err);
    t->scores = scores;
    free(merges);
    free(may_merge);
    return st;
}

/* Spaces are ▁; one stands before the text. What decodes undoes that. */
static fj_status add_pipeline(fj_tokenizer *t, const fj_pieces *p, fj_err *err)
{
    static const char trim[] = "{\"type\":\"Sequence\",\"normalizers\":[{\"type\":\"Replace\",\"pattern\":{\"Regex\":"
                               "\"\\\\A +| +\\\\z\"},\"content\":\"\"},{\"type\":\"Replace\",\"pattern\":{\"Regex\":"
                               "\" {2,}\"},\"content\":\" \"}]}";
    static const char before[] = "{\"type\":\"Prepend\",\"prepend\":\"\xe2\x96\x81\"}";
    static const char blanks[] = "{\"type\":\"Replace\",\"pattern\":{\"String\":\" \"},\"content\":\"\xe2\x96\x81\"}";
    static const char decoder[] =
        "{\"type\":\"Sequence\",\"decoders\":[{\"type\":\"Replace\",\"pattern\":{\"String\":"
        "\"\xe2\x96\x81\"},\"content\":\" \"},{\"type\":\"ByteFallback\"},{\"type\":\"Fuse\"}]}";
    static const char strip[] = "{\"type\":\"Strip\",\"content\":\" \",\"start\":1,\"stop\":0}";
    fj_status st = p->charsmap.len ? fj_add_charsmap(t, p->charsmap, &t->normalizer, err) : FJ_OK;
    if (p->charsmap.len)
        t->unwritable = "SentencePiece's longest match of its character map";
    if (!st && p->removes_blanks)
        st = fj_open_text(t, fj_normalizers, "normalizer", trim, &t->normalizer, err);
    if (!st && p->adds_prefix)
        st = fj_open_text(t, fj_normalizers, "normalizer", before, &t->normalizer, err);
    if (!st)
        st = fj_open_text(t, fj_normalizers, "normalizer", blanks, &t->normalizer, err);
    if (!st)
        st = fj_open_text(t, fj_decoders, "decoder", decoder, &t->decoder, err);
    if (!st && p->adds_prefix)
        st = fj_open_text(t, fj_decoders, "decoder", strip, &t->decoder, err);
    return st;
}

fj_status fj_pieces_open(fj_tokenizer *t, const fj_pieces *p, fj_err *err)
{
    t->is_spm = true;
    fj_status st = fj_tokenizer_set_vocab(t, p->texts, p->n, err);
    for (size_t i = 0; !st && i < p->n; i++)
        if (!fj_utf8_valid(p->texts[i].data, p->texts[i].len))
            st = fj_fail(err, FJ_ERR_FORMAT, "piece %zu is not UTF-8", i);
    if (!st)
        st = add_pieces(t, p, err);
    if (!st)
        st = add_pipeline(t, p, err);
    if (!st)
        st = p->is_unigram ? add_unigram(t, p, err) : add_bpe(t, p, err);
    return st ? st : fj_tokenizer_finish(t, err);
}

/* ---- the file ------------------------------------------------------------------------------------------------------------------------- */

static int64_t id_in(const fj_tokenizer *t, const fj_json *config, const char *key, int64_t own)
{
    int64_t id = fj_config_token(t, config, key);
    return id >= 0 ? id : own >= 0 && own < t->n_tokens ? own : -1;
}

static fj_status check(const proto *p, fj_err *err)
{
    if (p->model_type != UNIGRAM && p->model_type != BPE) {
        (void)fj_fail(err, FJ_ERR_FORMAT, "a SentencePiece model of kind %llu is not supported",
                      (unsigned long long)p->model_type);
        return fj_hint(err, "kinds 1, Unigram, and 2, BPE, are");
    }
    if (!p->escapes_blanks)
        return fj_fail(err, FJ_ERR_FORMAT, "a normalizer without escape_whitespaces is not supported");
    return FJ_OK;
}

static fj_status open_proto(fj_tokenizer *t, const proto *p, const fj_json *config, fj_err *err)
{
    fj_pieces pieces = { .texts = p->texts,
                         .scores = p->scores,
                         .types = p->types,
                         .n = p->n,
                         .charsmap = p->charsmap,
                         .is_unigram = p->model_type == UNIGRAM,
                         .byte_fallback = p->byte_fallback,
                         .adds_prefix = p->adds_prefix,
                         .removes_blanks = p->removes_blanks,
                         .matches_normalized = true };
    fj_status st = check(p, err);
    if (!st)
        st = fj_pieces_open(t, &pieces, err);
    if (st)
        return st;
    t->unk = id_in(t, config, "unk_token", p->unk);
    t->bos = id_in(t, config, "bos_token", p->bos);
    t->eos = id_in(t, config, "eos_token", p->eos);
    t->pad = id_in(t, config, "pad_token", p->pad);
    /* T5's program ends every text; LLaMA's begins it; what others do with Unigram, their configuration says */
    bool is_t5 = strstr(fj_json_string(fj_json_get(config, "tokenizer_class"), ""), "T5Tokenizer") != NULL;
    if (t->bos >= 0 && fj_json_bool(fj_json_get(config, "add_bos_token"), p->model_type == BPE))
        t->post.before[t->post.n_before++] = (int32_t)t->bos;
    if (t->eos >= 0 && fj_json_bool(fj_json_get(config, "add_eos_token"), is_t5))
        t->post.after[t->post.n_after++] = (int32_t)t->eos;
    return FJ_OK;
}

fj_status fj_tokenizer_from_spm(const void *data, size_t len, const char *name, const fj_json *config,
                                fj_tokenizer **out, fj_err *err)
{
    proto p;
    fj_tokenizer *t = NULL;
    fj_status st = read_proto(&p, data, len, err);
    if (!st)
        st = fj_tokenizer_new(name, &t, err);
    if (!st)
        st = open_proto(t, &p, config, err);
    free(p.texts);
    free(p.scores);
    free(p.types);
    if (st) {
        fj_tokenizer_free(t);
        return fj_prefix(err, "%s", name);
    }
    *out = t;
    return FJ_OK;
}
