/* SPDX-License-Identifier: Apache-2.0
 * UTF-8 and Unicode, over utf8proc (included by utf8.c alone). */
#ifndef FJ_BASE_UTF8_H
#define FJ_BASE_UTF8_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/str.h"

/* Reads one code point; returns its length in bytes (1 to 4), or 0 at the end or on a broken sequence (overlong, surrogate,
 * above U+10FFFF, cut short). */
size_t fj_utf8_get(const char *text, size_t len, uint32_t *out);
size_t fj_utf8_put(uint32_t code_point, char out[4]); /* bytes written, 0 for a surrogate or above U+10FFFF */
bool   fj_utf8_valid(const char *text, size_t len);

/* Length of the longest prefix that ends on a character border: what a stream may show now. A broken byte counts as a
 * whole character; only a possible beginning of a character is held back. */
size_t fj_utf8_whole(const char *text, size_t len);

/* Appends text with each broken byte as U+FFFD. */
void fj_utf8_repair(const char *text, size_t len, fj_str *out);

typedef enum fj_normal_form { FJ_NFC, FJ_NFD, FJ_NFKC, FJ_NFKD } fj_normal_form;

/* Appends the normal form of valid UTF-8. False when the text is broken or without memory. */
bool fj_utf8_normalize(const char *text, size_t len, fj_normal_form form, fj_str *out);
void fj_utf8_lower(const char *text, size_t len, fj_str *out); /* simple lower case; U+0130 as Python has it (two code points) */
void fj_utf8_upper(const char *text, size_t len, fj_str *out); /* simple upper case; U+00DF as Python has it (SS) */

/* Unicode general category as two letters ("Lu", "Zs", "Cn"). Static storage. */
const char *fj_unicode_category(uint32_t code_point);
bool        fj_unicode_is_space(uint32_t code_point); /* White_Space, as Python's str.isspace but without U+001C-1F */

#endif
