/* SPDX-License-Identifier: Apache-2.0 */
#include "ops/op_test.h"

/* ---- a model ---------------------------------------------------------------------------------------------------------------- */

enum { D = 16, HEADS = 2, HEAD = 8, FF = 24, V = 40, RANK = 3 };

static fj_value *matrix(op_rig *rig, int64_t rows, int64_t cols)
{
    const op_model *m = rig->c->data;
    fj_shape shape = fj_shape_2(rows, cols);
    return m->is_frozen ? op_floats(rig, FJ_FIXED, shape, 300 + (uint64_t)rig->n_fixed)
                        : op_learned(rig, FJ_FIXED, shape, 0);
}

static fj_value *norm(op_rig *rig, fj_value *x)
{
    const op_model *m = rig->c->data;
    fj_shape shape = fj_shape_1(D);
    fj_value *w = m->is_frozen ? op_floats(rig, FJ_FIXED, shape, 17) : op_learned(rig, FJ_FIXED, shape, 0);
    return fj_rms_norm(op_graph(rig), x, w, 1e-5, 0);
}

static fj_value *attend(op_rig *rig, fj_value *x, fj_value *tiles, fj_value *rope)
{
    const op_model *m = rig->c->data;
    fj_graph *g = op_graph(rig);
    fj_attention_shape s = { .n_heads = HEADS, .n_kv_heads = 1, .d_head = HEAD, .scale = 0.35 };
    fj_value *p[3], *w[] = { matrix(rig, D, D), matrix(rig, HEAD, D), matrix(rig, HEAD, D) }, *o = matrix(rig, D, D);
    fj_linear(g, x, w, NULL, 3, p);
    if (m->is_frozen) {
        fj_value *a = op_learned(rig, FJ_FIXED, fj_shape_2(RANK, D), 0), *u,
                 *b = op_learned(rig, FJ_FIXED, fj_shape_2(D, RANK), 0);
        fj_linear(g, fj_dropout(g, x, 0.2), &a, NULL, 1, &u);
        p[0] = fj_lora_add(g, p[0], u, b, 2);
    }
    p[0] = fj_rope(g, p[0], rope, HEADS, HEAD, true);
    p[1] = fj_rope(g, p[1], rope, 1, HEAD, true);
    fj_value *y = fj_attention(g, p[0], p[1], p[2], tiles, &s);
    fj_linear(g, y, &o, NULL, 1, &y);
    return y;
}

static fj_value *gated(op_rig *rig, fj_value *x)
{
    fj_graph *g = op_graph(rig);
    fj_value *p[2], *w[] = { matrix(rig, FF, D), matrix(rig, FF, D) }, *down = matrix(rig, D, FF), *y;
    fj_linear(g, x, w, NULL, 2, p);
    fj_linear(g, fj_swiglu(g, p[0], p[1]), &down, NULL, 1, &y);
    return y;
}

void op_record_model(op_rig *rig)
{
    static const float inverse[] = { 1, 0.3f, 0.1f, 0.03f };
    const op_model *m = rig->c->data;
    fj_graph *g = op_graph(rig);
    fj_tile tiles[OP_MODEL_TILES];
    const int32_t lengths[] = { 70, 5 };
    int32_t ids[OP_MODEL_ROWS], pos[OP_MODEL_ROWS], select[OP_MODEL_OUT_ROWS], labels[OP_MODEL_OUT_ROWS];
    CHECK(op_tiles(lengths, 2, tiles) == OP_MODEL_TILES);
    for (int i = 0; i < OP_MODEL_ROWS; i++) {
        ids[i] = i * i * 7 % V;
        pos[i] = i < 70 ? i : i - 70;
    }
    for (int i = 0; i < OP_MODEL_OUT_ROWS; i++) {
        select[i] = i < 10 ? i : OP_MODEL_ROWS - OP_MODEL_OUT_ROWS + i;
        labels[i] = i * 11 % V;
    }
    fj_value *at = op_ints(rig, FJ_TILES, fj_shape_2(4, 5), &tiles[0].row0);
    fj_value *positions = op_ints(rig, FJ_ROWS, fj_shape_1(80), pos);
    fj_value *table = matrix(rig, V, D);
    fj_value *rope = fj_rope_table(g, positions, inverse, HEAD, 1);
    fj_value *x = fj_embed(g, op_ints(rig, FJ_ROWS, fj_shape_1(80), ids), table);
    for (int i = 0; i < m->n_layers; i++) {
        g->layer = i;
        x = fj_add(g, x, attend(rig, norm(rig, x), at, rope));
        x = fj_add(g, x, gated(rig, norm(rig, x)));
    }
    g->layer = -1;
    x = fj_select_rows(g, x, op_ints(rig, FJ_OUT_ROWS, fj_shape_1(44), select));
    x = norm(rig, x);
    fj_value *weights = op_floats(rig, FJ_OUT_ROWS, fj_shape_1(44), 71);
    fj_value *wanted = op_ints(rig, FJ_OUT_ROWS, fj_shape_1(44), labels);
    op_loss_seen(rig, fj_head_loss(g, x, &(fj_head){ .w = table }, wanted, weights), weights);
}

static const op_model whole = { .n_layers = 2 }, adapted = { .n_layers = 2, .is_frozen = true },
                      deep = { .n_layers = 4, .is_frozen = true };

static op_case model_case(const op_model *m, bool checkpoints)
{
    return (op_case){ .name = m->is_frozen ? "model, low-rank paths" : "model, all weights",
                      .record = op_record_model,
                      .data = m,
                      .rows = OP_MODEL_ROWS,
                      .out_rows = OP_MODEL_OUT_ROWS,
                      .tiles = OP_MODEL_TILES,
                      .is_model = true,
                      .checkpoints = checkpoints,
                      .h = 1.0 / 1024,
                      .tolerance = 1e-3 };
}

TEST(gradients_of_a_whole_model_equal_central_differences)
{
    op_case c = model_case(&whole, false);
    op_check_gradient(&c);
}

TEST(gradients_of_low_rank_paths_with_dropout_equal_central_differences_with_checkpoints)
{
    op_case c = model_case(&adapted, true);
    op_check_gradient(&c);
}

static void check_checkpoints(const op_model *m)
{
    fj_kernels tables[TEST_TABLES];
    int n = test_tables(tables);
    op_case plain = model_case(m, false), repeated = model_case(m, true);
    for (int t = 0; t < n; t++) {
        op_rig a, b;
        op_rig_open(&a, &plain, OP_DIRECT);
        op_rig_open(&b, &repeated, OP_DIRECT);
        CHECK(b.g[1]->n_nodes > a.g[1]->n_nodes);
        CHECK(b.g[1]->arena_bytes < a.g[1]->arena_bytes);
        a.run.k = b.run.k = &tables[t];
        op_backward(&a);
        op_backward(&b);
        for (int i = 0; i < a.n_learned; i++)
            CHECK(test_same_bits(a.learned[i].grad, b.learned[i].grad, a.learned[i].used));
        op_rig_close(&a);
        op_rig_close(&b);
    }
}

TEST(checkpoints_take_less_memory_and_give_the_same_bits_dropout_included)
{
    check_checkpoints(&whole);
    check_checkpoints(&deep);
}

TEST(cheap_results_that_gradients_read_are_computed_again_without_checkpoints)
{
    op_case c = model_case(&deep, false);
    op_rig rig;
    op_rig_open(&rig, &c, OP_DIRECT);
    int norms = 0, gates = 0;
    for (int i = rig.g[0]->n_nodes - 1; i < rig.g[1]->n_nodes; i++) {
        const fj_node *n = rig.g[1]->nodes[i];
        if (n->rule >= 0 || n->layer != 3)
            continue;
        CHECK(n->op->is_cheap);
        norms += n->op == &fj_op_rms_norm;
        gates += n->op == &fj_op_swiglu;
    }
    CHECK(norms > 0 && gates <= 1);
    op_rig_close(&rig);
}

TEST(checkpoints_repeat_only_what_gradients_read)
{
    op_case c = model_case(&deep, true);
    op_rig rig;
    op_rig_open(&rig, &c, OP_DIRECT);
    int forward = 0, repeated = 0, dropouts = 0;
    for (int i = 0; i < rig.g[1]->n_nodes; i++) {
        const fj_node *n = rig.g[1]->nodes[i];
        forward += n->rule < 0 && i < rig.g[0]->n_nodes - 1 && n->layer == 3;
        repeated += n->rule < 0 && i >= rig.g[0]->n_nodes - 1 && n->layer == 3;
        dropouts += n->rule < 0 && n->op == &fj_op_dropout && n->layer == 3;
    }
    /* not wanted again: a block's last sum, the product before it and, its matrix being frozen, what that reads */
    CHECK(repeated == forward - 3);
    CHECK(dropouts == 2);
    op_rig_close(&rig);
}

TEST(a_loss_with_gradients_is_not_computed_twice)
{
    op_case c = model_case(&whole, false);
    op_rig rig;
    op_rig_open(&rig, &c, OP_DIRECT);
    int losses = 0;
    for (int i = 0; i < rig.g[1]->n_nodes; i++)
        losses += rig.g[1]->nodes[i]->op == &fj_op_head_loss;
    CHECK(losses == 1);
    op_rig_close(&rig);
}

TEST(frozen_weights_and_what_no_gradient_needs_get_no_gradient_nodes)
{
    op_case c = model_case(&adapted, false);
    op_rig rig;
    op_rig_open(&rig, &c, OP_DIRECT);
    for (int i = 0; i < rig.g[1]->n_nodes; i++) {
        const fj_node *n = rig.g[1]->nodes[i];
        CHECK(n->rule < 0 || n->op != &fj_op_embed);
        for (int k = 0; n->rule >= 0 && n->op != &fj_op_lora_add && k < n->n_in; k++)
            CHECK(!n->din[k] || k == 0 || n->op == &fj_op_attention || n->op == &fj_op_swiglu ||
                  n->din[k]->place == FJ_EXTERNAL);
    }
    op_rig_close(&rig);
}

/* ---- shapes of graphs in which a passed gradient may not be shared ----------------------------------------------------- */

static fj_value *square(op_rig *rig, fj_value *x)
{
    fj_value *w = op_learned(rig, FJ_FIXED, fj_shape_2(D, D), 0), *y;
    fj_linear(op_graph(rig), x, &w, NULL, 1, &y);
    return y;
}

static fj_value *normed(op_rig *rig, fj_value *x)
{
    return fj_rms_norm(op_graph(rig), x, op_learned(rig, FJ_FIXED, fj_shape_1(D), 0), 1e-5, 0);
}

static fj_value *input_of(op_rig *rig)
{
    return op_learned(rig, FJ_ROWS, fj_shape_2(40, D), OP_PASSED);
}

static void twice(op_rig *rig)
{
    fj_value *x = input_of(rig);
    op_seen(rig, fj_add(op_graph(rig), x, x));
}

static void linear_of_its_own_input(op_rig *rig)
{
    fj_value *x = input_of(rig);
    op_seen(rig, fj_add(op_graph(rig), x, square(rig, x)));
}

static void norm_of_its_own_input(op_rig *rig)
{
    fj_value *x = input_of(rig);
    op_seen(rig, fj_add(op_graph(rig), normed(rig, x), x));
}

static void gate_of_its_own_input(op_rig *rig)
{
    fj_graph *g = op_graph(rig);
    fj_value *x = input_of(rig), *other = op_learned(rig, FJ_ROWS, fj_shape_2(40, D), 0);
    op_seen(rig, fj_add(g, fj_swiglu(g, x, other), x));
}

static void dropped_input(op_rig *rig)
{
    fj_value *x = input_of(rig);
    op_seen(rig, fj_add(op_graph(rig), x, fj_dropout(op_graph(rig), x, 0.4)));
}

/* Attention and MLP side by side, as in Falcon: x + f(n) + g(n), n = norm(x). */
static void parallel_blocks(op_rig *rig)
{
    fj_graph *g = op_graph(rig);
    fj_value *x = input_of(rig), *n = normed(rig, x);
    op_seen(rig, fj_add(g, x, fj_add(g, square(rig, n), square(rig, n))));
}

static void parallel_blocks_two_norms(op_rig *rig)
{
    fj_graph *g = op_graph(rig);
    fj_value *x = input_of(rig), *f = square(rig, normed(rig, x)), *h = square(rig, normed(rig, x));
    op_seen(rig, fj_add(g, fj_add(g, x, f), h));
}

static void parallel_blocks_without_a_norm(op_rig *rig)
{
    fj_graph *g = op_graph(rig);
    fj_value *x = input_of(rig), *f = square(rig, x), *h = square(rig, normed(rig, x));
    op_seen(rig, fj_add(g, x, fj_add(g, f, h)));
}

/* Sums of sums: one gradient goes to many places. */
static void sums(op_rig *rig)
{
    fj_graph *g = op_graph(rig);
    fj_value *x = input_of(rig), *y = input_of(rig), *s = fj_add(g, x, y), *t = fj_add(g, s, x);
    op_seen(rig, fj_add(g, t, square(rig, s)));
    op_seen(rig, s);
}

static void low_rank_of_its_own_output(op_rig *rig)
{
    fj_graph *g = op_graph(rig);
    fj_value *x = input_of(rig), *a = op_learned(rig, FJ_FIXED, fj_shape_2(3, D), 0), *u,
             *b = op_learned(rig, FJ_FIXED, fj_shape_2(D, 3), 0);
    fj_linear(g, x, &a, NULL, 1, &u);
    op_seen(rig, fj_lora_add(g, x, u, b, 2));
}

static void chain(op_rig *rig)
{
    fj_value *x = input_of(rig);
    for (int i = 0; i < 3; i++) {
        x = fj_add(op_graph(rig), x, square(rig, normed(rig, x)));
        x = fj_add(op_graph(rig), x, square(rig, normed(rig, x)));
    }
    op_seen(rig, x);
}

TEST(gradients_that_pass_through_sums_equal_central_differences_whoever_shares_them)
{
    static const op_case cases[] = {
        { .name = "x + x", .record = twice, .rows = 37 },
        { .name = "x + linear(x)", .record = linear_of_its_own_input, .rows = 37 },
        { .name = "norm(x) + x", .record = norm_of_its_own_input, .rows = 37 },
        { .name = "swiglu(x, y) + x", .record = gate_of_its_own_input, .rows = 37 },
        { .name = "x + dropout(x)", .record = dropped_input, .rows = 37 },
        { .name = "x + f(n) + g(n)", .record = parallel_blocks, .rows = 37 },
        { .name = "x + f(norm(x)) + g(norm(x))", .record = parallel_blocks_two_norms, .rows = 37 },
        { .name = "x + f(x) + g(norm(x))", .record = parallel_blocks_without_a_norm, .rows = 37 },
        { .name = "sums", .record = sums, .rows = 37 },
        { .name = "x + b(a(x))", .record = low_rank_of_its_own_output, .rows = 37 },
        { .name = "chain", .record = chain, .rows = 37, .tolerance = 1e-3 },
    };
    for (size_t i = 0; i < FJ_LEN(cases); i++)
        op_check_gradient(&cases[i]);
}

TEST(a_residual_stream_costs_no_copy_of_its_gradient)
{
    static const op_case c = { .name = "chain", .record = chain, .rows = 37 };
    op_rig rig;
    op_rig_open(&rig, &c, OP_DIRECT);
    for (int i = 0; i < rig.g[1]->n_nodes; i++)
        CHECK(strcmp(rig.g[1]->nodes[i]->op->name, "copy") != 0);
    op_rig_close(&rig);
}

TEST(a_parameter_that_is_read_twice_gets_the_sum_of_both_gradients)
{
    op_case c = model_case(&whole, false); /* the table is embedding and head */
    op_rig rig;
    op_rig_open(&rig, &c, OP_DIRECT);
    int stores = 0, adds = 0;
    const fj_value *grad = rig.learned[0].value[1]->grad;
    for (int i = 0; i < rig.g[1]->n_nodes; i++) {
        const fj_node *n = rig.g[1]->nodes[i];
        for (int k = 0; n->rule >= 0 && k < n->n_in; k++)
            if (n->din[k] == grad) {
                CHECK(((n->add >> k) & 1u) == (unsigned)(stores > 0)); /* the first stores, the others add */
                stores += !((n->add >> k) & 1u);
                adds += (n->add >> k) & 1u;
            }
    }
    CHECK(stores == 1 && adds == 1);
    op_rig_close(&rig);
}
