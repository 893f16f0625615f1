/* SPDX-License-Identifier: Apache-2.0 */
#include "ops/op_test.h"

enum { H = 4, G = 2, D = 6 };

static const int32_t lengths[] = { 70, 1, 130, 3 };

enum { ROWS = 204, TILES = 2 + 1 + 3 + 1 };

static const float slopes[H] = { 0.5f, 0.25f, 0.0625f, 0.01f };

/* What the cases are: plain, a window of more than a tile (some tiles are out of sight, some are cut), caps, slopes, shared keys
 * in turn, and a pattern of blocks that differs by head. */
static const fj_attention_shape plain = { .n_heads = H, .n_kv_heads = G, .d_head = D, .scale = 0.7 },
                                window = { .n_heads = H, .n_kv_heads = G, .d_head = D, .scale = 0.7, .window = 67 },
                                capped = { .n_heads = H, .n_kv_heads = G, .d_head = D, .scale = 0.7, .softcap = 1.5 },
                                sloped = { .n_heads = H,
                                           .n_kv_heads = G,
                                           .d_head = D,
                                           .scale = 0.7,
                                           .softcap = 2,
                                           .slopes = slopes,
                                           .keys_by_modulo = true },
                                sparse = { .n_heads = H,
                                           .n_kv_heads = G,
                                           .d_head = D,
                                           .scale = 0.7,
                                           .local_blocks = 1,
                                           .vertical_stride = 2,
                                           .head_offset = 1 },
                                small = { .n_heads = H,
                                          .n_kv_heads = G,
                                          .d_head = D,
                                          .scale = 0.7,
                                          .block_rows = 6,
                                          .local_blocks = 2,
                                          .vertical_stride = 4,
                                          .head_offset = 1 };

static void record(op_rig *rig)
{
    fj_tile tiles[TILES];
    CHECK(op_tiles(lengths, 4, tiles) == TILES);
    fj_value *q = op_learned(rig, FJ_ROWS, fj_shape_2(210, H * D), 0),
             *k = op_learned(rig, FJ_ROWS, fj_shape_2(210, G * D), 0),
             *v = op_learned(rig, FJ_ROWS, fj_shape_2(210, G * D), 0);
    fj_value *t = op_ints(rig, FJ_TILES, fj_shape_2(9, 5), &tiles[0].row0);
    op_seen(rig, fj_attention(op_graph(rig), q, k, v, t, rig->c->data));
}

const op_case op_case_attention = {
    .name = "attention", .op = &fj_op_attention, .record = record, .data = &plain, .rows = ROWS, .tiles = TILES
};
const op_case op_case_attention_window = {
    .name = "attention, window", .op = &fj_op_attention, .record = record, .data = &window, .rows = ROWS, .tiles = TILES
};
const op_case op_case_attention_capped = { .name = "attention, softcap",
                                           .op = &fj_op_attention,
                                           .record = record,
                                           .data = &capped,
                                           .rows = ROWS,
                                           .tiles = TILES };
const op_case op_case_attention_sloped = {
    .name = "attention, slopes", .op = &fj_op_attention, .record = record, .data = &sloped, .rows = ROWS, .tiles = TILES
};
const op_case op_case_attention_sparse = {
    .name = "attention, blocks", .op = &fj_op_attention, .record = record, .data = &sparse, .rows = ROWS, .tiles = TILES
};
const op_case op_case_attention_small_blocks = { .name = "attention, small blocks",
                                                 .op = &fj_op_attention,
                                                 .record = record,
                                                 .data = &small,
                                                 .rows = ROWS,
                                                 .tiles = TILES };

/* By the definition, with positions from the segment's start. */
static bool is_seen(const fj_attention_shape *s, int64_t h, int64_t i, int64_t j)
{
    if (s->window && j <= i - s->window)
        return false;
    int64_t rows = s->block_rows ? s->block_rows : FJ_TILE_ROWS, block = i / rows, key = j / rows;
    return !s->vertical_stride || block - key < s->local_blocks ||
           (key + 1 + h * s->head_offset) % s->vertical_stride == 0;
}

/* out of row r, head h, by the definition. */
static void define(const op_rig *rig, int64_t first, int64_t r, int64_t h, float *out)
{
    const fj_attention_shape *s = rig->c->data;
    int64_t key_head = s->keys_by_modulo ? h % G : h / (H / G);
    const float *q = (const float *)(const void *)rig->learned[0].data + (r * H + h) * D,
                *k = (const float *)(const void *)rig->learned[1].data + key_head * D,
                *v = (const float *)(const void *)rig->learned[2].data + key_head * D;
    double sum[D] = { 0 }, total = 0;
    for (int64_t j = first; j <= r; j++) {
        double score = 0;
        if (!is_seen(s, h, r - first, j - first))
            continue;
        for (int64_t i = 0; i < D; i++)
            score += 0.7 * (double)q[i] * k[j * G * D + i];
        score = s->softcap > 0 ? s->softcap * tanh(score / s->softcap) : score;
        double weight = exp(score + (s->slopes ? s->slopes[h] * (double)(j - first) : 0));
        total += weight;
        for (int64_t i = 0; i < D; i++)
            sum[i] += weight * v[j * G * D + i];
    }
    for (int64_t i = 0; i < D; i++)
        out[i] = (float)(sum[i] / total);
}

static void check_definition(const op_case *c)
{
    fj_kernels tables[TEST_TABLES];
    int n = test_tables(tables);
    op_rig rig;
    op_rig_open(&rig, c, OP_DIRECT);
    for (int t = 0; t < n; t++) {
        rig.run.k = &tables[t];
        (void)op_forward(&rig);
        int64_t r = 0;
        for (size_t s = 0; s < FJ_LEN(lengths); s++)
            for (int64_t first = r; r < first + lengths[s]; r++)
                for (int64_t h = 0; h < H; h++) {
                    float wanted[D];
                    define(&rig, first, r, h, wanted);
                    CHECK_NEAR(rig.seen[0].copy + (r * H + h) * D, wanted, D, 1e-6);
                }
    }
    op_rig_close(&rig);
}

TEST(attention_is_the_softmax_over_the_keys_of_the_segment_so_far)
{
    check_definition(&op_case_attention);
}

TEST(attention_in_a_window_sees_the_last_keys_alone)
{
    check_definition(&op_case_attention_window);
}

TEST(attention_caps_its_scores_before_the_softmax)
{
    check_definition(&op_case_attention_capped);
}

TEST(attention_with_slopes_prefers_near_keys_and_shares_keys_in_turn)
{
    check_definition(&op_case_attention_sloped);
}

TEST(attention_by_blocks_sees_the_last_and_every_so_many_of_a_head)
{
    check_definition(&op_case_attention_sparse);
    check_definition(&op_case_attention_small_blocks);
}

TEST(attention_of_a_segment_has_the_same_bits_alone_and_packed)
{
    fj_kernels tables[TEST_TABLES];
    int n = test_tables(tables);
    for (int t = 0; t < n; t++) {
        op_rig packed, one;
        op_rig_open(&packed, &op_case_attention, OP_DIRECT);
        packed.run.k = &tables[t];
        (void)op_forward(&packed);
        op_backward(&packed);

        op_rig_open(&one, &op_case_attention, OP_DIRECT);
        one.run.k = &tables[t];
        one.run.n_rows = 130;
        one.run.n_tiles = 3;
        fj_tile tiles[3];
        int32_t length = 130;
        CHECK(op_tiles(&length, 1, tiles) == 3);
        memcpy(one.fixed[0].data, tiles, sizeof tiles);
        for (int i = 0; i < 3; i++)
            memmove(one.learned[i].data, one.learned[i].data + 71 * one.learned[i].row_bytes,
                    130 * one.learned[i].row_bytes);
        memmove(one.fixed[1].data, one.fixed[1].data + 71 * one.fixed[1].row_bytes, 130 * one.fixed[1].row_bytes);
        for (int i = 0; i < 3; i++)
            one.learned[i].used = 130 * (int64_t)one.learned[i].row_bytes / 4;
        (void)op_forward(&one);
        op_backward(&one);
        CHECK(test_same_bits(one.seen[0].copy, packed.seen[0].copy + 71 * H * D, 130 * H * D));
        for (int i = 0; i < 3; i++)
            CHECK(test_same_bits(one.learned[i].grad,
                                 packed.learned[i].grad + 71 * (int64_t)packed.learned[i].row_bytes / 4,
                                 one.learned[i].used));
        op_rig_close(&packed);
        op_rig_close(&one);
    }
}

TEST(attention_refuses_rows_that_are_not_its_heads)
{
    fj_err err = { 0 };
    fj_graph *g = fj_graph_new(&err);
    fj_attention_shape s = { .n_heads = 4, .n_kv_heads = 3, .d_head = 6, .scale = 1 };
    fj_value *q = fj_graph_external(g, "q", &fj_f32, FJ_ROWS, fj_shape_2(4, 24)),
             *k = fj_graph_external(g, "k", &fj_f32, FJ_ROWS, fj_shape_2(4, 12)),
             *tiles = fj_graph_external(g, "tiles", &fj_i32, FJ_TILES, fj_shape_2(1, 5));
    (void)fj_attention(g, q, k, k, tiles, &s);
    CHECK(err.status == FJ_ERR_SHAPE);
    CHECK_TEXT(err.message, "attention: rows of 24, 12, 12 values for 4 and 3 heads of 6");
    err = (fj_err){ 0 };
    s.n_kv_heads = 2;
    (void)fj_attention(g, q, k, q, tiles, &s);
    CHECK_TEXT(err.message, "attention: rows of 24, 12, 24 values for 4 and 2 heads of 6");
    fj_graph_free(g);
}
