/* SPDX-License-Identifier: Apache-2.0
 * Operations: the arithmetic of graphs, each with its gradient, each one constant at the end of its own file.
 *
 * An activation's first dimension is rows: tokens of all sequences of a pass, end to end, no padding. A graph is planned for a
 * capacity and run for any count up to it; so parts ask fj_rows(run, value), never the shape, how many rows there are.
 * A node's work is cut into phases (a barrier between) and parts by its shape or its data, never by the number of threads;
 * each part writes its own slice, so there are no locks and the bits are the same on any number of threads. */
#ifndef FJ_OPS_OP_H
#define FJ_OPS_OP_H

#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"
#include "base/thread.h"
#include "kernels/kernels.h"
#include "tensor/role.h"
#include "tensor/source.h"

typedef struct fj_op    fj_op;
typedef struct fj_node  fj_node;
typedef struct fj_value fj_value;
typedef struct fj_run   fj_run;

enum { FJ_MAX_IN = 9, FJ_MAX_OUT = 4, FJ_MAX_RULES = 3, FJ_MAX_ATTR = 6 };

/* What a value's first dimension counts. */
typedef enum fj_extent {
    FJ_FIXED,    /* as the shape says */
    FJ_ROWS,     /* tokens of the pass */
    FJ_OUT_ROWS, /* rows for which logits or a loss are wanted */
    FJ_TILES,    /* query tiles of attention, see fj_tile */
    FJ_SEQS,     /* sequences of the session (page tables) */
} fj_extent;

/* Where a value's bytes are. */
typedef enum fj_place {
    FJ_ARENA,    /* laid out by the planner, lives between its first writer and its last reader */
    FJ_WEIGHT,   /* a model's weight: see fj_weight */
    FJ_EXTERNAL, /* the caller's memory, bound before a run: inputs, outputs, parameters, gradients, moments, caches */
} fj_place;

/* A model's tensor as graphs read it. The numbers are in exactly one of data and packed; planning needs neither. */
typedef struct fj_weight {
    const char      *name; /* in the model's own file */
    const fj_role   *role;
    int              layer; /* -1 outside of blocks */
    bool             is_bias;
    const fj_dtype  *dtype;
    fj_shape         shape; /* (out, in) or (n); (experts, out, in) */
    const void      *data;  /* rows in the file's layout: mapped, or a private copy */
    const fj_row_form *forms; /* of data, one for each expert, or one; NULL: rows need nothing beside */
    const fj_tensor *const *parts; /* in place of data: experts that do not lie end to end, a tensor each */
    const fj_pack   *pack;  /* set with packed */
    const void      *packed; /* repacked tiles of 16 rows, see kernels.h */
    const fj_tensor *stored; /* in the source; NULL for a weight that is computed */
} fj_weight;

/* Where a row lies, those of all experts counted through; a row has `stride` bytes. */
static inline const void *fj_weight_at(const fj_weight *w, int64_t row, size_t stride)
{
    if (!w->parts)
        return (const unsigned char *)w->data + (size_t)row * stride;
    int64_t rows = w->shape.dim[1];
    return (const unsigned char *)w->parts[row / rows]->data + (size_t)(row % rows) * stride;
}

struct fj_value {
    const char     *name; /* for messages; a constant */
    int             id;
    fj_place        place;
    fj_extent       extent;
    fj_shape        shape; /* dim[0] is the capacity unless FJ_FIXED */
    const fj_dtype *dtype; /* of the activations: F32; inputs: I32 too */
    const fj_weight *weight;
    void           *data;  /* once laid out or bound */
    bool            needs_grad;
    fj_value       *grad;  /* made by the differentiator */
    /* planner */
    fj_value *shares; /* takes over this value's storage (in-place, passed gradients) */
    int       first, last;
    size_t    offset, bytes;
};

/* One run of consecutive rows of one sequence whose queries are worked on together; positions rise by one. */
typedef struct fj_tile {
    int32_t row0, n_rows; /* rows of the pass */
    int32_t pos0;         /* position of row0 in its sequence */
    int32_t seq;          /* training: index of the first row of its segment; cached: which page table */
    int32_t seg_rows;     /* training: rows in the segment; cached: unused */
} fj_tile;

enum { FJ_TILE_ROWS = 64 }; /* at most so many rows a tile; keys are combined in tiles of as many at absolute positions */

struct fj_node {
    const fj_op *op;
    int          rule;     /* -1: forward; else which of op->backward */
    fj_node     *fwd;      /* of a gradient node: its forward node, or the recomputed copy of it */
    int          id;       /* of the forward node as first recorded: recomputation repeats its random numbers */
    int          layer;    /* the checkpointing segment it belongs to, -1 for none */
    int          n_in, n_out; /* outputs include saved values */
    fj_value    *in[FJ_MAX_IN];
    fj_value    *out[FJ_MAX_OUT];
    double       attr[FJ_MAX_ATTR];
    const void  *extra;    /* op-specific constant data, borrowed */
    /* gradient nodes */
    fj_value *dout[FJ_MAX_OUT]; /* incoming gradients; NULL: none came, counts as zero */
    fj_value *din[FJ_MAX_IN];   /* results; NULL: not needed */
    unsigned  add;              /* bit i: add to din[i], else store */
    fj_value *workspace;        /* shared by all parts, lives for this node */
    size_t    scratch;          /* bytes for each worker */
};

/* Work of a forward pass or of a rule. Any function may be NULL but part. */
typedef struct fj_work {
    int (*phases)(const fj_run *run, const fj_node *node);                  /* NULL: 1 */
    int64_t (*parts)(const fj_run *run, const fj_node *node, int phase);    /* NULL: 1 */
    void (*part)(const fj_run *run, const fj_node *node, int phase, int64_t part, int worker);
    size_t (*workspace)(const fj_node *node, const fj_run *run);            /* bytes, at the capacity; run: arithmetic only */
    size_t (*scratch)(const fj_node *node, const fj_run *run);              /* bytes a worker */
} fj_work;

/* One gradient node. It always reads dout; of the forward node it reads these inputs and outputs, so the rest is free. */
typedef struct fj_rule {
    unsigned gives;     /* inputs whose gradient it computes */
    unsigned reads_in;
    unsigned reads_out;
    bool     pass;      /* din = dout as it stands: shares storage where lifetimes allow, else copied or added */
    fj_work  work;      /* unless pass */
} fj_rule;

struct fj_op {
    const char *name;
    /* Checks inputs and gives shape, dtype and extent to the outputs (already made, zeroed but for their names). */
    fj_status (*infer)(fj_node *node, fj_err *err);
    fj_work   forward;
    fj_rule   backward[FJ_MAX_RULES];
    unsigned  inplace;      /* inputs whose storage out[0] may take over when they die here */
    bool      is_cheap;     /* computed again for the gradients that read its result, rather than kept until then */
    bool      is_effect;    /* writes external memory: never dropped as dead, never recomputed */
    bool    (*reads)(const fj_node *node, int64_t matrix); /* whether a run reads this one of its weight's matrices whole, once its
                             * inputs are there; NULL: it does */
    bool      is_product;   /* in[0], rows, times weights among its other inputs: what an importance matrix is made from */
    bool      is_loss;      /* its rule also does the forward work, so a differentiated graph drops the forward node */
};

/* Told around each node i of nodes[…end), on the thread that runs the graph. before() finds the node's inputs there and may use the run's
 * pool; after() may be NULL. */
typedef struct fj_watch {
    void (*before)(void *context, const fj_run *run, fj_node *const *nodes, int i, int end);
    void (*after)(void *context, const fj_node *node);
    void  *context;
    const struct fj_watch *next; /* told too; may be NULL */
} fj_watch;

/* Arithmetic and data of one run. Everything but the pool is read-only for parts. */
struct fj_run {
    const fj_kernels *k;
    fj_pool          *pool;
    bool     fast;  /* int8 and bf16 activations where the weights are quantized or bf16; else everything in f32 */
    bool     fast_attention; /* bf16 products over a cache that is not f32, where the processor has them */
    bool     bf16;  /* training: products in bf16 with f32 sums */
    int64_t  n_rows, n_out_rows, n_tiles, n_seqs;
    uint64_t seed;
    uint32_t step;
    bool     add_to_grads; /* a later micro-batch: gradients of parameters are added to */
    double   lr;
    double  *norm;                /* [0] gradient norm, [1] factor of clipping: written by the norm node, read by updates */
    int64_t  t;                   /* optimizer step, from 1 */
    unsigned char *scratch;       /* n_threads pieces */
    size_t   scratch_bytes;       /* of each piece */
    const fj_watch *watch;        /* may be NULL */
    const int *cancel;            /* looked at between nodes (atomically); may be NULL */
};

/* Rows of a value in this run. */
static inline int64_t fj_rows(const fj_run *run, const fj_value *v)
{
    switch (v->extent) {
    case FJ_ROWS: return run->n_rows;
    case FJ_OUT_ROWS: return run->n_out_rows;
    case FJ_TILES: return run->n_tiles;
    case FJ_SEQS: return run->n_seqs;
    case FJ_FIXED: break;
    }
    return fj_shape_rows(&v->shape);
}

static inline int64_t fj_cols(const fj_value *v)
{
    return v->shape.rank ? v->shape.dim[v->shape.rank - 1] : 1;
}

static inline void *fj_scratch(const fj_run *run, int worker)
{
    return run->scratch + (size_t)worker * run->scratch_bytes;
}

/* Whether a gradient node adds to din[i] in this run. */
bool fj_adds(const fj_run *run, const fj_node *node, int i);

static inline int64_t fj_blocks(int64_t n, int64_t block)
{
    return (n + block - 1) / block;
}

/* All operations, in alphabetical order, NULL at the end: tests walk it. */
extern const fj_op *const fj_ops[];
extern const fj_op fj_op_activation, fj_op_adamw, fj_op_adamw_bf16, fj_op_add, fj_op_attention, fj_op_attention_cached, fj_op_balance_loss, fj_op_cache_store, fj_op_clamp, fj_op_combine, fj_op_conv1d, fj_op_conv1d_cached, fj_op_dropout, fj_op_embed, fj_op_expert_linear, fj_op_expert_load, fj_op_gated, fj_op_gather_rows, fj_op_grad_norm, fj_op_head_loss, fj_op_layer_norm, fj_op_linear, fj_op_lora_add, fj_op_mul, fj_op_rms_norm, fj_op_rope, fj_op_rope_table, fj_op_round_gradient, fj_op_route, fj_op_scale, fj_op_select_rows, fj_op_selective_scan, fj_op_selective_scan_cached, fj_op_softcap, fj_op_split, fj_op_swiglu;

#endif
