/* SPDX-License-Identifier: Apache-2.0
 * What open.c is made of: a folder's small files, and what a GGUF file's metadata says beyond the weights. */
#ifndef FJ_HUB_HUB_INTERNAL_H
#define FJ_HUB_HUB_INTERNAL_H

#include "base/arena.h"
#include "formats/formats.h"
#include "hub/hub.h"

/* ---- folder.c: files that may be absent -------------------------------------------------------------------------- */

/* A file's bytes; *path (for the caller to free) stays NULL when it is not there. A pointer of Git LFS is FJ_ERR_FORMAT. */
fj_status fj_folder_read(const char *folder, const char *name, size_t limit, fj_str *out, char **path, fj_err *err);

fj_status fj_folder_json(const char *folder, const char *name, fj_json **out, fj_err *err); /* NULL when absent; an object */

/* tokenizer_config.json; the special tokens that it does not name are those of special_tokens_map.json. NULL without either. */
fj_status fj_folder_tokenizer_config(const char *folder, fj_json **out, fj_err *err);

/* Jinja text: chat_template.jinja, chat_template.json, else chat_template of the tokenizer_config.json (may be NULL) given: a text,
 * or a list of which "default" is taken. The caller frees it; NULL without. */
fj_status fj_folder_template(const char *folder, const fj_json *tokenizer_config, char **out, fj_err *err);

/* For a folder that is no model: the hint names a GGUF file in it, if there is one. Returns err->status. */
fj_status fj_folder_advise(const char *folder, fj_err *err);

/* ---- gguf_vocab.c ------------------------------------------------------------------------------------------------- */

/* tokenizer.ggml.* of an open GGUF file, in the arena; texts are views of the file. n_tokens is 0 when it has no vocabulary. */
fj_status fj_gguf_vocab_of(const fj_source *gguf, fj_arena *arena, fj_gguf_vocab *out, fj_err *err);

/* What generation_config.json would say: the ids that end an answer (text, turn, message), and general.sampling.*. */
fj_status fj_gguf_generation(const fj_source *gguf, fj_json **out, fj_err *err);

#endif
