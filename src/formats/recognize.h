/* SPDX-License-Identifier: Apache-2.0
 * What a file is that is not what was asked for. */
#ifndef FJ_FORMATS_RECOGNIZE_H
#define FJ_FORMATS_RECOGNIZE_H

#include <stddef.h>

#include "base/err.h"

/* Fails with FJ_ERR_FORMAT: the file `name`, whose bytes are given, is not of the format `wanted` ("GGUF"). Says what it is where
 * its first bytes tell (a Git LFS pointer, a web page, a file of another format), with a hint for that case. */
fj_status fj_wrong_file(const char *name, const void *data, size_t len, const char *wanted, fj_err *err);

#endif
