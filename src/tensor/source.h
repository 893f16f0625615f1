/* SPDX-License-Identifier: Apache-2.0
 * A set of named tensors and the model's configuration, from whatever file: formats implement it, models read it, so any
 * family loads from any format. */
#ifndef FJ_TENSOR_SOURCE_H
#define FJ_TENSOR_SOURCE_H

#include "base/json.h"
#include "tensor/tensor.h"

/* Whose names the tensors have. */
typedef enum fj_naming { FJ_NAMING_HF, FJ_NAMING_GGUF } fj_naming;

/* What rows of a matrix need beside their own bytes. Zeroed for most. */
typedef struct fj_row_form {
    const float   *run_scale; /* of scales that are coded (quant/nf4.h), and their offset; NULL: they are not */
    float          offset;
    const int32_t *order; /* the column of each value as they lie in the row; NULL: they lie in order */
} fj_row_form;

typedef struct fj_source fj_source;
struct fj_source {
    const char *path;   /* folder or file, for messages */
    fj_naming   naming;
    fj_json    *config; /* config.json's vocabulary, whatever the format (a GGUF's metadata translated). Never NULL, view */

    size_t (*count)(const fj_source *s);
    const fj_tensor *(*at)(const fj_source *s, size_t index);           /* in file order; view, lives as long as the source */
    const fj_tensor *(*find)(const fj_source *s, const char *name);     /* NULL when absent */
    /* Pages of a tensor or of a part of one, whatever the struct: read ahead; whole ones may leave memory. Nothing happens to data that
     * does not lie in a file of the source. */
    void (*will_need)(const fj_source *s, const fj_tensor *t);
    void (*give_back)(const fj_source *s, const fj_tensor *t);
    void (*close)(fj_source *s);                                        /* unmaps: tensors die */

    /* For tensors whose data is NULL, since the file has their numbers in another form (both NULL where there are none). Any thread
     * may ask for rows [row0, row0+n), in the tensor's type; form says what they need beside. */
    void (*rows)(const fj_source *s, const fj_tensor *t, int64_t row0, int64_t n, void *out);
    fj_row_form (*form)(const fj_source *s, const fj_tensor *t);
};

#endif
