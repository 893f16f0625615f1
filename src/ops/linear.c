/* SPDX-License-Identifier: Apache-2.0
 * out_w = x W_w^T (+ b_w) for up to three matrices that share their input: q/k/v, gate/up, the low-rank A's.
 * in: x (N,K), W_0…W_2 (M_w,K), b_0…b_2 (M_w), absent ones NULL   attr[0]: how many
 *
 * The arithmetic of a matrix (product_of) follows from its type and the run, never from the number of rows:
 *   f32 activations: the matrix is widened by tile (exactly) and multiplied in f32, or read as bf16/f16 by the kernel
 *   bf16 on both sides: large bf16 matrices with run->fast; any large one with run->bf16 (training), rounded by tile
 *   int8 on both sides: quantized matrices with run->fast; x is quantized once for all matrices of the node
 * so the weight gradient of a frozen matrix never exists, and a quantized one never stands de-quantized in memory. */
#include <string.h>

#include "ops/graph.h"
#include "ops/linear_tile.h"
#include "ops/weight_rows.h"

enum { B0 = 1 + FJ_MAX_LINEAR }; /* first bias among the inputs */
enum { GRAD_ROWS = 256, DW_ROWS = 32 };

static int n_weights(const fj_node *node)
{
    return (int)node->attr[0];
}

static fj_status infer(fj_node *node, fj_err *err)
{
    const fj_value *x = node->in[0];
    int n = n_weights(node);
    for (int w = 0; w < n; w++) {
        const fj_value *m = node->in[1 + w], *b = node->in[B0 + w];
        if (m->shape.rank != 2 || m->shape.dim[1] != fj_cols(x))
            return fj_fail(err, FJ_ERR_SHAPE, "linear: '%s' takes %lld values, rows have %lld", m->name,
                           (long long)fj_cols(m), (long long)fj_cols(x));
        if (b && (b->shape.rank != 1 || b->shape.dim[0] != m->shape.dim[0]))
            return fj_fail(err, FJ_ERR_SHAPE, "linear: bias '%s' has %lld values, its matrix %lld rows", b->name,
                           (long long)fj_cols(b), (long long)m->shape.dim[0]);
        node->out[w]->extent = x->extent;
        node->out[w]->shape = fj_shape_2(x->shape.dim[0], m->shape.dim[0]);
    }
    return FJ_OK;
}

/* ---- forward: phase 0 rounds the activations where a product wants it, phase 1 multiplies -------------------------- */

static unsigned products(const fj_run *run, const fj_node *node)
{
    unsigned all = 0;
    for (int w = 0; w < n_weights(node); w++)
        all |= 1u << fj_product_of(run, node->in[1 + w]);
    return all;
}

static size_t forward_workspace(const fj_node *node, const fj_run *run)
{
    return fj_rounded_bytes(products(run, node), node->in[0]->shape.dim[0], fj_cols(node->in[0]));
}

static int forward_phases(const fj_run *run, const fj_node *node)
{
    return fj_rounded_bytes(products(run, node), 1, fj_cols(node->in[0])) ? 2 : 1;
}

static int64_t forward_parts(const fj_run *run, const fj_node *node, int phase)
{
    int64_t rows = fj_rows(run, node->in[0]), parts = 0;
    if (phase + 1 < forward_phases(run, node))
        return fj_blocks(rows, FJ_ROUND_ROWS);
    for (int w = 0; w < n_weights(node); w++)
        parts += fj_tile_parts(rows, node->in[1 + w]->shape.dim[0]);
    return parts;
}

static void forward(const fj_run *run, const fj_node *node, int phase, int64_t part, int worker)
{
    fj_tile_job job = { .x = node->in[0]->data, .k = fj_cols(node->in[0]), .rows = fj_rows(run, node->in[0]) };
    job.products = products(run, node);
    job.rounded = node->workspace ? node->workspace->data : NULL;
    job.row_capacity = node->in[0]->shape.dim[0];
    if (phase + 1 < forward_phases(run, node)) {
        fj_round_rows(run, &job, part);
        return;
    }
    for (int w = 0; w < n_weights(node); w++) {
        const fj_value *m = node->in[1 + w], *b = node->in[B0 + w];
        int64_t parts = fj_tile_parts(job.rows, m->shape.dim[0]);
        if (part < parts) {
            job.y = node->out[w]->data;
            job.ldy = m->shape.dim[0];
            fj_linear_tile(run, &job, m, part, fj_scratch(run, worker));
            if (b)
                fj_linear_tile_bias(run, &job, m, b, part);
            return;
        }
        part -= parts;
    }
}

static size_t forward_scratch(const fj_node *node, const fj_run *run)
{
    size_t most = 0;
    for (int w = 0; w < n_weights(node); w++)
        most = FJ_MAX(most, fj_tile_scratch(run, node->in[1 + w]));
    return most;
}

/* ---- dx = sum over w of dy_w W_w: over outputs in order, matrix after matrix ---------------------------------------- */

static int64_t dx_cols(const fj_node *node)
{
    int64_t step = 64;
    for (int w = 0; w < n_weights(node); w++)
        step = FJ_MAX(step, fj_weight_step(node->in[1 + w]));
    return step;
}

static int64_t dx_outputs(const fj_node *node)
{
    int64_t total = 0;
    for (int w = 0; w < n_weights(node); w++)
        total += node->in[1 + w]->shape.dim[0];
    return total;
}

static bool dx_is_bf16(const fj_run *run, const fj_node *node)
{
    for (int w = 0; w < n_weights(node); w++)
        if (!run->bf16 || !fj_product_is_large(node->in[1 + w]))
            return false;
    return true;
}

static size_t dx_workspace(const fj_node *node, const fj_run *run)
{
    return dx_is_bf16(run, node->fwd)
               ? (size_t)node->fwd->in[0]->shape.dim[0] * (size_t)dx_outputs(node->fwd) * sizeof(uint16_t)
               : 0;
}

static size_t dx_scratch(const fj_node *node, const fj_run *run)
{
    (void)run;
    return fj_dx_scratch(dx_cols(node->fwd));
}

static int dx_phases(const fj_run *run, const fj_node *node)
{
    return dx_is_bf16(run, node->fwd) ? 2 : 1;
}

static int64_t dx_parts(const fj_run *run, const fj_node *node, int phase)
{
    int64_t rows = fj_rows(run, node->fwd->in[0]);
    if (phase + 1 < dx_phases(run, node))
        return fj_blocks(rows, FJ_ROUND_ROWS);
    return fj_blocks(rows, GRAD_ROWS) * fj_blocks(fj_cols(node->fwd->in[0]), dx_cols(node->fwd));
}

/* dy_w as bf16, matrix after matrix, each (capacity, M_w). */
static void round_dy(const fj_run *run, const fj_node *node, int64_t part)
{
    const fj_node *f = node->fwd;
    uint16_t *to = node->workspace->data;
    int64_t rows = fj_rows(run, f->in[0]), row0 = part * FJ_ROUND_ROWS, row1 = FJ_MIN(rows, row0 + FJ_ROUND_ROWS);
    for (int w = 0; w < n_weights(f); w++) {
        int64_t m = f->in[1 + w]->shape.dim[0];
        if (node->dout[w])
            run->k->f32_to_bf16_row(to + row0 * m, (const float *)node->dout[w]->data + row0 * m, (row1 - row0) * m);
        to += f->in[0]->shape.dim[0] * m;
    }
}

static void d_x(const fj_run *run, const fj_node *node, int phase, int64_t part, int worker)
{
    const fj_node *f = node->fwd;
    if (phase + 1 < dx_phases(run, node)) {
        round_dy(run, node, part);
        return;
    }
    int64_t k = fj_cols(f->in[0]), cols = dx_cols(f), rows = fj_rows(run, f->in[0]), n_cols = fj_blocks(k, cols);
    fj_dx_block b = { .ldc = k, .row0 = part / n_cols * GRAD_ROWS, .k0 = part % n_cols * cols };
    b.m = FJ_MIN(GRAD_ROWS, rows - b.row0);
    b.nk = FJ_MIN(cols, k - b.k0);
    b.c = (float *)node->din[0]->data + b.row0 * k + b.k0;
    const uint16_t *dy16 = dx_phases(run, node) == 2 ? node->workspace->data : NULL;
    bool add = fj_adds(run, node, 0);
    for (int w = 0; w < n_weights(f); w++) {
        const fj_value *m = f->in[1 + w];
        if (node->dout[w])
            add = fj_linear_dx(run, m, node->dout[w]->data, dy16, &b, fj_scratch(run, worker), add);
        if (dy16)
            dy16 += f->in[0]->shape.dim[0] * m->shape.dim[0];
    }
    fj_assert(add && "a gradient node has a gradient to take");
}

/* ---- dW_w = dy_w^T x: over rows in order ------------------------------------------------------------------------------ */

static int64_t dw_parts(const fj_run *run, const fj_node *node, int phase)
{
    (void)run, (void)phase;
    int64_t parts = 0;
    for (int w = 0; w < n_weights(node->fwd); w++)
        parts += node->din[1 + w] ? fj_blocks(node->fwd->in[1 + w]->shape.dim[0], DW_ROWS) : 0;
    return parts;
}

static void d_w(const fj_run *run, const fj_node *node, int phase, int64_t part, int worker)
{
    (void)phase, (void)worker;
    const fj_node *f = node->fwd;
    int64_t rows = fj_rows(run, f->in[0]), k = fj_cols(f->in[0]);
    for (int w = 0; w < n_weights(f); w++) {
        int64_t n_out = f->in[1 + w]->shape.dim[0], parts = node->din[1 + w] ? fj_blocks(n_out, DW_ROWS) : 0;
        if (part >= parts) {
            part -= parts;
            continue;
        }
        int64_t n0 = part * DW_ROWS, m = FJ_MIN(DW_ROWS, n_out - n0);
        float *c = (float *)node->din[1 + w]->data + n0 * k;
        bool add = fj_adds(run, node, 1 + w);
        if (node->dout[w])
            run->k->gemm_rows_f32(c, k, (const float *)node->dout[w]->data + n0, 1, n_out, f->in[0]->data, k, m, k,
                                  rows, add);
        else if (!add)
            memset(c, 0, (size_t)(m * k) * sizeof(float));
        return;
    }
}

/* ---- db_w = sum of rows of dy_w ---------------------------------------------------------------------------------------- */

static int64_t db_parts(const fj_run *run, const fj_node *node, int phase)
{
    (void)run, (void)phase;
    return n_weights(node->fwd);
}

static void d_b(const fj_run *run, const fj_node *node, int phase, int64_t part, int worker)
{
    (void)phase, (void)worker;
    int i = B0 + (int)part;
    if (!node->din[i])
        return;
    int64_t n = fj_cols(node->din[i]), rows = fj_rows(run, node->fwd->in[0]);
    float *db = node->din[i]->data;
    if (!fj_adds(run, node, i))
        memset(db, 0, (size_t)n * sizeof(float));
    for (int64_t r = 0; node->dout[part] && r < rows; r++)
        run->k->add_row(db, db, (const float *)node->dout[part]->data + r * n, n);
}

const fj_op fj_op_linear = {
    .name = "linear",
    .is_product = true,
    .infer = infer,
    .forward = { forward_phases, forward_parts, forward, forward_workspace, forward_scratch },
    .backward = { { .gives = 1u << 0,
                    .reads_in = 0x0e,
                    .work = { dx_phases, dx_parts, d_x, dx_workspace, dx_scratch } },
                  { .gives = 0x0e, .reads_in = 1u << 0, .work = { NULL, dw_parts, d_w, NULL, NULL } },
                  { .gives = 0x70, .reads_in = 0, .work = { NULL, db_parts, d_b, NULL, NULL } } },
};

void fj_linear(fj_graph *g, fj_value *x, fj_value *const *weights, fj_value *const *biases, int n, fj_value **out)
{
    fj_value *in[1 + 2 * FJ_MAX_LINEAR] = { x };
    fj_assert(n >= 1 && n <= FJ_MAX_LINEAR);
    for (int w = 0; w < n; w++) {
        in[1 + w] = weights[w];
        in[B0 + w] = biases ? biases[w] : NULL;
    }
    double attr = n;
    fj_node *node = fj_graph_add(g, &fj_op_linear, in, 1 + 2 * FJ_MAX_LINEAR, n, &attr, 1, NULL);
    for (int w = 0; w < n; w++)
        out[w] = node->out[w];
}
