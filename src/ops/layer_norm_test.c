/* SPDX-License-Identifier: Apache-2.0 */
#include "ops/op_test.h"

static void record(op_rig *rig)
{
    fj_value *x = op_learned(rig, FJ_ROWS, fj_shape_2(40, 70), 0), *w = op_learned(rig, FJ_FIXED, fj_shape_1(70), 0),
             *b = op_learned(rig, FJ_FIXED, fj_shape_1(70), 0);
    op_seen(rig, fj_layer_norm(op_graph(rig), x, w, b, 1e-5, 0));
}

/* No bias, weights around zero, a weight for each of five heads. */
static void record_groups(op_rig *rig)
{
    fj_value *x = op_learned(rig, FJ_ROWS, fj_shape_2(40, 100), 0),
             *w = op_learned(rig, FJ_FIXED, fj_shape_2(5, 20), 0);
    op_seen(rig, fj_layer_norm_groups(op_graph(rig), x, w, NULL, 20, 1e-5, 1));
}

const op_case op_case_layer_norm = {
    .name = "layer_norm", .op = &fj_op_layer_norm, .record = record, .rows = 37, .is_rowwise = true
};
const op_case op_case_layer_norm_groups = {
    .name = "layer_norm, groups", .op = &fj_op_layer_norm, .record = record_groups, .rows = 37, .is_rowwise = true
};

static void check_definition(const op_case *c, int64_t d, int64_t group, double offset)
{
    fj_kernels tables[TEST_TABLES];
    int n = test_tables(tables);
    op_rig rig;
    op_rig_open(&rig, c, OP_DIRECT);
    const float *x = (const float *)(const void *)rig.learned[0].data,
                *w = (const float *)(const void *)rig.learned[1].data;
    const float *b = rig.n_learned > 2 ? (const float *)(const void *)rig.learned[2].data : NULL;
    for (int t = 0; t < n; t++) {
        rig.run.k = &tables[t];
        (void)op_forward(&rig);
        for (int64_t at = 0; at < c->rows * d; at += group) {
            double mean = 0, variance = 0;
            float wanted[128];
            for (int64_t i = 0; i < group; i++)
                mean += x[at + i] / (double)group;
            for (int64_t i = 0; i < group; i++)
                variance += (x[at + i] - mean) * (x[at + i] - mean) / (double)group;
            for (int64_t i = 0; i < group; i++)
                wanted[i] = (float)((x[at + i] - mean) / sqrt(variance + 1e-5) * (w[at % d + i] + offset) +
                                    (b ? b[at % d + i] : 0));
            CHECK_NEAR(rig.seen[0].copy + at, wanted, group, 1e-6);
        }
    }
    op_rig_close(&rig);
}

TEST(layer_norm_takes_out_the_mean_and_divides_by_the_biased_deviation)
{
    check_definition(&op_case_layer_norm, 70, 70, 0);
}

TEST(layer_norm_in_groups_has_a_mean_and_a_weight_for_each)
{
    check_definition(&op_case_layer_norm_groups, 100, 20, 1);
}

TEST(layer_norm_refuses_groups_and_weights_that_do_not_fit)
{
    fj_err err = { 0 };
    fj_graph *g = fj_graph_new(&err);
    fj_value *x = fj_graph_external(g, "x", &fj_f32, FJ_ROWS, fj_shape_2(4, 8)),
             *w = fj_graph_external(g, "norm.weight", &fj_f32, FJ_FIXED, fj_shape_1(8)),
             *b = fj_graph_external(g, "norm.bias", &fj_f32, FJ_FIXED, fj_shape_1(7));
    (void)fj_layer_norm(g, x, w, b, 1e-5, 0);
    CHECK(err.status == FJ_ERR_SHAPE);
    CHECK_TEXT(err.message, "layer_norm: bias 'norm.bias' has 7 values, the weight 8");
    err = (fj_err){ 0 };
    (void)fj_layer_norm_groups(g, x, w, NULL, 3, 1e-5, 0);
    CHECK_TEXT(err.message, "layer_norm: rows of 8 values in groups of 3");
    err = (fj_err){ 0 };
    (void)fj_layer_norm_groups(g, x, b, NULL, 4, 1e-5, 0);
    CHECK_TEXT(err.message, "layer_norm: weight 'norm.bias' has 7 values, rows have 4");
    fj_graph_free(g);
}
