/* SPDX-License-Identifier: Apache-2.0
 * scale, softcap, clamp and mul: cases for op_test.c, and their values. */
#include "ops/op_test.h"

static fj_value *learned(op_rig *rig)
{
    return op_learned(rig, FJ_ROWS, fj_shape_2(25, 19), 0);
}

static void record_scale(op_rig *rig)
{
    op_seen(rig, fj_affine(op_graph(rig), learned(rig), -1.7, 0.4));
}

static void record_softcap(op_rig *rig)
{
    op_seen(rig, fj_softcap(op_graph(rig), learned(rig), 0.8));
}

/* No input comes near a limit, where differences mean nothing; a test below looks at what is cut. */
static void record_clamp(op_rig *rig)
{
    fj_graph *g = op_graph(rig);
    fj_value *x = learned(rig);
    op_seen(rig, fj_clamp(g, fj_scale(g, x, 3), -100, 100));
}

static void record_mul(op_rig *rig)
{
    fj_value *a = learned(rig), *b = learned(rig);
    op_seen(rig, fj_mul(op_graph(rig), a, b));
}

const op_case op_case_scale = {
    .name = "scale", .op = &fj_op_scale, .record = record_scale, .rows = 23, .is_rowwise = true
};
const op_case op_case_softcap = {
    .name = "softcap", .op = &fj_op_softcap, .record = record_softcap, .rows = 23, .is_rowwise = true
};
const op_case op_case_clamp = {
    .name = "clamp", .op = &fj_op_clamp, .record = record_clamp, .rows = 23, .is_rowwise = true
};
const op_case op_case_mul = { .name = "mul", .op = &fj_op_mul, .record = record_mul, .rows = 23, .is_rowwise = true };

static void record_limits(op_rig *rig)
{
    op_seen(rig, fj_clamp(op_graph(rig), learned(rig), -0.25, 0.5));
}

TEST(clamp_cuts_at_its_limits_and_its_gradient_is_zero_outside)
{
    op_case c = { .name = "clamp, limits", .record = record_limits, .rows = 23 };
    op_rig rig;
    op_rig_open(&rig, &c, OP_DIRECT);
    (void)op_forward(&rig);
    op_backward(&rig);
    const float *x = (const float *)(const void *)rig.learned[0].data,
                *weights = (const float *)(const void *)rig.fixed[0].data;
    int outside = 0;
    for (int i = 0; i < 23 * 19; i++) {
        bool is_inside = x[i] >= -0.25f && x[i] <= 0.5f;
        outside += !is_inside;
        CHECK(rig.seen[0].copy[i] == fminf(fmaxf(x[i], -0.25f), 0.5f));
        CHECK(rig.learned[0].grad[i] == (is_inside ? weights[i] : 0));
    }
    CHECK(outside > 100 && outside < 400);
    op_rig_close(&rig);
}

TEST(scale_and_softcap_and_mul_are_their_equations)
{
    const op_case *cases[] = { &op_case_scale, &op_case_softcap, &op_case_mul };
    for (int c = 0; c < 3; c++) {
        op_rig rig;
        op_rig_open(&rig, cases[c], OP_DIRECT);
        (void)op_forward(&rig);
        for (int i = 0; i < 23 * 19; i++) {
            double x = ((const float *)(const void *)rig.learned[0].data)[i];
            double y = rig.n_learned > 1 ? ((const float *)(const void *)rig.learned[1].data)[i] : 0;
            double wanted = c == 0 ? -1.7 * x + 0.4 : c == 1 ? 0.8 * tanh(x / 0.8) : x * y;
            CHECK(fabs(rig.seen[0].copy[i] - wanted) < 3e-7); /* three roundings of what is below 2.1 */
        }
        op_rig_close(&rig);
    }
}
