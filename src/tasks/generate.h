/* SPDX-License-Identifier: Apache-2.0
 * The loop from a prompt to an answer: prefill, then a token at a time. */
#ifndef FJ_TASKS_GENERATE_H
#define FJ_TASKS_GENERATE_H

#include "hub/hub.h"
#include "models/session.h"
#include "tasks/draft.h"
#include "tasks/sample.h"

typedef struct fj_generate_settings {
    int64_t n_predict;   /* new tokens at most; below 0: until an end, or until the context is full */
    bool ignore_eos;     /* goes on past tokens that end an answer */
    const fj_list *stop; /* texts that end it, not shown; may be NULL */
    const char *prompt_cache; /* a file that a session which holds nothing yet begins with, see prompt_cache.h; may be NULL */
    bool shifts_context; /* a full context forgets half of what is behind its first n_keep ids (below 0: the prompt) and goes on; else the
                          * answer ends with "length" */
    int64_t n_keep;      /* at most 4 fewer than the context has positions; a token that begins texts is kept beside them */
    fj_log *log;         /* told of a full context; may be NULL */
    bool writes_prompt_cache; /* and where a prompt is kept that had more than it; all but its last token, which is computed each time */
} fj_generate_settings;

/* One answer. Zero-initialize; it may be used again. */
typedef struct fj_generation {
    fj_str text;  /* without special tokens, up to a stop text */
    int32_t *ids; /* the new ones, the one that ended it included */
    int64_t n;
    const char
        *finish_reason; /* "stop" (an end token or a stop text) or "length"; "cancelled" after FJ_ERR_CANCELLED */
    int64_t prompt_n;   /* tokens of the prompt that were computed: a beginning that the session held already is not */
    int64_t draft_n, draft_n_accepted; /* tokens that were guessed, and that were right */
    double prompt_ms, predicted_ms;
} fj_generation;
void fj_generation_free(fj_generation *g); /* accepts a zeroed one */

/* A session's sequence 0 with the ids it holds: a prompt that begins like what was there before is not computed again. */
typedef struct fj_generator fj_generator;

/* The session, bundle and sampler are borrowed. bundle->tokenizer may be NULL: then there are ids but no text. */
fj_status fj_generator_new(fj_session *session, int64_t n_vocab, const fj_bundle *bundle, fj_generator **out,
                           fj_err *err);
void fj_generator_free(fj_generator *g); /* accepts NULL */

/* From now on guesses are confirmed several at once: the same answers, sooner. The draft is borrowed and was started. */
fj_status fj_generator_use_draft(fj_generator *g, fj_draft *draft, fj_err *err);

/* Writes what the session holds, prompts and answers, as a prompt cache. */
fj_status fj_generator_save(const fj_generator *g, const char *path, fj_err *err);

/* Shows text as it becomes final; whole UTF-8 characters. */
typedef void fj_generate_show(void *context, const char *text, size_t len);

/* Answers a prompt (n ids). show may be NULL. FJ_ERR_USAGE for an empty prompt and for one that does not fit the context;
 * FJ_ERR_CANCELLED when *cancel was set: *out then holds the answer so far. */
fj_status fj_generate(fj_generator *g, fj_sampler *sampler, const int32_t *prompt, int64_t n,
                      const fj_generate_settings *s, fj_generate_show *show, void *context, const int *cancel,
                      fj_generation *out, fj_err *err);

#endif
