/* SPDX-License-Identifier: Apache-2.0
 * The output head and its loss in one node: nll[i] = logsumexp(z_i) - z_i[label_i], z = softcap(scale * (h W^T + b)), and, because
 * each row's weight in the loss is known beforehand, the gradient in the same pass:
 *   dz = weight_i * (softmax - onehot)    dy = dz * scale * (1 - (z/cap)^2)    dh = dy W    dW = dy^T h    db = sum_i dy_i
 * in: h (M,D), W (V,D), labels (M) i32, weights (M), b (V) or NULL   attr: scale, cap (0: none)   out: nll (M), external
 *
 * Rows are taken in chunks whose logits fit CHUNK_BYTES, so (rows, V) never exists. A chunk is five phases: round the rows (bf16),
 * logits, softmax, dh, dW. A graph that is only evaluated runs the first three. */
#include <math.h>
#include <string.h>

#include "ops/graph.h"
#include "ops/linear_tile.h"
#include "ops/weight_rows.h"

enum { CHUNK_BYTES = 32 << 20, LEAST_ROWS = 16, SOFT_ROWS = 4, DW_ROWS = 32 };
enum step { ROUND, LOGITS, SOFTMAX, DH, DW, N_STEPS };

static fj_status infer(fj_node *node, fj_err *err)
{
    const fj_value *h = node->in[0], *w = node->in[1], *labels = node->in[2];
    if (w->shape.rank != 2 || fj_cols(w) != fj_cols(h) || labels->dtype != &fj_i32)
        return fj_fail(err, FJ_ERR_SHAPE, "head_loss: head '%s' takes %lld values, rows have %lld", w->name,
                       (long long)fj_cols(w), (long long)fj_cols(h));
    if (node->in[4] && fj_shape_count(&node->in[4]->shape) != w->shape.dim[0])
        return fj_fail(err, FJ_ERR_SHAPE, "head_loss: bias '%s' has %lld values, the head %lld rows", node->in[4]->name,
                       (long long)fj_shape_count(&node->in[4]->shape), (long long)w->shape.dim[0]);
    node->out[0]->extent = h->extent;
    node->out[0]->shape = fj_shape_1(h->shape.dim[0]);
    node->out[0]->place = FJ_EXTERNAL;
    return FJ_OK;
}

static const fj_node *forward_of(const fj_node *node)
{
    return node->rule < 0 ? node : node->fwd;
}

static int64_t chunk_rows(const fj_node *f)
{
    int64_t fit = CHUNK_BYTES / (f->in[1]->shape.dim[0] * (int64_t)sizeof(float));
    return FJ_MIN(f->in[0]->shape.dim[0], FJ_MAX(LEAST_ROWS, fit));
}

/* The workspace: logits (chunk,V) f32, then the rounded rows, then dlogits in bf16 where the product dh is in bf16. */
typedef struct areas {
    float *logits;
    void *rounded;
    uint16_t *dlogits16;
    int64_t chunk, v, d;
    size_t bytes;
} areas;

static areas areas_of(const fj_run *run, const fj_node *node)
{
    const fj_node *f = forward_of(node);
    areas a = { .chunk = chunk_rows(f), .v = f->in[1]->shape.dim[0], .d = fj_cols(f->in[1]) };
    unsigned char *base = node->workspace ? node->workspace->data : NULL;
    size_t logits = (size_t)(a.chunk * a.v) * sizeof(float);
    size_t rounded = (fj_rounded_bytes(1u << fj_product_of(run, f->in[1]), a.chunk, a.d) + 63) / 64 * 64;
    bool is_bf16 = node->rule >= 0 && run->bf16 && fj_product_is_large(f->in[1]);
    a.bytes = logits + rounded + (is_bf16 ? logits / 2 : 0);
    if (base) {
        a.logits = (float *)(void *)base;
        a.rounded = base + logits;
        a.dlogits16 = is_bf16 ? (uint16_t *)(void *)(base + logits + rounded) : NULL;
    }
    return a;
}

static size_t workspace(const fj_node *node, const fj_run *run)
{
    return areas_of(run, node).bytes;
}

static int64_t dh_cols(const fj_node *f)
{
    return FJ_MAX(64, fj_weight_step(f->in[1]));
}

static size_t scratch(const fj_node *node, const fj_run *run)
{
    const fj_node *f = forward_of(node);
    size_t row = f->attr[1] > 0 ? (size_t)f->in[1]->shape.dim[0] * sizeof(float) : 0; /* tanh of a row, for its slope */
    return FJ_MAX(row, FJ_MAX(fj_tile_scratch(run, f->in[1]), fj_dx_scratch(dh_cols(f))));
}

static int steps_of(const fj_node *node)
{
    return node->rule < 0 ? SOFTMAX + 1 : N_STEPS;
}

static int phases(const fj_run *run, const fj_node *node)
{
    const fj_node *f = forward_of(node);
    int64_t chunks = fj_blocks(fj_rows(run, f->in[0]), chunk_rows(f));
    return (int)FJ_MAX(1, chunks) * steps_of(node); /* without rows dW is still to be stored */
}

static int64_t rows_in_chunk(const fj_run *run, const fj_node *f, int64_t row0)
{
    return FJ_MIN(chunk_rows(f), fj_rows(run, f->in[0]) - row0);
}

static int64_t parts(const fj_run *run, const fj_node *node, int phase)
{
    const fj_node *f = forward_of(node);
    int64_t row0 = phase / steps_of(node) * chunk_rows(f), m = rows_in_chunk(run, f, row0), v = f->in[1]->shape.dim[0];
    switch ((enum step)(phase % steps_of(node))) {
    case ROUND: return fj_product_of(run, f->in[1]) == FJ_PRODUCT_F32 ? 0 : fj_blocks(m, FJ_ROUND_ROWS);
    case LOGITS: return fj_tile_parts(m, v);
    case SOFTMAX: return fj_blocks(m, SOFT_ROWS);
    case DH: return node->din[0] ? fj_blocks(fj_cols(f->in[0]), dh_cols(f)) : 0;
    case DW: return node->din[1] || node->din[4] ? fj_blocks(v, DW_ROWS) : 0;
    case N_STEPS: break;
    }
    return 0;
}

/* The product's row becomes logits; `capped` keeps what their slope needs. */
static void finish_logits(const fj_run *run, const fj_node *f, float *row, float *capped, int64_t v)
{
    float scale = (float)f->attr[0], cap = (float)f->attr[1];
    if (f->in[4])
        run->k->add_row(row, row, f->in[4]->data, v);
    if (cap > 0) {
        run->k->tanh_row(capped, row, (float)(f->attr[0] / f->attr[1]), v);
        run->k->scale_row(row, capped, cap, v);
    } else if (scale != 1) {
        run->k->scale_row(row, row, scale, v);
    }
}

/* dy of dz: through the cap and the scale */
static void through_cap(const fj_node *f, float *row, const float *capped, int64_t v)
{
    float scale = (float)f->attr[0];
    for (int64_t i = 0; f->attr[1] > 0 && i < v; i++)
        row[i] *= scale * (1.0f - capped[i] * capped[i]);
    for (int64_t i = 0; f->attr[1] <= 0 && scale != 1 && i < v; i++)
        row[i] *= scale;
}

static void soften(const fj_run *run, const fj_node *node, const areas *a, int64_t row0, int64_t m, int64_t part,
                   float *capped)
{
    const fj_node *f = forward_of(node);
    const int32_t *labels = (const int32_t *)f->in[2]->data + row0;
    float *nll = (float *)f->out[0]->data + row0;
    int64_t end = FJ_MIN((part + 1) * SOFT_ROWS, m);
    for (int64_t i = part * SOFT_ROWS; i < end; i++) {
        float *row = a->logits + i * a->v;
        finish_logits(run, f, row, capped, a->v);
        float at_label = row[labels[i]], max = run->k->max_row(row, a->v);
        float sum = run->k->exp_row(row, row, 1.0f, max, a->v);
        nll[i] = max + logf(sum) - at_label;
        if (node->rule < 0)
            continue;
        float weight = ((const float *)f->in[3]->data)[row0 + i];
        run->k->scale_row(row, row, weight / sum, a->v);
        row[labels[i]] -= weight;
        through_cap(f, row, capped, a->v);
        if (a->dlogits16)
            run->k->f32_to_bf16_row(a->dlogits16 + i * a->v, row, a->v);
    }
}

static void d_h(const fj_run *run, const fj_node *node, const areas *a, int64_t row0, int64_t m, int64_t part,
                void *scratch_)
{
    const fj_value *w = node->fwd->in[1];
    int64_t cols = dh_cols(node->fwd);
    fj_dx_block b = { .ldc = a->d, .row0 = 0, .m = m, .k0 = part * cols };
    b.nk = FJ_MIN(cols, a->d - b.k0);
    b.c = (float *)node->din[0]->data + row0 * a->d + b.k0;
    (void)fj_linear_dx(run, w, a->logits, a->dlogits16, &b, scratch_, fj_adds(run, node, 0));
}

/* dW and db of some outputs */
static void d_w(const fj_run *run, const fj_node *node, const areas *a, int64_t row0, int64_t m, int64_t part)
{
    int64_t n0 = part * DW_ROWS, n = FJ_MIN(DW_ROWS, a->v - n0);
    if (node->din[4]) {
        float *db = (float *)node->din[4]->data + n0;
        if (row0 == 0 && !fj_adds(run, node, 4))
            memset(db, 0, (size_t)n * sizeof(float));
        for (int64_t i = 0; i < m; i++)
            run->k->add_row(db, db, a->logits + i * a->v + n0, n);
    }
    if (!node->din[1])
        return;
    run->k->gemm_rows_f32((float *)node->din[1]->data + n0 * a->d, a->d, a->logits + n0, 1, a->v,
                          (const float *)node->fwd->in[0]->data + row0 * a->d, a->d, n, a->d, m,
                          row0 > 0 || fj_adds(run, node, 1));
}

static void work(const fj_run *run, const fj_node *node, int phase, int64_t part, int worker)
{
    const fj_node *f = forward_of(node);
    areas a = areas_of(run, node);
    int64_t row0 = phase / steps_of(node) * a.chunk, m = rows_in_chunk(run, f, row0);
    fj_tile_job job = { .x = (const float *)f->in[0]->data + row0 * a.d,
                        .rows = m,
                        .k = a.d,
                        .row_capacity = a.chunk,
                        .products = 1u << fj_product_of(run, f->in[1]),
                        .rounded = a.rounded,
                        .y = a.logits,
                        .ldy = a.v };
    switch ((enum step)(phase % steps_of(node))) {
    case ROUND: fj_round_rows(run, &job, part); break;
    case LOGITS: fj_linear_tile(run, &job, f->in[1], part, fj_scratch(run, worker)); break;
    case SOFTMAX: soften(run, node, &a, row0, m, part, fj_scratch(run, worker)); break;
    case DH: d_h(run, node, &a, row0, m, part, fj_scratch(run, worker)); break;
    case DW: d_w(run, node, &a, row0, m, part); break;
    case N_STEPS: break;
    }
}

const fj_op fj_op_head_loss = {
    .name = "head_loss",
    .infer = infer,
    .forward = { phases, parts, work, workspace, scratch },
    .backward = { { .gives = 0x13,
                    .reads_in = 0x1f,
                    .reads_out = 1,
                    .work = { phases, parts, work, workspace, scratch } } },
    .is_loss = true,
};

fj_value *fj_head_loss(fj_graph *g, fj_value *h, const fj_head *head, fj_value *labels, fj_value *weights)
{
    fj_value *in[] = { h, head->w, labels, weights, head->bias };
    double attr[] = { head->scale == 0 ? 1 : head->scale, head->softcap };
    return fj_graph_add(g, &fj_op_head_loss, in, 5, 1, attr, 2, NULL)->out[0];
}

fj_value *fj_head_logits(fj_graph *g, fj_value *h, const fj_head *head)
{
    fj_value *y, *w = head->w, *bias = head->bias;
    fj_linear(g, h, &w, &bias, 1, &y);
    if (head->scale != 0 && head->scale != 1)
        y = fj_scale(g, y, head->scale);
    return head->softcap > 0 ? fj_softcap(g, y, head->softcap) : y;
}
