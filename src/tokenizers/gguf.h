/* SPDX-License-Identifier: Apache-2.0
 * GGUF's names for what tokenizer.json spells out. */
#ifndef FJ_TOKENIZERS_GGUF_H
#define FJ_TOKENIZERS_GGUF_H

#include "tokenizers/parts.h"

typedef struct fj_gguf_pre {
    const char *name;
    const char *regexes[6]; /* applied in order, each isolating its matches; NULL behind the last */
    bool ignores_merges, adds_bos;
    bool is_written; /* of several names for the same, the one that files get */
} fj_gguf_pre;

extern const fj_gguf_pre fj_gguf_pres[]; /* by name; ends with name NULL */

#endif
