/* SPDX-License-Identifier: Apache-2.0
 * Arenas: memory of things that live and die together. Not thread-safe. */
#ifndef FJ_BASE_ARENA_H
#define FJ_BASE_ARENA_H

#include <stdarg.h>
#include <stddef.h>

typedef struct fj_arena fj_arena;

/* A new empty arena, or NULL when there is no memory. */
fj_arena *fj_arena_new(void);
void      fj_arena_free(fj_arena *arena); /* accepts NULL; frees everything that was taken */

/* size bytes, aligned to 64, zeroed, owned by the arena; NULL when there is no memory. size 0 gives a valid pointer. */
void *fj_arena_take(fj_arena *arena, size_t size);

/* count * size bytes with an overflow check; otherwise as fj_arena_take. */
void *fj_arena_array(fj_arena *arena, size_t count, size_t size);

/* A copy of len bytes of text with a NUL behind it; NULL when there is no memory. */
char *fj_arena_text(fj_arena *arena, const char *text, size_t len);
char *fj_arena_printf(fj_arena *arena, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* Bytes asked from the system so far. */
size_t fj_arena_bytes(const fj_arena *arena);

/* Overflow-checked sizes: false when a*b or a+b does not fit; *out is then untouched. */
_Bool fj_mul_size(size_t a, size_t b, size_t *out);
_Bool fj_add_size(size_t a, size_t b, size_t *out);

#endif
