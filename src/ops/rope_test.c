/* SPDX-License-Identifier: Apache-2.0 */
#include "ops/op_test.h"

enum { HEADS = 3, D = 10, R = 8, ROWS = 37 };

static const float inverse[R / 2] = { 1, 0.1f, 0.01f, 0.001f };

/* Heads of D values of which R are rotated, at positions that jump. */
static fj_value *rotated(op_rig *rig, bool half)
{
    int32_t pos[ROWS];
    for (int i = 0; i < ROWS; i++)
        pos[i] = i < 20 ? i : 100000 + 7 * i;
    fj_value *at = op_ints(rig, FJ_ROWS, fj_shape_1(40), pos);
    fj_value *x = op_learned(rig, FJ_ROWS, fj_shape_2(40, HEADS * D), 0);
    fj_value *table = fj_rope_table(op_graph(rig), at, inverse, R, 1.25);
    return fj_rope(op_graph(rig), x, table, HEADS, D, half);
}

static void record_half(op_rig *rig)
{
    op_seen(rig, rotated(rig, true));
}

static void record_pairs(op_rig *rig)
{
    op_seen(rig, rotated(rig, false));
}

const op_case op_case_rope_half = {
    .name = "rope, halves", .op = &fj_op_rope, .record = record_half, .rows = ROWS, .is_rowwise = true
};
const op_case op_case_rope_pairs = {
    .name = "rope, pairs", .op = &fj_op_rope, .record = record_pairs, .rows = ROWS, .is_rowwise = true
};

static void check_rotation(const op_case *c, bool half)
{
    op_rig rig;
    op_rig_open(&rig, c, OP_DIRECT);
    (void)op_forward(&rig);
    const int32_t *pos = (const int32_t *)(const void *)rig.fixed[0].data;
    for (int r = 0; r < ROWS; r++)
        for (int head = 0; head < HEADS; head++) {
            const float *x = (const float *)(const void *)rig.learned[0].data + (r * HEADS + head) * D;
            float wanted[D];
            memcpy(wanted, x, sizeof wanted);
            for (int j = 0; j < R / 2; j++) {
                int a = half ? j : 2 * j, b = half ? j + R / 2 : 2 * j + 1;
                double angle = (double)((float)pos[r] * inverse[j]);
                wanted[a] = (float)(1.25 * (x[a] * cos(angle) - x[b] * sin(angle)));
                wanted[b] = (float)(1.25 * (x[b] * cos(angle) + x[a] * sin(angle)));
            }
            CHECK_NEAR(rig.seen[0].copy + (r * HEADS + head) * D, wanted, D, 3e-7);
        }
    op_rig_close(&rig);
}

TEST(rope_turns_halves_or_pairs_by_the_angles_of_the_position_and_leaves_the_rest)
{
    check_rotation(&op_case_rope_half, true);
    check_rotation(&op_case_rope_pairs, false);
}

TEST(rope_refuses_heads_that_do_not_fill_the_row_and_an_odd_rotation)
{
    fj_err err = { 0 };
    fj_graph *g = fj_graph_new(&err);
    fj_value *x = fj_graph_external(g, "x", &fj_f32, FJ_ROWS, fj_shape_2(4, 30)),
             *pos = fj_graph_external(g, "pos", &fj_i32, FJ_ROWS, fj_shape_1(4));
    fj_value *table = fj_rope_table(g, pos, inverse, 8, 1);
    (void)fj_rope(g, x, table, 4, 10, true);
    CHECK(err.status == FJ_ERR_SHAPE);
    CHECK_TEXT(err.message, "rope: rows of 30 values are not 4 heads of 10, or 8 are to be rotated");
    err = (fj_err){ 0 };
    (void)fj_rope(g, x, table, 5, 6, true);
    CHECK_TEXT(err.message, "rope: rows of 30 values are not 5 heads of 6, or 8 are to be rotated");
    err = (fj_err){ 0 };
    (void)fj_rope_table(g, pos, inverse, 7, 1);
    CHECK_TEXT(err.message, "rope: 7 rotated values a head, wanted an even number");
    fj_graph_free(g);
}
