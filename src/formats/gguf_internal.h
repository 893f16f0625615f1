/* SPDX-License-Identifier: Apache-2.0
 * What the parts of the GGUF code share. */
#ifndef FJ_FORMATS_GGUF_INTERNAL_H
#define FJ_FORMATS_GGUF_INTERNAL_H

#include "formats/formats.h"

size_t fj_gguf_kind_bytes(fj_gguf_kind kind); /* 0 for strings and arrays */

/* config.json's vocabulary from the metadata; *out is owned by the caller. */
fj_status fj_gguf_read_config(const fj_source *gguf, fj_json **out, fj_err *err);

#endif
