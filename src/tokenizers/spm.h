/* SPDX-License-Identifier: Apache-2.0
 * SentencePiece's models from pieces, as its own files and GGUF list them. */
#ifndef FJ_TOKENIZERS_SPM_H
#define FJ_TOKENIZERS_SPM_H

#include "tokenizers/tokenizer_internal.h"

/* Numbers of the protocol buffer, and of tokenizer.ggml.token_type. */
enum {
    FJ_PIECE_NORMAL = 1,
    FJ_PIECE_UNKNOWN,
    FJ_PIECE_CONTROL,
    FJ_PIECE_USER_DEFINED,
    FJ_PIECE_UNUSED,
    FJ_PIECE_BYTE,
};

typedef struct fj_pieces {
    const fj_text *texts;
    const float *scores; /* NULL: all equal */
    const int32_t *types;
    size_t n;
    fj_text charsmap; /* empty: characters stay as they are */
    bool is_unigram; /* else BPE */
    bool byte_fallback; /* of Unigram; BPE always has it */
    bool adds_prefix, removes_blanks;
    bool matches_normalized; /* user-defined pieces are looked for where spaces are ▁ already */
} fj_pieces;

/* Vocabulary, pipeline and model of a new tokenizer. FJ_ERR_FORMAT. */
fj_status fj_pieces_open(fj_tokenizer *t, const fj_pieces *p, fj_err *err);

#endif
