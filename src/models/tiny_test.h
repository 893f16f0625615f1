/* SPDX-License-Identifier: Apache-2.0
 * A llama of two layers in memory, with random weights: a source as a file's reader would give it. Tests change its configuration and
 * its tensors before they open it. */
#ifndef FJ_MODELS_TINY_TEST_H
#define FJ_MODELS_TINY_TEST_H

#include "models/model.h"
#include "tests/test.h"

enum {
    TINY_LAYERS = 2,
    TINY_MODEL = 64,
    TINY_HEADS = 4,
    TINY_KV = 2,
    TINY_HEAD = 16,
    TINY_FF = 96,
    TINY_VOCAB = 50,
    TINY_EXPERTS = 3,
    TINY_MOST = 64
};

typedef struct tiny {
    fj_source source;
    int64_t d, f, head, layers; /* d_model, d_ff, d_head, n_layers: as above, or 256, 256, 64, 1 for types of longer blocks, and where keys has a hidden_size of 256 */
    fj_tensor tensors[TINY_MOST];
    int n;
    fj_arena *arena;
} tiny;

/* keys: members that are set over the usual ones, as JSON ("{\"attention_bias\": true}"); NULL for none. Matrices are of type `dtype`
 * (their rows are 64 and 96 values, or 256), vectors f32. With GGUF naming the names are GGUF's and rows of q and k are permuted. */
void tiny_open(tiny *t, const char *keys, fj_naming naming, const fj_dtype *dtype);
/* A Mixtral: the llama with experts for MLPs, two of three for a row. */
void tiny_open_mixture(tiny *t);
void tiny_close(tiny *t);

fj_tensor *tiny_tensor(tiny *t, const char *name);
fj_tensor *tiny_add(tiny *t, const char *name, const fj_dtype *dtype,
                    fj_shape shape); /* f32 or the type's nearest, random */
void tiny_drop(tiny *t, const char *name);

#endif
