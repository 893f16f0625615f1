/* SPDX-License-Identifier: Apache-2.0
 * Files: mapped for reading, written atomically. */
#ifndef FJ_BASE_MAP_H
#define FJ_BASE_MAP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include "base/err.h"
#include "base/str.h"

/* A file mapped read-only. If the file shrinks while mapped, the SIGBUS handler ends the process with one line naming it. */
typedef struct fj_map {
    const unsigned char *data;
    size_t               len;
    char                *path;
} fj_map;

fj_status fj_map_open(const char *path, fj_map **out, fj_err *err); /* FJ_ERR_FAILED; an empty file is fine */
void      fj_map_close(fj_map *map);                                /* accepts NULL */
void      fj_map_will_need(const fj_map *map, size_t offset, size_t len); /* read ahead */
void      fj_map_give_back(const fj_map *map, size_t offset, size_t len); /* whole pages inside leave memory; reading brings them back */
void      fj_map_install_sigbus(void);                              /* once, from main */

/* A whole file as bytes with a NUL behind them; at most `limit` bytes (else FJ_ERR_FORMAT). The caller owns it (fj_str_free). */
fj_status fj_file_read(const char *path, size_t limit, fj_str *out, fj_err *err);

/* Writes beside the target under a temporary name; commit syncs and renames, so the target is the old file or the whole new
 * one, never a part. abort (or a crash) leaves the target as it was. Every fwrite error is kept and reported by commit. */
typedef struct fj_out {
    FILE *file;
    char *path, *temporary;
} fj_out;

fj_status fj_out_open(const char *path, fj_out *out, fj_err *err);
fj_status fj_out_commit(fj_out *out, fj_err *err); /* FJ_ERR_MEMORY on a full disk, else FJ_ERR_FAILED; the temporary is removed */
void      fj_out_abort(fj_out *out);               /* accepts a zeroed or committed one */
fj_status fj_file_write(const char *path, const void *data, size_t len, fj_err *err); /* open, write, commit */

bool      fj_path_exists(const char *path);
bool      fj_path_is_dir(const char *path);
fj_status fj_make_dirs(const char *path, fj_err *err); /* like mkdir -p */
fj_status fj_remove_tree(const char *path, fj_err *err); /* like rm -r; absent is fine; does not follow links */
uint64_t  fj_disk_free(const char *path);              /* bytes free where path (or its nearest existing parent) lies */

/* dir + "/" + name; NULL without memory; the caller frees it with free(). */
char *fj_path_join(const char *dir, const char *name);

#endif
