/* SPDX-License-Identifier: Apache-2.0
 * From a name to an open bundle: weights, configuration, tokenizer, generation settings, chat template. */
#ifndef FJ_HUB_HUB_H
#define FJ_HUB_HUB_H

#include "base/json.h"
#include "tensor/source.h"
#include "tokenizers/tokenizer.h"

typedef struct fj_bundle {
    char         *path;        /* as resolved */
    fj_source    *source;      /* NULL when only the tokenizer was asked for and there are no weights */
    fj_tokenizer *tokenizer;   /* NULL when the model has none (or it was not asked for) */
    fj_json      *config;      /* source->config or the folder's config.json; NULL without */
    fj_json      *generation;  /* generation_config.json, or what GGUF metadata says of it; NULL without */
    char         *chat_template; /* Jinja text (chat_template.jinja, tokenizer_config.json, tokenizer.chat_template); NULL without */
    bool          is_gguf;
} fj_bundle;

enum { FJ_OPEN_WEIGHTS = 1, FJ_OPEN_TOKENIZER = 2, FJ_OPEN_ALL = 3 };

/* MODEL: a folder in Hugging Face form, a .gguf file. Other forms (hf:, catalogue names) say that they arrive later? No:
 * they are an FJ_ERR_USAGE that names what is accepted. A folder without tokenizer files gives tokenizer NULL, no error;
 * a broken tokenizer is FJ_ERR_FORMAT. */
fj_status fj_bundle_open(const char *model, int what, fj_bundle **out, fj_err *err);
void      fj_bundle_close(fj_bundle *b); /* accepts NULL */

#endif
