/* SPDX-License-Identifier: Apache-2.0
 * out[r] = table[ids[r]]
 * in: ids (N) i32, table (V,D) of any type */
#include <string.h>

#include "ops/graph.h"
#include "ops/weight_rows.h"

enum { ROWS = 8, COLS = 64, ZERO_ROWS = 256 };

static fj_status infer(fj_node *node, fj_err *err)
{
    const fj_value *ids = node->in[0], *table = node->in[1];
    if (ids->dtype != &fj_i32 || table->shape.rank != 2)
        return fj_fail(err, FJ_ERR_SHAPE, "embed: wants i32 ids and a table of two dimensions");
    node->out[0]->extent = ids->extent;
    node->out[0]->shape = fj_shape_2(ids->shape.dim[0], table->shape.dim[1]);
    return FJ_OK;
}

static int64_t parts(const fj_run *run, const fj_node *node, int phase)
{
    (void)phase;
    return fj_blocks(fj_rows(run, node->in[0]), ROWS);
}

static void forward(const fj_run *run, const fj_node *node, int phase, int64_t part, int worker)
{
    (void)phase, (void)worker;
    const int32_t *ids = node->in[0]->data;
    int64_t d = fj_cols(node->in[1]), row1 = FJ_MIN((part + 1) * ROWS, fj_rows(run, node->in[0])), ld;
    for (int64_t r = part * ROWS; r < row1; r++) {
        float *out = (float *)node->out[0]->data + r * d;
        const float *row = fj_weight_rows(run, node->in[1], ids[r], 1, 0, d, out, &ld);
        if (row != out)
            memcpy(out, row, (size_t)d * sizeof(float));
    }
}

/* dtable[ids[r]] += dout[r]: a part owns some columns and takes the rows in order; phase 0 zeroes unless this adds. */
static int d_phases(const fj_run *run, const fj_node *node)
{
    (void)run, (void)node;
    return 2;
}

static int64_t d_parts(const fj_run *run, const fj_node *node, int phase)
{
    if (phase == 0)
        return fj_adds(run, node, 1) ? 0 : fj_blocks(node->din[1]->shape.dim[0], ZERO_ROWS);
    return fj_blocks(fj_cols(node->din[1]), COLS);
}

static void d_table(const fj_run *run, const fj_node *node, int phase, int64_t part, int worker)
{
    (void)worker;
    int64_t d = fj_cols(node->din[1]), rows = fj_rows(run, node->fwd->in[0]);
    float *to = node->din[1]->data;
    if (phase == 0) {
        int64_t row0 = part * ZERO_ROWS, row1 = FJ_MIN(row0 + ZERO_ROWS, node->din[1]->shape.dim[0]);
        memset(to + row0 * d, 0, (size_t)((row1 - row0) * d) * sizeof(float));
        return;
    }
    const int32_t *ids = node->fwd->in[0]->data;
    int64_t c = part * COLS, n = FJ_MIN(COLS, d - c);
    for (int64_t r = 0; r < rows; r++)
        run->k->add_row(to + ids[r] * d + c, to + ids[r] * d + c, (const float *)node->dout[0]->data + r * d + c, n);
}

/* Rows here and there. */
static bool reads(const fj_node *node, int64_t matrix)
{
    (void)node, (void)matrix;
    return false;
}

const fj_op fj_op_embed = {
    .name = "embed",
    .infer = infer,
    .reads = reads,
    .forward = { .parts = parts, .part = forward },
    .backward = { { .gives = 1u << 1,
                    .reads_in = 1u << 0,
                    .work = { .phases = d_phases, .parts = d_parts, .part = d_table } } },
};

fj_value *fj_embed(fj_graph *g, fj_value *ids, fj_value *table)
{
    fj_value *in[] = { ids, table };
    return fj_graph_add(g, &fj_op_embed, in, 2, 1, NULL, 0, NULL)->out[0];
}
