/* SPDX-License-Identifier: Apache-2.0
 * The parts that registry.c lists, and the steps that several of them add. */
#ifndef FJ_TOKENIZERS_PARTS_H
#define FJ_TOKENIZERS_PARTS_H

#include "tokenizers/tokenizer_internal.h"

extern const fj_part fj_normalizer_bert, fj_normalizer_byte_level, fj_normalizer_lowercase, fj_normalizer_nfc,
    fj_normalizer_nfd, fj_normalizer_nfkc, fj_normalizer_nfkd, fj_normalizer_precompiled, fj_normalizer_prepend, fj_normalizer_replace,
    fj_normalizer_strip, fj_normalizer_strip_accents;
extern const fj_part fj_pre_tokenizer_bert, fj_pre_tokenizer_byte_level, fj_pre_tokenizer_delimiter,
    fj_pre_tokenizer_digits, fj_pre_tokenizer_metaspace, fj_pre_tokenizer_punctuation, fj_pre_tokenizer_split,
    fj_pre_tokenizer_whitespace, fj_pre_tokenizer_whitespace_split;
extern const fj_part fj_post_bert, fj_post_byte_level, fj_post_roberta, fj_post_template;
extern const fj_part fj_decoder_bpe, fj_decoder_byte_fallback, fj_decoder_byte_level, fj_decoder_fuse,
    fj_decoder_metaspace, fj_decoder_replace, fj_decoder_strip, fj_decoder_word_piece;
extern const fj_token_model fj_model_bpe, fj_model_unigram, fj_model_word_piece;

/* Cuts at a regular expression, a text that stays (it is kept as step.regex). */
fj_status fj_add_regex_split(fj_tokenizer *t, const char *regex, fj_behavior behavior, bool is_inverted, fj_steps *out,
                             fj_err *err);

/* Options that the Metaspace pre-tokenizer and decoder share. scheme: a view of spec: always, first or never. */
fj_status fj_metaspace_options(fj_tokenizer *t, const fj_json *spec, fj_text *blank, fj_text *scheme, fj_err *err);

/* SentencePiece's map of characters as its files hold it, applied as SentencePiece does (longest match). */
fj_status fj_add_charsmap(fj_tokenizer *t, fj_text bytes, fj_steps *out, fj_err *err);

/* What joins tokens where tokenizer.json names no decoder: a space between each two. */
fj_status fj_add_space_join(fj_steps *out, fj_err *err);

#endif
