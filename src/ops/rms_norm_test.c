/* SPDX-License-Identifier: Apache-2.0 */
#include "ops/op_test.h"

static void record(op_rig *rig)
{
    fj_value *x = op_learned(rig, FJ_ROWS, fj_shape_2(40, 70), 0), *w = op_learned(rig, FJ_FIXED, fj_shape_1(70), 0);
    op_seen(rig, fj_rms_norm(op_graph(rig), x, w, 1e-5, 0));
}

const op_case op_case_rms_norm = {
    .name = "rms_norm", .op = &fj_op_rms_norm, .record = record, .rows = 37, .is_rowwise = true
};

/* One weight of 24 values for the three heads of a row, kept around zero. */
static void record_groups(op_rig *rig)
{
    fj_value *x = op_learned(rig, FJ_ROWS, fj_shape_2(40, 72), 0), *w = op_learned(rig, FJ_FIXED, fj_shape_1(24), 0);
    op_seen(rig, fj_rms_norm_groups(op_graph(rig), x, w, 24, 1e-5, 1));
}

const op_case op_case_rms_norm_groups = {
    .name = "rms_norm, groups", .op = &fj_op_rms_norm, .record = record_groups, .rows = 37, .is_rowwise = true
};

TEST(rms_norm_in_groups_is_the_norm_of_each_group_with_one_plus_the_weight)
{
    op_rig rig;
    op_rig_open(&rig, &op_case_rms_norm_groups, OP_DIRECT);
    (void)op_forward(&rig);
    const float *x = (const float *)(const void *)rig.learned[0].data,
                *w = (const float *)(const void *)rig.learned[1].data;
    for (int64_t at = 0; at < 37 * 72; at += 24) {
        double squares = 0;
        float wanted[24];
        for (int i = 0; i < 24; i++)
            squares += (double)x[at + i] * x[at + i] / 24;
        for (int i = 0; i < 24; i++)
            wanted[i] = (float)(x[at + i] / sqrt(squares + 1e-5) * (1.0 + w[i]));
        CHECK_NEAR(rig.seen[0].copy + at, wanted, 24, 1e-6);
    }
    op_rig_close(&rig);
}

TEST(rms_norm_refuses_a_weight_of_another_width)
{
    fj_err err = { 0 };
    fj_graph *g = fj_graph_new(&err);
    fj_value *x = fj_graph_external(g, "x", &fj_f32, FJ_ROWS, fj_shape_2(4, 8)),
             *w = fj_graph_external(g, "norm.weight", &fj_f32, FJ_FIXED, fj_shape_1(9));
    (void)fj_rms_norm(g, x, w, 1e-5, 0);
    CHECK(err.status == FJ_ERR_SHAPE);
    CHECK_TEXT(err.message, "rms_norm: weight 'norm.weight' has 9 values, rows have 8");
    fj_graph_free(g);
}
