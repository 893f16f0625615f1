/* SPDX-License-Identifier: Apache-2.0 */
#include "ops/op_test.h"

#include <stdlib.h>

#include "ops/graph_internal.h"

static const op_model model = { .n_layers = 3 }, adapted = { .n_layers = 3, .is_frozen = true };

static op_case model_case(const op_model *m, bool checkpoints)
{
    return (op_case){ .name = "model",
                      .record = op_record_model,
                      .data = m,
                      .rows = OP_MODEL_ROWS,
                      .out_rows = OP_MODEL_OUT_ROWS,
                      .tiles = OP_MODEL_TILES,
                      .is_model = true,
                      .checkpoints = checkpoints };
}

static bool is_stored(const fj_value *v)
{
    return v->place == FJ_ARENA && !v->shares && v->first >= 0;
}

static void check_no_overlap(const fj_graph *g)
{
    size_t most = 0, pairs = 0;
    for (int i = 0; i < g->n_values; i++) {
        const fj_value *a = g->values[i];
        if (!is_stored(a))
            continue;
        CHECK(a->offset % 64 == 0);
        most = FJ_MAX(most, a->offset + a->bytes);
        for (int k = 0; k < i; k++) {
            const fj_value *b = g->values[k];
            if (!is_stored(b) || a->last < b->first || b->last < a->first)
                continue;
            CHECK(a->offset + a->bytes <= b->offset || b->offset + b->bytes <= a->offset);
            pairs++;
        }
    }
    CHECK(pairs > 20);
    CHECK(most == g->arena_bytes);
}

TEST(planner_lets_no_two_values_that_live_at_once_overlap_and_counts_to_the_byte)
{
    for (int way = 0; way < 4; way++) {
        op_case c = model_case(way / 2 ? &adapted : &model, way % 2);
        op_rig rig;
        op_rig_open(&rig, &c, OP_DIRECT);
        check_no_overlap(rig.g[0]);
        check_no_overlap(rig.g[1]);
        op_rig_close(&rig);
    }
}

/* Every storage of its own, nothing taken over in place: what the plan must be equal to. A storage is spoilt as soon as the plan
 * says that nobody reads it any more. */
static void run_apart(fj_graph *g, fj_run *run)
{
    fj_err err = { 0 };
    unsigned char **own = calloc((size_t)g->n_values, sizeof *own);
    bool *is_output = calloc((size_t)g->n_values, sizeof *is_output);
    CHECK(own && is_output);
    for (int i = 0; i < g->n_nodes; i++)
        for (int k = 0; g->nodes[i]->rule < 0 && k < g->nodes[i]->n_out; k++)
            is_output[g->nodes[i]->out[k]->id] = true;
    for (int i = 0; i < g->n_values;
         i++) { /* a forward result that lies in another's place gets its own; a passed gradient does not */
        fj_value *v = g->values[i];
        if (v->place != FJ_ARENA || (v->shares && !is_output[v->id]) || fj_value_root(v)->first < 0)
            continue;
        own[i] = aligned_alloc(64, fj_value_root(v)->bytes + 64);
        CHECK(own[i]);
        memset(own[i], 0xff, fj_value_root(v)->bytes);
        v->data = own[i];
    }
    for (int i = 0; i < g->n_values; i++) {
        fj_value *v = g->values[i], *root = v;
        while (!own[root->id] && root->shares)
            root = root->shares;
        if (v->place == FJ_ARENA)
            v->data = own[root->id];
    }
    run->scratch = aligned_alloc(64, g->scratch_bytes + 64);
    run->scratch_bytes = g->scratch_bytes;
    for (int i = 0; i < g->n_nodes; i++) {
        memset(run->scratch, 0xff, g->scratch_bytes);
        CHECK_OK(fj_graph_run(g, run, i, i + 1, &err));
        for (int k = 0; k < g->n_values; k++)
            if (own[k] && fj_value_root(g->values[k])->last == i)
                memset(own[k], 0xff, fj_value_root(g->values[k])->bytes);
    }
    for (int i = 0; i < g->n_values; i++)
        free(own[i]);
    free(own);
    free(is_output);
    free(run->scratch);
    run->scratch = NULL;
}

TEST(planned_memory_gives_the_bits_of_a_run_in_which_nothing_shares_memory)
{
    for (int way = 0; way < 4; way++) {
        op_case c = model_case(way / 2 ? &adapted : &model, way % 2);
        op_rig rig;
        float *planned[OP_MOST], nll[OP_MODEL_OUT_ROWS];
        op_rig_open(&rig, &c, OP_DIRECT);
        op_backward(&rig);
        memcpy(nll, rig.seen[0].copy, sizeof nll);
        for (int i = 0; i < rig.n_learned; i++) {
            size_t bytes = (size_t)rig.learned[i].used * sizeof(float);
            planned[i] = malloc(bytes);
            CHECK(planned[i]);
            memcpy(planned[i], rig.learned[i].grad, bytes);
            memset(rig.learned[i].grad, 0xff, bytes);
        }
        run_apart(rig.g[1], &rig.run);
        CHECK(test_same_bits(rig.seen[0].copy, nll, OP_MODEL_OUT_ROWS));
        for (int i = 0; i < rig.n_learned; i++) {
            CHECK(test_same_bits(rig.learned[i].grad, planned[i], rig.learned[i].used));
            free(planned[i]);
        }
        op_rig_close(&rig);
    }
}

TEST(planner_works_in_place_where_an_input_dies_and_only_there)
{
    fj_err err = { 0 };
    fj_graph *g = fj_graph_new(&err);
    fj_value *a = fj_graph_external(g, "a", &fj_f32, FJ_ROWS, fj_shape_2(64, 32));
    fj_run run = { 0 };
    fj_value *x = fj_swiglu(g, a, a);
    for (int i = 0; i < 5; i++)
        x = fj_add(g, x, a);
    x->place = FJ_EXTERNAL;
    CHECK_OK(fj_graph_plan(g, &run, &err));
    CHECK(g->arena_bytes == 64 * 32 * sizeof(float));
    fj_graph_free(g);

    g = fj_graph_new(&err);
    a = fj_graph_external(g, "a", &fj_f32, FJ_ROWS, fj_shape_2(64, 32));
    x = fj_swiglu(g, a, a);
    fj_value *y = fj_add(g, x, a), *z = fj_add(g, x, y); /* x is read again: y has a place of its own, z takes one */
    z->place = FJ_EXTERNAL;
    CHECK_OK(fj_graph_plan(g, &run, &err));
    CHECK(g->arena_bytes == 2 * 64 * 32 * sizeof(float));
    CHECK(!x->shares && !y->shares && !a->shares);
    fj_graph_free(g);
}

TEST(planner_refuses_a_value_whose_bytes_no_size_can_count)
{
    fj_err err = { 0 };
    fj_graph *g = fj_graph_new(&err);
    fj_value *a = fj_graph_external(g, "a", &fj_f32, FJ_ROWS, fj_shape_2((int64_t)1 << 31, (int64_t)1 << 31));
    fj_run run = { 0 };
    (void)fj_add(g, a, a);
    CHECK(fj_graph_plan(g, &run, &err) == FJ_ERR_SHAPE);
    CHECK_TEXT(err.message, "graph: a value of 'add' has no size");
    fj_graph_free(g);
}

TEST(planning_reads_shapes_alone)
{
    op_case c = model_case(&model, true);
    op_rig rig;
    op_rig_open(&rig, &c, OP_DIRECT);
    size_t bytes = rig.g[1]->arena_bytes;
    op_rig_close(&rig);
    fj_err err = { 0 };
    op_rig dry = { .c = &c, .run = { .n_rows = c.rows, .n_out_rows = c.out_rows, .n_tiles = c.tiles } };
    dry.g[0] = fj_graph_new(&err);
    c.record(&dry);
    fj_graph_differentiate(dry.g[0], true);
    for (int i = 0; i < dry.g[0]->n_values; i++)
        dry.g[0]->values[i]->data = NULL;
    fj_run run = { 0 };
    CHECK_OK(fj_graph_plan(dry.g[0], &run, &err));
    CHECK(dry.g[0]->arena_bytes == bytes);
    op_rig_close(&dry);
}
