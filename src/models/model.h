/* SPDX-License-Identifier: Apache-2.0
 * A model: the weights of a source with their roles and checked shapes. Read-only once opened, but for its residence. */
#ifndef FJ_MODELS_MODEL_H
#define FJ_MODELS_MODEL_H

#include "base/buffer.h"
#include "base/thread.h"
#include "models/family.h"

/* d_rope/2 inverse frequencies, scaling applied; mscale multiplies cos and sin. */
typedef struct fj_rope_of_model {
    const float *inverse;
    double       mscale;
} fj_rope_of_model;

struct fj_model {
    const fj_family *family;
    fj_hparams       hp;
    fj_naming        naming;
    fj_arena        *arena;
    const fj_source *source;      /* borrowed; NULL for a model that is only planned */
    fj_weight       *weights;     /* in the order of the family's table, layer after layer */
    int              n_weights;
    const fj_weight_row **rows;   /* of each weight */
    bool            *is_taken;    /* of each tensor of the source: a weight has it */
    fj_weight       *stored;      /* weights as the source has them, of those that fj_model_fill makes; NULL: there are none */
    bool             has_no_prefix; /* names without the family's prefix */
    fj_rope_of_model rope;        /* inverse NULL: none of that kind */
    fj_rope_of_model rope_long;   /* for sequences that grow longer than hp.rope_original */
    fj_rope_of_model rope_local;  /* for layers with a window */
    const float     *alibi;       /* a slope for each head; NULL: none */
    const uint8_t   *allowed;     /* (n_layers, n_experts) flags: which experts may be taken; NULL: all */
    bool            *is_streamed; /* of each weight: its pages come and go; NULL: none's */
    fj_buffer        packed;      /* repacked weights, when they are */
    fj_buffer        made;        /* those that fj_model_fill made, or room for those that fj_model_make makes */
    bool             makes_late;  /* the latter: after fj_model_reserve */
};

/* Gives every tensor of the source its role and checks every shape against the configuration. A missing tensor, an extra one and a
 * wrong shape are FJ_ERR_FORMAT / FJ_ERR_SHAPE naming it. The source must outlive the model. */
fj_status fj_model_open(const fj_source *source, fj_model **out, fj_err *err);

/* The same from a configuration alone, every matrix of type `dtype` (NULL: what config.json's torch_dtype says): for plans. */
fj_status fj_model_describe(const fj_json *config, const fj_dtype *dtype, fj_model **out, fj_err *err);

void fj_model_free(fj_model *m); /* accepts NULL */

/* The weight of a role (layer -1 outside of blocks), NULL when the model has none. */
const fj_weight *fj_model_weight(const fj_model *m, const fj_role *role, int layer, bool is_bias);

/* The recurrent state of a sequence (n_layers 0: none), and how many layers before this one have such a state; the others have keys and
 * values. */
fj_state_shape fj_model_state_shape(const fj_model *m);
int64_t        fj_model_state_layer(const fj_model *m, int64_t layer);

/* The head: output, or the embedding when it is tied. */
const fj_weight *fj_model_head(const fj_model *m);

/* How rows take experts, in place of what the configuration says: n_used of them (0: as it is), and of those that `spec` leaves (NULL: all):
 * entries LAYERS:EXPERTS with semicolons between, a later one for a layer in place of an earlier one. LAYERS is all or a list of layers and
 * ranges (0,4-7); EXPERTS a list of experts and ranges that alone may be taken (1,5), or, each with a minus in front, that may not (-2,-4-6).
 * A layer where fewer than n_used are left takes those. Before graphs are made. FJ_ERR_USAGE says what the model has. */
fj_status fj_model_choose_experts(fj_model *m, int64_t n_used, const char *spec, fj_err *err);

/* Flags of the experts that rows of a layer may take (NULL: all), and how many they take. */
const uint8_t *fj_model_allowed(const fj_model *m, int layer);
int64_t        fj_model_experts_used(const fj_model *m, int layer);

/* ---- weights that are made (fill.c): from a source's numbers in another form, or quantized ----------------------------------- */

/* The linear layers of the blocks shall be of a type (those of 16 or 32 bits; experts too; not embeddings, norms, routers and the
 * head): of `dtype` or what stands in for it where rows are no multiples of its block. is_nested: with coded scales where the type
 * has such a form. Shapes and sizes are right at once, numbers are there after fj_model_fill. Returns how many there are. */
int fj_model_quantize(fj_model *m, const fj_dtype *dtype, bool is_nested, fj_err *err); /* -1 without memory */

/* Makes what is not there yet, a matrix after the other, by all threads; the pages that it was made from are given back. Does
 * nothing for a model that has all its numbers. */
fj_status fj_model_fill(fj_model *m, fj_pool *pool, fj_err *err);

/* In place of fj_model_fill, for a model that is larger than memory: weights whose numbers the source makes have addresses and no memory.
 * fj_model_make makes one (of expert e; all of it: -1), fj_model_give_back lets it go; others it leaves alone. Not behind
 * fj_model_quantize. FJ_ERR_MEMORY. */
fj_status fj_model_reserve(fj_model *m, fj_err *err);
void      fj_model_make(const fj_model *m, const fj_weight *w, int64_t expert, fj_pool *pool);

/* Copies every quantized matrix into the kernels' order and gives the mapped pages back, tensor by tensor. FJ_ERR_MEMORY leaves the
 * model as it was. No bit of a result changes. */
fj_status fj_model_repack(fj_model *m, fj_pool *pool, fj_err *err);

/* In place of fj_model_repack, where at most `bytes` of the weights may be resident at once: what fits stays (repacked, if `repacks`), the
 * same weights all the time; the rest is streamed, read ahead from the file and given back after each use. No bit of a result changes.
 * FJ_ERR_MEMORY when not even that fits. */
fj_status fj_model_fit(fj_model *m, size_t bytes, bool repacks, fj_pool *pool, fj_err *err);

/* What fj_model_fit would do, for plans, of a described model too: the most of the weights that is resident, and what is streamed. */
fj_status fj_model_fit_bytes(const fj_model *m, size_t bytes, bool repacks, size_t *resident, size_t *streamed, fj_err *err);

/* The least that fj_model_fit takes: what cannot be streamed, and what one operation reads. And what it streams in each pass. */
size_t fj_model_least_bytes(const fj_model *m);
size_t fj_model_streamed_bytes(const fj_model *m);

/* The mapped pages of a weight may leave memory, and what fj_model_make made. */
void fj_model_give_back(const fj_model *m, const fj_weight *w);

/* Bytes of the weights: as they lie in the file, and as fj_model_repack would hold them (those that it does not touch included). */
size_t fj_model_bytes(const fj_model *m);
size_t fj_model_repacked_bytes(const fj_model *m);
int64_t fj_model_parameters(const fj_model *m);

/* The name of a weight in Hugging Face form, whatever the file: for adapters and exports. Owned by the model's arena; NULL without
 * memory. */
const char *fj_model_hf_name(const fj_model *m, const fj_weight *w);
/* In Hugging Face form a weight of experts may be a tensor for each: how many there are (0 for what only GGUF has), the name of one, and
 * the shape that each has there. */
int64_t     fj_model_hf_count(const fj_model *m, const fj_weight *w);
const char *fj_model_hf_part(const fj_model *m, const fj_weight *w, int64_t expert);
fj_shape    fj_model_hf_shape(const fj_model *m, const fj_weight *w);
const char *fj_model_gguf_name(const fj_model *m, const fj_weight *w);

/* Whether Hugging Face's file has the matrix as (in, out); here it is (out, in), whatever the file. */
bool fj_model_is_transposed(const fj_model *m, const fj_weight *w);

/* Row order between this model's bytes and Hugging Face's (for adapters of GGUF models): fills from[i] = the Hugging Face row that
 * is row i here, and returns true; false when the orders are the same. n = rows of w. */
bool fj_model_row_order(const fj_model *m, const fj_weight *w, int64_t *from);

#endif
