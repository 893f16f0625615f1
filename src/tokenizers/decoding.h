/* SPDX-License-Identifier: Apache-2.0
 * Decoders as filters: each takes tokens and hands tokens on to the next, the last one's are the text. What a filter has to see before
 * it can decide it keeps in its memory until then, so decoding a list and decoding id by id are the same code. */
#ifndef FJ_TOKENIZERS_DECODING_H
#define FJ_TOKENIZERS_DECODING_H

#include "tokenizers/parts.h"

/* A part of a token. Most tokens come whole (begins and ends); a filter that makes one token of all sends it in parts. */
struct fj_fragment {
    fj_text text;
    bool begins, ends;
    bool is_last; /* nothing follows, and text is empty: hand on what is kept, then this */
};

typedef struct fj_step_memory {
    fj_str token; /* the parts of a token that has not ended */
    fj_str held;  /* what waits for a decision */
    fj_str made;  /* room for what is handed on */
    uint64_t count;
    bool is_open;
} fj_step_memory;

struct fj_decoding {
    const fj_steps *steps;
    fj_step_memory *memory; /* one for each step */
    fj_matcher *matcher;    /* made when a step wants one */
    fj_str *out;
};

fj_status fj_decoding_init(fj_decoding *d, const fj_steps *steps, fj_err *err);
void fj_decoding_free(fj_decoding *d);

/* Hands a fragment to step `at`, or to the text behind the last one. */
fj_status fj_hand_on(fj_decoding *d, size_t at, fj_fragment f, fj_err *err);
fj_status fj_hand_token(fj_decoding *d, size_t at, fj_text token, fj_err *err); /* a whole one */

/* Collects a token's parts; true when it is whole, which *token then is. */
bool fj_gather(fj_step_memory *m, fj_fragment f, fj_text *token);

#endif
