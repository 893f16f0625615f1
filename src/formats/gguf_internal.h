/* SPDX-License-Identifier: Apache-2.0
 * What the parts of the GGUF code share. */
#ifndef FJ_FORMATS_GGUF_INTERNAL_H
#define FJ_FORMATS_GGUF_INTERNAL_H

#include "base/cursor.h"
#include "formats/formats.h"
#include "formats/index.h"

enum { FJ_GGUF_MAX_TENSORS = 1 << 20 };

#define FJ_GGUF_GET_AGAIN "the download was cut or the file is damaged; get it again"

/* An open file. `source` is its first member: a source of fj_gguf_open is one of these. */
typedef struct fj_gguf fj_gguf;
struct fj_gguf {
    fj_source            source;
    fj_arena            *arena;
    fj_map              *map; /* NULL for bytes in memory */
    const unsigned char *bytes;
    size_t               len;
    fj_gguf_value       *values; /* in file order */
    uint32_t            *by_key; /* their positions, sorted by key */
    size_t               n_values;
    fj_index             index;
    fj_gguf            **rest; /* the other parts of a model in several files; index has their tensors */
    size_t               n_rest;
};

size_t fj_gguf_kind_bytes(fj_gguf_kind kind); /* 0 for strings and arrays */

/* Reads n entries of metadata into values and by_key. Counts and lengths are checked against what is left of the file. */
fj_status fj_gguf_read_metadata(fj_gguf *x, fj_cursor *c, uint64_t n, fj_err *err);

int64_t fj_gguf_says_parts(const fj_gguf *x); /* how many parts its metadata says that the model has; 1 for a whole one */

/* The parts of a model, in order (at least one), become parts[0], which owns the others then. FJ_ERR_FORMAT for what does not belong together;
 * nothing is closed. */
fj_status fj_gguf_join(fj_gguf **parts, size_t n, fj_err *err);

/* config.json's vocabulary from the metadata; *out is owned by the caller. */
fj_status fj_gguf_read_config(const fj_source *gguf, fj_json **out, fj_err *err);

#endif
