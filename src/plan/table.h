/* SPDX-License-Identifier: Apache-2.0
 * The memory table: methods by bits. Its first five models are those of the guide's hardware table, whose estimates stand beside. */
#ifndef FJ_PLAN_TABLE_H
#define FJ_PLAN_TABLE_H

#include "plan/plan.h"

enum { FJ_PLAN_SIZES = 5 };

/* A size of the guide's table and the model that stands for it. */
typedef struct fj_plan_size {
    const char *title;  /* "7B" */
    const char *model;  /* a name of the catalogue; NULL: the catalogue has none of this size, but there is */
    const char *config; /* this config.json */
} fj_plan_size;
extern const fj_plan_size fj_plan_sizes[FJ_PLAN_SIZES];

/* A row of the table. */
typedef struct fj_plan_way {
    const char *name;   /* for JSON: "qlora_4" */
    const char *title;
    const char *method; /* as fj_plan_wanted has it; NULL: not built yet, `later` says what it waits for */
    const char *type;   /* the recipe of the weights that are read, or what `bits` makes of them */
    const char *later;
    int guide[FJ_PLAN_SIZES]; /* the guide's estimates, GB; 0: it has none */
    int bits;                 /* quantization_bit of a folder of 16 bits; 0: none */
} fj_plan_way;
extern const fj_plan_way fj_plan_ways[]; /* name NULL at the end */

/* Plans one cell. asked: length, batch, rank; its method does not count. A cell that cannot be planned (built later; a model that is
 * not trained) has peak 0 and says why (a text of `way` or err's message). */
fj_status fj_plan_cell(const fj_json *config, const fj_plan_way *way, const fj_plan_wanted *asked, int n_threads, const fj_kernels *k,
                       fj_plan *out, const char **why, fj_err *err);

#endif
