/* SPDX-License-Identifier: Apache-2.0
 * Large memory that the planner counted: weights, caches, step arenas. Page-aligned, from the system directly, so that
 * freeing gives the pages back and what is never touched is never resident. */
#ifndef FJ_BASE_BUFFER_H
#define FJ_BASE_BUFFER_H

#include <stddef.h>

#include "base/err.h"

typedef struct fj_buffer {
    unsigned char *data; /* zeroed when new */
    size_t         size;
} fj_buffer;

/* what: for the message ("step arena"). Fails with FJ_ERR_MEMORY, saying how much was asked for. size 0 gives data NULL. */
fj_status fj_buffer_open(fj_buffer *out, size_t size, const char *what, fj_err *err);
/* Addresses alone: however large, nothing is taken until it is written to, and what is written may be more than the machine has. */
fj_status fj_buffer_reserve(fj_buffer *out, size_t size, const char *what, fj_err *err);
void      fj_buffer_drop(const fj_buffer *buffer, size_t offset, size_t len); /* whole pages inside leave memory, and are zero then */
void      fj_buffer_close(fj_buffer *buffer); /* accepts a zeroed one; zeroes it */

#endif
