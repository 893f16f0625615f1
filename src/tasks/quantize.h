/* SPDX-License-Identifier: Apache-2.0
 * Which type each weight of a model gets: a recipe, and what the user wants otherwise. */
#ifndef FJ_TASKS_QUANTIZE_H
#define FJ_TASKS_QUANTIZE_H

#include "base/option.h"
#include "models/model.h"
#include "quant/quant.h"

typedef struct fj_quantize_wishes {
    const fj_recipe *recipe;
    const fj_list *tensor_types; /* "regex=type" over GGUF names, the first that is found in a name counts; may be NULL */
    const char *output_type, *embedding_type; /* names of types; NULL: as above. An embedding that is the head too takes the second,
                                               * else the first */
    bool pure;           /* the recipe's main type for every matrix */
    bool has_importance; /* the encoder will know which columns matter */
} fj_quantize_wishes;

/* Which matrices have rows that the wanted type's blocks do not divide. */
typedef struct fj_quantize_fallbacks {
    int64_t n_matrices, n_fallen;
} fj_quantize_fallbacks;

/* What recipes look at in a weight of a model. */
fj_recipe_weight fj_quantize_weight(const fj_model *m, const fj_weight *w);

/* Fills types[i] for each weight. FJ_ERR_USAGE names the option that is wrong: a broken expression, a type that is unknown or only
 * read, an expression that is found in no matrix's name. */
fj_status fj_quantize_types(const fj_model *m, const fj_quantize_wishes *wishes, const fj_dtype **types,
                            fj_quantize_fallbacks *fallbacks, fj_err *err);

#endif
