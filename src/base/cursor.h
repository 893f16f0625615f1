/* SPDX-License-Identifier: Apache-2.0
 * Reading little-endian bytes that we did not write. Past the end every read gives zero and sets `bad` for good. */
#ifndef FJ_BASE_CURSOR_H
#define FJ_BASE_CURSOR_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/str.h"

typedef struct fj_cursor {
    const unsigned char *data;
    size_t               len, at;
    bool                 bad;
} fj_cursor;

fj_cursor fj_cursor_over(const void *data, size_t len);
uint8_t   fj_cursor_u8(fj_cursor *c);
uint16_t  fj_cursor_u16(fj_cursor *c);
uint32_t  fj_cursor_u32(fj_cursor *c);
uint64_t  fj_cursor_u64(fj_cursor *c);
float     fj_cursor_f32(fj_cursor *c);
double    fj_cursor_f64(fj_cursor *c);
fj_text   fj_cursor_take(fj_cursor *c, uint64_t len); /* a view, nothing is copied; empty when bad */
size_t    fj_cursor_left(const fj_cursor *c);

#endif
