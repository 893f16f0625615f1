/* SPDX-License-Identifier: Apache-2.0 */
#include "ops/op_test.h"

static void record(op_rig *rig)
{
    fj_shape shape = fj_shape_2(40, 21);
    fj_value *gate = op_learned(rig, FJ_ROWS, shape, 0), *up = op_learned(rig, FJ_ROWS, shape, 0);
    op_seen(rig, fj_swiglu(op_graph(rig), gate, up));
}

const op_case op_case_swiglu = {
    .name = "swiglu", .op = &fj_op_swiglu, .record = record, .rows = 37, .is_rowwise = true
};

TEST(swiglu_refuses_gate_and_up_of_two_widths)
{
    fj_err err = { 0 };
    fj_graph *g = fj_graph_new(&err);
    fj_value *gate = fj_graph_external(g, "gate", &fj_f32, FJ_ROWS, fj_shape_2(4, 8)),
             *up = fj_graph_external(g, "up", &fj_f32, FJ_ROWS, fj_shape_2(4, 9));
    (void)fj_swiglu(g, gate, up);
    CHECK(err.status == FJ_ERR_SHAPE);
    CHECK_TEXT(err.message, "swiglu: gate has 8 columns, up 9");
    fj_graph_free(g);
}
