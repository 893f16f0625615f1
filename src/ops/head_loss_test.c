/* SPDX-License-Identifier: Apache-2.0 */
#include "ops/op_test.h"

#include <stdlib.h>

enum { V = 131, D = 67, ROWS = 9 };

static void record(op_rig *rig)
{
    static const int32_t labels[ROWS] = { 0, 130, 5, 5, 64, 63, 100, 1, 2 };
    fj_value *h = op_learned(rig, FJ_OUT_ROWS, fj_shape_2(12, D), 0),
             *w = op_learned(rig, FJ_FIXED, fj_shape_2(V, D), 0);
    fj_value *at = op_ints(rig, FJ_OUT_ROWS, fj_shape_1(12), labels),
             *weights = op_floats(rig, FJ_OUT_ROWS, fj_shape_1(12), 77);
    op_loss_seen(rig, fj_head_loss(op_graph(rig), h, &(fj_head){ .w = w }, at, weights), weights);
}

const op_case op_case_head_loss = {
    .name = "head_loss", .op = &fj_op_head_loss, .record = record, .rows = 1, .out_rows = ROWS
};

static void record_capped(op_rig *rig)
{
    static const int32_t labels[ROWS] = { 0, 130, 5, 5, 64, 63, 100, 1, 2 };
    fj_value *h = op_learned(rig, FJ_OUT_ROWS, fj_shape_2(12, D), 0),
             *w = op_learned(rig, FJ_FIXED, fj_shape_2(V, D), 0), *b = op_learned(rig, FJ_FIXED, fj_shape_1(V), 0);
    fj_value *at = op_ints(rig, FJ_OUT_ROWS, fj_shape_1(12), labels),
             *weights = op_floats(rig, FJ_OUT_ROWS, fj_shape_1(12), 77);
    fj_head head = { .w = w, .bias = b, .scale = 0.5, .softcap = 1.5 };
    op_loss_seen(rig, fj_head_loss(op_graph(rig), h, &head, at, weights), weights);
}

const op_case op_case_head_loss_capped = {
    .name = "head_loss, softcap", .op = &fj_op_head_loss, .record = record_capped, .rows = 1, .out_rows = ROWS
};

/* A frozen head whose bias alone learns, and a multiplier without a cap. */
static void record_bias(op_rig *rig)
{
    static const int32_t labels[ROWS] = { 3, 9, 0, 10, 4, 10, 6, 7, 2 };
    fj_value *h = op_floats(rig, FJ_OUT_ROWS, fj_shape_2(12, 8), 5),
             *w = op_floats(rig, FJ_FIXED, fj_shape_2(11, 8), 6), *b = op_learned(rig, FJ_FIXED, fj_shape_1(11), 0);
    fj_value *at = op_ints(rig, FJ_OUT_ROWS, fj_shape_1(12), labels),
             *weights = op_floats(rig, FJ_OUT_ROWS, fj_shape_1(12), 77);
    fj_head head = { .w = w, .bias = b, .scale = 3 };
    op_loss_seen(rig, fj_head_loss(op_graph(rig), h, &head, at, weights), weights);
}

const op_case op_case_head_loss_bias = {
    .name = "head_loss, bias", .op = &fj_op_head_loss, .record = record_bias, .rows = 1, .out_rows = ROWS
};

/* The logits of a head, recorded for themselves. */
static void record_logits(op_rig *rig)
{
    fj_head head = { .w = op_learned(rig, FJ_FIXED, fj_shape_2(V, D), 0),
                     .bias = op_learned(rig, FJ_FIXED, fj_shape_1(V), 0),
                     .scale = 0.5,
                     .softcap = 1.5 };
    op_seen(rig, fj_head_logits(op_graph(rig), op_learned(rig, FJ_OUT_ROWS, fj_shape_2(12, D), 0), &head));
}

TEST(head_logits_are_scaled_and_capped_and_the_loss_is_theirs)
{
    op_rig rig, loss;
    op_case c = { .name = "logits", .record = record_logits, .rows = 1, .out_rows = ROWS };
    op_rig_open(&rig, &c, OP_DIRECT);
    op_rig_open(&loss, &op_case_head_loss_capped, OP_DIRECT);
    for (int i = 0; i < 3; i++) /* w, b and h were made in another order there */
        memcpy(rig.learned[i].data, loss.learned[(i + 1) % 3].data, (size_t)rig.learned[i].used * sizeof(float));
    (void)op_forward(&rig);
    (void)op_forward(&loss);
    const float *w = (const float *)(const void *)rig.learned[0].data,
                *b = (const float *)(const void *)rig.learned[1].data,
                *h = (const float *)(const void *)rig.learned[2].data;
    const int32_t *labels = (const int32_t *)(const void *)loss.fixed[0].data;
    for (int r = 0; r < ROWS; r++) {
        float wanted[V], nll;
        double total = 0;
        for (int v = 0; v < V; v++) {
            double y = b[v];
            for (int i = 0; i < D; i++)
                y += (double)h[r * D + i] * w[v * D + i];
            wanted[v] = (float)(1.5 * tanh(0.5 * y / 1.5));
            total += exp(1.5 * tanh(0.5 * y / 1.5));
        }
        nll = (float)(log(total) - wanted[labels[r]]);
        CHECK_NEAR(rig.seen[0].copy + r * V, wanted, V, 1e-6);
        CHECK_NEAR(loss.seen[0].copy + r, &nll, 1, 1e-6);
    }
    op_rig_close(&rig);
    op_rig_close(&loss);
}

TEST(head_loss_is_the_negative_log_likelihood_forward_alone_and_with_gradients)
{
    fj_kernels tables[TEST_TABLES];
    int n = test_tables(tables);
    for (int t = 0; t < n; t++) {
        op_rig rig;
        op_rig_open(&rig, &op_case_head_loss, OP_DIRECT);
        rig.run.k = &tables[t];
        (void)op_forward(&rig);
        const float *h = (const float *)(const void *)rig.learned[0].data,
                    *w = (const float *)(const void *)rig.learned[1].data;
        const int32_t *labels = (const int32_t *)(const void *)rig.fixed[0].data;
        float wanted[ROWS], evaluated[ROWS];
        for (int r = 0; r < ROWS; r++) {
            double total = 0, at_label = 0;
            for (int v = 0; v < V; v++) {
                double logit = 0;
                for (int i = 0; i < D; i++)
                    logit += (double)h[r * D + i] * w[v * D + i];
                total += exp(logit);
                at_label = v == labels[r] ? logit : at_label;
            }
            wanted[r] = (float)(log(total) - at_label);
        }
        CHECK_NEAR(rig.seen[0].copy, wanted, ROWS, 5e-7);
        memcpy(evaluated, rig.seen[0].copy, sizeof evaluated);
        memset(rig.seen[0].copy, 0xff, sizeof evaluated);
        op_backward(&rig);
        CHECK(test_same_bits(rig.seen[0].copy, evaluated, ROWS)); /* the gradient node gives the loss too */
        op_rig_close(&rig);
    }
}

/* ---- chunks ---------------------------------------------------------------------------------------------------------------- */

enum { LARGE_V = 500000, SMALL_D = 3, CHUNK = 16, MORE = 19 }; /* 16 rows of so large a vocabulary are a chunk */

static void record_large(op_rig *rig)
{
    int32_t labels[MORE];
    for (int i = 0; i < MORE; i++)
        labels[i] = i * 26000;
    fj_value *h = op_learned(rig, FJ_OUT_ROWS, fj_shape_2(MORE, SMALL_D), 0),
             *w = op_learned(rig, FJ_FIXED, fj_shape_2(LARGE_V, SMALL_D), 0);
    fj_value *at = op_ints(rig, FJ_OUT_ROWS, fj_shape_1(MORE), labels),
             *weights = op_floats(rig, FJ_OUT_ROWS, fj_shape_1(MORE), 77);
    op_loss_seen(rig, fj_head_loss(op_graph(rig), h, &(fj_head){ .w = w }, at, weights), weights);
}

TEST(head_loss_in_chunks_has_the_bits_of_the_chunks_one_by_one)
{
    fj_kernels tables[TEST_TABLES];
    int n = test_tables(tables);
    op_case c = { .name = "head_loss, chunks", .record = record_large, .rows = 1, .out_rows = MORE };
    op_rig rig;
    float nll[MORE], dh[MORE * SMALL_D], *dw = malloc(LARGE_V * SMALL_D * sizeof *dw);
    CHECK(dw);
    op_rig_open(&rig, &c, OP_DIRECT);
    CHECK(rig.g[1]->arena_bytes < 2 * CHUNK * LARGE_V * sizeof(float)); /* (rows, V) never exists */
    rig.run.k = &tables[n - 1];
    op_backward(&rig);
    memcpy(nll, rig.seen[0].copy, sizeof nll);
    memcpy(dh, rig.learned[0].grad, sizeof dh);
    memcpy(dw, rig.learned[1].grad, LARGE_V * SMALL_D * sizeof *dw);

    rig.run.n_out_rows = CHUNK;
    rig.learned[0].used = CHUNK * SMALL_D;
    op_backward(&rig);
    CHECK(test_same_bits(rig.seen[0].copy, nll, CHUNK));
    CHECK(test_same_bits(rig.learned[0].grad, dh, CHUNK * SMALL_D));

    for (int i = 0; i < 2; i++) /* the rest: labels, weights and rows move up */
        rig.fixed[i].value[1]->data = rig.fixed[i].data + CHUNK * sizeof(float);
    rig.learned[0].value[1]->data = rig.learned[0].data + CHUNK * SMALL_D * sizeof(float);
    rig.run.n_out_rows = MORE - CHUNK;
    rig.run.add_to_grads = true;
    op_run_graph(rig.g[1], &rig.run);
    CHECK(test_same_bits(rig.seen[0].copy, nll + CHUNK, MORE - CHUNK));
    CHECK(test_same_bits(rig.learned[1].grad, dw, LARGE_V * SMALL_D));
    op_rig_close(&rig);
    free(dw);
}

TEST(head_loss_without_targets_gives_a_gradient_of_zero)
{
    op_rig rig;
    op_rig_open(&rig, &op_case_head_loss, OP_DIRECT);
    rig.run.n_out_rows = 0;
    rig.learned[0].used = 0;
    op_backward(&rig);
    for (int i = 0; i < V * D; i++)
        CHECK(rig.learned[1].grad[i] == 0);
    op_rig_close(&rig);
}

TEST(head_loss_refuses_a_head_of_another_width)
{
    fj_err err = { 0 };
    fj_graph *g = fj_graph_new(&err);
    fj_value *h = fj_graph_external(g, "h", &fj_f32, FJ_OUT_ROWS, fj_shape_2(4, 8)),
             *w = fj_graph_external(g, "lm_head.weight", &fj_f32, FJ_FIXED, fj_shape_2(5, 9)),
             *labels = fj_graph_external(g, "labels", &fj_i32, FJ_OUT_ROWS, fj_shape_1(4)),
             *weights = fj_graph_external(g, "weights", &fj_f32, FJ_OUT_ROWS, fj_shape_1(4));
    (void)fj_head_loss(g, h, &(fj_head){ .w = w }, labels, weights);
    CHECK(err.status == FJ_ERR_SHAPE);
    CHECK_TEXT(err.message, "head_loss: head 'lm_head.weight' takes 9 values, rows have 8");
    fj_graph_free(g);
}
