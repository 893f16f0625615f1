/* SPDX-License-Identifier: Apache-2.0
 * Number formats: what the bytes mean. One file per block type (q8_0.c … q6_k.c, float.c), one row each in registry.c.
 * Layouts: the GGUF specification and ggml's block structures; stated in each file. */
#ifndef FJ_QUANT_QUANT_H
#define FJ_QUANT_QUANT_H

#include <stdint.h>

#include "base/err.h"
#include "tensor/dtype.h"
#include "tensor/role.h"

/* What a code of INT8 is worth over its row's scale, 1/127 as bitsandbytes has it. */
#define FJ_INT8_STEP 7.874015718698502e-3f

typedef struct fj_quant {
    const fj_dtype *dtype;
    /* n values (a multiple of the block) from blocks; exact in f32. src may be unaligned, and any bytes: what a file's scales
     * make infinite or NaN is so. */
    void (*decode)(const void *src, float *dst, int64_t n);
    /* Nearest blocks of n finite values, deterministic. importance: n weights >= 0 for the error of each column (imatrix), or
     * NULL. Byte-equal to ggml's reference for Q8_0 Q4_0 Q4_1 Q5_0 Q5_1 TQ1_0 TQ2_0 without importance, to bitsandbytes for NF4
     * FP4 INT8; at most ggml's error for
     * the others; INT8 takes the n values for one row. NULL for the types that are only read: IQ1, IQ3, IQ2 but for IQ2_XS. */
    void (*encode)(const float *src, void *dst, int64_t n, const float *importance);
    const char *about; /* one line for help: "4.5 bits, 32 values share a scale" */
} fj_quant;

/* NULL for integer types and F64. */
const fj_quant *fj_quant_of(const fj_dtype *dtype);

/* All, in order of falling bits; NULL at the end. */
extern const fj_quant *const fj_quants[];

/* error.c: the sums over n values of (value - back)^2 and of value^2 are added to what is there. */
void fj_quant_add_error(const float *values, const float *back, int64_t n, double *error, double *size);

/* float.c: conversions of single values, exact widening and round-to-nearest-even narrowing. */
float    fj_f16_to_f32(uint16_t h);
uint16_t fj_f32_to_f16(float x);
float    fj_bf16_to_f32(uint16_t h);
uint16_t fj_f32_to_bf16(float x);

/* ---- recipes (recipe.c): the mixes of llama.cpp, decided from role, layer and shape alone; reference/inference 2.2, 2.3 ---- */

typedef struct fj_recipe {
    const char *name;      /* Q4_K_M, as users write it; read in either case */
    int         gguf_ftype; /* general.file_type */
    double      bits;      /* of its main type, for the list in help */
    const char *about;
} fj_recipe;

extern const fj_recipe *const fj_recipes[]; /* Q8_0 Q6_K Q5_K_M … Q2_K_S, TQ2_0 TQ1_0, Q4_0 … F32; NULL at the end */
const fj_recipe *fj_recipe_by_name(const char *name);

/* What a recipe needs to know of the model and the weight. */
typedef struct fj_recipe_weight {
    const fj_role *role;
    int            layer, n_layers; /* layer -1 outside of blocks */
    fj_shape       shape;           /* 2-D (out, in); anything else keeps F32 */
    bool           tied_output;     /* token_embd that is the head too */
    int            n_experts;
    int            n_shared_heads; /* heads that share a key and a value; 0 when not known */
    bool           is_falcon;      /* llama.cpp's exceptions for it: 8 bits for the head, fewer for what adds to the residual */
    bool           has_importance; /* the encoder will know which columns matter */
} fj_recipe_weight;

/* Whether recipes choose a type for the weight at all; else it stays F32. */
bool fj_recipe_takes(const fj_recipe_weight *weight);
/* The type that the mix gives such a weight, and the type of most weights. Never NULL. */
const fj_dtype *fj_recipe_wanted(const fj_recipe *recipe, const fj_recipe_weight *weight);
const fj_dtype *fj_recipe_main(const fj_recipe *recipe);
/* The type itself, or what stands in for it where its blocks do not divide rows of n_cols values (2.3): F16 in the end. */
const fj_dtype *fj_type_that_fits(const fj_dtype *type, int64_t n_cols);
/* All of it: the type this weight gets, fallback for the row length included. */
const fj_dtype *fj_recipe_type(const fj_recipe *recipe, const fj_recipe_weight *weight);

#endif
