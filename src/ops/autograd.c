/* SPDX-License-Identifier: Apache-2.0
 * The differentiator: walks the recorded nodes backwards and appends one gradient node for each rule that somebody needs.
 *
 * First writer stores, later ones add. A rule that passes its gradient on unchanged (a residual sum) costs nothing: the input's
 * gradient shares the storage, unless somebody would add to it while another sharer still has to be read (parallel blocks).
 * With checkpointing a layer's forward nodes are repeated in front of its gradient nodes, which then read the copies; copies
 * that no gradient reads are dropped (the last product of a block, for one). A copy keeps the id of the node that it repeats, so
 * that its random numbers are the same. The gradient of a parameter that learns in 16 bits is summed like any value's and rounded
 * into its own place behind the last rule that adds to it. Without checkpointing the same is done for cheap operations alone (norms, the gate's
 * product): their results would be half of what a layer keeps, and cost a fiftieth of its time. */
#include <stdlib.h>
#include <string.h>

#include "ops/graph_internal.h"

typedef struct diff {
    fj_graph *g;
    int n_forward;
    fj_value **copy;       /* by value id: its recomputed copy, or NULL */
    fj_node **copied;      /* by forward node index: the node that gradients read (itself without checkpointing) */
    int *maker;            /* by value id: index of the forward node that makes it, -1 for none */
    int *last_user;        /* by value id: last forward node that reads it */
    int *first_user;       /* by value id: the first */
    fj_value **kept;       /* by value id: a parameter's gradient in 16 bits, until it is rounded into */
    int *user_before_last; /* the one before that: for the node that is being passed through */
    int n_known;           /* values that existed before differentiating */
} diff;

static void note_users(diff *d)
{
    for (int v = 0; v < d->n_known; v++)
        d->maker[v] = d->last_user[v] = d->user_before_last[v] = d->first_user[v] = -1;
    for (int i = 0; i < d->n_forward; i++) {
        const fj_node *n = d->g->nodes[i];
        for (int k = 0; k < n->n_out; k++)
            d->maker[n->out[k]->id] = i;
        for (int k = 0; k < n->n_in; k++) {
            if (!n->in[k])
                continue;
            int id = n->in[k]->id;
            if (d->first_user[id] < 0)
                d->first_user[id] = i;
            if (d->last_user[id] != i)
                d->user_before_last[id] = d->last_user[id];
            d->last_user[id] = i;
        }
    }
}

/* The last forward reader of v before node i: whoever may still add to v's gradient. */
static int later_adder(const diff *d, const fj_value *v, int i)
{
    return d->last_user[v->id] >= i ? d->user_before_last[v->id] : d->last_user[v->id];
}

/* Whether v's gradient may share storage with dout at node i: nobody may add to one sharer while another is still to be read.
 * A gradient is read by its maker's rules, and those run in reverse of the recording; a maker that adds to one sharer while it
 * reads the other (x + f(x), where f reads x itself) is such a case too. */
static bool may_share(const diff *d, const fj_value *v, const fj_value *dout, int i)
{
    const fj_value *root = fj_value_root((fj_value *)(uintptr_t)dout);
    if (root->place != FJ_ARENA)
        return false;
    int my_maker = d->maker[v->id], my_adder = later_adder(d, v, i);
    for (int k = 0; k < d->n_known; k++) {
        const fj_value *other = d->g->values[k];
        if (!other->grad || other == v || fj_value_root(other->grad) != root)
            continue;
        int maker = d->maker[other->id];
        if (maker >= i)
            continue; /* read already */
        if (my_adder >= maker || later_adder(d, other, i) >= my_maker)
            return false;
    }
    return true;
}

static fj_value *new_gradient(diff *d, const fj_value *of)
{
    fj_value *v = fj_graph_new_value(d->g, "gradient", FJ_ARENA);
    v->extent = of->extent;
    v->shape = of->shape;
    v->dtype = &fj_f32;
    return v;
}

static fj_status copy_infer(fj_node *node, fj_err *err)
{
    (void)err;
    node->out[0]->shape = node->in[0]->shape;
    node->out[0]->extent = node->in[0]->extent;
    return FJ_OK;
}

static int64_t copy_parts(const fj_run *run, const fj_node *node, int phase)
{
    (void)phase;
    return fj_blocks(fj_rows(run, node->in[0]), 64);
}

static void copy_part(const fj_run *run, const fj_node *node, int phase, int64_t part, int worker)
{
    (void)phase, (void)worker;
    int64_t n = fj_cols(node->in[0]), row0 = part * 64, row1 = FJ_MIN(row0 + 64, fj_rows(run, node->in[0]));
    memcpy((float *)node->out[0]->data + row0 * n, (const float *)node->in[0]->data + row0 * n,
           (size_t)((row1 - row0) * n) * sizeof(float));
}

/* out = in: only where a passed gradient cannot share. */
static const fj_op op_copy = { .name = "copy",
                               .infer = copy_infer,
                               .forward = { .parts = copy_parts, .part = copy_part } };

static void pass(diff *d, fj_value *v, fj_value *dout, int i)
{
    if (v->grad) {
        bool is_parameter = v->grad->place == FJ_EXTERNAL;
        fj_assert(!is_parameter && "a parameter's gradient is written by a rule, not passed");
        v->grad = fj_add(d->g, v->grad, dout);
        return;
    }
    if (may_share(d, v, dout, i)) {
        v->grad = new_gradient(d, v);
        v->grad->shares = dout;
        return;
    }
    v->grad = fj_graph_add(d->g, &op_copy, &dout, 1, 1, NULL, 0, NULL)->out[0];
}

static bool has_incoming(const fj_node *n)
{
    for (int k = 0; k < n->n_out; k++)
        if (n->out[k]->grad)
            return true;
    return n->op->is_loss;
}

static void apply_rule(diff *d, fj_node *n, int i, int r)
{
    const fj_rule *rule = &n->op->backward[r];
    bool needed = false;
    for (int k = 0; k < n->n_in; k++)
        needed |= ((rule->gives >> k) & 1u) && n->in[k] && n->in[k]->needs_grad;
    if (!needed)
        return;
    if (rule->pass) {
        for (int k = 0; k < n->n_in; k++)
            if (((rule->gives >> k) & 1u) && n->in[k] && n->in[k]->needs_grad)
                pass(d, n->in[k], n->out[0]->grad, i);
        return;
    }
    fj_node *grad = fj_graph_new_node(d->g, n->op);
    grad->rule = r;
    grad->fwd = d->copied[i];
    grad->id = n->id;
    grad->layer = n->layer;
    grad->n_in = n->n_in;
    grad->n_out = n->n_out;
    memcpy(grad->attr, n->attr, sizeof grad->attr);
    grad->extra = n->extra;
    for (int k = 0; k < n->n_out; k++)
        grad->dout[k] = n->out[k]->grad;
    for (int k = 0; k < n->n_in; k++) {
        fj_value *v = n->in[k];
        if (!((rule->gives >> k) & 1u) || !v || !v->needs_grad)
            continue;
        bool is_parameter = v->grad && v->grad->place == FJ_EXTERNAL;
        bool is_written = is_parameter ? v->grad->first == 1 : v->grad != NULL; /* first: see fj_graph_differentiate */
        if (!v->grad)
            v->grad = new_gradient(d, v);
        if (is_written)
            grad->add |= 1u << k;
        if (is_parameter)
            v->grad->first = 1;
        grad->din[k] = v->grad;
    }
}

static fj_value *mapped(const diff *d, fj_value *v)
{
    return v && v->id < d->n_known && d->copy[v->id] ? d->copy[v->id] : v;
}

/* A forward node with the inputs and outputs that gradients are to read. in_graph: it is run again, else it only says where. */
static fj_node *copy_node(diff *d, const fj_node *n, bool in_graph)
{
    fj_node *c = in_graph ? fj_graph_new_node(d->g, n->op) : fj_arena_take(d->g->arena, sizeof *c);
    fj_assert(c);
    *c = *n;
    for (int k = 0; k < n->n_in; k++)
        c->in[k] = mapped(d, n->in[k]);
    for (int k = 0; in_graph && k < n->n_out; k++) {
        fj_value *v = fj_graph_new_value(d->g, n->op->name, FJ_ARENA);
        v->extent = n->out[k]->extent;
        v->shape = n->out[k]->shape;
        v->dtype = n->out[k]->dtype;
        c->out[k] = v;
        d->copy[n->out[k]->id] = v;
    }
    return c;
}

/* Repeats the forward nodes [i0, i1) of one layer, all of them or the cheap ones. */
static void repeat_layer(diff *d, int i0, int i1, bool all)
{
    for (int i = i0; i < i1; i++) {
        const fj_node *n = d->g->nodes[i];
        if (!n->op->is_effect && !n->op->is_loss)
            d->copied[i] = copy_node(d, n, all || n->op->is_cheap);
    }
}

typedef struct liveness {
    bool *is_read;
} liveness;

static void mark_read(void *context, fj_value *v, bool is_write)
{
    if (!is_write)
        ((liveness *)context)->is_read[v->id] = true;
}

/* Drops repeated nodes that nobody reads, and the forward nodes of losses whose rule does that work (a loss of what does not learn,
 * the router's term for one, has none). */
static void drop_dead(diff *d)
{
    fj_graph *g = d->g;
    liveness live = { calloc((size_t)g->n_values, sizeof(bool)) };
    bool *keep = calloc((size_t)g->n_nodes, sizeof(bool)), *has_rule = calloc((size_t)d->n_forward + 1, sizeof(bool));
    fj_assert(live.is_read && keep && has_rule);
    for (int i = g->n_nodes - 1; i >= 0; i--) {
        const fj_node *n = g->nodes[i];
        bool is_repeat = i >= d->n_forward && n->rule < 0 && n->id < d->n_forward;
        if (n->rule >= 0)
            has_rule[n->id] = true;
        keep[i] = !is_repeat && !(i < d->n_forward && n->op->is_loss && has_rule[i]);
        for (int k = 0; is_repeat && k < n->n_out; k++)
            keep[i] |= live.is_read[n->out[k]->id];
        if (keep[i])
            fj_node_uses(n, mark_read, &live);
    }
    int n = 0;
    for (int i = 0; i < g->n_nodes; i++)
        if (keep[i])
            g->nodes[n++] = g->nodes[i];
    g->n_nodes = n;
    free(live.is_read);
    free(keep);
    free(has_rule);
}

/* A parameter that learns in 16 bits has, while rules add to it, a gradient in f32 like other values. */
static void set_aside(diff *d)
{
    for (int v = 0; v < d->n_known; v++) {
        fj_value *of = d->g->values[v];
        if (!of->grad || of->grad->dtype == &fj_f32)
            continue;
        d->kept[v] = of->grad;
        of->grad = NULL;
    }
}

/* Node i is the last whose rules may have added to what it reads first. */
static void round_gradients(diff *d, const fj_node *n, int i)
{
    for (int k = 0; k < n->n_in; k++) {
        fj_value *v = n->in[k];
        if (!v || !d->kept[v->id] || d->first_user[v->id] != i)
            continue;
        if (v->grad)
            fj_round_gradient(d->g, v->grad, d->kept[v->id]);
        v->grad = d->kept[v->id];
        d->kept[v->id] = NULL;
    }
}

static void apply_rules(diff *d, fj_node *n, int i)
{
    for (int r = 0; has_incoming(n) && r < FJ_MAX_RULES; r++)
        if (n->op->backward[r].gives)
            apply_rule(d, n, i, r);
}

static void walk_back(diff *d, bool checkpoint)
{
    for (int i = d->n_forward - 1; i >= 0; i--) {
        int layer = d->g->nodes[i]->layer;
        if (layer >= 0 && (i + 1 == d->n_forward || d->g->nodes[i + 1]->layer != layer)) {
            int i0 = i;
            while (i0 > 0 && d->g->nodes[i0 - 1]->layer == layer)
                i0--;
            repeat_layer(d, i0, i + 1, checkpoint);
        }
        fj_node *n = d->g->nodes[i];
        apply_rules(d, n, i);
        round_gradients(d, n, i);
    }
}

void fj_graph_differentiate(fj_graph *g, bool checkpoint)
{
    if (g->err->status)
        return;
    diff d = { .g = g, .n_forward = g->n_nodes, .n_known = g->n_values };
    g->layer = -1;
    d.copy = calloc((size_t)g->n_values, sizeof *d.copy);
    d.copied = calloc((size_t)g->n_nodes, sizeof *d.copied);
    d.kept = calloc((size_t)g->n_values, sizeof *d.kept);
    d.maker = calloc(4 * (size_t)g->n_values, sizeof *d.maker);
    fj_assert(d.copy && d.copied && d.kept && d.maker);
    d.last_user = d.maker + g->n_values;
    d.user_before_last = d.last_user + g->n_values;
    d.first_user = d.user_before_last + g->n_values;
    for (int i = 0; i < g->n_nodes; i++)
        d.copied[i] = g->nodes[i];
    note_users(&d);
    set_aside(&d);
    walk_back(&d, checkpoint);
    drop_dead(&d);
    free(d.copy);
    free(d.copied);
    free(d.kept);
    free(d.maker);
}
