/* SPDX-License-Identifier: Apache-2.0
 * The products of all experts: y[p] = x[p] W_e^T for the sorted slots p of expert e, that is offsets[e] ... offsets[e+1]-1.
 * in: x (N,K*I) sorted slots, offsets (E+1) i32, W (E,O,I) of any type   attr[0]: K
 * Each expert is a plain matrix in the arithmetic of linear.c. Parts are blocks inside an expert, as many as the data say; an
 * expert without slots is neither read nor, when it learns, given more than a gradient of zero. */
#include <string.h>

#include "ops/graph.h"
#include "ops/linear_tile.h"
#include "ops/weight_rows.h"

enum { GRAD_ROWS = 256, DW_ROWS = 32, PACK_ROWS = 16 };

static fj_status infer(fj_node *node, fj_err *err)
{
    const fj_value *x = node->in[0], *offsets = node->in[1], *w = node->in[2];
    int64_t k = (int64_t)node->attr[0];
    if (w->shape.rank != 3 || fj_cols(w) * k != fj_cols(x))
        return fj_fail(err, FJ_ERR_SHAPE, "expert_linear: '%s' takes %lld values, slots have %lld", w->name,
                       (long long)fj_cols(w), (long long)(fj_cols(x) / k));
    if (offsets->dtype != &fj_i32 || fj_cols(offsets) != w->shape.dim[0] + 1)
        return fj_fail(err, FJ_ERR_SHAPE, "expert_linear: '%s' has %lld experts, %lld were to choose from", w->name,
                       (long long)w->shape.dim[0], (long long)fj_cols(offsets) - 1);
    node->out[0]->extent = x->extent;
    node->out[0]->shape = fj_shape_2(x->shape.dim[0], k * w->shape.dim[1]);
    return FJ_OK;
}

/* One expert's matrix, as a value for itself. */
typedef struct expert {
    fj_value value;
    fj_weight weight;
} expert;

static const fj_value *matrix_of(const fj_value *w, int64_t e, expert *to)
{
    int64_t n_out = w->shape.dim[1], n_in = w->shape.dim[2];
    size_t bytes = (size_t)(n_out * n_in / w->dtype->block_len) * (size_t)w->dtype->block_bytes * (size_t)e;
    to->value = *w;
    to->value.shape = fj_shape_2(n_out, n_in);
    if (w->data)
        to->value.data = (unsigned char *)w->data + bytes;
    if (!w->weight)
        return &to->value;
    to->weight = *w->weight;
    to->weight.shape = to->value.shape;
    if (to->weight.parts) {
        to->weight.data = to->weight.parts[e]->data;
        to->weight.parts = NULL;
        to->value.data = (void *)(uintptr_t)to->weight.data;
    } else if (to->weight.data) {
        to->weight.data = (const unsigned char *)to->weight.data + bytes;
    }
    if (to->weight.forms)
        to->weight.forms += e;
    if (to->weight.packed)
        to->weight.packed = (const unsigned char *)to->weight.packed +
                            to->weight.pack->tile_bytes(n_in) * (size_t)(fj_blocks(n_out, PACK_ROWS) * e);
    to->value.weight = &to->weight;
    return &to->value;
}

static fj_product product_of(const fj_run *run, const fj_node *f)
{
    expert one;
    return fj_product_of(run, matrix_of(f->in[2], 0, &one));
}

static int64_t slots(const fj_run *run, const fj_node *f)
{
    return fj_rows(run, f->in[0]) * (int64_t)f->attr[0];
}

static int64_t slot_capacity(const fj_node *f)
{
    return f->in[0]->shape.dim[0] * (int64_t)f->attr[0];
}

/* The expert of a part, when each has as many parts as `count` says of its slots; part becomes the part inside. */
typedef int64_t count_fn(const fj_node *f, int64_t rows);

static int64_t count_parts(const fj_node *f, count_fn *count)
{
    const int32_t *offsets = f->in[1]->data;
    int64_t parts = 0;
    for (int64_t e = 0; e < f->in[2]->shape.dim[0]; e++)
        parts += count(f, offsets[e + 1] - offsets[e]);
    return parts;
}

static int64_t find_expert(const fj_node *f, count_fn *count, int64_t *part)
{
    const int32_t *offsets = f->in[1]->data;
    for (int64_t e = 0;; e++) {
        int64_t parts = count(f, offsets[e + 1] - offsets[e]);
        if (*part < parts)
            return e;
        *part -= parts;
    }
}

/* ---- forward ------------------------------------------------------------------------------------------------------------ */

static int64_t forward_count(const fj_node *f, int64_t rows)
{
    return rows ? fj_tile_parts(rows, f->in[2]->shape.dim[1]) : 0;
}

static size_t forward_workspace(const fj_node *node, const fj_run *run)
{
    return fj_rounded_bytes(1u << product_of(run, node), slot_capacity(node), fj_cols(node->in[2]));
}

static int forward_phases(const fj_run *run, const fj_node *node)
{
    return product_of(run, node) == FJ_PRODUCT_F32 ? 1 : 2;
}

static int64_t forward_parts(const fj_run *run, const fj_node *node, int phase)
{
    if (phase + 1 < forward_phases(run, node))
        return fj_blocks(slots(run, node), FJ_ROUND_ROWS);
    return count_parts(node, forward_count);
}

static size_t forward_scratch(const fj_node *node, const fj_run *run)
{
    expert one;
    return fj_tile_scratch(run, matrix_of(node->in[2], 0, &one));
}

static void forward(const fj_run *run, const fj_node *node, int phase, int64_t part, int worker)
{
    const fj_value *w = node->in[2];
    int64_t k = fj_cols(w), n_out = w->shape.dim[1];
    unsigned products = 1u << product_of(run, node);
    fj_tile_job job = { .x = node->in[0]->data,
                        .rows = slots(run, node),
                        .k = k,
                        .row_capacity = slot_capacity(node),
                        .products = products,
                        .rounded = node->workspace ? node->workspace->data : NULL,
                        .ldy = n_out };
    if (phase + 1 < forward_phases(run, node)) {
        fj_round_rows(run, &job, part);
        return;
    }
    const int32_t *offsets = node->in[1]->data;
    int64_t e = find_expert(node, forward_count, &part), row0 = offsets[e];
    size_t before = products == 1u << FJ_PRODUCT_INT8 ? (size_t)(row0 * (k / 32)) * sizeof(fj_q8_block)
                                                      : (size_t)(row0 * k) * sizeof(uint16_t);
    expert one;
    job.x += row0 * k;
    job.y = (float *)node->out[0]->data + row0 * n_out;
    job.rows = offsets[e + 1] - row0;
    if (job.rounded) /* of one kind here, so the rows of an expert lie end to end */
        job.rounded = (unsigned char *)job.rounded + before;
    fj_linear_tile(run, &job, matrix_of(w, e, &one), part, fj_scratch(run, worker));
}

/* ---- dx[p] = dy[p] W_e ----------------------------------------------------------------------------------------------------- */

static int64_t dx_cols(const fj_node *f)
{
    expert one;
    return FJ_MAX(64, fj_weight_step(matrix_of(f->in[2], 0, &one)));
}

static int64_t dx_count(const fj_node *f, int64_t rows)
{
    return fj_blocks(rows, GRAD_ROWS) * fj_blocks(fj_cols(f->in[2]), dx_cols(f));
}

static bool dx_is_bf16(const fj_run *run, const fj_node *f)
{
    expert one;
    return run->bf16 && fj_product_is_large(matrix_of(f->in[2], 0, &one));
}

static size_t dx_workspace(const fj_node *node, const fj_run *run)
{
    const fj_node *f = node->fwd;
    return dx_is_bf16(run, f) ? (size_t)(slot_capacity(f) * f->in[2]->shape.dim[1]) * sizeof(uint16_t) : 0;
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
    if (phase + 1 < dx_phases(run, node))
        return fj_blocks(slots(run, node->fwd), FJ_ROUND_ROWS);
    return count_parts(node->fwd, dx_count);
}

static void d_x(const fj_run *run, const fj_node *node, int phase, int64_t part, int worker)
{
    const fj_node *f = node->fwd;
    const fj_value *w = f->in[2];
    const float *dy = node->dout[0]->data;
    int64_t k = fj_cols(w), n_out = w->shape.dim[1], cols = dx_cols(f), n_cols = fj_blocks(k, cols);
    uint16_t *dy16 = dx_phases(run, node) == 2 ? node->workspace->data : NULL;
    if (phase + 1 < dx_phases(run, node)) {
        int64_t row0 = part * FJ_ROUND_ROWS, n = FJ_MIN(FJ_ROUND_ROWS, slots(run, f) - row0);
        run->k->f32_to_bf16_row(dy16 + row0 * n_out, dy + row0 * n_out, n * n_out);
        return;
    }
    const int32_t *offsets = f->in[1]->data;
    int64_t e = find_expert(f, dx_count, &part), first = offsets[e];
    fj_dx_block b = { .ldc = k, .row0 = part / n_cols * GRAD_ROWS, .k0 = part % n_cols * cols };
    b.m = FJ_MIN(GRAD_ROWS, offsets[e + 1] - first - b.row0);
    b.nk = FJ_MIN(cols, k - b.k0);
    b.c = (float *)node->din[0]->data + (first + b.row0) * k + b.k0;
    expert one;
    (void)fj_linear_dx(run, matrix_of(w, e, &one), dy + first * n_out, dy16 ? dy16 + first * n_out : NULL, &b,
                       fj_scratch(run, worker), fj_adds(run, node, 0));
}

/* ---- dW_e = dy^T x over the expert's slots in order ------------------------------------------------------------------------- */

static int64_t dw_parts(const fj_run *run, const fj_node *node, int phase)
{
    (void)run, (void)phase;
    const fj_value *w = node->fwd->in[2];
    return w->shape.dim[0] * fj_blocks(w->shape.dim[1], DW_ROWS);
}

static void d_w(const fj_run *run, const fj_node *node, int phase, int64_t part, int worker)
{
    (void)phase, (void)worker;
    const fj_node *f = node->fwd;
    const int32_t *offsets = f->in[1]->data;
    int64_t n_out = f->in[2]->shape.dim[1], k = fj_cols(f->in[2]), blocks = fj_blocks(n_out, DW_ROWS);
    int64_t e = part / blocks, n0 = part % blocks * DW_ROWS, m = FJ_MIN(DW_ROWS, n_out - n0), first = offsets[e];
    float *c = (float *)node->din[2]->data + (e * n_out + n0) * k;
    bool add = fj_adds(run, node, 2);
    if (offsets[e + 1] > first)
        run->k->gemm_rows_f32(c, k, (const float *)node->dout[0]->data + first * n_out + n0, 1, n_out,
                              (const float *)f->in[0]->data + first * k, k, m, k, offsets[e + 1] - first, add);
    else if (!add)
        memset(c, 0, (size_t)(m * k) * sizeof(float));
}

static bool reads(const fj_node *node, int64_t matrix)
{
    const int32_t *offsets = node->in[1]->data;
    return offsets[matrix + 1] > offsets[matrix];
}

const fj_op fj_op_expert_linear = {
    .name = "expert_linear",
    .is_product = true,
    .infer = infer,
    .forward = { forward_phases, forward_parts, forward, forward_workspace, forward_scratch },
    .reads = reads,
    .backward = { { .gives = 1, .reads_in = 6, .work = { dx_phases, dx_parts, d_x, dx_workspace, dx_scratch } },
                  { .gives = 4, .reads_in = 3, .work = { NULL, dw_parts, d_w, NULL, NULL } } },
};

fj_value *fj_expert_linear(fj_graph *g, fj_value *x, const fj_route *route, fj_value *w)
{
    fj_value *in[] = { x, route->offsets, w };
    double attr = (double)route->k;
    return fj_graph_add(g, &fj_op_expert_linear, in, 3, 1, &attr, 1, NULL)->out[0];
}
