/* SPDX-License-Identifier: Apache-2.0
 * Tar archives that are not compressed: files are views. Source: POSIX.1-2017, pax (ustar and pax headers); GNU tar's manual. */
#ifndef FJ_FORMATS_TAR_H
#define FJ_FORMATS_TAR_H

#include "formats/index.h"

/* Its files by name, without "./" before them: data and bytes of each. Names are the arena's. FJ_ERR_FORMAT when it is damaged, is
 * compressed, or is no tar archive. */
fj_status fj_tar_list(const void *bytes, size_t len, const char *name, fj_arena *arena, fj_index *out, fj_err *err);

#endif
