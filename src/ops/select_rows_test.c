/* SPDX-License-Identifier: Apache-2.0 */
#include "ops/op_test.h"

static void record(op_rig *rig)
{
    static const int32_t index[] = { 0, 1, 5, 31, 32, 33, 69, 70 };
    fj_value *x = op_learned(rig, FJ_ROWS, fj_shape_2(80, 19), 0);
    op_seen(rig, fj_select_rows(op_graph(rig), x, op_ints(rig, FJ_OUT_ROWS, fj_shape_1(12), index)));
}

const op_case op_case_select_rows = {
    .name = "select_rows", .op = &fj_op_select_rows, .record = record, .rows = 71, .out_rows = 8
};

TEST(select_rows_gives_the_rows_of_the_index)
{
    op_rig rig;
    op_rig_open(&rig, &op_case_select_rows, OP_DIRECT);
    (void)op_forward(&rig);
    const float *x = (const float *)(const void *)rig.learned[0].data;
    CHECK(test_same_bits(rig.seen[0].copy + 3 * 19, x + 31 * 19, 2 * 19));
    CHECK(test_same_bits(rig.seen[0].copy + 7 * 19, x + 70 * 19, 19));
    op_rig_close(&rig);
}

TEST(select_rows_refuses_an_index_that_is_no_list_of_integers)
{
    fj_err err = { 0 };
    fj_graph *g = fj_graph_new(&err);
    fj_value *x = fj_graph_external(g, "x", &fj_f32, FJ_ROWS, fj_shape_2(4, 8)),
             *index = fj_graph_external(g, "index", &fj_f32, FJ_OUT_ROWS, fj_shape_1(2));
    (void)fj_select_rows(g, x, index);
    CHECK(err.status == FJ_ERR_SHAPE);
    CHECK_TEXT(err.message, "select_rows: wants a row of i32 indices");
    fj_graph_free(g);
}
