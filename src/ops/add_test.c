/* SPDX-License-Identifier: Apache-2.0 */
#include "ops/op_test.h"

static void record(op_rig *rig)
{
    fj_shape shape = fj_shape_2(80, 19);
    fj_value *a = op_learned(rig, FJ_ROWS, shape, OP_PASSED), *b = op_learned(rig, FJ_ROWS, shape, OP_PASSED);
    op_seen(rig, fj_add(op_graph(rig), a, b));
}

const op_case op_case_add = { .name = "add", .op = &fj_op_add, .record = record, .rows = 71, .is_rowwise = true };

TEST(add_refuses_two_shapes)
{
    fj_err err = { 0 };
    fj_graph *g = fj_graph_new(&err);
    fj_value *a = fj_graph_external(g, "a", &fj_f32, FJ_ROWS, fj_shape_2(4, 8)),
             *b = fj_graph_external(g, "b", &fj_f32, FJ_ROWS, fj_shape_2(4, 9)),
             *c = fj_graph_external(g, "c", &fj_f32, FJ_FIXED, fj_shape_2(4, 8));
    (void)fj_add(g, a, b);
    CHECK(err.status == FJ_ERR_SHAPE);
    CHECK_TEXT(err.message, "add: 'a' and 'b' differ in shape");
    err = (fj_err){ 0 };
    (void)fj_add(g, a, c); /* a pass of three rows would add four */
    CHECK(err.status == FJ_ERR_SHAPE);
    fj_graph_free(g);
}
