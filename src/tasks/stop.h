/* SPDX-License-Identifier: Apache-2.0
 * Ends of generated text: stop texts in a stream, and the token ids that end an answer. */
#ifndef FJ_TASKS_STOP_H
#define FJ_TASKS_STOP_H

#include <stdbool.h>
#include <stdint.h>

#include "base/option.h"
#include "base/str.h"
#include "hub/hub.h"

/* Finds stop texts in pieces as they come. Text that might be the beginning of one is held back. Zero-initialize with its texts
 * (borrowed; empty ones are ignored). */
typedef struct fj_stop {
    const fj_list *texts; /* may be NULL */
    fj_str held;
} fj_stop;

/* Appends to out what may be shown now. True when a stop text is complete: out then ends before it, and what came behind it is lost. */
bool fj_stop_add(fj_stop *s, const char *piece, size_t len, fj_str *out);
void fj_stop_flush(fj_stop *s, fj_str *out); /* what was held back, at the end */
void fj_stop_free(fj_stop *s);

/* The ids that end an answer: eos_token_id of generation_config.json and config.json (one or several), the tokenizer's end of text
 * and end of turn. Fills out (at most `most`), without doubles, and returns their number. */
enum { FJ_MOST_ENDS = 64 };
int fj_end_ids(const fj_bundle *b, int32_t out[FJ_MOST_ENDS]);
bool fj_is_end(const int32_t *ids, int n, int32_t id);

#endif
