/* SPDX-License-Identifier: Apache-2.0
 * Arenas: a list of blocks that double in size; what does not fit the open block gets one of its own. */
#include "base/arena.h"

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { ALIGN = 64, FIRST_BLOCK = 4096, LARGEST_BLOCK = 4 << 20 };

typedef struct block block;
struct block {
    block *next;
    size_t size, used; /* of the bytes behind the header */
};

struct fj_arena {
    block *open; /* the newest */
    size_t bytes, next_size;
};

enum { HEADER = (sizeof(block) + ALIGN - 1) / ALIGN * ALIGN };

_Bool fj_mul_size(size_t a, size_t b, size_t *out)
{
    size_t r;
    if (__builtin_mul_overflow(a, b, &r))
        return 0;
    *out = r;
    return 1;
}

_Bool fj_add_size(size_t a, size_t b, size_t *out)
{
    size_t r;
    if (__builtin_add_overflow(a, b, &r))
        return 0;
    *out = r;
    return 1;
}

fj_arena *fj_arena_new(void)
{
    fj_arena *arena = calloc(1, sizeof *arena);
    if (arena)
        arena->next_size = FIRST_BLOCK;
    return arena;
}

void fj_arena_free(fj_arena *arena)
{
    if (!arena)
        return;
    for (block *b = arena->open; b;) {
        block *next = b->next;
        free(b);
        b = next;
    }
    free(arena);
}

static block *add_block(fj_arena *arena, size_t least)
{
    size_t size = least > arena->next_size ? least : arena->next_size, total;
    if (!fj_add_size(size, HEADER + ALIGN, &total))
        return NULL;
    block *b = aligned_alloc(ALIGN, (HEADER + size + ALIGN - 1) / ALIGN * ALIGN);
    if (!b)
        return NULL;
    b->size = size;
    b->used = 0;
    arena->bytes += HEADER + size;
    if (arena->next_size < LARGEST_BLOCK)
        arena->next_size *= 2;
    /* a large single thing must not close a block that still has room */
    if (arena->open && arena->open->size - arena->open->used > size - least) {
        b->next = arena->open->next;
        arena->open->next = b;
    } else {
        b->next = arena->open;
        arena->open = b;
    }
    return b;
}

void *fj_arena_take(fj_arena *arena, size_t size)
{
    size_t rounded;
    if (!fj_add_size(size ? size : 1, ALIGN - 1, &rounded))
        return NULL;
    rounded = rounded / ALIGN * ALIGN;
    block *b = arena->open;
    if (!b || b->size - b->used < rounded)
        b = add_block(arena, rounded);
    if (!b)
        return NULL;
    void *p = (unsigned char *)b + HEADER + b->used;
    b->used += rounded;
    memset(p, 0, rounded);
    return p;
}

void *fj_arena_array(fj_arena *arena, size_t count, size_t size)
{
    size_t bytes;
    return fj_mul_size(count, size, &bytes) ? fj_arena_take(arena, bytes) : NULL;
}

char *fj_arena_text(fj_arena *arena, const char *text, size_t len)
{
    size_t bytes;
    char *p = fj_add_size(len, 1, &bytes) ? fj_arena_take(arena, bytes) : NULL;
    if (p && len)
        memcpy(p, text, len);
    return p;
}

char *fj_arena_printf(fj_arena *arena, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    int n = vsnprintf(NULL, 0, format, args);
    va_end(args);
    char *p = n < 0 ? NULL : fj_arena_take(arena, (size_t)n + 1);
    if (!p)
        return NULL;
    va_start(args, format);
    (void)vsnprintf(p, (size_t)n + 1, format, args);
    va_end(args);
    return p;
}

size_t fj_arena_bytes(const fj_arena *arena)
{
    return arena->bytes;
}
