/* SPDX-License-Identifier: Apache-2.0
 * A model family: its configuration, its weights and its graph, described by one constant at the end of its file. */
#ifndef FJ_MODELS_FAMILY_H
#define FJ_MODELS_FAMILY_H

#include "base/json.h"
#include "ops/graph.h"
#include "tensor/role.h"
#include "tensor/source.h"

typedef struct fj_model fj_model;
typedef struct fj_build fj_build;

/* Scaling of the rotary frequencies; reference: decoders sheet, 0.1. */
typedef enum fj_rope_kind { FJ_ROPE_PLAIN, FJ_ROPE_LINEAR, FJ_ROPE_LLAMA3 } fj_rope_kind;

typedef struct fj_hparams {
    int64_t n_layers, d_model, n_heads, n_kv_heads, d_head, d_ff, n_vocab, n_ctx;
    double  norm_eps, rope_theta;
    fj_rope_kind rope_kind;
    double  rope_factor, rope_low, rope_high, rope_original;
    bool    rope_half;     /* pairs (j, j+r/2); false: (2j, 2j+1), as GGUF files of llama want */
    int64_t window;        /* 0: none */
    bool    is_tied;       /* the head is the embedding */
    bool    has_attn_bias, has_mlp_bias;
} fj_hparams;

/* Dimensions of weights in terms of hyper-parameters: the planner has no file to look at. */
typedef enum fj_dim { FJ_DIM_NONE, FJ_DIM_VOCAB, FJ_DIM_MODEL, FJ_DIM_FF, FJ_DIM_Q, FJ_DIM_KV, FJ_DIM_HALF_HEAD } fj_dim;

/* A change of layout between Hugging Face's bytes and GGUF's: a permutation of rows, so that it works on quantized blocks and can
 * be undone. Fills from[i] = the Hugging Face row that lies at GGUF row i, for n rows. */
typedef struct fj_rewrite {
    const char *name;
    void (*rows)(const fj_hparams *hp, int64_t n, int64_t *from);
} fj_rewrite;

enum {
    FJ_TIED_OUTPUT = 1, /* absent when the head is the embedding */
    FJ_ATTN_BIAS = 2,   /* there only with has_attn_bias */
    FJ_MLP_BIAS = 4,
    FJ_GGUF_ONLY = 8,   /* an optional tensor of GGUF files that holds what config.json says elsewhere */
};

typedef struct fj_weight_row {
    const fj_role    *role;
    const char       *hf;  /* {} is the layer */
    fj_dim            dim[2];
    bool              is_bias;
    unsigned          flags;
    const fj_rewrite *gguf_rewrite;
} fj_weight_row;

typedef struct fj_family {
    const char           *name;
    const char           *gguf_arch;
    const char *const    *model_types; /* of config.json; NULL at the end */
    const fj_weight_row  *weights;     /* role NULL at the end */
    const char *const    *ignored;     /* substrings of tensors that files carry and nobody needs; NULL at the end */
    /* Reads config.json's vocabulary. naming says whose bytes the weights are. FJ_ERR_FORMAT names the key that is wrong. */
    fj_status (*hparams)(const fj_json *config, fj_naming naming, fj_hparams *out, fj_err *err);
    fj_value *(*block)(fj_build *b, fj_value *x, int layer);
} fj_family;

extern const fj_family fj_family_llama;
extern const fj_family *const fj_families[]; /* NULL at the end */

/* The family of a model_type (or GGUF architecture); FJ_ERR_FORMAT names the nearest known. */
fj_status fj_family_of(const fj_json *config, const fj_family **out, fj_err *err);

int64_t fj_dim_size(const fj_hparams *hp, fj_dim dim);

#endif
