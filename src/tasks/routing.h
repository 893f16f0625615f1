/* SPDX-License-Identifier: Apache-2.0
 * Which expert took which token of a text, and how evenly they were used. */
#ifndef FJ_TASKS_ROUTING_H
#define FJ_TASKS_ROUTING_H

#include "models/session.h"

/* One router: JetMoE has two a layer. */
typedef struct fj_routed_layer {
    int layer;
    const fj_role *router;
    int64_t k;        /* experts of a token */
    int32_t *chosen;  /* (tokens, k), the heaviest first */
    float *weights;   /* (tokens, k) */
    int64_t *tokens;  /* of each expert */
    double *weighs;   /* of each expert: the mean weight of its tokens, 0 without */
    double evenness;  /* entropy of the experts' shares over that of equal ones: 1 all alike, 0 one alone */
    double imbalance; /* tokens of the most used over those of the mean expert */
} fj_routed_layer;

typedef struct fj_routing_report {
    fj_arena *arena;
    int64_t n_tokens, n_experts;
    fj_routed_layer *layers;
    int n_layers;
} fj_routing_report;

/* Runs n token ids through the model, in the arithmetic of `run`. FJ_ERR_USAGE: the model has no experts. FJ_ERR_CANCELLED. The caller
 * closes *out, whatever comes back. */
fj_status fj_routing_count(const fj_model *m, const fj_adapter *adapter, const int32_t *ids, int64_t n, fj_pool *pool,
                           const fj_kernels *k, const int *cancel, fj_routing_report *out, fj_err *err);
void fj_routing_close(fj_routing_report *r); /* accepts a zeroed one */

/* The ids that an expert took most often, the most frequent first, the lower id among equals; at most `most`, how many there are. */
typedef struct fj_routed_id {
    int32_t id;
    int64_t n;
} fj_routed_id;
size_t fj_routing_ids(const fj_routing_report *r, const fj_routed_layer *l, int64_t expert, const int32_t *ids,
                      fj_routed_id *out, size_t most);

#endif
