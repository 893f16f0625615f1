/* SPDX-License-Identifier: Apache-2.0
 * One safetensors file: its header, and the tensors that it names. */
#ifndef FJ_FORMATS_SAFETENSORS_INTERNAL_H
#define FJ_FORMATS_SAFETENSORS_INTERNAL_H

#include "base/json.h"
#include "formats/index.h"

/* The header of a file's bytes, and what lies behind it. name: for messages. *header is owned by the caller, also after a failure. */
fj_status fj_safetensors_header(const void *bytes, size_t len, const char *name, fj_json **header, fj_text *data, fj_err *err);

/* Appends the header's tensors, in its order, with all checks; their names are the header's. The index has room for them. */
fj_status fj_safetensors_tensors(const fj_json *header, fj_text data, const char *name, fj_index *index, fj_err *err);

#endif
