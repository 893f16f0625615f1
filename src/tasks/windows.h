/* SPDX-License-Identifier: Apache-2.0
 * Windows of a text: the pieces of equal length that a model reads to be measured. The conventions are llama.cpp's, so that figures
 * compare: windows lie end to end, what is left at the end is not read, and where the tokenizer begins texts with a token, that token
 * takes the place of each window's first. Source: llama.cpp, tools/perplexity/perplexity.cpp. */
#ifndef FJ_TASKS_WINDOWS_H
#define FJ_TASKS_WINDOWS_H

#include "hub/hub.h"
#include "models/session.h"

typedef struct fj_windows {
    int32_t *ids; /* n windows of n_ctx, the first token of each in its place */
    int64_t n, n_ctx;
} fj_windows;

/* Reads the files as one text, a line feed between. n_ctx: tokens a window; a text of fewer is one window of its length. most: windows
 * at most; 0 for all. FJ_ERR_DATA when a text is not UTF-8 or has fewer than `least` tokens; FJ_ERR_USAGE when the model has no
 * tokenizer. */
fj_status fj_windows_of_files(const fj_bundle *bundle, const char *const *paths, size_t n_paths, int64_t n_ctx, int64_t most,
                              int64_t least, fj_windows *out, fj_err *err);
/* The same of a text in memory; name: for messages. */
fj_status fj_windows_of_text(const fj_bundle *bundle, fj_text text, const char *name, int64_t n_ctx, int64_t most, int64_t least,
                             fj_windows *out, fj_err *err);
/* The same of token ids; bos: the token that begins windows, -1 for none. */
fj_status fj_windows_of_ids(const int32_t *ids, int64_t n, int32_t bos, int64_t n_ctx, int64_t most, fj_windows *out, fj_err *err);
/* The windows of n lists dealt to two, in turn: one to learn from, one to be measured on. Where there is one window, both have it. Lists
 * with another n_ctx than the first are left out. */
fj_status fj_windows_deal(const fj_windows *from, size_t n, fj_windows *first, fj_windows *second, fj_err *err);
void fj_windows_free(fj_windows *w); /* accepts a zeroed one */

/* How many windows a session of 512 rows takes side by side. */
int64_t fj_windows_at_once(const fj_windows *w);

#endif
