/* SPDX-License-Identifier: Apache-2.0
 * A rig for operations: records one over inputs that learn, weighs what it gives, and compares the gradients that the differentiator
 * makes with central differences of the scalar reference. An operation is tested by a case; op_test.c runs them all. */
#ifndef FJ_OPS_OP_TEST_H
#define FJ_OPS_OP_TEST_H

#include "kernels/test_rows.h"
#include "ops/graph.h"
#include "tests/test.h"

/* How the inputs that learn come to the operation. */
typedef enum op_path {
    OP_DIRECT,      /* as parameters */
    OP_ACCUMULATED, /* as parameters whose gradients hold an earlier micro-batch's */
    OP_THROUGH,     /* from another node */
    OP_READ_BEFORE, /* and somebody reads them before the operation: he adds to what it stores, or shares */
    OP_READ_AFTER,  /* and somebody reads them after it: it adds */
    OP_PATHS
} op_path;

/* What cannot be asked of an input. */
enum {
    OP_PASSED = 1, /* its gradient is passed on, so it cannot be a parameter */
    OP_ONCE = 2,   /* its gradient is only ever stored */
};

typedef struct op_rig op_rig;

typedef struct op_case {
    const char *name;
    const fj_op *op; /* NULL: a piece of graph */
    void (*record)(op_rig *rig);
    const void *data;              /* for record */
    int64_t rows, out_rows, tiles; /* of a run; less than the capacity where that is larger */
    bool is_rowwise;               /* a row of the result depends on that row of the inputs alone */
    bool is_model;                 /* what learns are parameters: only their two paths */
    bool checkpoints, fast, bf16;
    double h, tolerance; /* step of the differences, error relative to the gradient's size; 0: 1/64 and 1e-4 */
} op_case;

enum { OP_MOST = 48 };

/* An input: its value in the forward graph and in the one with gradients, its numbers, and how many of them a run uses. */
typedef struct op_input {
    fj_value *value[2];
    unsigned char *data;
    float *grad, *start;
    size_t row_bytes;
    int64_t capacity, used;
} op_input;

/* A result, and what it was in the last forward run. */
typedef struct op_result {
    float *copy;
    double sum; /* of its values as they weigh in the loss */
    fj_value *out;
    fj_value *row_weights; /* of the result of a loss node, else NULL */
    int64_t cols;
} op_result;

struct op_rig {
    const op_case *c;
    op_path path;
    fj_err err;
    int side, n_learned, n_fixed, n_seen, n_read_after, n_memory;
    fj_graph *g[2];
    op_input learned[OP_MOST], fixed[OP_MOST];
    op_result seen[OP_MOST];
    fj_value *read_after[OP_MOST];
    void *memory[8 * OP_MOST];
    double norm[2];
    fj_kernels ref;
    fj_pool *pool;
    fj_run run; /* with ref and one thread, unless the caller sets others */
};

void op_rig_open(op_rig *rig, const op_case *c, op_path path);
void op_rig_close(op_rig *rig);
double op_forward(op_rig *rig); /* the loss; results in seen */
void op_backward(op_rig *rig);  /* gradients in learned */

/* For record: each gives the value to hand to the operation. */
fj_value *op_learned(op_rig *rig, fj_extent extent, fj_shape shape, unsigned flags);
fj_value *op_ints(op_rig *rig, fj_extent extent, fj_shape shape, const int32_t *data);
fj_value *op_floats(op_rig *rig, fj_extent extent, fj_shape shape, uint64_t seed);
fj_value *op_weight(op_rig *rig, const fj_dtype *dtype, int64_t rows, int64_t cols, uint64_t seed, bool is_packed);
fj_graph *op_graph(op_rig *rig);

/* The loss counts out, each element with a weight of its own. */
void op_seen(op_rig *rig, fj_value *out);

/* out is the external result of a loss node, whose rows weigh as `weights` says. */
void op_loss_seen(op_rig *rig, fj_value *out, fj_value *weights);

/* Three pools, of 1, 2 and 3 threads. */
void op_pools_open(fj_pool *pools[3]);
void op_pools_close(fj_pool *pools[3]);

/* Gradients by all paths, with each table of kernels and 1, 2 and 3 threads (the same bits). */
void op_check_gradient(const op_case *c);

/* Rows of results have the same bits alone, among others and elsewhere, with each table of kernels. */
void op_check_rows(const op_case *c);

/* A llama in small, tied head and low-rank paths with dropout, every block a layer of its own; data: an op_model. */
typedef struct op_model {
    int n_layers;
    bool is_frozen; /* only the low-rank paths learn */
} op_model;
enum { OP_MODEL_ROWS = 75, OP_MODEL_OUT_ROWS = 40, OP_MODEL_TILES = 3 };
void op_record_model(op_rig *rig);

extern const op_case op_case_activation_gelu, op_case_activation_gelu_tanh, op_case_activation_quick_gelu, op_case_activation_silu, op_case_add, op_case_attention, op_case_attention_capped, op_case_attention_sloped, op_case_attention_small_blocks, op_case_attention_sparse, op_case_attention_window, op_case_balance_loss, op_case_clamp, op_case_combine, op_case_conv1d, op_case_dropout, op_case_embed, op_case_expert_linear, op_case_expert_linear_bf16, op_case_expert_linear_frozen, op_case_expert_load, op_case_experts, op_case_experts_checkpoint, op_case_gated_gelu, op_case_gated_gelu_tanh, op_case_gated_silu, op_case_gather_rows, op_case_head_loss, op_case_head_loss_bias, op_case_head_loss_capped, op_case_layer_norm, op_case_layer_norm_groups, op_case_linear, op_case_linear_bf16, op_case_linear_frozen, op_case_lora_add, op_case_mul, op_case_rms_norm, op_case_rms_norm_groups, op_case_rope_half, op_case_rope_pairs, op_case_route, op_case_route_masked, op_case_route_one, op_case_route_two, op_case_scale, op_case_select_rows, op_case_selective_scan, op_case_selective_scan_plain, op_case_softcap, op_case_split, op_case_split_partly, op_case_swiglu;

/* Tiles of segments of the given lengths, end to end. Returns how many. */
int64_t op_tiles(const int32_t *lengths, int n, fj_tile *tiles);

/* Runs a graph that was planned for run: its arena exactly as large as planned, filled with NaN and fenced. */
void op_run_graph(fj_graph *g, fj_run *run);

#endif
