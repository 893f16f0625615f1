/* SPDX-License-Identifier: Apache-2.0
 * Text to token ids and back. A tokenizer is read-only after opening and may be used by several threads, each with its own
 * fj_encoder. Source: Hugging Face tokenizers (pipeline of tokenizer.json), SentencePiece, llama.cpp (GGUF names). */
#ifndef FJ_TOKENIZERS_TOKENIZER_H
#define FJ_TOKENIZERS_TOKENIZER_H

#include <stdbool.h>
#include <stdint.h>

#include "base/arena.h"
#include "base/err.h"
#include "base/json.h"
#include "base/str.h"

typedef struct fj_tokenizer fj_tokenizer;

/* From tokenizer.json's text and tokenizer_config.json (may be NULL: tokenizer.json alone decides ids; the config only adds the
 * names of bos/eos/pad/unk). From SentencePiece's tokenizer.model (BPE with byte fallback, or Unigram). FJ_ERR_FORMAT. */
fj_status fj_tokenizer_from_json(const char *text, size_t len, const char *name, const fj_json *config,
                                 fj_tokenizer **out, fj_err *err);
fj_status fj_tokenizer_from_spm(const void *data, size_t len, const char *name, const fj_json *config,
                                fj_tokenizer **out, fj_err *err);

/* From tiktoken's file of ranks, with the specials that tokenizer_config.json adds (added_tokens_decoder); without them those that the
 * program of the tokenizer's class has, or of the one with so many ranks. FJ_ERR_FORMAT, also for ranks of no tokenizer that is known. */
fj_status fj_tokenizer_from_tiktoken(const void *data, size_t len, const char *name, const fj_json *config,
                                     fj_tokenizer **out, fj_err *err);
bool fj_is_tiktoken(const void *data, size_t len); /* its first line is one of such a file */

/* From GGUF metadata (tokenizer.ggml.*), without knowing the file format: the caller fills this. */
typedef struct fj_gguf_vocab {
    const char *model; /* "gpt2", "llama", … */
    const char *pre;   /* "llama-bpe", "gpt-2", "smollm", "default", … or NULL */
    size_t n_tokens, n_merges;
    const fj_text *tokens, *merges;
    const float *scores;  /* n_tokens, or NULL */
    const int32_t *types; /* n_tokens (1 normal, 2 unknown, 3 control, 4 user defined, 5 unused, 6 byte), or NULL */
    int64_t bos, eos, eot, unk, pad;        /* -1 when absent */
    int add_bos, add_eos, add_space_prefix; /* 0, 1, or -1 when absent: the model's default */
} fj_gguf_vocab;
fj_status fj_tokenizer_from_gguf(const fj_gguf_vocab *vocab, fj_tokenizer **out, fj_err *err);

/* The other way: what GGUF metadata says of a tokenizer, for a model of n_vocab ids (ids without a token get a placeholder). Text and
 * arrays lie in the arena or are views of the tokenizer. FJ_ERR_FORMAT for a pipeline that GGUF has no name for. */
typedef struct fj_tokenizer_gguf {
    const char *model, *pre; /* "gpt2", "llama"; "llama-bpe", … or NULL */
    size_t n_tokens, n_merges;
    fj_text *tokens, *merges;
    float *scores;  /* n_tokens, or NULL */
    int32_t *types; /* n_tokens */
    bool add_bos, add_eos;
    int add_space_prefix; /* 0, 1, or -1: GGUF's "gpt2" has no such key */
} fj_tokenizer_gguf;
fj_status fj_tokenizer_to_gguf(const fj_tokenizer *t, int64_t n_vocab, fj_arena *arena, fj_tokenizer_gguf *out,
                               fj_err *err);

/* Hugging Face's files of a tokenizer, as new objects. tokenizer.json gives the same ids, offsets and text here and in the library
 * tokenizers, but has only the first of several ids with one text. FJ_ERR_FORMAT where it cannot say what t does: pieces of one score
 * (SentencePiece merges the leftmost first, tokenizer.json in the order of its list), tokens that are not UTF-8, some of tokenizer.model.
 * tokenizer_config.json: the names of bos, eos, unk and pad; chat_template may be NULL. */
fj_status fj_tokenizer_to_json(const fj_tokenizer *t, fj_json **out, fj_err *err);
fj_status fj_tokenizer_config(const fj_tokenizer *t, const char *chat_template, fj_json **out, fj_err *err);

void fj_tokenizer_free(fj_tokenizer *t); /* accepts NULL */

/* Facts. */
int64_t fj_tokenizer_size(const fj_tokenizer *t); /* ids are 0 … size-1 (added tokens included) */
fj_text fj_tokenizer_token(const fj_tokenizer *t,
                           int64_t id); /* spelled as in the vocabulary; empty for an id that has none */
int64_t fj_tokenizer_id(const fj_tokenizer *t, fj_text token);   /* -1 when absent */
bool fj_tokenizer_is_special(const fj_tokenizer *t, int64_t id); /* control token: not shown to users */
bool fj_tokenizer_adds_bos(const fj_tokenizer *t);               /* encoding with add_special puts bos first */
int64_t fj_tokenizer_bos(const fj_tokenizer *t);                 /* -1 when there is none; likewise below */
int64_t fj_tokenizer_eos(const fj_tokenizer *t);
int64_t fj_tokenizer_pad(const fj_tokenizer *t);
int64_t fj_tokenizer_unk(const fj_tokenizer *t);
int64_t fj_tokenizer_eot(const fj_tokenizer *t); /* end of turn (GGUF), or -1 */

/* Ids of a text, growing. Zero-initialize; free with fj_encoding_free. */
typedef struct fj_encoding {
    int32_t *ids;
    int64_t *starts, *ends; /* code points of the text given; only when offsets were asked for */
    fj_text *pieces;        /* what each id stands for, see FJ_ENCODE_PIECES */
    size_t n, cap;
} fj_encoding;
void fj_encoding_free(fj_encoding *e);

/* Per-thread working memory (regex match data, merge heap, cache of words). */
typedef struct fj_encoder fj_encoder;
fj_status fj_encoder_new(const fj_tokenizer *t, fj_encoder **out, fj_err *err);
void fj_encoder_free(fj_encoder *e); /* accepts NULL */

enum {
    FJ_ENCODE_SPECIAL = 1, /* add the tokenizer's own ids (bos, eos, [CLS] …) */
    FJ_ENCODE_OFFSETS = 2,
    FJ_ENCODE_PLAIN = 4, /* text of users: special tokens written in it stay ordinary text */
    /* pieces: tokens as the vocabulary spells them, but the normalized text itself where an added token took blanks along or a word of
     * Unigram is unknown. Views that end with the text, the tokenizer or the next use of the encoder. */
    FJ_ENCODE_PIECES = 8,
};

/* Appends the ids of valid UTF-8 (else FJ_ERR_DATA). Linear time also on hostile input. */
fj_status fj_encode(fj_encoder *e, const char *text, size_t len, int flags, fj_encoding *out, fj_err *err);

/* Text made of pieces, some of which may be special tokens and some of which (what users wrote) may not: the pieces are one
 * text for the normalizer and pre-tokenizer; a piece with trusted false never yields a special token. For chat templates. */
typedef struct fj_piece {
    fj_text text;
    bool trusted;
} fj_piece;
fj_status fj_encode_pieces(fj_encoder *e, const fj_piece *pieces, size_t n, int flags, fj_encoding *out, fj_err *err);

/* Whole text of ids, as the tokenizer's decoder says. skip_special leaves control tokens out. Invalid bytes become U+FFFD.
 * Ids out of range are FJ_ERR_ARG. */
fj_status fj_decode(const fj_tokenizer *t, const int32_t *ids, size_t n, bool skip_special, fj_str *out, fj_err *err);

/* Streaming: text that has become final after each id, never a part of a UTF-8 character. Concatenated (with the flush) it is
 * what fj_decode gives for the ids. */
typedef struct fj_detok fj_detok;
fj_status fj_detok_new(const fj_tokenizer *t, bool skip_special, fj_detok **out, fj_err *err);
fj_status fj_detok_add(fj_detok *d, int32_t id, fj_str *out, fj_err *err); /* appends; may append nothing */
fj_status fj_detok_flush(fj_detok *d, fj_str *out, fj_err *err);           /* the rest; broken bytes as U+FFFD */
void fj_detok_free(fj_detok *d);

#endif
