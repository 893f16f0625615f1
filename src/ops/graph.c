/* SPDX-License-Identifier: Apache-2.0
 * Recording of graphs: values, nodes, shapes. */
#include "ops/graph.h"

#include <stdlib.h>
#include <string.h>

#include "ops/graph_internal.h"

fj_graph *fj_graph_new(fj_err *err)
{
    fj_arena *arena = fj_arena_new();
    fj_graph *g = arena ? fj_arena_take(arena, sizeof *g) : NULL;
    if (!g) {
        fj_arena_free(arena);
        (void)fj_fail(err, FJ_ERR_MEMORY, "no memory for a graph");
        return NULL;
    }
    g->arena = arena;
    g->err = err;
    g->layer = -1;
    return g;
}

void fj_graph_free(fj_graph *g)
{
    if (!g)
        return;
    free(g->nodes);
    free(g->values);
    fj_arena_free(g->arena);
}

/* A graph that has run out of memory cannot go on recording: pointers that callers hold must stay valid. */
static void *must(void *p)
{
    fj_assert(p && "memory for the description of a graph");
    return p;
}

static void *grown(void *list, int n, int *cap, size_t size)
{
    if (n < *cap)
        return list;
    *cap = *cap ? 2 * *cap : 256;
    return must(realloc(list, (size_t)*cap * size));
}

fj_value *fj_graph_new_value(fj_graph *g, const char *name, fj_place place)
{
    fj_value *v = must(fj_arena_take(g->arena, sizeof *v));
    v->name = name;
    v->place = place;
    v->dtype = &fj_f32;
    v->id = g->n_values;
    g->values = grown(g->values, g->n_values, &g->cap_values, sizeof *g->values);
    g->values[g->n_values++] = v;
    return v;
}

fj_node *fj_graph_new_node(fj_graph *g, const fj_op *op)
{
    fj_node *node = must(fj_arena_take(g->arena, sizeof *node));
    node->op = op;
    node->rule = -1;
    node->id = g->n_nodes;
    node->layer = g->layer;
    g->nodes = grown(g->nodes, g->n_nodes, &g->cap_nodes, sizeof *g->nodes);
    g->nodes[g->n_nodes++] = node;
    return node;
}

fj_value *fj_graph_external(fj_graph *g, const char *name, const fj_dtype *dtype, fj_extent extent, fj_shape shape)
{
    fj_value *v = fj_graph_new_value(g, name, FJ_EXTERNAL);
    v->dtype = dtype;
    v->extent = extent;
    v->shape = shape;
    return v;
}

fj_value *fj_graph_weight(fj_graph *g, const fj_weight *weight)
{
    for (int i = 0; i < g->n_values; i++)
        if (g->values[i]->weight == weight)
            return g->values[i];
    fj_value *v = fj_graph_new_value(g, weight->name, FJ_WEIGHT);
    v->weight = weight;
    v->dtype = weight->dtype;
    v->shape = weight->shape;
    v->data = (void *)(uintptr_t)weight->data;
    return v;
}

fj_value *fj_graph_parameter(fj_graph *g, const char *name, fj_shape shape)
{
    fj_value *v = fj_graph_external(g, name, &fj_f32, FJ_FIXED, shape);
    v->needs_grad = true;
    v->grad = fj_graph_external(g, name, &fj_f32, FJ_FIXED, shape);
    return v;
}

fj_value *fj_graph_parameter_bf16(fj_graph *g, const char *name, fj_shape shape, bool is_f32)
{
    fj_value *v = fj_graph_parameter(g, name, shape);
    v->dtype = is_f32 ? &fj_f32 : &fj_bf16;
    v->grad->dtype = &fj_bf16;
    return v;
}

fj_node *fj_graph_add(fj_graph *g, const fj_op *op, fj_value *const *in, int n_in, int n_out, const double *attr,
                      int n_attr, const void *extra)
{
    fj_assert(n_in <= FJ_MAX_IN && n_out <= FJ_MAX_OUT && n_attr <= FJ_MAX_ATTR);
    fj_node *node = fj_graph_new_node(g, op);
    node->n_in = n_in;
    node->n_out = n_out;
    node->extra = extra;
    bool needs_grad = false;
    for (int i = 0; i < n_in; i++) {
        node->in[i] = in[i];
        needs_grad |= in[i] && in[i]->needs_grad;
    }
    for (int i = 0; i < n_attr; i++)
        node->attr[i] = attr[i];
    for (int i = 0; i < n_out; i++) {
        node->out[i] = fj_graph_new_value(g, op->name, FJ_ARENA);
        node->out[i]->needs_grad = needs_grad;
    }
    if (!g->err->status)
        (void)op->infer(node, g->err);
    if (g->err->status)
        for (int i = 0; i < n_out; i++)
            node->out[i]->shape = fj_shape_2(1, 1);
    return node;
}

bool fj_adds(const fj_run *run, const fj_node *node, int i)
{
    return ((node->add >> i) & 1u) || (run->add_to_grads && node->din[i]->place == FJ_EXTERNAL);
}

fj_value *fj_value_root(fj_value *v)
{
    while (v->shares)
        v = v->shares;
    return v;
}

void fj_graph_print(const fj_graph *g, fj_str *out)
{
    char shape[96];
    for (int i = 0; i < g->n_nodes; i++) {
        const fj_node *n = g->nodes[i];
        fj_str_printf(out, "%4d %s%s layer %d", i, n->op->name, n->rule < 0 ? "" : " gradient", n->layer);
        for (int k = 0; k < FJ_MAX_OUT; k++)
            if (n->rule < 0 && n->out[k])
                fj_str_printf(out, "  %s [%d..%d] @%zu", fj_shape_text(&n->out[k]->shape, shape),
                              fj_value_root(n->out[k])->first, fj_value_root(n->out[k])->last,
                              fj_value_root(n->out[k])->offset);
        for (int k = 0; k < FJ_MAX_IN; k++)
            if (n->rule >= 0 && n->din[k])
                fj_str_printf(out, "  d%d %s%s @%zu", k, fj_shape_text(&n->din[k]->shape, shape),
                              (n->add >> k) & 1 ? " +=" : "", fj_value_root(n->din[k])->offset);
        fj_str_add_char(out, '\n');
    }
}
