/* SPDX-License-Identifier: Apache-2.0 */
#include "ops/op_test.h"

static void record(op_rig *rig)
{
    fj_value *x = op_learned(rig, FJ_ROWS, fj_shape_2(40, 70), 0), *w = op_learned(rig, FJ_FIXED, fj_shape_1(70), 0);
    op_seen(rig, fj_rms_norm(op_graph(rig), x, w, 1e-5));
}

const op_case op_case_rms_norm = {
    .name = "rms_norm", .op = &fj_op_rms_norm, .record = record, .rows = 37, .is_rowwise = true
};

TEST(rms_norm_refuses_a_weight_of_another_width)
{
    fj_err err = { 0 };
    fj_graph *g = fj_graph_new(&err);
    fj_value *x = fj_graph_external(g, "x", &fj_f32, FJ_ROWS, fj_shape_2(4, 8)),
             *w = fj_graph_external(g, "norm.weight", &fj_f32, FJ_FIXED, fj_shape_1(9));
    (void)fj_rms_norm(g, x, w, 1e-5);
    CHECK(err.status == FJ_ERR_SHAPE);
    CHECK_TEXT(err.message, "rms_norm: weight 'norm.weight' has 9 values, rows have 8");
    fj_graph_free(g);
}
