/* SPDX-License-Identifier: Apache-2.0
 * What the readers of a graph share: making nodes and values, and who uses what. */
#ifndef FJ_OPS_GRAPH_INTERNAL_H
#define FJ_OPS_GRAPH_INTERNAL_H

#include "ops/graph.h"

fj_value *fj_graph_new_value(fj_graph *g, const char *name, fj_place place);
fj_node  *fj_graph_new_node(fj_graph *g, const fj_op *op); /* appended, with no inputs yet */

/* Makes kept (bf16) of a parameter's gradient of one pass. */
void fj_round_gradient(fj_graph *g, fj_value *sum, fj_value *kept);

/* The value whose storage v lies in. */
fj_value *fj_value_root(fj_value *v);

/* Calls use(context, value, is_write) for every value that a node touches: what it reads first, then what it writes. */
typedef void fj_use_fn(void *context, fj_value *value, bool is_write);
void fj_node_uses(const fj_node *node, fj_use_fn *use, void *context);

#endif
