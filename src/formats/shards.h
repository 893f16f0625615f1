/* SPDX-License-Identifier: Apache-2.0
 * Sources over files of one kind: one file, or a folder with one or with several that an index names. What a file holds is the
 * kind's business. */
#ifndef FJ_FORMATS_SHARDS_H
#define FJ_FORMATS_SHARDS_H

#include "base/map.h"
#include "formats/index.h"
#include "tensor/source.h"

typedef struct fj_shard {
    fj_map              *map; /* NULL: bytes of the caller's */
    const unsigned char *data;
    size_t               len;
    const char          *name; /* for messages */
    size_t               number, n_files; /* which of how many */
    void                *header; /* the kind's own, from read on */
    size_t               n_most; /* no more tensors than so many: set by read */
    size_t               first;  /* of its tensors, in the index */
} fj_shard;

typedef struct fj_shard_kind {
    const char *one, *index, *suffix; /* the names of a model's only file and of the index of several; how their names end */
    fj_status (*read)(fj_shard *s, fj_arena *arena, fj_err *err);                         /* what the file says of itself */
    fj_status (*list)(const fj_shard *s, fj_arena *arena, fj_index *index, fj_err *err);  /* appends the tensors */
    void (*release)(fj_shard *s); /* of header; NULL: it is the arena's */
    /* For tensors that are listed without data; both NULL where there are none. Tensor i of the file: its rows, as fj_source has it, and
     * the bytes that they are made from. */
    void (*rows)(const fj_shard *s, size_t i, const fj_tensor *t, int64_t row0, int64_t n, void *out);
    fj_text (*made_from)(const fj_shard *s, size_t i);
} fj_shard_kind;

extern const fj_shard_kind fj_shard_safetensors, fj_shard_torch;

/* config: the caller's, may be NULL (then an empty object); a reference of it is taken. */
fj_status fj_shards_open_file(const fj_shard_kind *kind, const char *path, fj_json *config, fj_source **out, fj_err *err);
/* One file, which says that it is number of n_files. */
fj_status fj_shards_open_bytes(const fj_shard_kind *kind, const void *data, size_t len, size_t number, size_t n_files, fj_source **out,
                               fj_err *err);

/* Several files, whose names are the caller's business. path: of all, for messages. */
fj_status fj_shards_open_files(const fj_shard_kind *kind, const char *path, char *const *paths, size_t n, fj_json *config,
                               fj_source **out, fj_err *err);

/* *found: whether the folder has the kind's file or its index; without them nothing is opened, and that is no error. */
fj_status fj_shards_open_folder(const fj_shard_kind *kind, const char *folder, fj_json *config, bool *found, fj_source **out,
                                fj_err *err);

#endif
