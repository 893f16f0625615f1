/* SPDX-License-Identifier: Apache-2.0 */
#include "ops/op_test.h"

static void record(op_rig *rig)
{
    op_seen(rig, fj_dropout(op_graph(rig), op_learned(rig, FJ_ROWS, fj_shape_2(40, 33), 0), 0.3));
}

const op_case op_case_dropout = { .name = "dropout", .op = &fj_op_dropout, .record = record, .rows = 37 };

typedef struct drawn {
    int kept;
    float values[37 * 33], grad[37 * 33];
} drawn;

/* One run of the case with a seed and a step: what came out where one went in. */
static drawn draw(uint64_t seed, uint32_t step)
{
    op_rig rig;
    drawn d = { 0 };
    op_rig_open(&rig, &op_case_dropout, OP_DIRECT);
    rig.run.seed = seed;
    rig.run.step = step;
    for (int64_t i = 0; i < rig.learned[0].used; i++)
        ((float *)(void *)rig.learned[0].data)[i] = 1;
    (void)op_forward(&rig);
    memcpy(d.values, rig.seen[0].copy, sizeof d.values);
    for (size_t i = 0; i < FJ_LEN(d.values); i++)
        d.kept += d.values[i] != 0;
    for (int64_t i = 0; i < rig.fixed[0].used; i++)
        ((float *)(void *)rig.fixed[0].data)[i] = 1;
    op_backward(&rig);
    memcpy(d.grad, rig.learned[0].grad, sizeof d.grad);
    op_rig_close(&rig);
    return d;
}

TEST(dropout_keeps_its_share_scaled_up_and_the_gradient_passes_where_it_kept)
{
    drawn d = draw(1, 1);
    CHECK(d.kept > 37 * 33 * 0.7 - 80 && d.kept < 37 * 33 * 0.7 + 80); /* five deviations */
    for (size_t i = 0; i < FJ_LEN(d.values); i++)
        CHECK(d.values[i] == 0 || d.values[i] == (float)(1 / 0.7));
    CHECK(test_same_bits(d.values, d.grad, FJ_LEN(d.values)));
}

TEST(dropout_draws_neighbours_apart)
{
    drawn d = draw(1, 1);
    for (size_t apart = 1; apart <= 33; apart += apart == 1 ? 1 : 31) {
        int same = 0, n = (int)(FJ_LEN(d.values) - apart);
        for (int i = 0; i < n; i++)
            same += (d.values[i] != 0) == (d.values[i + (int)apart] != 0);
        CHECK(fabs(same - 0.58 * n) < 5 * sqrt(n * 0.58 * 0.42)); /* 0.7 * 0.7 + 0.3 * 0.3 */
    }
}

static void record_two(op_rig *rig)
{
    fj_value *x = op_learned(rig, FJ_ROWS, fj_shape_2(40, 33), 0);
    op_seen(rig, fj_dropout(op_graph(rig), x, 0.3));
    op_seen(rig, fj_dropout(op_graph(rig), x, 0.3));
}

TEST(dropout_of_two_nodes_is_two_draws)
{
    op_case c = op_case_dropout;
    op_rig rig;
    c.record = record_two;
    op_rig_open(&rig, &c, OP_DIRECT);
    (void)op_forward(&rig);
    CHECK(!test_same_bits(rig.seen[0].copy, rig.seen[1].copy, 37 * 33));
    op_rig_close(&rig);
}

TEST(dropout_repeats_for_a_seed_and_step_and_differs_for_others)
{
    drawn d = draw(1, 1), same = draw(1, 1), seed = draw(2, 1), step = draw(1, 2);
    CHECK(test_same_bits(d.values, same.values, FJ_LEN(d.values)));
    CHECK(!test_same_bits(d.values, seed.values, FJ_LEN(d.values)));
    CHECK(!test_same_bits(d.values, step.values, FJ_LEN(d.values)));
}

TEST(dropout_of_nothing_is_no_node_and_of_everything_an_error)
{
    fj_err err = { 0 };
    fj_graph *g = fj_graph_new(&err);
    fj_value *x = fj_graph_external(g, "x", &fj_f32, FJ_ROWS, fj_shape_2(4, 8));
    CHECK(fj_dropout(g, x, 0) == x && g->n_nodes == 0);
    (void)fj_dropout(g, x, 1);
    CHECK(err.status == FJ_ERR_ARG);
    CHECK_TEXT(err.message, "dropout: probability 1 is not in [0, 1)");
    fj_graph_free(g);
}
