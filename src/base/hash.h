/* SPDX-License-Identifier: Apache-2.0
 * SHA-256 (over libcrypto, included by hash.c alone) and a fast hash for tables. */
#ifndef FJ_BASE_HASH_H
#define FJ_BASE_HASH_H

#include <stddef.h>
#include <stdint.h>

#include "base/err.h"

typedef struct fj_sha256 fj_sha256;

fj_sha256 *fj_sha256_new(void); /* NULL without memory */
void       fj_sha256_add(fj_sha256 *h, const void *data, size_t len);
void       fj_sha256_end(fj_sha256 *h, char hex[65]); /* lower-case hex with NUL; frees h */
void       fj_sha256_of(const void *data, size_t len, char hex[65]);

uint64_t fj_hash64(const void *data, size_t len, uint64_t seed); /* for hash tables; not for safety against an attacker with the seed */

#endif
