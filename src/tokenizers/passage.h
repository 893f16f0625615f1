/* SPDX-License-Identifier: Apache-2.0
 * A text on its way to ids: rewritten by normalizers and pre-tokenizers, cut into words, and knowing for each byte which code
 * points of the given text it came from.
 *
 *   given text   ¿Qué tal?        code points 0 … 8
 *   text         Ġ¿ Q u é Ġ t …   rewritten
 *   from, to     0 0 1 2 3 …      per byte of text
 *   cuts         [ 0,6 ) [ 6,11 ) words, or added tokens (id >= 0)
 *
 * Source: tokenizers, NormalizedString and PreTokenizedString. */
#ifndef FJ_TOKENIZERS_PASSAGE_H
#define FJ_TOKENIZERS_PASSAGE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/str.h"

typedef struct fj_cut {
    uint32_t start, end; /* bytes of the passage's text */
    int32_t id;          /* an added token's id, or -1: ordinary text */
} fj_cut;

typedef struct fj_cuts {
    fj_cut *items;
    size_t n, cap;
    bool failed; /* no memory; later calls do nothing */
} fj_cuts;

void fj_cuts_add(fj_cuts *c, size_t start, size_t end, int32_t id); /* an empty one is left out */

typedef struct fj_passage {
    const char *text; /* a view of the given text, or own */
    size_t len;
    uint32_t *from, *to; /* len each, while has_origins */
    fj_cuts cuts;
    bool has_origins;
    char *own;
    size_t cap, origin_cap;
    bool failed; /* no memory, or above FJ_MAX_PASSAGE */
} fj_passage;

#define FJ_MAX_PASSAGE ((size_t)1 << 31)

void fj_passage_free(fj_passage *p); /* frees what it holds */

/* The given text itself, one cut over all of it. with_origins: from and to are filled too. */
void fj_passage_view(fj_passage *p, fj_text text, bool with_origins);

/* Empties it, to be rewritten into. */
void fj_passage_clear(fj_passage *p, bool with_origins);

/* Appends bytes that all came from code points from … to. */
void fj_passage_put(fj_passage *p, const void *bytes, size_t n, uint32_t from, uint32_t to);

/* Appends bytes start … end of another passage with their origins. */
void fj_passage_copy(fj_passage *p, const fj_passage *src, size_t start, size_t end);

/* Appends bytes that replace byte `at` of another passage (one whole character of it): same origin. */
void fj_passage_replace(fj_passage *p, const fj_passage *src, size_t at, const void *bytes, size_t n);

#endif
