/* SPDX-License-Identifier: Apache-2.0 */
#include "ops/op_test.h"

#include "ops/graph_internal.h"

TEST(graph_keeps_its_first_failure_and_records_on_harmlessly)
{
    fj_err err = { 0 };
    fj_graph *g = fj_graph_new(&err);
    fj_value *x = fj_graph_external(g, "x", &fj_f32, FJ_ROWS, fj_shape_2(4, 8)),
             *w = fj_graph_external(g, "w", &fj_f32, FJ_FIXED, fj_shape_1(7));
    fj_value *y = fj_rms_norm(g, x, w, 1e-5, 0);
    CHECK(y);
    y = fj_swiglu(g, y, x);
    y = fj_rms_norm(g, fj_add(g, y, x), w, 1e-5, 0);
    fj_graph_differentiate(g, true);
    fj_err other = { 0 };
    fj_run run = { 0 };
    CHECK(fj_graph_plan(g, &run, &other) == FJ_ERR_SHAPE);
    CHECK_TEXT(other.message, "rms_norm: weight 'w' has 7 values, rows have 8");
    CHECK_TEXT(err.message, other.message);
    fj_graph_free(g);
    fj_graph_free(NULL);
}

TEST(graph_has_one_value_for_one_weight)
{
    fj_err err = { 0 };
    fj_graph *g = fj_graph_new(&err);
    float numbers[6] = { 0 };
    fj_weight a = { .name = "a", .layer = -1, .dtype = &fj_f32, .shape = fj_shape_2(2, 3), .data = numbers }, b = a;
    fj_value *v = fj_graph_weight(g, &a);
    CHECK(v == fj_graph_weight(g, &a) && v != fj_graph_weight(g, &b));
    CHECK(v->place == FJ_WEIGHT && v->data == numbers && !v->needs_grad);
    fj_graph_free(g);
}

TEST(graph_grows_beyond_its_first_room_and_keeps_its_pointers)
{
    fj_err err = { 0 };
    fj_graph *g = fj_graph_new(&err);
    fj_value *x = fj_graph_external(g, "x", &fj_f32, FJ_ROWS, fj_shape_2(4, 8)), *first = fj_add(g, x, x), *y = first;
    for (int i = 1; i < 1000; i++)
        y = fj_add(g, y, x);
    CHECK(g->n_nodes == 1000 && g->n_values == 1001);
    CHECK(g->nodes[0]->out[0] == first && g->nodes[999]->out[0] == y);
    CHECK(g->nodes[1]->in[0] == first && g->nodes[1]->id == 1);
    fj_graph_free(g);
}

TEST(graph_prints_a_line_for_each_node)
{
    static const op_model model = { .n_layers = 1 };
    op_case c = { .name = "model",
                  .record = op_record_model,
                  .data = &model,
                  .rows = OP_MODEL_ROWS,
                  .out_rows = OP_MODEL_OUT_ROWS,
                  .tiles = OP_MODEL_TILES,
                  .is_model = true };
    op_rig rig;
    fj_str text = { 0 };
    op_rig_open(&rig, &c, OP_DIRECT);
    fj_graph_print(rig.g[1], &text);
    int lines = 0;
    for (size_t i = 0; i < text.len; i++)
        lines += text.data[i] == '\n';
    CHECK(lines == rig.g[1]->n_nodes);
    CHECK(strstr(text.data, "attention gradient layer 0") != NULL);
    fj_str_free(&text);
    op_rig_close(&rig);
}

/* ---- running -------------------------------------------------------------------------------------------------------------------- */

TEST(a_run_stops_between_nodes_when_it_is_cancelled)
{
    op_case c = op_case_add;
    op_rig rig;
    fj_err err = { 0 };
    int cancel = 1;
    op_rig_open(&rig, &c, OP_DIRECT);
    rig.run.cancel = &cancel;
    CHECK(fj_graph_run(rig.g[0], &rig.run, 0, rig.g[0]->n_nodes, &err) == FJ_ERR_CANCELLED);
    CHECK_TEXT(err.message, "interrupted");
    CHECK(fj_graph_run(rig.g[0], &rig.run, 2, 2, &err) == FJ_OK);
    cancel = 0;
    (void)op_forward(&rig);
    op_rig_close(&rig);
}

TEST(rows_of_a_value_are_those_of_the_run_not_of_the_capacity)
{
    fj_run run = { .n_rows = 3, .n_out_rows = 2, .n_tiles = 5, .n_seqs = 4 };
    fj_value v = { .shape = fj_shape_2(10, 8) };
    const int64_t wanted[] = { [FJ_FIXED] = 10, [FJ_ROWS] = 3, [FJ_OUT_ROWS] = 2, [FJ_TILES] = 5, [FJ_SEQS] = 4 };
    for (fj_extent e = FJ_FIXED; e <= FJ_SEQS; e++) {
        v.extent = e;
        CHECK(fj_rows(&run, &v) == wanted[e]);
    }
    CHECK(fj_cols(&v) == 8);
    v.shape.rank = 0;
    CHECK(fj_cols(&v) == 1);
}
