/* SPDX-License-Identifier: Apache-2.0
 * Arrays of Zarr, version 2: .zarray describes one, its chunks are files named "0.0.0". Source: zarr-specs, v2.0. */
#ifndef FJ_FORMATS_ZARR_H
#define FJ_FORMATS_ZARR_H

#include "base/str.h"
#include "tensor/tensor.h"

typedef struct fj_zarr {
    const fj_dtype *dtype;
    fj_shape shape, chunk; /* of one rank; every dimension at least 1 */
    size_t   chunk_bytes;  /* of a chunk that is not compressed; those at the border are whole, too */
    bool     is_blosc;
} fj_zarr;

/* name: for messages. FJ_ERR_FORMAT for what is broken, and for what of the format is not read. */
fj_status fj_zarr_describe(fj_text json, const char *name, fj_zarr *out, fj_err *err);

/* A chunk's values: the file's bytes, or, of a compressed one, into room (chunk_bytes). FJ_ERR_FORMAT when it is another size. */
fj_status fj_zarr_chunk(const fj_zarr *z, fj_text file, const char *name, unsigned char *room, const unsigned char **out, fj_err *err);

#endif
