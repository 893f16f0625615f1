/* SPDX-License-Identifier: Apache-2.0 */
#include "ops/op_test.h"

static void record(op_rig *rig)
{
    fj_value *y = op_learned(rig, FJ_ROWS, fj_shape_2(40, 70), OP_PASSED),
             *u = op_learned(rig, FJ_ROWS, fj_shape_2(40, 5), OP_ONCE),
             *b = op_learned(rig, FJ_FIXED, fj_shape_2(70, 5), 0);
    op_seen(rig, fj_lora_add(op_graph(rig), y, u, b, 1.75));
}

const op_case op_case_lora_add = {
    .name = "lora_add", .op = &fj_op_lora_add, .record = record, .rows = 37, .is_rowwise = true
};

TEST(lora_add_refuses_a_factor_of_another_shape)
{
    fj_err err = { 0 };
    fj_graph *g = fj_graph_new(&err);
    fj_value *y = fj_graph_external(g, "y", &fj_f32, FJ_ROWS, fj_shape_2(4, 8)),
             *u = fj_graph_external(g, "u", &fj_f32, FJ_ROWS, fj_shape_2(4, 2)),
             *b = fj_graph_external(g, "q.lora_B", &fj_f32, FJ_FIXED, fj_shape_2(9, 2));
    (void)fj_lora_add(g, y, u, b, 1);
    CHECK(err.status == FJ_ERR_SHAPE);
    CHECK_TEXT(err.message, "lora_add: 'q.lora_B' is 9x2, wanted 8x2");
    fj_graph_free(g);
}
