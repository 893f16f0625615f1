/* SPDX-License-Identifier: Apache-2.0
 * Prompt caches: files with the ids of a sequence and all that a session holds of them, so that a later run with the same beginning does
 * not compute it again. The file is read by the program that wrote it, for the same model, types and arithmetic: the answers are then the
 * same in every bit. Little-endian:
 *
 *   "FJPROMPT" | u32 format, 1 | u32 GGUF's ids of the keys' and the values' type | u32 n ids | u64 bytes of the state
 *   | forja's version, 16 bytes | identity of the model, 64 | of the arithmetic, 64 | n ids, i32 | state | SHA-256 of all that, 64 */
#ifndef FJ_TASKS_PROMPT_CACHE_H
#define FJ_TASKS_PROMPT_CACHE_H

#include "models/session.h"

/* Sequence 0 of the session gets what the file holds of the beginning of the prompt, n ids that fit the context; *held says how many they
 * are. A file that is absent is nothing: 0. FJ_ERR_FORMAT when it is no prompt cache, is broken, or was made by another version, for
 * another model, or with other types or arithmetic. */
fj_status fj_prompt_cache_read(const char *path, fj_session *session, const int32_t *prompt, int64_t n, int64_t *held, fj_err *err);
/* The same of bytes; path: for messages. */
fj_status fj_prompt_cache_read_bytes(const char *path, const void *data, size_t len, fj_session *session, const int32_t *prompt, int64_t n,
                                     int64_t *held, fj_err *err);

/* Writes what sequence 0 of the session holds, in place of what the file was; ids: of its positions. */
fj_status fj_prompt_cache_write(const char *path, const fj_session *session, const int32_t *ids, fj_err *err);

#endif
