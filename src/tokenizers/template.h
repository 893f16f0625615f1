/* SPDX-License-Identifier: Apache-2.0
 * Chat templates: an interpreter of the Jinja2 subset that hub templates use (sandboxed: no I/O, limits on steps and output).
 * Text that comes from messages is marked, so that what a user writes can never become a special token.
 * Source: Jinja 2 documentation; transformers utils/chat_template_utils.py (trim_blocks, lstrip_blocks, raise_exception,
 * strftime_now, tojson without HTML escapes). */
#ifndef FJ_TOKENIZERS_TEMPLATE_H
#define FJ_TOKENIZERS_TEMPLATE_H

#include "base/err.h"
#include "base/json.h"
#include "tokenizers/tokenizer.h"

typedef struct fj_template fj_template;

/* FJ_ERR_FORMAT with line and column for a template that does not parse. */
fj_status fj_template_parse(const char *text, size_t len, fj_template **out, fj_err *err);
void      fj_template_free(fj_template *t); /* accepts NULL */

/* What a rendering knows. messages: array of {"role","content",…}; extra: an object of further variables (tools, documents,
 * enable_thinking …) or NULL. bos/eos/…: their text, NULL when there is none (then undefined → empty). */
typedef struct fj_template_input {
    const fj_json *messages, *extra;
    const char    *bos_token, *eos_token, *unk_token, *pad_token;
    bool           add_generation_prompt;
    int64_t        now; /* Unix time for strftime_now, as UTC; 0: the clock, as local time */
} fj_template_input;

/* One run of output text; from_message: it came (through any filter or +) from the messages or extra, not from the template.
 * message: the index of the message being looped over when it was written (-1 outside). */
typedef struct fj_span {
    size_t start, len;
    bool   from_message;
    int    message;
} fj_span;

typedef struct fj_rendering {
    fj_str   text;
    fj_span *spans; /* in order, covering the text */
    size_t   n_spans;
} fj_rendering;
void fj_rendering_free(fj_rendering *r);

/* FJ_ERR_DATA when the template itself refuses (raise_exception: its message is the error's); FJ_ERR_FORMAT when it uses what
 * does not exist; FJ_ERR_FAILED at the limits (2 M steps, 64 MB). */
fj_status fj_template_render(const fj_template *t, const fj_template_input *input, fj_rendering *out, fj_err *err);

/* Ids of a rendering, with offsets: template text may be special tokens, message text may not. Nothing is added (the template
 * wrote bos). */
fj_status fj_template_encode(const fj_rendering *r, fj_encoder *e, fj_encoding *out, fj_err *err);

#endif
