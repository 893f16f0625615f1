/* SPDX-License-Identifier: Apache-2.0
 * SHA-256 and git's names of files (over libcrypto, included by hash.c alone), and a fast hash for tables. */
#ifndef FJ_BASE_HASH_H
#define FJ_BASE_HASH_H

#include <stddef.h>
#include <stdint.h>

#include "base/err.h"

typedef struct fj_digest fj_digest;

fj_digest *fj_sha256_new(void);            /* NULL without memory */
fj_digest *fj_git_blob_new(uint64_t len);  /* of a file of len bytes, as git names it: SHA-1 of "blob LEN", NUL and the bytes */
void       fj_digest_add(fj_digest *h, const void *data, size_t len);
void       fj_digest_end(fj_digest *h, char hex[65]); /* lower-case hex (64 digits, of git 40) with NUL; frees h */
void       fj_sha256_of(const void *data, size_t len, char hex[65]);

uint64_t fj_hash64(const void *data, size_t len, uint64_t seed); /* for hash tables; not for safety against an attacker with the seed */

#endif
