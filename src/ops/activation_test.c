/* SPDX-License-Identifier: Apache-2.0
 * Curves against their definitions, slopes through the cases of op_test.c. */
#include "ops/activation.h"

#include "ops/op_test.h"

/* Columns end in a part of a block; the rows of a part are several blocks. */
static void record(op_rig *rig)
{
    fj_value *x = op_learned(rig, FJ_ROWS, fj_shape_2(25, 67), 0);
    op_seen(rig, fj_activate(op_graph(rig), x, rig->c->data));
}

static void record_gated(op_rig *rig)
{
    fj_value *gate = op_learned(rig, FJ_ROWS, fj_shape_2(25, 67), 0),
             *up = op_learned(rig, FJ_ROWS, fj_shape_2(25, 67), 0);
    op_seen(rig, fj_gated(op_graph(rig), gate, up, rig->c->data));
}

const op_case op_case_activation_gelu = {
    .name = "gelu", .op = &fj_op_activation, .record = record, .data = &fj_act_gelu, .rows = 23, .is_rowwise = true
};
const op_case op_case_activation_gelu_tanh = { .name = "gelu_tanh",
                                               .op = &fj_op_activation,
                                               .record = record,
                                               .data = &fj_act_gelu_tanh,
                                               .rows = 23,
                                               .is_rowwise = true };
const op_case op_case_activation_quick_gelu = { .name = "quick_gelu",
                                                .op = &fj_op_activation,
                                                .record = record,
                                                .data = &fj_act_quick_gelu,
                                                .rows = 23,
                                                .is_rowwise = true };
const op_case op_case_activation_silu = {
    .name = "silu", .op = &fj_op_activation, .record = record, .data = &fj_act_silu, .rows = 23, .is_rowwise = true
};
const op_case op_case_gated_gelu_tanh = { .name = "gated gelu_tanh",
                                          .op = &fj_op_gated,
                                          .record = record_gated,
                                          .data = &fj_act_gelu_tanh,
                                          .rows = 23,
                                          .is_rowwise = true };
const op_case op_case_gated_gelu = { .name = "gated gelu",
                                     .op = &fj_op_gated,
                                     .record = record_gated,
                                     .data = &fj_act_gelu,
                                     .rows = 23,
                                     .is_rowwise = true };
const op_case op_case_gated_silu = { .name = "gated silu",
                                     .op = &fj_op_swiglu,
                                     .record = record_gated,
                                     .data = &fj_act_silu,
                                     .rows = 23,
                                     .is_rowwise = true };

static double curve(const fj_activation *act, double x)
{
    if (act == &fj_act_gelu)
        return x / 2 * (1 + erf(x / sqrt(2)));
    if (act == &fj_act_gelu_tanh)
        return x / 2 * (1 + tanh(0.7978845608028654 * (x + 0.044715 * x * x * x)));
    if (act == &fj_act_quick_gelu)
        return x / (1 + exp(-1.702 * x));
    if (act == &fj_act_silu)
        return x / (1 + exp(-x));
    if (act == &fj_act_softplus)
        return log1p(exp(x));
    double positive = x > 0 ? x : 0;
    return act == &fj_act_relu ? positive : positive * positive;
}

TEST(activations_are_their_curves_and_their_slopes_those_of_the_curves)
{
    fj_kernels tables[TEST_TABLES];
    int n = test_tables(tables);
    for (int t = 0; t < n; t++)
        for (int a = 0; fj_activations[a]; a++) {
            const fj_activation *act = fj_activations[a];
            for (int block = 0; block < 20; block++) {
                float x[100], y[100], same[100], slope[100];
                for (int i = 0; i < 100; i++)
                    x[i] = -10 + 0.01f * (float)(100 * block + i) + 0.003f;
                act->row(&tables[t], y, x, 100);
                act->slope_row(&tables[t], same, slope, x, 100);
                CHECK(test_same_bits(y, same, 100));
                for (int i = 0; i < 100; i++) {
                    double h = 1e-5, rise = (curve(act, x[i] + h) - curve(act, x[i] - h)) / (2 * h);
                    double size = 1 + fabs((double)x[i]); /* x times a curve that is right to 2e-7 */
                    CHECK(fabs(y[i] - curve(act, x[i])) < 2.5e-7 * size * size);
                    CHECK(fabs(slope[i] - rise) < 1e-6 * size);
                }
                act->row(&tables[t], x, x, 100);
                CHECK(test_same_bits(x, y, 100));
            }
        }
}

TEST(activations_are_finite_far_from_zero_and_keep_nan)
{
    fj_kernels tables[TEST_TABLES];
    int n = test_tables(tables);
    for (int t = 0; t < n; t++)
        for (int a = 0; fj_activations[a]; a++) {
            float x[] = { -1e30f, -1e15f, -200, 200, 1e15f, NAN }, y[6], slope[6];
            fj_activations[a]->slope_row(&tables[t], y, slope, x, 6);
            CHECK(y[0] == 0 && y[1] == 0 && fabsf(y[2]) < 1e-30f && y[3] >= 200 && y[4] >= 1e15f && isnan(y[5]));
            CHECK(slope[0] == 0 && slope[1] == 0 && fabsf(slope[2]) < 1e-30f && slope[3] >= 1 && isfinite(slope[4]));
        }
}

TEST(activations_have_the_names_that_configurations_use)
{
    static const struct {
        const char *name;
        const fj_activation *act;
    } wanted[] = { { "gelu", &fj_act_gelu },
                   { "gelu_new", &fj_act_gelu_tanh },
                   { "gelu_pytorch_tanh", &fj_act_gelu_tanh },
                   { "gelu_fast", &fj_act_gelu_tanh },
                   { "silu", &fj_act_silu },
                   { "swish", &fj_act_silu },
                   { "relu2", &fj_act_relu2 },
                   { "quick_gelu", &fj_act_quick_gelu },
                   { "relu", &fj_act_relu },
                   { "tanhshrink", NULL } };
    for (size_t i = 0; i < FJ_LEN(wanted); i++)
        CHECK(fj_activation_by_name(wanted[i].name) == wanted[i].act);
}

TEST(gated_refuses_inputs_of_different_width)
{
    fj_err err = { 0 };
    fj_graph *g = fj_graph_new(&err);
    fj_value *gate = fj_graph_external(g, "gate", &fj_f32, FJ_ROWS, fj_shape_2(4, 8)),
             *up = fj_graph_external(g, "up", &fj_f32, FJ_ROWS, fj_shape_2(4, 9));
    (void)fj_gated(g, gate, up, &fj_act_gelu);
    CHECK(err.status == FJ_ERR_SHAPE);
    CHECK_TEXT(err.message, "gated: 'gate' has 8 columns, 'up' 9");
    fj_graph_free(g);
}
