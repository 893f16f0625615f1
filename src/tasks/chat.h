/* SPDX-License-Identifier: Apache-2.0
 * A conversation and the ids that a model's chat template makes of it. */
#ifndef FJ_TASKS_CHAT_H
#define FJ_TASKS_CHAT_H

#include "hub/hub.h"
#include "tokenizers/template.h"

typedef struct fj_chat fj_chat;

/* template_text: Jinja, or NULL for the model's own. The bundle (with its tokenizer) must outlive the chat. FJ_ERR_FORMAT when there is no
 * template or no tokenizer, or the template does not parse. */
fj_status fj_chat_new(const fj_bundle *bundle, const char *template_text, fj_chat **out, fj_err *err);
void fj_chat_free(fj_chat *c); /* accepts NULL */

/* Messages, in order. role: "system", "user", "assistant". */
fj_status fj_chat_add(fj_chat *c, const char *role, const char *text, size_t len, fj_err *err);
size_t fj_chat_count(const fj_chat *c);
const char *fj_chat_role(const fj_chat *c, size_t index);
fj_text fj_chat_content(const fj_chat *c, size_t index);
fj_status fj_chat_remove(fj_chat *c, size_t first, size_t n, fj_err *err); /* forgets n messages from `first` on */
const fj_json *fj_chat_messages(const fj_chat *c);                         /* [{"role","content"}, …]; view */

/* Ids of the conversation, ready for the assistant's answer. What users wrote never becomes a special token. *out is replaced. */
fj_status fj_chat_encode(fj_chat *c, fj_encoding *out, fj_err *err);

#endif
