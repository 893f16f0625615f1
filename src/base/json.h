/* SPDX-License-Identifier: Apache-2.0
 * JSON, over jansson (included by json.c alone). A fj_json is a value of a document; views live as long as the document.
 * Reading is tolerant of what Python writes: NaN (as null), Infinity (as the largest double), integers above 64 bits (as
 * reals), \u0000 in strings, a byte-order mark, and lone surrogates in strings (as U+FFFD). Objects keep their order; of
 * members of one name the last counts. Depth is at most 512. */
#ifndef FJ_BASE_JSON_H
#define FJ_BASE_JSON_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "base/str.h"

typedef struct json_t fj_json;

/* Parses one whole document. name: for messages (file, "line 3 of x.jsonl"). *out is owned by the caller (fj_json_free).
 * strict_integers: an integer that does not fit 64 bits is an error instead of a real (safetensors headers).
 * Fails with FJ_ERR_FORMAT and line and column. */
fj_status fj_json_parse(const char *text, size_t len, const char *name, bool strict_integers, fj_json **out, fj_err *err);
fj_status fj_json_load(const char *path, fj_json **out, fj_err *err); /* a whole file; FJ_ERR_FAILED when it cannot be read */
void      fj_json_free(fj_json *value);                              /* accepts NULL; gives up one reference */
fj_json  *fj_json_share(fj_json *value);                             /* one more reference */

/* Kinds. All accept NULL (then false). A whole real (3.0) is not an integer. */
bool fj_json_is_object(const fj_json *v);
bool fj_json_is_array(const fj_json *v);
bool fj_json_is_string(const fj_json *v);
bool fj_json_is_number(const fj_json *v);
bool fj_json_is_integer(const fj_json *v);
bool fj_json_is_bool(const fj_json *v);
bool fj_json_is_null(const fj_json *v); /* null, not "absent" */

/* Members: NULL when absent or when v is not an object/array (or is NULL). Views. */
fj_json *fj_json_get(const fj_json *v, const char *key);
fj_json *fj_json_at(const fj_json *v, size_t index);
/* The first of several members that is there and not null: names stand between '|', a dot goes into an object
 * ("n_head|num_attention_heads", "attn_config.clip_qkv"). */
fj_json *fj_json_find(const fj_json *v, const char *names);
size_t   fj_json_len(const fj_json *v); /* members of an object or array, else 0 */

/* Walks an object in order: for (void *i = fj_json_first(v); i; i = fj_json_next(v, i)) { fj_json_key(i) fj_json_member(i) } */
void       *fj_json_first(const fj_json *object);
void       *fj_json_next(const fj_json *object, void *iterator);
const char *fj_json_key(void *iterator);
fj_json    *fj_json_member(void *iterator);

/* Values with a default for "absent, null or of another kind". Numbers convert between integer and real where exact. */
int64_t fj_json_int(const fj_json *v, int64_t fallback);
double  fj_json_real(const fj_json *v, double fallback);
bool    fj_json_bool(const fj_json *v, bool fallback);
fj_text fj_json_text(const fj_json *v);                           /* view; data NULL when not a string; may hold NUL bytes */
const char *fj_json_string(const fj_json *v, const char *fallback); /* view, cut at a NUL byte */

/* Building. Each returns a new reference, or NULL without memory; add/set take over `value` and accept NULL (then fail). */
fj_json *fj_json_new_object(void);
fj_json *fj_json_new_array(void);
fj_json *fj_json_new_text(const char *text, size_t len); /* broken UTF-8 becomes U+FFFD */
fj_json *fj_json_new_int(int64_t value);
fj_json *fj_json_new_real(double value); /* not finite becomes null */
fj_json *fj_json_new_bool(bool value);
fj_json *fj_json_new_null(void);
bool     fj_json_set(fj_json *object, const char *key, fj_json *value);
bool     fj_json_add(fj_json *array, fj_json *value);

/* Appends the document as text. indent 0: one line. Reals are printed with `digits` significant digits (9 for f32 values,
 * 17 to keep doubles). False without memory. */
bool fj_json_write(const fj_json *v, int indent, int digits, fj_str *out);

#endif
