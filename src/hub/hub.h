/* SPDX-License-Identifier: Apache-2.0
 * From a name to an open bundle: weights, configuration, tokenizer, generation settings, chat template; and from the hub to the disk. */
#ifndef FJ_HUB_HUB_H
#define FJ_HUB_HUB_H

#include <stdbool.h>
#include <stdint.h>

#include "base/json.h"
#include "base/log.h"
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

/* MODEL: a folder in Hugging Face form or as Grok-1 and Nemotron-4 were released, a .gguf or .nemo file, or a name of the hub or of the
 * catalogue that is in the cache already (nothing is fetched: see fj_model_fetch). Other forms are an error that names what is accepted.
 * A folder without tokenizer files gives tokenizer NULL, no error; a broken tokenizer is FJ_ERR_FORMAT. */
fj_status fj_bundle_open(const char *model, int what, fj_bundle **out, fj_err *err);
void      fj_bundle_close(fj_bundle *b); /* accepts NULL */

/* The folder or file that MODEL means, for free(): its own path, or its place in the hub's cache. What is not there is FJ_ERR_FORMAT, of
 * the hub FJ_ERR_NETWORK; names of a catalogue are FJ_ERR_USAGE. */
fj_status fj_resolve(const char *model, char **path, fj_err *err);

/* ---- the hub ------------------------------------------------------------------------------------------------------ */

/* Whether MODEL names a repository of the hub: "hf:org/name[@revision][:file]". */
bool fj_model_is_remote(const char *model);

/* What other programs call MODEL: of a name of the hub its "org/name", else MODEL itself. out: 200 bytes where the former is put. */
const char *fj_model_public_name(const char *model, char out[200]);

/* How fetching is watched and stopped. */
typedef struct fj_fetch {
    fj_log *log;
    const int *cancel; /* read atomically: not 0 stops; NULL: nothing does */
    void (*progress)(void *context, double done, double total); /* bytes; may be NULL */
    void *context;
    bool spares_weights; /* leaves the weights of a folder away: for what reads its other files only */
} fj_fetch;

/* A model in the cache. */
typedef struct fj_pulled {
    char *path;      /* the folder, or the file that is the model */
    char commit[41];
    char **files;    /* names, as in the repository */
    size_t n_files;
    uint64_t bytes, fetched_bytes; /* of the files; of these, what had to be fetched */
} fj_pulled;

/* Asks the hub what the name means now, and fetches what is not in the cache. Files are checked against the hub's hashes before they have
 * a name there. FJ_ERR_NETWORK, FJ_ERR_USAGE (the name), FJ_ERR_MEMORY (no room on the disk), FJ_ERR_CANCELLED; what had come is kept, and
 * the next call goes on with it. With HF_HUB_OFFLINE it looks in the cache only. */
fj_status fj_pull(const char *model, const fj_fetch *how, fj_pulled *out, fj_err *err);
void fj_pulled_free(fj_pulled *p); /* accepts a zeroed one */

/* The path of any MODEL, for free(): its own, or its place in the cache, where it is fetched to if need be. */
fj_status fj_model_fetch(const char *model, const fj_fetch *how, char **path, fj_err *err);

#endif
