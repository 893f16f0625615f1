/* SPDX-License-Identifier: Apache-2.0
 * A set of named tensors and the model's configuration, from whatever file: formats implement it, models read it, so any
 * family loads from any format. */
#ifndef FJ_TENSOR_SOURCE_H
#define FJ_TENSOR_SOURCE_H

#include "base/json.h"
#include "tensor/tensor.h"

/* Whose names the tensors have. */
typedef enum fj_naming { FJ_NAMING_HF, FJ_NAMING_GGUF } fj_naming;

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
};

#endif
