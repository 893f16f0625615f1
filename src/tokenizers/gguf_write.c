/* SPDX-License-Identifier: Apache-2.0
 * GGUF metadata from a tokenizer: its tokens, and the name under which llama.cpp knows its pre-tokenizer. Source: llama.cpp,
 * convert_hf_to_gguf.py (placeholders, types), llama-vocab.cpp (what the names mean). */
#define _GNU_SOURCE /* memmem */
#include <string.h>

#include "base/utf8.h"
#include "tokenizers/gguf.h"
#include "tokenizers/spm.h"

/* ---- names of pipelines ------------------------------------------------------------------------------------------------------------ */

/* Expressions of tokenizer.json that llama.cpp spells differently. */
static const struct {
    const char *regexes[4], *name;
} spellings[] = {
    { { "[\\p{P}\\$\\+<=>\\^~\\|`]+",
        "'s|'t|'re|'ve|'m|'ll|'d| ?\\p{L}+| ?\\p{N}+| ?[^\\s\\p{L}\\p{N}]+|\\s+(?!\\S)|\\s+", "\\p{N}+",
        "[0-9][0-9][0-9]" },
      "falcon" },
    { { " ?[^(\\s|[.,!?…。，、।۔،])]+" }, "bloom" },
};

/* Characters stand in files as themselves or as escapes: here always as escapes. */
static void add_escaped(const char *regex, fj_str *out)
{
    fj_text text = fj_text_of(regex);
    for (size_t at = 0, n; at < text.len; at += n) {
        uint32_t c = 0;
        n = FJ_MAX(fj_utf8_get(text.data + at, text.len - at, &c), (size_t)1);
        if (c == '\r')
            fj_str_add_text(out, "\\r");
        else if (c == '\n')
            fj_str_add_text(out, "\\n");
        else if (c >= 0x80)
            fj_str_printf(out, "\\x{%X}", (unsigned)c);
        else
            fj_str_add_char(out, (char)c);
    }
    fj_str_add_char(out, '\n');
}

/* The expressions that cut, one a line; false when a step is not one. */
static bool describe(const fj_tokenizer *t, fj_str *out)
{
    for (size_t i = 0; i < t->pre_tokenizer.n; i++) {
        const fj_step *step = &t->pre_tokenizer.items[i];
        if (fj_step_is_byte_map(step))
            continue;
        if (!step->regex)
            return false;
        add_escaped(step->regex, out);
    }
    return true;
}

static bool is_same(fj_str *scratch, const char *const *regexes, size_t n, const fj_str *wanted)
{
    fj_str_clear(scratch);
    for (size_t i = 0; i < n && regexes[i]; i++)
        add_escaped(regexes[i], scratch);
    return scratch->len == wanted->len && scratch->len && !memcmp(scratch->data, wanted->data, wanted->len);
}

static const char *find_name(fj_str *scratch, const fj_str *wanted, bool ignores_merges)
{
    const char *near = NULL;
    for (size_t i = 0; i < FJ_LEN(spellings); i++)
        if (is_same(scratch, spellings[i].regexes, FJ_LEN(spellings[i].regexes), wanted))
            return spellings[i].name;
    for (const fj_gguf_pre *p = fj_gguf_pres; p->name; p++) {
        if (!p->is_written || !is_same(scratch, p->regexes, FJ_LEN(p->regexes), wanted))
            continue;
        if (p->ignores_merges == ignores_merges)
            return p->name;
        near = p->name;
    }
    return near;
}

static fj_status name_pre(const fj_tokenizer *t, const char **out, fj_err *err)
{
    fj_str wanted = { 0 }, scratch = { 0 };
    *out = t->pre;
    if (t->pre)
        return FJ_OK;
    if (describe(t, &wanted))
        *out = find_name(&scratch, &wanted, fj_bpe_options_of(t)->ignore_merges);
    fj_str_free(&wanted);
    fj_str_free(&scratch);
    if (*out)
        return FJ_OK;
    (void)fj_fail(err, FJ_ERR_FORMAT, "%s: GGUF has no name for its pre-tokenizer", t->name);
    return fj_hint(err, "GGUF files know pre-tokenizers by name (tokenizer.ggml.pre); keep this model as a folder");
}

/* ---- tokens -------------------------------------------------------------------------------------------------------------------------- */

static bool is_byte_token(fj_text text)
{
    return text.len == 6 && !memcmp(text.data, "<0x", 3) && text.data[5] == '>';
}

/* llama.cpp looks for these in the text as it was given: where a normalizer had made ▁ of a space, the space stands again. */
static fj_status put_user_defined(const fj_added_token *a, bool is_pieces, fj_arena *arena, fj_tokenizer_gguf *out,
                                  fj_err *err)
{
    fj_text text = a->is_normalized ? a->pattern : a->text;
    out->types[a->id] = FJ_PIECE_USER_DEFINED;
    if (!is_pieces || !a->is_normalized || !memmem(text.data, text.len, "\xe2\x96\x81", 3))
        return FJ_OK;
    char *spaced = fj_arena_take(arena, text.len);
    size_t n = 0;
    if (!spaced)
        return fj_fail(err, FJ_ERR_MEMORY, "no memory for a token");
    for (size_t i = 0; i < text.len; n++) {
        bool is_blank = text.len - i >= 3 && !memcmp(text.data + i, "\xe2\x96\x81", 3);
        spaced[n] = is_blank ? ' ' : text.data[i];
        i += is_blank ? 3 : 1;
    }
    out->tokens[a->id] = (fj_text){ spaced, n };
    return FJ_OK;
}

static fj_status put_tokens(const fj_tokenizer *t, bool is_pieces, fj_arena *arena, fj_tokenizer_gguf *out, fj_err *err)
{
    out->tokens = fj_arena_array(arena, out->n_tokens, sizeof *out->tokens);
    out->types = fj_arena_array(arena, out->n_tokens, sizeof *out->types);
    if (!out->tokens || !out->types)
        return fj_fail(err, FJ_ERR_MEMORY, "no memory for %zu tokens", out->n_tokens);
    for (size_t i = 0; i < out->n_tokens; i++) {
        bool is_known = (int64_t)i < t->n_tokens && t->tokens[i].data;
        const char *name = is_known ? NULL : fj_arena_printf(arena, "[PAD%zu]", i);
        if (!is_known && !name)
            return fj_fail(err, FJ_ERR_MEMORY, "no memory for %zu tokens", out->n_tokens);
        out->tokens[i] = is_known ? t->tokens[i] : fj_text_of(name);
        out->types[i] = !is_known                                  ? FJ_PIECE_UNUSED
                        : is_pieces && (int64_t)i == t->unk        ? FJ_PIECE_UNKNOWN
                        : t->is_special[i]                         ? FJ_PIECE_CONTROL
                        : is_pieces && is_byte_token(t->tokens[i]) ? FJ_PIECE_BYTE
                                                                   : FJ_PIECE_NORMAL;
    }
    fj_status st = FJ_OK;
    for (size_t i = 0; !st && i < t->n_added; i++)
        if (!t->added[i].is_special && (size_t)t->added[i].id < out->n_tokens)
            st = put_user_defined(&t->added[i], is_pieces, arena, out, err);
    return st;
}

static fj_status put_merges(const fj_tokenizer *t, fj_arena *arena, fj_tokenizer_gguf *out, fj_err *err)
{
    fj_merge *merges = NULL;
    fj_status st = fj_bpe_merges(t, arena, &merges, &out->n_merges, err);
    if (st)
        return st;
    out->merges = fj_arena_array(arena, out->n_merges, sizeof *out->merges);
    size_t total = 0;
    for (size_t i = 0; i < out->n_merges; i++)
        total += t->vocab_tokens[merges[i].left].len + t->vocab_tokens[merges[i].right].len + 1;
    char *text = fj_arena_take(arena, total);
    if (!out->merges || !text)
        return fj_fail(err, FJ_ERR_MEMORY, "no memory for %zu merges", out->n_merges);
    for (size_t i = 0; i < out->n_merges; i++) {
        fj_text a = t->vocab_tokens[merges[i].left], b = t->vocab_tokens[merges[i].right];
        memcpy(text, a.data, a.len);
        text[a.len] = ' ';
        memcpy(text + a.len + 1, b.data, b.len);
        out->merges[i] = (fj_text){ text, a.len + b.len + 1 };
        text += out->merges[i].len;
    }
    return FJ_OK;
}

/* Scores that make llama.cpp merge in the order of the ranks: it takes the pair whose whole has the best score. */
static fj_status put_scores(const fj_tokenizer *t, fj_arena *arena, fj_tokenizer_gguf *out, fj_err *err)
{
    fj_merge *merges = NULL;
    size_t n = 0;
    fj_status st = FJ_OK;
    out->scores = fj_arena_array(arena, out->n_tokens, sizeof *out->scores);
    if (!out->scores)
        return fj_fail(err, FJ_ERR_MEMORY, "no memory for %zu tokens", out->n_tokens);
    if (t->scores) {
        for (size_t i = 0; i < out->n_tokens; i++)
            out->scores[i] = (int64_t)i < t->n_vocab ? t->scores[i] : -10000.0f;
        return FJ_OK;
    }
    st = fj_bpe_merges(t, arena, &merges, &n, err);
    if (st)
        return st;
    for (size_t i = 0; i < out->n_tokens; i++) /* what no merge makes comes last */
        out->scores[i] = t->is_special[FJ_MIN((int64_t)i, t->n_tokens - 1)] ? 0 : -1e9f;
    for (size_t i = n; i-- > 0;) /* of several merges with one result the first counts */
        if (merges[i].made < out->n_tokens)
            out->scores[merges[i].made] = -(float)i;
    return FJ_OK;
}

static bool puts_blank(const fj_tokenizer *t)
{
    for (size_t i = 0; i < t->normalizer.n; i++)
        if (t->normalizer.items[i].puts_blank)
            return true;
    for (size_t i = 0; i < t->pre_tokenizer.n; i++)
        if (t->pre_tokenizer.items[i].puts_blank)
            return true;
    return false;
}

fj_status fj_tokenizer_to_gguf(const fj_tokenizer *t, int64_t n_vocab, fj_arena *arena, fj_tokenizer_gguf *out,
                               fj_err *err)
{
    const fj_bpe_options *o = fj_bpe_options_of(t);
    bool maps_bytes = t->reads_bytes, is_pieces = o && o->byte_fallback;
    *out = (fj_tokenizer_gguf){ .add_bos = fj_tokenizer_adds_bos(t), .add_space_prefix = -1 };
    for (size_t i = 0; i < t->pre_tokenizer.n; i++)
        maps_bytes |= fj_step_is_byte_map(&t->pre_tokenizer.items[i]);
    if (!o || (!is_pieces && !maps_bytes))
        return fj_fail(err, FJ_ERR_FORMAT, "%s: neither byte-level BPE nor SentencePiece's: GGUF has no name for it",
                       t->name);
    if (n_vocab < 0 || n_vocab > FJ_MAX_TOKENS)
        return fj_fail(err, FJ_ERR_ARG, "a vocabulary of %lld ids, at most %d are supported", (long long)n_vocab,
                       FJ_MAX_TOKENS);
    out->n_tokens = (size_t)n_vocab;
    out->model = is_pieces ? "llama" : "gpt2";
    out->pre = "default";
    out->add_eos = t->post.n_after && t->post.after[0] == t->eos;
    fj_status st = put_tokens(t, is_pieces, arena, out, err);
    if (!st && is_pieces) {
        out->add_space_prefix = puts_blank(t);
        return put_scores(t, arena, out, err);
    }
    if (!st)
        st = name_pre(t, &out->pre, err);
    return st ? st : put_merges(t, arena, out, err);
}
