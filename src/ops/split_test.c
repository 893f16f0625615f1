/* SPDX-License-Identifier: Apache-2.0 */
#include "ops/op_test.h"

/* Two groups of 9 columns: 4, 2 and 1 of them in another order, the others nobody takes. */
static const int64_t offsets[] = { 3, 0, 8 }, widths[] = { 4, 2, 1 };

static void record(op_rig *rig)
{
    fj_value *x = op_learned(rig, FJ_ROWS, fj_shape_2(25, 18), 0), *out[3];
    fj_split(op_graph(rig), x, 2, 9, 3, offsets, widths, out);
    for (int i = 0; i < 3; i++)
        op_seen(rig, out[i]);
}

/* The second piece counts for nothing: its gradient never comes. */
static void record_partly(op_rig *rig)
{
    fj_value *x = op_learned(rig, FJ_ROWS, fj_shape_2(25, 18), 0), *out[3];
    fj_split(op_graph(rig), x, 2, 9, 3, offsets, widths, out);
    op_seen(rig, out[0]);
    op_seen(rig, out[2]);
}

const op_case op_case_split = { .name = "split", .op = &fj_op_split, .record = record, .rows = 23, .is_rowwise = true };
const op_case op_case_split_partly = {
    .name = "split, partly", .op = &fj_op_split, .record = record_partly, .rows = 23, .is_rowwise = true
};

TEST(split_takes_its_columns_of_each_group)
{
    op_rig rig;
    op_rig_open(&rig, &op_case_split, OP_DIRECT);
    (void)op_forward(&rig);
    const float *x = (const float *)(const void *)rig.learned[0].data;
    for (int o = 0; o < 3; o++)
        for (int64_t r = 0; r < 23; r++)
            for (int64_t u = 0; u < 2; u++)
                CHECK(test_same_bits(rig.seen[o].copy + (r * 2 + u) * widths[o], x + r * 18 + u * 9 + offsets[o],
                                     widths[o]));
    op_rig_close(&rig);
}

TEST(split_refuses_columns_that_are_not_there)
{
    fj_err err = { 0 };
    fj_graph *g = fj_graph_new(&err);
    fj_value *x = fj_graph_external(g, "x", &fj_f32, FJ_ROWS, fj_shape_2(4, 18)), *out[3];
    fj_split(g, x, 3, 9, 3, offsets, widths, out);
    CHECK(err.status == FJ_ERR_SHAPE);
    CHECK_TEXT(err.message, "split: rows of 18 values for 3 groups of 9");
    err = (fj_err){ 0 };
    const int64_t far[] = { 3, 0, 9 };
    fj_split(g, x, 2, 9, 3, far, widths, out);
    CHECK_TEXT(err.message, "split: columns 9 to 10 of groups of 9");
    fj_graph_free(g);
}
