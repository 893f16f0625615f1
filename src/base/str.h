/* SPDX-License-Identifier: Apache-2.0
 * Growing text and views of text. */
#ifndef FJ_BASE_STR_H
#define FJ_BASE_STR_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* A view of bytes that somebody else owns; need not end with NUL. */
typedef struct fj_text {
    const char *data;
    size_t      len;
} fj_text;

fj_text fj_text_of(const char *nul_terminated); /* NULL gives an empty view */
bool    fj_text_is(fj_text text, const char *nul_terminated);
bool    fj_text_starts(fj_text text, const char *prefix);

/* Growing bytes, always NUL-terminated behind len. Zero-initialize; free with fj_str_free. When memory ends or the
 * limit (0: 1 GiB) is passed, `failed` is set for good, and later calls do nothing: one check ends a piece of work. */
typedef struct fj_str {
    char  *data; /* NULL while empty */
    size_t len, cap, limit;
    bool   failed;
} fj_str;

void fj_str_free(fj_str *s);
void fj_str_clear(fj_str *s); /* len 0, keeps the memory and `failed` */
void fj_str_add(fj_str *s, const void *bytes, size_t len);
void fj_str_add_text(fj_str *s, const char *nul_terminated);
void fj_str_add_char(fj_str *s, char c);
void fj_str_printf(fj_str *s, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* Edit distance (Damerau-Levenshtein, ASCII case ignored), for "did you mean"; at most 255. */
int fj_text_distance(const char *a, const char *b);

/* The name nearest to `name` among n names, or NULL when none is near enough to be meant. */
const char *fj_nearest(const char *name, const char *const *names, size_t n);

/* Numbers from text, the whole text or nothing: true when text is one number in range. No locale, no leading space. */
bool fj_text_i64(fj_text text, int64_t *out);
/* "2G", "1.5GB", "800MiB", "4096": bytes. K, M, G and T are powers of 1000, with "iB" of 1024; either case. False for anything else. */
bool fj_text_bytes(fj_text text, uint64_t *out);
bool fj_text_f64(fj_text text, double *out);

/* "98.1 MB" for people; bytes in decimal units. Writes into out (at least 24 bytes) and returns it. */
char *fj_format_bytes(uint64_t bytes, char out[24]);

#endif
