/* SPDX-License-Identifier: Apache-2.0
 * A tokenizer from GGUF metadata. Source: llama.cpp, llama-vocab.cpp (llama_vocab::impl::load: defaults, kinds of tokens, end of
 * turn). */
#include "tokenizers/gguf.h"

#include <stdlib.h>
#include <string.h>

#include "base/utf8.h"
#include "tokenizers/spm.h"

static int32_t type_of(const fj_gguf_vocab *v, size_t i)
{
    return v->types ? v->types[i] : FJ_PIECE_NORMAL;
}

/* ---- ids -------------------------------------------------------------------------------------------------------------------------------- */

/* Files of before there was a key for it name their end of turn in the vocabulary only. */
static int64_t find_eot(const fj_tokenizer *t)
{
    static const char *const names[] = { "<|eot_id|>",    "<|im_end|>",    "<|end|>",
                                         "<end_of_turn>", "<|endoftext|>", "<EOT>" };
    for (size_t i = 0; i < FJ_LEN(names); i++) {
        int64_t id = fj_tokenizer_id(t, fj_text_of(names[i]));
        if (id >= 0)
            return id;
    }
    return -1;
}

static int64_t known(const fj_tokenizer *t, int64_t id, int64_t fallback)
{
    id = id >= 0 ? id : fallback;
    return id < t->n_tokens ? id : -1;
}

typedef struct defaults {
    int64_t bos, eos, unk;
    bool adds_bos;
} defaults;

static void set_ids(fj_tokenizer *t, const fj_gguf_vocab *v, defaults d)
{
    fj_post *p = &t->post;
    t->bos = known(t, v->bos, d.bos);
    t->eos = known(t, v->eos, d.eos);
    t->unk = known(t, v->unk, d.unk);
    t->pad = known(t, v->pad, -1);
    t->eot = v->eot >= 0 ? known(t, v->eot, -1) : find_eot(t);
    if (t->bos >= 0 && (v->add_bos >= 0 ? v->add_bos != 0 : d.adds_bos))
        p->before[p->n_before++] = (int32_t)t->bos;
    if (t->eos >= 0 && v->add_eos > 0)
        p->after[p->n_after++] = (int32_t)t->eos;
}

/* ---- byte-level BPE -------------------------------------------------------------------------------------------------------------------- */

static fj_status find_pre(const char *name, const fj_gguf_pre **out, fj_err *err)
{
    fj_str names = { 0 };
    for (*out = fj_gguf_pres; (*out)->name; (*out)++)
        if (!strcmp((*out)->name, name))
            return FJ_OK;
    for (const fj_gguf_pre *p = fj_gguf_pres; p->name; p++)
        fj_str_printf(&names, "%s%s", p == fj_gguf_pres ? "" : ", ", p->name);
    (void)fj_fail(err, FJ_ERR_FORMAT, "the pre-tokenizer '%.100s' (tokenizer.ggml.pre) is not known", name);
    (void)fj_hint(err, "known: %s", names.data ? names.data : "");
    fj_str_free(&names);
    return err->status;
}

static fj_status add_tokens(fj_tokenizer *t, const fj_gguf_vocab *v, fj_err *err)
{
    size_t count = 0;
    fj_status st = FJ_OK;
    fj_added_token *added = calloc(v->n_tokens + 1, sizeof *added);
    if (!added)
        return fj_fail(err, FJ_ERR_MEMORY, "no memory for %zu tokens", v->n_tokens);
    for (size_t i = 0; i < v->n_tokens; i++) {
        int32_t type = type_of(v, i);
        bool is_special = type == FJ_PIECE_CONTROL || type == FJ_PIECE_UNKNOWN;
        if ((is_special || type == FJ_PIECE_USER_DEFINED) && v->tokens[i].len)
            added[count++] = (fj_added_token){ .text = v->tokens[i], .id = (int32_t)i, .is_special = is_special };
    }
    st = fj_tokenizer_set_added(t, added, count, err);
    free(added);
    return st;
}

/* "a b"; the first space may be the first half's own beginning. Merges with tokens that the vocabulary lacks do nothing. */
static fj_status add_merges(fj_tokenizer *t, const fj_gguf_vocab *v, bool ignores_merges, fj_err *err)
{
    fj_bpe_options o = { .ignore_merges = ignores_merges };
    fj_merge *merges = calloc(v->n_merges + 1, sizeof *merges);
    size_t n = 0;
    fj_str made = { 0 };
    if (!merges)
        return fj_fail(err, FJ_ERR_MEMORY, "no memory for %zu merges", v->n_merges);
    for (size_t i = v->n_merges; i-- > 0;) { /* backwards: of equal pairs the first counts, and the last put wins */
        fj_text m = v->merges[i];
        const char *space = m.len > 1 ? memchr(m.data + 1, ' ', m.len - 1) : NULL;
        if (!space)
            continue;
        fj_text a = { m.data, (size_t)(space - m.data) }, b = { space + 1, m.len - a.len - 1 };
        fj_str_clear(&made);
        fj_str_add(&made, a.data, a.len);
        fj_str_add(&made, b.data, b.len);
        int64_t left = fj_text_table_find(&t->vocab, a), right = fj_text_table_find(&t->vocab, b);
        int64_t whole = fj_text_table_find(&t->vocab, (fj_text){ made.data, made.len });
        if (left >= 0 && right >= 0 && whole >= 0)
            merges[n++] = (fj_merge){ (uint32_t)left, (uint32_t)right, (uint32_t)whole, (uint32_t)i };
    }
    fj_status st = made.failed ? fj_fail(err, FJ_ERR_MEMORY, "no memory for merges")
                               : fj_bpe_init(t, merges, n, &o, err);
    fj_str_free(&made);
    free(merges);
    return st;
}

static fj_status open_bpe(fj_tokenizer *t, const fj_gguf_vocab *v, fj_err *err)
{
    static const char bytes[] =
        "{\"type\":\"ByteLevel\",\"add_prefix_space\":false,\"trim_offsets\":true,\"use_regex\":false}";
    const fj_gguf_pre *pre = NULL;
    if (!v->n_merges)
        return fj_fail(err, FJ_ERR_FORMAT, "a byte-level BPE vocabulary without tokenizer.ggml.merges");
    fj_status st = find_pre(v->pre ? v->pre : "default", &pre, err);
    if (st)
        return st;
    t->pre = pre->name;
    st = fj_tokenizer_set_vocab(t, v->tokens, v->n_tokens, err);
    if (!st)
        st = add_tokens(t, v, err);
    for (size_t i = 0; !st && i < FJ_LEN(pre->regexes) && pre->regexes[i]; i++)
        st = fj_open_regex_split(t, pre->regexes[i], err);
    if (!st)
        st = fj_open_text(t, fj_pre_tokenizers, "pre_tokenizer", bytes, &t->pre_tokenizer, err);
    if (!st)
        st = fj_open_text(t, fj_decoders, "decoder", bytes, &t->decoder, err);
    if (!st)
        st = add_merges(t, v, pre->ignores_merges, err);
    if (!st)
        st = fj_tokenizer_finish(t, err);
    if (!st)
        set_ids(t, v, (defaults){ .bos = -1, .eos = -1, .unk = -1, .adds_bos = pre->adds_bos });
    return st;
}

/* ---- SentencePiece --------------------------------------------------------------------------------------------------------------------- */

/* Phi-3's files do not say that its tokens take the blanks behind them along; llama.cpp knows it by the model's name. */
static void set_phi3(fj_tokenizer *t)
{
    static const char *const keep[] = { "<unk>", "<s>", "<|endoftext|>" };
    if (fj_tokenizer_id(t, fj_text_of("<|assistant|>")) < 0 || fj_tokenizer_id(t, fj_text_of("<|placeholder1|>")) < 0)
        return;
    for (size_t i = 0; i < t->n_added; i++) {
        t->added[i].strips_right = true;
        for (size_t k = 0; k < FJ_LEN(keep); k++)
            if (fj_text_is(t->added[i].text, keep[k]))
                t->added[i].strips_right = false;
    }
}

static fj_status open_pieces(fj_tokenizer *t, const fj_gguf_vocab *v, fj_err *err)
{
    int32_t *types = calloc(v->n_tokens + 1, sizeof *types);
    if (!types)
        return fj_fail(err, FJ_ERR_MEMORY, "no memory for %zu pieces", v->n_tokens);
    for (size_t i = 0; i < v->n_tokens; i++)
        types[i] = type_of(v, i);
    fj_pieces p = { .texts = v->tokens,
                    .scores = v->scores,
                    .types = types,
                    .n = v->n_tokens,
                    .adds_prefix = v->add_space_prefix != 0 };
    fj_status st = fj_pieces_open(t, &p, err);
    free(types);
    if (!st) {
        set_phi3(t);
        set_ids(t, v, (defaults){ .bos = 1, .eos = 2, .unk = 0, .adds_bos = true });
    }
    return st;
}

/* ---- WordPiece ------------------------------------------------------------------------------------------------------------------------- */

/* GGUF has ▁ before tokens that begin a word, and nothing before the others: as tokenizer.json spells them, ## before the others. out:
 * n_tokens, in the arena. Source: llama.cpp, convert_hf_to_gguf.py (BertModel: phantom). */
static fj_status spell_word_pieces(const fj_gguf_vocab *v, fj_arena *arena, fj_text **out, fj_err *err)
{
    *out = fj_arena_array(arena, v->n_tokens, sizeof **out);
    for (size_t i = 0; *out && i < v->n_tokens; i++) {
        fj_text text = v->tokens[i];
        bool is_special = type_of(v, i) == FJ_PIECE_CONTROL || type_of(v, i) == FJ_PIECE_UNKNOWN;
        char *spelled = NULL;
        if (fj_text_starts(text, "\xe2\x96\x81")) {
            text = (fj_text){ text.data + 3, text.len - 3 };
        } else if (!is_special && text.len) {
            spelled = fj_arena_take(arena, text.len + 2);
            if (!spelled)
                return fj_fail(err, FJ_ERR_MEMORY, "no memory for %zu tokens", v->n_tokens);
            memcpy(spelled, "##", 2);
            memcpy(spelled + 2, text.data, text.len);
            text = (fj_text){ spelled, text.len + 2 };
        }
        (*out)[i] = text;
    }
    return *out ? FJ_OK : fj_fail(err, FJ_ERR_MEMORY, "no memory for %zu tokens", v->n_tokens);
}

static fj_status add_word_pieces(fj_tokenizer *t, const fj_gguf_vocab *v, fj_err *err)
{
    fj_gguf_vocab spelled = *v;
    fj_text *tokens = NULL;
    fj_arena *arena = fj_arena_new();
    fj_status st = arena ? spell_word_pieces(v, arena, &tokens, err)
                         : fj_fail(err, FJ_ERR_MEMORY, "no memory for a tokenizer");
    spelled.tokens = tokens;
    if (!st)
        st = fj_tokenizer_set_vocab(t, tokens, v->n_tokens, err);
    if (!st)
        st = add_tokens(t, &spelled, err);
    fj_arena_free(arena);
    return st;
}

static fj_status open_word_piece(fj_tokenizer *t, const fj_gguf_vocab *v, fj_err *err)
{
    static const char normalizer[] = "{\"type\":\"BertNormalizer\",\"clean_text\":true,\"handle_chinese_chars\":true,"
                                     "\"strip_accents\":null,\"lowercase\":true}";
    static const char decoder[] = "{\"type\":\"WordPiece\",\"prefix\":\"##\",\"cleanup\":false}";
    int64_t unk = v->unk >= 0 ? v->unk : 100;
    fj_status st = add_word_pieces(t, v, err);
    if (!st)
        st = fj_open_text(t, fj_normalizers, "normalizer", normalizer, &t->normalizer, err);
    if (!st)
        st = fj_open_text(t, fj_pre_tokenizers, "pre_tokenizer", "{\"type\":\"BertPreTokenizer\"}", &t->pre_tokenizer,
                          err);
    if (!st)
        st = fj_open_text(t, fj_decoders, "decoder", decoder, &t->decoder, err);
    if (!st)
        st = fj_word_piece_init(t, fj_text_of("##"), unk < t->n_vocab ? unk : -1, INT64_MAX, err);
    if (!st)
        st = fj_tokenizer_finish(t, err);
    if (!st) {
        set_ids(t, v, (defaults){ .bos = 101, .eos = 102, .unk = 100, .adds_bos = true });
        if (t->eos >= 0 && v->add_eos < 0)
            t->post.after[t->post.n_after++] = (int32_t)t->eos;
    }
    return st;
}

static const struct {
    const char *name;
    fj_status (*open)(fj_tokenizer *t, const fj_gguf_vocab *v, fj_err *err);
} models[] = { { "bert", open_word_piece }, { "gpt2", open_bpe }, { "llama", open_pieces } };

static fj_status open_model(fj_tokenizer *t, const fj_gguf_vocab *v, fj_err *err)
{
    if (v->n_tokens > FJ_MAX_TOKENS || v->n_merges > FJ_MAX_TOKENS)
        return fj_fail(err, FJ_ERR_FORMAT, "%zu tokens and %zu merges, at most %d are supported", v->n_tokens,
                       v->n_merges, FJ_MAX_TOKENS);
    for (size_t i = 0; i < FJ_LEN(models); i++)
        if (v->model && !strcmp(v->model, models[i].name))
            return models[i].open(t, v, err);
    (void)fj_fail(err, FJ_ERR_FORMAT, "the tokenizer '%.100s' (tokenizer.ggml.model) is not supported",
                  v->model ? v->model : "");
    return fj_hint(err, "known: bert, gpt2, llama");
}

fj_status fj_tokenizer_from_gguf(const fj_gguf_vocab *v, fj_tokenizer **out, fj_err *err)
{
    fj_tokenizer *t = NULL;
    fj_status st = fj_tokenizer_new("GGUF vocabulary", &t, err);
    if (!st)
        st = open_model(t, v, err);
    if (st) {
        fj_tokenizer_free(t);
        return st;
    }
    *out = t;
    return FJ_OK;
}
