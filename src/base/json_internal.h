/* SPDX-License-Identifier: Apache-2.0
 * What json.c has done to a text before jansson sees it. */
#ifndef FJ_BASE_JSON_INTERNAL_H
#define FJ_BASE_JSON_INTERNAL_H

#include <stdbool.h>
#include <stddef.h>

#include "base/str.h"

/* Rewrites what Python's json writes and JSON does not have: NaN (to null), Infinity and numbers beyond a double (to the
 * largest double of that sign), integers beyond 64 bits (to reals; not with strict_integers), lone surrogates (to U+FFFD).
 * *out stays empty when nothing had to be. *depth becomes the deepest nesting. Knows only strings, numbers and brackets:
 * whether it is JSON at all is the parser's business. out->failed without memory. */
void fj_json_prepare(const char *text, size_t len, bool strict_integers, fj_str *out, size_t *depth);

#endif
