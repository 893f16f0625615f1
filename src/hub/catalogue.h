/* SPDX-License-Identifier: Apache-2.0
 * The catalogue: what is known of each model, its files or not. The rows are the files of catalogue/, whose README.md has the schema;
 * they travel in the program. */
#ifndef FJ_HUB_CATALOGUE_H
#define FJ_HUB_CATALOGUE_H

#include "base/json.h"

/* Texts and values are views of `json`, the whole row. */
typedef struct fj_catalogue_row {
    const char *name;       /* "smollm:135m" */
    const char *title, *company, *purpose;
    const char *hub;        /* "org/name" */
    const char *file;       /* the file of that repository; NULL: a folder in Hugging Face form */
    const char *type;       /* the recipe that the file was made with; NULL: 16 or 32 bits, as config says */
    const char *licence, *licence_id;
    const char *commercial; /* use: yes, no, conditions, unknown */
    const char *family;     /* of models/registry.c, there or to come */
    bool        runs;       /* the family is there */
    int64_t     context;    /* tokens */
    int64_t     total, active; /* parameters */
    const fj_json *languages; /* ISO 639-1 codes, "mul" for many */
    const fj_json *tasks;
    const fj_json *config;  /* as config.json has it */
    fj_json    *json;
} fj_catalogue_row;

typedef struct fj_catalogue {
    fj_catalogue_row *rows; /* in order of their names */
    size_t            n;
} fj_catalogue;

/* FJ_ERR_FORMAT names the file and the field that is wrong. */
fj_status fj_catalogue_open(fj_catalogue *out, fj_err *err);
void      fj_catalogue_close(fj_catalogue *c);

/* One row from its text; name: for messages. The caller frees row->json. */
fj_status fj_catalogue_read(const char *text, size_t len, const char *name, fj_catalogue_row *out, fj_err *err);

/* By name, alias or hub id, in either case; NULL when there is none. */
const fj_catalogue_row *fj_catalogue_find(const fj_catalogue *c, const char *name);

/* FJ_ERR_USAGE with the names that come near. */
fj_status fj_catalogue_unknown(const fj_catalogue *c, const char *name, fj_err *err);

/* Whether the language is among the row's; a model of many languages may have any. */
bool fj_catalogue_speaks(const fj_catalogue_row *row, const char *language);
bool fj_catalogue_does(const fj_catalogue_row *row, const char *task);

#endif
