/* SPDX-License-Identifier: Apache-2.0
 * What the exports' files share. */
#ifndef FJ_TASKS_EXPORT_INTERNAL_H
#define FJ_TASKS_EXPORT_INTERNAL_H

#include "formats/formats.h"
#include "models/model.h"
#include "tasks/export.h"

/* config.json's rope_scaling for what a GGUF file says by its tensor rope_freqs: a new object, NULL when there is no such tensor or it
 * changes nothing. FJ_ERR_FORMAT when no llama3 scaling gives these frequencies. */
fj_status fj_export_rope_scaling(const fj_model *m, fj_json **out, fj_err *err);

/* Says in a GGUF file what values were that a rewrite does not give back bit for bit. */
fj_status fj_export_keep_exact(const fj_model *m, const fj_export_rows *rows, fj_gguf_writer *out, fj_err *err);

/* A document as a file of the folder. */
fj_status fj_export_json(const char *folder, const char *name, const fj_json *value, fj_err *err);

/* tokenizer.json and tokenizer_config.json of a GGUF file's vocabulary, where it has one; FJ_ERR_FORMAT when they cannot say it. */
fj_status fj_export_tokenizer(const fj_bundle *b, const char *folder, fj_err *err);

/* generation_config.json of a GGUF file, with all ids that end an answer. */
fj_status fj_export_generation(const fj_bundle *b, const char *folder, fj_err *err);

/* The way back from GGUF's values of a weight; all NULL where they are Hugging Face's. */
typedef struct fj_exact {
    const fj_rewrite    *rewrite;
    const fj_gguf_value *before; /* what the values were, if the file says so */
} fj_exact;

fj_exact fj_exact_of(const fj_model *m, const fj_weight *w);
void     fj_exact_to_hf(const fj_exact *e, int64_t first, float *values, int64_t n); /* values [first, first+n) of the weight */

/* Whether a 16-bit type holds every value that the weight has in Hugging Face's form. */
bool fj_export_fits(const fj_model *m, const fj_weight *w, const fj_export_rows *rows, const fj_dtype *dtype);

#endif
