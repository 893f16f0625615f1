/* SPDX-License-Identifier: Apache-2.0
 * One graph, four readers: the planner lays it out, the executor runs it, the differentiator appends gradient nodes, and
 * effects (optimizer updates, cache stores) are nodes of it, in an order that is right for whoever reads what they overwrite. */
#ifndef FJ_OPS_GRAPH_H
#define FJ_OPS_GRAPH_H

#include "base/arena.h"
#include "base/buffer.h"
#include "base/str.h"
#include "ops/activation.h"
#include "ops/attend.h"
#include "ops/cache.h"
#include "ops/op.h"
#include "ops/state.h"

typedef struct fj_graph {
    fj_arena  *arena;
    fj_node  **nodes;
    int        n_nodes, cap_nodes;
    fj_value **values;
    int        n_values, cap_values;
    int        layer;       /* of nodes being recorded; -1 outside of checkpointed segments */
    fj_err    *err;         /* the first failure of building sticks here; building goes on harmlessly */
    size_t     arena_bytes; /* after fj_graph_plan */
    size_t     scratch_bytes; /* a worker */
} fj_graph;

/* Building never needs a check per call: a failure (shape, memory) is kept in err and reported by fj_graph_plan. err outlives g. */
fj_graph *fj_graph_new(fj_err *err); /* NULL without memory */
void      fj_graph_free(fj_graph *g);

/* Values from outside. */
fj_value *fj_graph_external(fj_graph *g, const char *name, const fj_dtype *dtype, fj_extent extent, fj_shape shape);
fj_value *fj_graph_weight(fj_graph *g, const fj_weight *weight); /* one value for one weight, however often asked */

/* A parameter: f32, external, learns. Its gradient is external too (grad->data is bound by the trainer). */
fj_value *fj_graph_parameter(fj_graph *g, const char *name, fj_shape shape);
/* One whose gradient is bf16: the differentiator rounds the sum of each pass. The value is bf16 too, or f32 for operations that read no
 * other; then it holds values of bf16. */
fj_value *fj_graph_parameter_bf16(fj_graph *g, const char *name, fj_shape shape, bool is_f32);

/* Records op over in[0…n_in-1] (NULL: an optional input that is absent); gives out[0]. attr: n_attr numbers; extra is borrowed.
 * Further outputs are node->out. Never NULL: after a failure it is a dummy of the graph. */
fj_node *fj_graph_add(fj_graph *g, const fj_op *op, fj_value *const *in, int n_in, int n_out, const double *attr, int n_attr,
                      const void *extra);

/* Appends gradient nodes for everything that needs a gradient, from the loss nodes (op->is_loss) in the graph. With `checkpoint`
 * the forward nodes of each layer segment are repeated before its backward, and only what that needs of them. */
void fj_graph_differentiate(fj_graph *g, bool checkpoint);

/* Lays out arena values by lifetime, from shapes alone, and computes workspaces and scratch for the arithmetic of `run`
 * (k, fast, bf16). Outputs to keep must be external. Fails with what went wrong since fj_graph_new. */
fj_status fj_graph_plan(fj_graph *g, const fj_run *run, fj_err *err);

/* Gives every arena value its address. The memory is at least arena_bytes, 64-byte aligned, and may be shared by graphs that do
 * not run at the same time. */
void fj_graph_bind(fj_graph *g, void *memory);

/* Runs nodes [first, end). FJ_ERR_CANCELLED when *run->cancel was set; what was written until then stays. */
fj_status fj_graph_run(fj_graph *g, fj_run *run, int first, int end, fj_err *err);

/* A table of the nodes with their bytes, for -v and tests. */
void fj_graph_print(const fj_graph *g, fj_str *out);

/* ---- recording of the operations; see each file for the equation -------------------------------------------------- */
enum { FJ_MAX_LINEAR = 3, FJ_MAX_SPLIT = 3 };

fj_value *fj_embed(fj_graph *g, fj_value *ids, fj_value *table);
/* Norms: the stored weight counts plus offset. In groups: each `group` columns of a row by themselves (heads of q and k); the weight
 * has `group` values, or as many as the row. b may be NULL. */
fj_value *fj_rms_norm(fj_graph *g, fj_value *x, fj_value *w, double eps, double offset);
fj_value *fj_rms_norm_groups(fj_graph *g, fj_value *x, fj_value *w, int64_t group, double eps, double offset);
fj_value *fj_layer_norm(fj_graph *g, fj_value *x, fj_value *w, fj_value *b, double eps, double offset);
fj_value *fj_layer_norm_groups(fj_graph *g, fj_value *x, fj_value *w, fj_value *b, int64_t group, double eps, double offset);
/* out[i] = x W_i^T (+ b_i): up to three products that share their input. biases may be NULL, or hold NULLs. */
void      fj_linear(fj_graph *g, fj_value *x, fj_value *const *weights, fj_value *const *biases, int n, fj_value **out);
fj_value *fj_lora_add(fj_graph *g, fj_value *y, fj_value *u, fj_value *b, double scale); /* y + scale * u b^T, in place */
fj_value *fj_add(fj_graph *g, fj_value *a, fj_value *b);
fj_value *fj_swiglu(fj_graph *g, fj_value *gate, fj_value *up);
fj_value *fj_activate(fj_graph *g, fj_value *x, const fj_activation *act);
fj_value *fj_gated(fj_graph *g, fj_value *gate, fj_value *up, const fj_activation *act); /* act(gate) * up */
fj_value *fj_mul(fj_graph *g, fj_value *a, fj_value *b);
fj_value *fj_scale(fj_graph *g, fj_value *x, double c);                 /* c x */
fj_value *fj_affine(fj_graph *g, fj_value *x, double c, double shift);  /* c x + shift */
fj_value *fj_softcap(fj_graph *g, fj_value *x, double c);               /* c tanh(x / c) */
fj_value *fj_clamp(fj_graph *g, fj_value *x, double lo, double hi);     /* infinite: no limit */
/* out[i] holds, for each of n_groups groups of `stride` columns in order, `widths[i]` columns from offsets[i] on. */
void      fj_split(fj_graph *g, fj_value *x, int64_t n_groups, int64_t stride, int n_out, const int64_t *offsets,
                   const int64_t *widths, fj_value **out);
fj_value *fj_dropout(fj_graph *g, fj_value *x, double probability);
fj_value *fj_select_rows(fj_graph *g, fj_value *x, fj_value *index); /* index: i32 (OUT_ROWS) */

/* cos and sin of positions: (ROWS, r) with the r/2 cosines first. inverse: r/2 inverse frequencies (f32, borrowed), mscale. */
fj_value *fj_rope_table(fj_graph *g, fj_value *pos, const float *inverse, int64_t r, double mscale);
fj_value *fj_rope(fj_graph *g, fj_value *x, fj_value *table, int64_t n_heads, int64_t d_head, bool half);

/* Causal attention inside the segments that the tiles describe. */
fj_value *fj_attention(fj_graph *g, fj_value *q, fj_value *k, fj_value *v, fj_value *tiles, const fj_attention_shape *shape);

/* The same against the cache: stores k and v first (an effect), then reads every key from it. cache: external bytes; layer: one of the
 * layout's, see cache.h. */
fj_value *fj_attention_cached(fj_graph *g, fj_value *q, fj_value *k, fj_value *v, fj_value *tiles, fj_value *tables,
                              fj_value *cache, int64_t layer, const fj_cache_layout *layout, const fj_attention_shape *shape);

/* Experts. N rows choose k each; their N*k slots, sorted by (expert, row), make values of (N, k*D): elementwise operations take them
 * as they are. route.c says more. */
typedef struct fj_route {
    int64_t   k;
    fj_value *weights, *chosen, *place; /* (N,k): f32, expert i32, sorted slot i32 */
    fj_value *offsets;                  /* (E+1) i32: where each expert's slots begin */
} fj_route;
/* norm_order: the weights of a row are divided by their norm of that order; 0: softmax over all experts as it is. allowed: a flag for each
 * expert, borrowed, whether it may be taken, as if the router had no row for the others; NULL: all. */
fj_route  fj_route_rows(fj_graph *g, fj_value *logits, int64_t k, double norm_order, const uint8_t *allowed);
fj_value *fj_spread_rows(fj_graph *g, fj_value *x, const fj_route *route);   /* (N,D) -> sorted slots (N,k*D) */
fj_value *fj_sort_slots(fj_graph *g, fj_value *x, const fj_route *route);    /* (N,k*D) by row -> sorted */
fj_value *fj_unsort_slots(fj_graph *g, fj_value *x, const fj_route *route);  /* sorted -> by row */
fj_value *fj_expert_linear(fj_graph *g, fj_value *x, const fj_route *route, fj_value *w); /* w (E,out,in); sorted in and out */
fj_value *fj_combine(fj_graph *g, fj_value *x, const fj_route *route, fj_value *bias);    /* sorted -> (N,D), weighed; bias or NULL */

/* The loss for even use: loads are summed layer after layer (before: NULL for the first), then aux (1), external, counts `weight` (1)
 * times in the gradient. */
fj_value *fj_expert_load(fj_graph *g, fj_value *before, fj_value *logits, const fj_route *route);
fj_value *fj_balance_loss(fj_graph *g, fj_value *load, fj_value *weight, int64_t k);

/* Where a layer of a cached graph keeps its recurrent state: slots (SEQS) i32, one a sequence; values: external, see state.h. */
typedef struct fj_state {
    fj_value      *slots, *values;
    fj_state_shape shape;
    int64_t        layer; /* of those with a state */
} fj_state;
/* Causal convolution of each channel; w (I,C) or (I,1,C), b (I) or NULL. */
fj_value *fj_conv1d(fj_graph *g, fj_value *u, fj_value *w, fj_value *b, fj_value *tiles);
fj_value *fj_conv1d_cached(fj_graph *g, fj_value *u, fj_value *w, fj_value *b, fj_value *tiles, const fj_state *state);

typedef struct fj_scan {
    fj_value *dt, *u; /* (N,I); dt after softplus */
    fj_value *b, *c;  /* (N,M) */
    fj_value *a, *d;  /* (I,M), (I) */
    bool      a_is_log; /* a holds log(-A), as Hugging Face stores it; else A, as GGUF does */
} fj_scan;
fj_value *fj_selective_scan(fj_graph *g, const fj_scan *scan, fj_value *tiles);
fj_value *fj_selective_scan_cached(fj_graph *g, const fj_scan *scan, fj_value *tiles, const fj_state *state);

/* logits = softcap(scale * (h W^T + bias)) */
typedef struct fj_head {
    fj_value *w, *bias; /* (V,D), (V) or NULL */
    double    scale;    /* 0 counts as 1 */
    double    softcap;  /* 0: none */
} fj_head;
fj_value *fj_head_logits(fj_graph *g, fj_value *h, const fj_head *head);

/* Negative log-likelihood of labels (OUT_ROWS) under softmax(logits), per row; rows weigh `weights` in the gradient. */
fj_value *fj_head_loss(fj_graph *g, fj_value *h, const fj_head *head, fj_value *labels, fj_value *weights);

/* Optimizer: norm of all gradients of `params` (then run->grad_norm, and run->clip for max_norm, 0 = off), and AdamW updates. */
typedef struct fj_adamw_settings {
    double beta1, beta2, eps, weight_decay;
} fj_adamw_settings;
void fj_grad_norm(fj_graph *g, fj_value *const *params, int n, double max_norm);
/* m and v: of the gradient's type. */
void fj_adamw(fj_graph *g, fj_value *param, fj_value *m, fj_value *v, const fj_adamw_settings *settings, double lr_factor);

#endif
