/* SPDX-License-Identifier: Apache-2.0
 * Building a model's graph: what a family's block function says, for generating or for training. */
#ifndef FJ_MODELS_BUILD_H
#define FJ_MODELS_BUILD_H

#include "models/adapter.h"
#include "models/model.h"

/* A tensor that learns. Exactly one of weight and lora is set. */
typedef struct fj_parameter {
    fj_value        *value;  /* external: the trainer binds value->data and value->grad->data */
    const fj_weight *weight; /* the whole matrix learns */
    const fj_lora   *lora;
    bool             is_b;   /* of the lora pair: B, else A */
} fj_parameter;

/* What a router said: external values, to be bound. */
typedef struct fj_build_route {
    int            layer;
    const fj_role *router;
    int64_t        k;
    fj_value      *weights, *chosen; /* (ROWS, k) f32, i32 */
} fj_build_route;

struct fj_build {
    fj_graph       *g;
    const fj_model *m;
    const fj_adapter *adapter; /* low-rank paths to hang on; NULL for none */
    bool  trains_adapter, trains_weights;
    bool  trains_bf16;         /* the weights that learn, and their gradients, in bf16 */
    const bool *learns;        /* with trains_weights: of each weight of the model, whether it does; NULL: all */
    bool  is_cached;           /* attention over the cache, else over the pass */
    fj_cache_layout layout;    /* of the cache */
    /* inputs, external; made by fj_build_start */
    fj_value *ids, *pos, *tiles, *tables, *cache, *select;
    fj_value *slots, *states;  /* of a cached graph with recurrent layers */
    fj_value *rope, *rope_local; /* angles; of layers with a window */
    int64_t length;            /* positions that sequences will have: longrope chooses by it */
    fj_value *logits[3];       /* as the product gives them, multiplied, capped: all in one place */
    int n_logits;
    fj_parameter *params;      /* in the arena of g */
    int n_params, cap_params;
    bool keeps_routes;         /* what routers say is wanted */
    fj_build_route *routes;    /* in the arena of g */
    int n_routes;
    double dropout_scale;      /* 1 when training, 0 when evaluating */
    bool   wants_balance;      /* fj_build_balance will be called */
    fj_value *load;            /* of the routers recorded so far; NULL: none yet */
};

typedef struct fj_build_sizes {
    int64_t rows, out_rows, tiles; /* capacities; out_rows 0: every row goes to the head */
    int64_t length;                /* of the longest sequence */
    int64_t seqs, pages_per_seq;   /* of a cached graph */
    fj_cache_layout cache;
} fj_build_sizes;

/* Makes the inputs. */
void fj_build_start(fj_build *b, const fj_build_sizes *sizes);

/* Embedding and blocks up to `layers` of them (-1: all), then, for all, the rows that the head looks at and the final norm. */
fj_value *fj_build_hidden(fj_build *b, int layers);

/* Logits of hidden rows, external: to be bound by the second. */
fj_value *fj_build_logits(fj_build *b, fj_value *hidden);
void      fj_build_bind_logits(fj_build *b, float *data);

/* Negative log-likelihood of labels for hidden rows, each weighed in the gradient. */
fj_value *fj_build_loss(fj_build *b, fj_value *hidden, fj_value *labels, fj_value *weights);

/* The loss for even use of experts, over the routers of all layers together: the aux of fj_balance_loss. NULL: no router. */
fj_value *fj_build_balance(fj_build *b, fj_value *weight);

/* ---- blocks that families share ------------------------------------------------------------------------------------ */
fj_value *fj_build_need(fj_build *b, const fj_role *role, int layer); /* a weight that the model must have */
fj_value *fj_build_bias(fj_build *b, const fj_role *role, int layer); /* NULL without one */
fj_value *fj_block_norm(fj_build *b, fj_value *x, const fj_role *role, int layer);
/* Products of x with up to three roles, biases and low-rank paths included. */
void      fj_block_project(fj_build *b, fj_value *x, const fj_role *const *roles, int n, int layer, fj_value **out);
fj_value *fj_block_product(fj_build *b, fj_value *x, const fj_role *role, int layer);

/* q k v, norms of their heads, rope, attention, output: the whole, and its parts for families that do something between. */
fj_value *fj_block_attention(fj_build *b, fj_value *x, int layer);
void      fj_block_qkv(fj_build *b, fj_value *x, int layer, fj_value *qkv[3]);
void      fj_block_rope(fj_build *b, int layer, fj_value *qkv[3]);
fj_attention_shape fj_block_attention_shape(const fj_build *b, int layer);
fj_value *fj_block_mix(fj_build *b, int layer, fj_value *const qkv[3], const fj_attention_shape *s); /* without the output */
fj_value *fj_block_attend(fj_build *b, int layer, fj_value *const qkv[3], const fj_attention_shape *s);

fj_value *fj_block_gated_mlp(fj_build *b, fj_value *x, int layer); /* down(act(gate x) * up x) */
fj_value *fj_block_mlp(fj_build *b, fj_value *x, int layer);       /* down(act(up x)) */

fj_value *fj_block_mamba(fj_build *b, fj_value *x, int layer); /* see mixer.c */

/* Gated MLPs of which each row takes the best few; what the router says. */
fj_value *fj_block_experts(fj_build *b, fj_value *x, int layer);
fj_route  fj_block_route(fj_build *b, fj_value *x, const fj_role *router, int layer);

#endif
