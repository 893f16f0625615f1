/* SPDX-License-Identifier: Apache-2.0
 * The planner: lifetimes to offsets. It reads shapes only, so `forja plan` is a dry run of the real thing.
 *
 *   node:      0    1    2    3    4    5
 *   value a    w----r---------r                 a storage may be taken over in place by the node that reads it last,
 *   value b         w----r                      when the operation allows; gradients that are passed on share from the start
 *   value c              w----r----r
 *
 * Storages are placed by falling size, each at the lowest offset where no storage with a common moment lies. */
#include <stdlib.h>
#include <string.h>

#include "ops/graph_internal.h"

void fj_node_uses(const fj_node *node, fj_use_fn *use, void *context)
{
    if (node->rule < 0) {
        for (int k = 0; k < node->n_in; k++)
            if (node->in[k])
                use(context, node->in[k], false);
        for (int k = 0; k < node->n_out; k++)
            use(context, node->out[k], true);
    } else {
        const fj_rule *rule = &node->op->backward[node->rule];
        const fj_node *fwd = node->fwd;
        for (int k = 0; k < fwd->n_in; k++)
            if (fwd->in[k] && ((rule->reads_in >> k) & 1u))
                use(context, fwd->in[k], false);
        for (int k = 0; k < fwd->n_out; k++)
            if ((rule->reads_out >> k) & 1u)
                use(context, fwd->out[k], node->op->is_loss);
        for (int k = 0; k < node->n_out; k++)
            if (node->dout[k])
                use(context, node->dout[k], false);
        for (int k = 0; k < node->n_in; k++) {
            if (node->din[k] && ((node->add >> k) & 1u))
                use(context, node->din[k], false);
            if (node->din[k])
                use(context, node->din[k], true);
        }
    }
    if (node->workspace)
        use(context, node->workspace, true);
}

typedef struct span_note {
    int node;
} span_note;

static void note_use(void *context, fj_value *v, bool is_write)
{
    (void)is_write;
    int i = ((span_note *)context)->node;
    fj_value *root = fj_value_root(v);
    if (root->first < 0)
        root->first = i;
    root->last = FJ_MAX(root->last, i);
}

static const fj_work *work_of(const fj_node *n)
{
    return n->rule < 0 ? &n->op->forward : &n->op->backward[n->rule].work;
}

/* Workspaces become values that live for one node. */
static void add_workspaces(fj_graph *g, const fj_run *run)
{
    g->scratch_bytes = 0;
    for (int i = 0; i < g->n_nodes; i++) {
        fj_node *n = g->nodes[i];
        const fj_work *work = work_of(n);
        size_t bytes = work->workspace ? work->workspace(n, run) : 0;
        if (bytes && !n->workspace) {
            n->workspace = fj_graph_new_value(g, "workspace", FJ_ARENA);
            n->workspace->dtype = &fj_u8;
            n->workspace->shape = fj_shape_1((int64_t)bytes);
        }
        n->scratch = work->scratch ? (work->scratch(n, run) + 63) / 64 * 64 : 0;
        g->scratch_bytes = FJ_MAX(g->scratch_bytes, n->scratch);
    }
}

static fj_status size_values(fj_graph *g, fj_err *err)
{
    for (int i = 0; i < g->n_values; i++) {
        fj_value *v = g->values[i];
        v->first = v->last = -1;
        size_t bytes = 0;
        if (v->place != FJ_ARENA)
            continue;
        if (!fj_dtype_bytes(v->dtype, fj_shape_count(&v->shape), &bytes))
            return fj_fail(err, FJ_ERR_SHAPE, "graph: a value of '%s' has no size", v->name);
        v->bytes = (bytes + 63) / 64 * 64;
    }
    return FJ_OK;
}

/* out[0] takes over the storage of an input that nobody reads after this node. */
static void share_in_place(fj_graph *g)
{
    for (int i = 0; i < g->n_nodes; i++) {
        fj_node *n = g->nodes[i];
        if (n->rule >= 0 || !n->op->inplace || n->out[0]->shares || n->out[0]->place != FJ_ARENA)
            continue;
        fj_value *out = n->out[0];
        for (int k = 0; k < n->n_in; k++) {
            fj_value *root = n->in[k] ? fj_value_root(n->in[k]) : NULL;
            if (!root || !((n->op->inplace >> k) & 1u) || root->place != FJ_ARENA || root->last != i ||
                root->bytes != out->bytes || root == out)
                continue;
            root->last = FJ_MAX(root->last, out->last);
            out->shares = root;
            break;
        }
    }
}

static int by_falling_size(const void *a, const void *b)
{
    const fj_value *x = *(fj_value *const *)a, *y = *(fj_value *const *)b;
    if (x->bytes != y->bytes)
        return x->bytes < y->bytes ? 1 : -1;
    return x->id - y->id;
}

static int by_offset(const void *a, const void *b)
{
    const fj_value *x = *(fj_value *const *)a, *y = *(fj_value *const *)b;
    if (x->offset != y->offset)
        return x->offset > y->offset ? 1 : -1;
    return x->id - y->id;
}

/* Lowest offset for v among the placed ones (sorted by offset) that live at the same time. */
static size_t lowest_offset(const fj_value *v, fj_value *const *placed, int n)
{
    size_t at = 0;
    for (int i = 0; i < n; i++) {
        const fj_value *p = placed[i];
        if (p->last < v->first || p->first > v->last)
            continue;
        if (p->offset >= at + v->bytes)
            break;
        at = FJ_MAX(at, p->offset + p->bytes);
    }
    return at;
}

static void insert_by_offset(fj_value **placed, int n, fj_value *v)
{
    int at = n;
    while (at > 0 && by_offset(&placed[at - 1], &v) > 0) {
        placed[at] = placed[at - 1];
        at--;
    }
    placed[at] = v;
}

static fj_status place(fj_graph *g, fj_err *err)
{
    fj_value **list = malloc(2 * (size_t)g->n_values * sizeof *list + 1);
    if (!list)
        return fj_fail(err, FJ_ERR_MEMORY, "no memory to lay out a graph of %d values", g->n_values);
    fj_value **placed = list + g->n_values;
    int n = 0;
    for (int i = 0; i < g->n_values; i++) {
        fj_value *v = g->values[i];
        if (v->place == FJ_ARENA && !v->shares && v->first >= 0)
            list[n++] = v;
    }
    qsort(list, (size_t)n, sizeof *list, by_falling_size);
    g->arena_bytes = 0;
    for (int i = 0; i < n; i++) {
        list[i]->offset = lowest_offset(list[i], placed, i);
        insert_by_offset(placed, i, list[i]);
        g->arena_bytes = FJ_MAX(g->arena_bytes, list[i]->offset + list[i]->bytes);
    }
    free(list);
    return FJ_OK;
}

fj_status fj_graph_plan(fj_graph *g, const fj_run *run, fj_err *err)
{
    if (g->err->status) {
        if (err != g->err)
            *err = *g->err;
        return g->err->status;
    }
    add_workspaces(g, run);
    fj_status st = size_values(g, err);
    if (st)
        return st;
    span_note note;
    for (note.node = 0; note.node < g->n_nodes; note.node++)
        fj_node_uses(g->nodes[note.node], note_use, &note);
    share_in_place(g);
    return place(g, err);
}

void fj_graph_bind(fj_graph *g, void *memory)
{
    for (int i = 0; i < g->n_values; i++) {
        fj_value *v = g->values[i];
        if (v->place == FJ_ARENA)
            v->data = (unsigned char *)memory + fj_value_root(v)->offset;
        else if (v->place == FJ_WEIGHT)
            v->data = (void *)(uintptr_t)v->weight->data;
    }
}
