/* SPDX-License-Identifier: Apache-2.0
 * Unicode regular expressions of tokenizer files (Oniguruma's dialect), over PCRE2 (included by regex.c alone). An expression is
 * read-only once made and may be shared by threads; a matcher is one thread's. */
#ifndef FJ_TOKENIZERS_REGEX_H
#define FJ_TOKENIZERS_REGEX_H

#include <stdbool.h>
#include <stddef.h>

#include "base/err.h"
#include "base/str.h"

typedef struct fj_regex fj_regex;

/* FJ_ERR_FORMAT for an expression that is not understood, with the place. */
fj_status fj_regex_new(fj_text pattern, fj_regex **out, fj_err *err);
void fj_regex_free(fj_regex *regex); /* accepts NULL */

typedef struct fj_matcher fj_matcher;
fj_matcher *fj_matcher_new(void); /* NULL without memory */
void fj_matcher_free(fj_matcher *m);

/* The next match at or after `at` in valid UTF-8; *is_found says whether there is one. Nothing outside text is looked at.
 * FJ_ERR_DATA when the expression gives up on this text (it would take too long). */
fj_status fj_regex_next(const fj_regex *regex, fj_matcher *m, fj_text text, size_t at, size_t *start, size_t *end,
                        bool *is_found, fj_err *err);

/* The expression in PCRE2's dialect: classes within classes are flattened, \s and \w mean what they mean in Oniguruma. */
fj_status fj_regex_translate(fj_text pattern, fj_str *out, fj_err *err);

#endif
