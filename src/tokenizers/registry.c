/* SPDX-License-Identifier: Apache-2.0
 * All parts of tokenizers, in alphabetical order, one a line. */
#include "tokenizers/parts.h"

/* clang-format off */
const fj_part *const fj_normalizers[] = {
    &fj_normalizer_bert,
    &fj_normalizer_byte_level,
    &fj_normalizer_lowercase,
    &fj_normalizer_nfc,
    &fj_normalizer_nfd,
    &fj_normalizer_nfkc,
    &fj_normalizer_nfkd,
    &fj_normalizer_precompiled,
    &fj_normalizer_prepend,
    &fj_normalizer_replace,
    &fj_normalizer_strip,
    &fj_normalizer_strip_accents,
    NULL,
};

const fj_part *const fj_pre_tokenizers[] = {
    &fj_pre_tokenizer_bert,
    &fj_pre_tokenizer_byte_level,
    &fj_pre_tokenizer_delimiter,
    &fj_pre_tokenizer_digits,
    &fj_pre_tokenizer_metaspace,
    &fj_pre_tokenizer_punctuation,
    &fj_pre_tokenizer_split,
    &fj_pre_tokenizer_whitespace,
    &fj_pre_tokenizer_whitespace_split,
    NULL,
};

const fj_token_model *const fj_token_models[] = {
    &fj_model_bpe,
    &fj_model_unigram,
    &fj_model_word_piece,
    NULL,
};

const fj_part *const fj_post_processors[] = {
    &fj_post_bert,
    &fj_post_byte_level,
    &fj_post_roberta,
    &fj_post_template,
    NULL,
};

const fj_part *const fj_decoders[] = {
    &fj_decoder_bpe,
    &fj_decoder_byte_fallback,
    &fj_decoder_byte_level,
    &fj_decoder_fuse,
    &fj_decoder_metaspace,
    &fj_decoder_replace,
    &fj_decoder_strip,
    &fj_decoder_word_piece,
    NULL,
};
