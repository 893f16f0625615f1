/* SPDX-License-Identifier: Apache-2.0
 * See norm.h. */
#include "ops/norm.h"

static const fj_node *forward_of(const fj_node *node)
{
    return node->rule < 0 ? node : node->fwd;
}

int64_t fj_norm_group(const fj_node *f)
{
    return f->attr[2] > 0 ? (int64_t)f->attr[2] : fj_cols(f->in[0]);
}

fj_status fj_norm_infer(fj_node *node, const fj_value *b, fj_err *err)
{
    const fj_value *x = node->in[0], *w = node->in[1];
    int64_t d = fj_cols(x), group = fj_norm_group(node), n = fj_shape_count(&w->shape);
    if (d % group)
        return fj_fail(err, FJ_ERR_SHAPE, "%s: rows of %lld values in groups of %lld", node->op->name, (long long)d,
                       (long long)group);
    if (n != d && n != group)
        return fj_fail(err, FJ_ERR_SHAPE, "%s: weight '%s' has %lld values, rows have %lld", node->op->name, w->name,
                       (long long)n, (long long)group);
    if (b && fj_shape_count(&b->shape) != n)
        return fj_fail(err, FJ_ERR_SHAPE, "%s: bias '%s' has %lld values, the weight %lld", node->op->name, b->name,
                       (long long)fj_shape_count(&b->shape), (long long)n);
    for (int i = 0; i < node->n_out; i++) {
        node->out[i]->extent = x->extent;
        node->out[i]->shape = i ? fj_shape_2(x->shape.dim[0], d / group) : x->shape;
    }
    return FJ_OK;
}

int64_t fj_norm_row_parts(const fj_run *run, const fj_node *node, int phase)
{
    (void)phase;
    return fj_blocks(fj_rows(run, forward_of(node)->in[0]), FJ_NORM_ROWS);
}

size_t fj_norm_scratch(const fj_node *node, const fj_run *run)
{
    (void)run;
    const fj_node *f = forward_of(node);
    return f->attr[1] == 0 ? 0 : (size_t)fj_shape_count(&f->in[1]->shape) * sizeof(float);
}

const float *fj_norm_weight(const fj_run *run, const fj_node *f, float *scratch)
{
    (void)run;
    const float *w = f->in[1]->data;
    float offset = (float)f->attr[1];
    if (offset == 0)
        return w;
    int64_t n = fj_shape_count(&f->in[1]->shape);
    for (int64_t i = 0; i < n; i++)
        scratch[i] = w[i] + offset;
    return scratch;
}

int64_t fj_norm_weight_step(const fj_node *f)
{
    int64_t group = fj_norm_group(f);
    return fj_shape_count(&f->in[1]->shape) == group ? 0 : group;
}

int64_t fj_norm_col_parts(const fj_run *run, const fj_node *node, int phase)
{
    (void)run, (void)phase;
    return fj_blocks(fj_shape_count(&node->fwd->in[1]->shape), FJ_NORM_COLS);
}
