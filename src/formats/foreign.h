/* SPDX-License-Identifier: Apache-2.0
 * Folders that others have quantized: config.json's quantization_config says how, and a weight is several tensors. A source over the
 * folder's own shows one tensor for each weight, of a type of ours, whose rows are made when they are asked for (data is NULL); all
 * other tensors are shown as they are. */
#ifndef FJ_FORMATS_FOREIGN_H
#define FJ_FORMATS_FOREIGN_H

#include "base/arena.h"
#include "tensor/source.h"

enum { FJ_FOREIGN_PARTS = 8 };

typedef struct fj_foreign_weight fj_foreign_weight;
struct fj_foreign_weight {
    fj_tensor        tensor;                  /* as it is shown: name, type, shape; data NULL */
    const fj_tensor *parts[FJ_FOREIGN_PARTS]; /* what it is made from; NULL behind the last. Not shown */
    fj_row_form      form;
    void (*rows)(const fj_foreign_weight *w, int64_t row0, int64_t n, void *out);
    const void      *how; /* the reader's own */
};

/* Where weights are looked for, and what they are made with. */
typedef struct fj_foreign_call {
    const fj_source *inner;
    const fj_json   *config; /* quantization_config */
    fj_arena        *arena;
} fj_foreign_call;

typedef struct fj_foreign_reader {
    const char *method; /* quant_method */
    /* Whether t is what a quantized weight begins with: then *out is filled but for tensor.data and tensor.bytes. Every count that rows()
     * relies on is checked here. FJ_ERR_FORMAT, FJ_ERR_SHAPE. */
    fj_status (*open)(const fj_foreign_call *c, const fj_tensor *t, fj_foreign_weight *out, bool *is_one, fj_err *err);
} fj_foreign_reader;

extern const fj_foreign_reader fj_foreign_awq, fj_foreign_bitsandbytes, fj_foreign_gptq;

/* *source becomes one over itself, that it then owns, where its configuration has a quantization_config; else it stays. The old one
 * stays open and with the caller after a failure. FJ_ERR_FORMAT for a method that is not read. */
fj_status fj_foreign_open(fj_source **source, fj_err *err);

/* Of t's name without `end`, with `other` behind it; NULL when there is none, or no memory. */
const fj_tensor *fj_foreign_beside(const fj_foreign_call *c, const fj_tensor *t, const char *end, const char *other);

/* t must be there, of this type and shape: FJ_ERR_FORMAT, FJ_ERR_SHAPE naming it. what: the name that was looked for; owner: the weight. */
fj_status fj_foreign_check(const fj_foreign_call *c, const fj_tensor *owner, const fj_tensor *t, const char *what,
                           const fj_dtype *dtype, const fj_shape *shape, fj_err *err);

#endif
