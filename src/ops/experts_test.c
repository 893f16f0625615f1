/* SPDX-License-Identifier: Apache-2.0
 * Routing, the products of experts, and the way back: cases for op_test.c, and the definition. */
#include <stdlib.h>

#include "ops/op_test.h"

enum { N = 40, ROWS = 37, E = 5, K = 2, D = 9, F = 33 };

/* Logits that learn and lie so far apart that no difference's step changes a choice. Expert 4 is never chosen. */
static fj_value *logits_of(op_rig *rig, bool learn)
{
    fj_graph *g = op_graph(rig);
    fj_value *apart = op_floats(rig, FJ_ROWS, fj_shape_2(N, E), 1);
    float *to = apart->data;
    for (int i = 0; i < ROWS * E; i++)
        to[i] = i % E == 4 ? -2.0f : 0.6f * (float)((i % E * 3 + i / E * (1 + i / E % 3)) % 4) - 0.9f;
    if (!learn)
        return apart;
    return fj_add(g, fj_scale(g, op_learned(rig, FJ_ROWS, fj_shape_2(N, E), 0), 0.25), apart);
}

static fj_route route_of(op_rig *rig, bool learn, double order)
{
    return fj_route_rows(op_graph(rig), logits_of(rig, learn), K, order, NULL);
}

static void record_route(op_rig *rig)
{
    op_seen(rig, route_of(rig, true, rig->c->data ? *(const double *)rig->c->data : 0).weights);
}

static const uint8_t not_all[E] = { 1, 0, 1, 1, 0 };

static void record_masked(op_rig *rig)
{
    op_seen(rig, fj_route_rows(op_graph(rig), logits_of(rig, true), K, 0, not_all).weights);
}

static void record_gather(op_rig *rig)
{
    fj_graph *g = op_graph(rig);
    fj_route route = route_of(rig, false, 0);
    op_seen(rig, fj_spread_rows(g, op_learned(rig, FJ_ROWS, fj_shape_2(N, D), 0), &route));
    op_seen(rig, fj_sort_slots(g, op_learned(rig, FJ_ROWS, fj_shape_2(N, K * D), 0), &route));
    op_seen(rig, fj_unsort_slots(g, op_learned(rig, FJ_ROWS, fj_shape_2(N, K * D), 0), &route));
}

static void record_combine(op_rig *rig)
{
    fj_route route = route_of(rig, false, 0);
    fj_value *x = op_learned(rig, FJ_ROWS, fj_shape_2(N, K * D), 0), *b = op_learned(rig, FJ_FIXED, fj_shape_1(D), 0);
    route.weights = op_learned(rig, FJ_ROWS, fj_shape_2(N, K), 0);
    op_seen(rig, fj_combine(op_graph(rig), x, &route, b));
}

static fj_shape stack_of(int64_t n_out, int64_t n_in)
{
    return (fj_shape){ .rank = 3, .dim = { E, n_out, n_in } };
}

static void record_linear(op_rig *rig)
{
    fj_route route = route_of(rig, false, 0);
    fj_value *x = op_learned(rig, FJ_ROWS, fj_shape_2(N, K * D), 0), *w = op_learned(rig, FJ_FIXED, stack_of(F, D), 0);
    op_seen(rig, fj_expert_linear(op_graph(rig), x, &route, w));
}

/* Experts of 64 outputs and 64 inputs, in blocks or tiles: rows 64 e … of the stack. */
typedef struct stored {
    const fj_dtype *dtype;
    bool is_packed;
} stored;

static fj_value *stored_stack(op_rig *rig, const stored *s)
{
    fj_value *w = op_weight(rig, s->dtype, E * 64, 64, 8, s->is_packed);
    w->shape = stack_of(64, 64);
    return w;
}

static void record_stored(op_rig *rig)
{
    fj_route route = route_of(rig, false, 0);
    fj_value *x = op_learned(rig, FJ_ROWS, fj_shape_2(N, K * 64), 0);
    op_seen(rig, fj_expert_linear(op_graph(rig), x, &route, stored_stack(rig, rig->c->data)));
}

/* A layer of which all learns, the router too. */
static void record_layer(op_rig *rig)
{
    fj_graph *g = op_graph(rig);
    fj_route route = route_of(rig, true, 1);
    fj_value *x = op_learned(rig, FJ_ROWS, fj_shape_2(N, D), 0), *up = op_learned(rig, FJ_FIXED, stack_of(F, D), 0),
             *down = op_learned(rig, FJ_FIXED, stack_of(D, F), 0), *b = op_learned(rig, FJ_FIXED, fj_shape_1(D), 0);
    fj_value *y = fj_expert_linear(g, fj_spread_rows(g, x, &route), &route, up);
    y = fj_expert_linear(g, fj_activate(g, y, &fj_act_silu), &route, down);
    op_seen(rig, fj_combine(g, y, &route, b));
}

/* Two layers' loads and the loss over both. */
static void record_balance(op_rig *rig)
{
    fj_graph *g = op_graph(rig);
    fj_value *z[2] = { logits_of(rig, true), logits_of(rig, true) }, *load = NULL, *weight;
    for (int i = 0; i < 2; i++) {
        fj_route route = fj_route_rows(g, z[i], K, 1, NULL);
        load = fj_expert_load(g, load, z[i], &route);
    }
    weight = op_floats(rig, FJ_FIXED, fj_shape_1(1), 3);
    op_loss_seen(rig, fj_balance_loss(g, load, weight, K), weight);
}

static const double one = 1, two = 2;
static const stored q8 = { &fj_q8_0, false }, q8_packed = { &fj_q8_0, true }, half = { &fj_bf16, false };

const op_case op_case_route_masked = {
    .name = "route, not all experts", .op = &fj_op_route, .record = record_masked, .rows = ROWS, .is_rowwise = true
};
const op_case op_case_route = {
    .name = "route", .op = &fj_op_route, .record = record_route, .rows = ROWS, .is_rowwise = true
};
const op_case op_case_route_one = {
    .name = "route, sum", .op = &fj_op_route, .record = record_route, .data = &one, .rows = ROWS, .is_rowwise = true
};
const op_case op_case_route_two = {
    .name = "route, norm", .op = &fj_op_route, .record = record_route, .data = &two, .rows = ROWS, .is_rowwise = true
};
const op_case op_case_gather_rows = {
    .name = "gather_rows", .op = &fj_op_gather_rows, .record = record_gather, .rows = ROWS
};
const op_case op_case_combine = { .name = "combine", .op = &fj_op_combine, .record = record_combine, .rows = ROWS };
const op_case op_case_expert_linear = {
    .name = "expert_linear", .op = &fj_op_expert_linear, .record = record_linear, .rows = ROWS
};
const op_case op_case_expert_linear_bf16 = { .name = "expert_linear, products in bf16",
                                             .op = &fj_op_expert_linear,
                                             .record = record_stored,
                                             .data = &half,
                                             .rows = ROWS,
                                             .bf16 = true,
                                             .tolerance = 4e-3 }; /* both sides of a product are rounded to 8 bits */
const op_case op_case_expert_linear_frozen = {
    .name = "expert_linear, frozen", .op = &fj_op_expert_linear, .record = record_stored, .data = &q8, .rows = ROWS
};
const op_case op_case_experts = { .name = "experts", .record = record_layer, .rows = ROWS, .is_rowwise = true };
const op_case op_case_experts_checkpoint = {
    .name = "experts, repeated", .record = record_layer, .rows = ROWS, .checkpoints = true
};
const op_case op_case_expert_load = {
    .name = "expert_load", .op = &fj_op_expert_load, .record = record_balance, .rows = ROWS
};
const op_case op_case_balance_loss = {
    .name = "balance_loss", .op = &fj_op_balance_loss, .record = record_balance, .rows = ROWS
};

/* ---- values ---------------------------------------------------------------------------------------------------------------- */

static const float *numbers(const op_input *in)
{
    return (const float *)(const void *)in->data;
}

/* The two largest of a row and their weights, by the definition. */
static void choice(const float *z, double order, int *chosen, double *w)
{
    double all = 0, norm = 0;
    for (int k = 0; k < K; k++) {
        chosen[k] = -1;
        for (int e = 0; e < E; e++)
            if ((k == 0 || e != chosen[0]) && (chosen[k] < 0 || z[e] > z[chosen[k]]))
                chosen[k] = e;
    }
    for (int e = 0; e < E; e++)
        all += exp(z[e]);
    for (int k = 0; k < K; k++)
        norm += pow(exp(z[chosen[k]]) / all, order);
    for (int k = 0; k < K; k++)
        w[k] = exp(z[chosen[k]]) / all / (order > 0 ? pow(norm, 1 / order) : 1);
}

TEST(route_weighs_the_largest_as_the_order_says)
{
    const op_case *cases[] = { &op_case_route, &op_case_route_one, &op_case_route_two, &op_case_route_masked };
    for (size_t c = 0; c < FJ_LEN(cases); c++) {
        op_rig rig;
        int order = c == 3 ? 0 : (int)c;
        op_rig_open(&rig, cases[c], OP_DIRECT);
        (void)op_forward(&rig);
        for (int r = 0; r < ROWS; r++) {
            float z[E], wanted[K];
            double w[K];
            int chosen[K];
            for (int e = 0; e < E; e++)
                z[e] = c == 3 && !not_all[e]
                           ? -INFINITY
                           : 0.25f * numbers(&rig.learned[0])[r * E + e] + numbers(&rig.fixed[0])[r * E + e];
            choice(z, order, chosen, w);
            for (int k = 0; k < K; k++)
                wanted[k] = (float)w[k];
            CHECK_NEAR(rig.seen[0].copy + r * K, wanted, K, 1e-6);
        }
        op_rig_close(&rig);
    }
}

TEST(route_takes_the_lowest_index_among_equals_and_sorts_by_expert_and_row)
{
    fj_err err = { 0 };
    fj_kernels k;
    fj_pool *pool;
    float z[4 * 3] = { 1, 1, 1, 0, 2, 2, 5, 4, 5, 0, 0, 9 };
    int32_t chosen[8], place[8], offsets[4];
    fj_kernels_init(&k, test_cpu());
    CHECK_OK(fj_pool_open(2, &pool, &err));
    fj_graph *g = fj_graph_new(&err);
    fj_value *logits = fj_graph_external(g, "z", &fj_f32, FJ_ROWS, fj_shape_2(4, 3));
    logits->data = z;
    fj_route route = fj_route_rows(g, logits, 2, 1, NULL);
    fj_value *outs[] = { route.chosen, route.place, route.offsets };
    int32_t *to[] = { chosen, place, offsets };
    for (int i = 0; i < 3; i++) {
        outs[i]->place = FJ_EXTERNAL;
        outs[i]->data = to[i];
    }
    fj_run run = { .k = &k, .pool = pool, .n_rows = 4 };
    CHECK_OK(fj_graph_plan(g, &run, &err));
    op_run_graph(g, &run);
    static const int32_t want_chosen[] = { 0, 1, 1, 2, 0, 2, 2, 0 }, want_place[] = { 0, 3, 4, 5, 1, 6, 7, 2 },
                         want_offsets[] = { 0, 3, 5, 8 };
    CHECK(memcmp(chosen, want_chosen, sizeof chosen) == 0);
    CHECK(memcmp(place, want_place, sizeof place) == 0);
    CHECK(memcmp(offsets, want_offsets, sizeof offsets) == 0);
    fj_graph_free(g);
    fj_pool_close(pool);
}

TEST(a_layer_of_experts_is_the_sum_of_the_chosen_and_idle_ones_have_no_gradient)
{
    op_rig rig;
    op_rig_open(&rig, &op_case_experts, OP_DIRECT);
    (void)op_forward(&rig);
    op_backward(&rig);
    const float *x = numbers(&rig.learned[1]), *up = numbers(&rig.learned[2]), *down = numbers(&rig.learned[3]),
                *b = numbers(&rig.learned[4]);
    for (int r = 0; r < ROWS; r++) {
        float z[E], wanted[D];
        double w[K], y[D];
        int chosen[K];
        for (int e = 0; e < E; e++)
            z[e] = 0.25f * numbers(&rig.learned[0])[r * E + e] + numbers(&rig.fixed[0])[r * E + e];
        choice(z, 1, chosen, w);
        for (int i = 0; i < D; i++)
            y[i] = b[i];
        for (int k = 0; k < K; k++)
            for (int f = 0; f < F; f++) {
                double u = 0;
                for (int i = 0; i < D; i++)
                    u += (double)up[(chosen[k] * F + f) * D + i] * x[r * D + i];
                u /= 1 + exp(-u);
                for (int i = 0; i < D; i++)
                    y[i] += w[k] * u * down[(chosen[k] * D + i) * F + f];
            }
        for (int i = 0; i < D; i++)
            wanted[i] = (float)y[i];
        CHECK_NEAR(rig.seen[0].copy + r * D, wanted, D, 1e-6);
    }
    for (int i = 0; i < F * D; i++)
        CHECK(rig.learned[2].grad[4 * F * D + i] == 0 && rig.learned[3].grad[4 * F * D + i] == 0);
    op_rig_close(&rig);
}

/* What a stack gives, and what its experts give one by one as plain matrices. */
static void record_stored_and_plain(op_rig *rig)
{
    fj_graph *g = op_graph(rig);
    const stored *s = rig->c->data;
    fj_route route = route_of(rig, false, 0);
    fj_value *x = op_floats(rig, FJ_ROWS, fj_shape_2(N, K * 64), 4), *y;
    op_seen(rig, fj_expert_linear(g, x, &route, stored_stack(rig, s)));
    fj_value *slots = op_floats(rig, FJ_ROWS, fj_shape_2(N, 64),
                                4); /* the first N sorted slots: those of expert 0 are among them */
    fj_value *w = op_weight(rig, s->dtype, E * 64, 64, 8, s->is_packed);
    fj_linear(g, slots, &w, NULL, 1, &y);
    op_seen(rig, y);
}

TEST(experts_of_any_type_have_the_bits_of_plain_matrices)
{
    fj_kernels tables[TEST_TABLES];
    int n = test_tables(tables);
    const stored *types[] = { &q8, &q8_packed, &half };
    op_rig rig;
    for (int t = 0; t < n; t++)
        for (int i = 0; i < 6; i++) {
            stored s = *types[i / 2];
            op_case c = {
                .name = "stored", .record = record_stored_and_plain, .data = &s, .rows = ROWS, .fast = i % 2
            };
            op_rig_open(&rig, &c, OP_DIRECT);
            rig.run.k = &tables[t];
            (void)op_forward(&rig);
            int counts[E] = { 0 }, slot = 0;
            for (int r = 0; r < ROWS; r++) {
                int chosen[K];
                double w[K];
                choice(numbers(&rig.fixed[0]) + r * E, 0, chosen, w);
                for (int k = 0; k < K; k++)
                    counts[chosen[k]]++;
            }
            CHECK(counts[4] == 0 && counts[0] > 5);
            for (int e = 0; e < E; e++)
                for (int p = 0; p < counts[e]; p++, slot++)
                    if (slot < ROWS)
                        CHECK(test_same_bits(rig.seen[0].copy + slot * 64, rig.seen[1].copy + slot * E * 64 + e * 64,
                                             64));
            op_rig_close(&rig);
        }
}

TEST(expert_linear_refuses_stacks_that_do_not_fit)
{
    fj_err err = { 0 };
    fj_graph *g = fj_graph_new(&err);
    fj_value *z = fj_graph_external(g, "z", &fj_f32, FJ_ROWS, fj_shape_2(4, 3)),
             *x = fj_graph_external(g, "x", &fj_f32, FJ_ROWS, fj_shape_2(4, 2 * 8)),
             *w = fj_graph_external(g, "experts.weight", &fj_f32, FJ_FIXED, stack_of(6, 8)),
             *narrow = fj_graph_external(g, "narrow.weight", &fj_f32, FJ_FIXED, stack_of(6, 7));
    fj_route route = fj_route_rows(g, z, 2, 1, NULL);
    (void)fj_expert_linear(g, x, &route, w);
    CHECK(err.status == FJ_ERR_SHAPE);
    CHECK_TEXT(err.message, "expert_linear: 'experts.weight' has 5 experts, 3 were to choose from");
    err = (fj_err){ 0 };
    (void)fj_expert_linear(g, x, &route, narrow);
    CHECK_TEXT(err.message, "expert_linear: 'narrow.weight' takes 7 values, slots have 8");
    err = (fj_err){ 0 };
    (void)fj_route_rows(g, z, 4, 1, NULL);
    CHECK_TEXT(err.message, "route: 4 of 3 experts");
    fj_graph_free(g);
}
