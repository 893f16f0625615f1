/* SPDX-License-Identifier: Apache-2.0
 * Zip archives whose entries are stored, not compressed, as PyTorch writes them: entries are views. Source: PKWARE, APPNOTE 4.3, 4.5.3. */
#ifndef FJ_FORMATS_ZIP_H
#define FJ_FORMATS_ZIP_H

#include "formats/index.h"

/* The entries of an archive by name: data and bytes of each. data is NULL for one that is compressed or encrypted. Names are the
 * arena's. zip64 too; files of several volumes not. FJ_ERR_FORMAT when it is damaged, or no zip archive. */
fj_status fj_zip_list(const void *bytes, size_t len, const char *name, fj_arena *arena, fj_index *out, fj_err *err);

#endif
