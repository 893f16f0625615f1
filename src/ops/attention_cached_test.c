/* SPDX-License-Identifier: Apache-2.0
 * Against ops/attention.c, which has the keys in rows: the bits must be the same, whatever the pass holds. */
#include "ops/op_test.h"

#include <stdlib.h>

#include "ops/cache.h"

enum {
    H = 6,
    G = 2,
    D = 10,
    LONG = 290, /* more than a chunk */
    SHORT = 9,
    ROWS = LONG + SHORT,
    LAYERS = 2,
    LAYER = 1,
    PER_SEQ = 5,
    PAGES = 11
};

/* Pages of the two sequences in no order; page 2 is nobody's. */
static const int32_t page_table[2 * PER_SEQ] = { 5, 0, 3, 8, 10, 6, 1, 4, 7, 9 };

typedef struct numbers {
    float q[ROWS * H * D], k[ROWS * G * D], v[ROWS * G * D], wanted[ROWS * H * D], got[ROWS * H * D];
    unsigned char cache[PAGES * LAYERS * 2 * G * FJ_TILE_ROWS * D * 4]; /* no type takes more */
} numbers;

typedef struct setting {
    const fj_kernels *k;
    fj_pool *pool;
    const fj_attention_shape *shape;
    const fj_dtype *k_type, *v_type;
    bool fast;
} setting;

static fj_cache_layout layout_of(const setting *s)
{
    return (fj_cache_layout){ .k = s->k_type, .v = s->v_type, .n_layers = LAYERS, .n_kv_heads = G, .d_head = D };
}

static const float slopes[H] = { 0.5f, 0.25f, 0.0625f, 0.01f, 0.7f, 0.1f };

static const fj_attention_shape
    plain = { .n_heads = H, .n_kv_heads = G, .d_head = D, .scale = 0.4 },
    window = { .n_heads = H, .n_kv_heads = G, .d_head = D, .scale = 0.4, .window = 67 },
    narrow = { .n_heads = H, .n_kv_heads = G, .d_head = D, .scale = 0.4, .window = 5 },
    capped = { .n_heads = H, .n_kv_heads = G, .d_head = D, .scale = 0.4, .softcap = 0.9, .slopes = slopes },
    modulo = { .n_heads = H, .n_kv_heads = G, .d_head = D, .scale = 0.4, .slopes = slopes, .keys_by_modulo = true },
    sparse = { .n_heads = H,
               .n_kv_heads = G,
               .d_head = D,
               .scale = 0.4,
               .local_blocks = 1,
               .vertical_stride = 2,
               .head_offset = 1 };

static fj_value *external(fj_graph *g, const fj_dtype *dtype, fj_extent extent, fj_shape shape, const void *data)
{
    fj_value *v = fj_graph_external(g, "x", dtype, extent, shape);
    v->data = (void *)(uintptr_t)data;
    return v;
}

static void run_to(fj_graph *g, fj_value *out, float *to, fj_run *run)
{
    fj_err err = { 0 };
    out->place = FJ_EXTERNAL;
    out->data = to;
    CHECK_OK(fj_graph_plan(g, run, &err));
    op_run_graph(g, run);
    fj_graph_free(g);
}

/* Rows, both sequences at once. */
static void run_rows(numbers *x, const setting *s)
{
    fj_err err = { 0 };
    fj_graph *g = fj_graph_new(&err);
    fj_tile tiles[8];
    const int32_t lengths[] = { LONG, SHORT };
    int64_t n = op_tiles(lengths, 2, tiles);
    fj_value *out = fj_attention(g, external(g, &fj_f32, FJ_ROWS, fj_shape_2(ROWS, H * D), x->q),
                                 external(g, &fj_f32, FJ_ROWS, fj_shape_2(ROWS, G * D), x->k),
                                 external(g, &fj_f32, FJ_ROWS, fj_shape_2(ROWS, G * D), x->v),
                                 external(g, &fj_i32, FJ_TILES, fj_shape_2(n, 5), tiles), s->shape);
    fj_run run = { .k = s->k, .pool = s->pool, .n_rows = ROWS, .n_tiles = n };
    run_to(g, out, x->wanted, &run);
}

/* One pass of n rows that start at `first` of the numbers; tiles say what they are. */
static void run_pass(numbers *x, const setting *s, int64_t first, int64_t n, const fj_tile *tiles, int64_t n_tiles)
{
    fj_err err = { 0 };
    fj_graph *g = fj_graph_new(&err);
    fj_cache_layout layout = layout_of(s);
    fj_value *q = external(g, &fj_f32, FJ_ROWS, fj_shape_2(n, H * D), x->q + first * H * D),
             *k = external(g, &fj_f32, FJ_ROWS, fj_shape_2(n, G * D), x->k + first * G * D),
             *v = external(g, &fj_f32, FJ_ROWS, fj_shape_2(n, G * D), x->v + first * G * D),
             *t = external(g, &fj_i32, FJ_TILES, fj_shape_2(n_tiles, 5), tiles),
             *tables = external(g, &fj_i32, FJ_SEQS, fj_shape_2(2, PER_SEQ), page_table),
             *cache = external(g, &fj_u8, FJ_FIXED, fj_shape_1(1), x->cache);
    fj_value *out = fj_attention_cached(g, q, k, v, t, tables, cache, LAYER, &layout, s->shape);
    fj_run run = {
        .k = s->k, .pool = s->pool, .fast_attention = s->fast, .n_rows = n, .n_tiles = n_tiles, .n_seqs = 2
    };
    run_to(g, out, x->got + first * H * D, &run);
}

/* The rows of sequence seq from position pos0 on, FJ_TILE_ROWS a tile, wherever that falls on the pages. */
static int64_t cut(int32_t seq, int32_t row0, int32_t pos0, int32_t n, fj_tile *tiles)
{
    int64_t count = 0;
    for (int32_t at = 0; at < n;) {
        int32_t rows = FJ_MIN(n - at, FJ_TILE_ROWS);
        tiles[count++] = (fj_tile){ .row0 = row0 + at, .n_rows = rows, .pos0 = pos0 + at, .seq = seq };
        at += rows;
    }
    return count;
}

/* The last row of one sequence beside the whole other, which lies in tiles of `rows` rows. */
static void check_last(numbers *x, const setting *s, int32_t rows)
{
    fj_tile tiles[1 + SHORT];
    memset(x->got + (LONG - 1) * H * D, 0xff, (1 + SHORT) * H * D * sizeof *x->got);
    int64_t n = cut(0, 0, LONG - 1, 1, tiles);
    for (int32_t at = 0; at < SHORT; at += rows)
        n += cut(1, 1 + at, at, FJ_MIN(rows, SHORT - at), tiles + n);
    run_pass(x, s, LONG - 1, 1 + SHORT, tiles, n);
    CHECK(test_same_bits(x->got, x->wanted, ROWS * H * D));
}

/* x->wanted is what it has to give. */
static void check(numbers *x, const setting *s)
{
    fj_tile tiles[LONG];
    const int32_t chunks[] = { 1, 7, 100, LONG };
    for (size_t c = 0; c < FJ_LEN(chunks); c++) {
        memset(x->cache, 0xff, sizeof x->cache); /* nobody reads what nobody has stored */
        memset(x->got, 0xff, sizeof x->got);
        for (int32_t at = 0; at < LONG; at += chunks[c]) {
            int32_t n = FJ_MIN(chunks[c], LONG - at);
            run_pass(x, s, at, n, tiles, cut(0, 0, at, n, tiles));
        }
        run_pass(x, s, LONG, SHORT, tiles, cut(1, 0, 0, SHORT, tiles));
        CHECK(test_same_bits(x->got, x->wanted, ROWS * H * D));
    }
    memset(x->cache, 0xff, sizeof x->cache);
    memset(x->got, 0xff, sizeof x->got);
    run_pass(x, s, 0, LONG - 1, tiles, cut(0, 0, 0, LONG - 1, tiles));
    check_last(x, s, SHORT);
    check_last(x, s, 1); /* more tiles than share their chunks */
}

/* Rows of heads as a cache of the type gives them back. */
static void as_held(float *rows, const fj_dtype *type)
{
    enum { MOST = 32 };
    const fj_quant *q = fj_quant_of(type);
    unsigned char held[MOST * 4];
    int64_t n = fj_cache_row_values(type, D);
    CHECK(n <= MOST);
    for (int i = 0; i < ROWS * G; i++) {
        float row[MOST];
        memcpy(row, rows + i * D, D * sizeof *row);
        if (type->is_quantized)
            fj_turn_row(row, D);
        for (int64_t j = D; j < n; j++)
            row[j] = row[D - 1];
        q->encode(row, held, n, NULL);
        q->decode(held, row, n);
        if (type->is_quantized)
            fj_turn_row(row, D);
        memcpy(rows + i * D, row, D * sizeof *row);
    }
}

/* Both sequences in one pass over the cache. */
static void run_whole(numbers *x, const setting *s)
{
    fj_tile tiles[8];
    int64_t n = cut(0, 0, 0, LONG, tiles);
    n += cut(1, LONG, 0, SHORT, tiles + n);
    memset(x->cache, 0xff, sizeof x->cache);
    run_pass(x, s, 0, ROWS, tiles, n);
}

/* What is turned rounds otherwise than rows that are as they were, and so does bf16: there the bits are those of one pass, which is
 * near: by 2e-6, or by 0.03. (bf16: q up to 2, differences of keys up to 4, so that each of ten products errs by up to 0.03, at random,
 * and a score by 0.4 times some 0.05; weights err by as large a part, and values are up to 1.) */
static void check_table(numbers *x, numbers *held, const setting *s)
{
    bool is_bf16 = s->fast && s->k->cpu & FJ_CPU_BF16 && s->k_type != &fj_f32 && s->v_type != &fj_f32;
    run_rows(held, s);
    memcpy(x->wanted, held->wanted, sizeof x->wanted);
    if (s->k_type->is_quantized || s->v_type->is_quantized || is_bf16) {
        run_whole(x, s);
        CHECK_NEAR(x->got, held->wanted, ROWS * H * D, is_bf16 ? 0.03 : 2e-6);
        CHECK(!is_bf16 || !test_same_bits(x->got, held->wanted, ROWS * H * D));
        memcpy(x->wanted, x->got, sizeof x->wanted);
    }
    check(x, s);
}

static void check_all(const fj_dtype *k_type, const fj_dtype *v_type, const fj_attention_shape *shape)
{
    fj_kernels tables[TEST_TABLES];
    int n = test_tables(tables);
    fj_pool *pools[3];
    numbers *x = malloc(sizeof *x), *held = malloc(sizeof *held);
    CHECK(x && held);
    op_pools_open(pools);
    test_fill(x->q, ROWS * H * D, 1, 2);
    test_fill(x->k, ROWS * G * D, 2, 2);
    test_fill(x->v, ROWS * G * D, 3, 1);
    memcpy(held, x, sizeof *held);
    as_held(held->k, k_type);
    as_held(held->v, v_type);
    for (int t = 0; t < n; t++) {
        setting s = { .k = &tables[t], .pool = pools[t % 3], .shape = shape, .k_type = k_type, .v_type = v_type };
        check_table(x, held, &s);
        s.fast = true;
        if (s.k->cpu & FJ_CPU_BF16)
            check_table(x, held, &s);
    }
    op_pools_close(pools);
    free(held);
    free(x);
}

/* One query and head by definition, in double. */
static void attend_plainly(const numbers *x, int row, int head, double out[D])
{
    double weights[LONG], sum = 0;
    const float *q = x->q + (row * H + head) * D;
    int g = head / (H / G);
    memset(out, 0, D * sizeof *out);
    for (int j = 0; j <= row; j++) {
        double score = 0;
        for (int i = 0; i < D; i++)
            score += (double)q[i] * (double)x->k[(j * G + g) * D + i];
        weights[j] = exp(plain.scale * score);
        sum += weights[j];
    }
    for (int j = 0; j <= row; j++)
        for (int i = 0; i < D; i++)
            out[i] += weights[j] / sum * (double)x->v[(j * G + g) * D + i];
}

/* All else here compares what goes through the same chunks. In f32 290 products of weights that add up to 1 err by less than 2e-6. */
TEST(attention_over_more_than_a_chunk_is_what_the_definition_says)
{
    fj_kernels tables[TEST_TABLES];
    int n = test_tables(tables);
    fj_pool *pools[3];
    numbers *x = malloc(sizeof *x);
    CHECK(x);
    op_pools_open(pools);
    test_fill(x->q, ROWS * H * D, 1, 2);
    test_fill(x->k, ROWS * G * D, 2, 2);
    test_fill(x->v, ROWS * G * D, 3, 1);
    for (int t = 0; t < n; t++) {
        setting s = { .k = &tables[t], .pool = pools[t % 3], .shape = &plain, .k_type = &fj_f32, .v_type = &fj_f32 };
        run_rows(x, &s);
        for (int row = 0; row < LONG; row++)
            for (int head = 0; head < H; head++) {
                double wanted[D];
                attend_plainly(x, row, head, wanted);
                for (int i = 0; i < D; i++)
                    CHECK(fabs((double)x->wanted[(row * H + head) * D + i] - wanted[i]) < 2e-6);
            }
    }
    op_pools_close(pools);
    free(x);
}

TEST(rows_that_are_turned_keep_their_products_and_turn_back)
{
    static const int64_t sizes[] = { 1, 2, 4, 6, 10, 64, 80, 96, 128 };
    for (size_t c = 0; c < FJ_LEN(sizes); c++) {
        int64_t d = sizes[c];
        float a[128], b[128], turned[128];
        double before = 0, after = 0;
        test_fill(a, d, 1, 2);
        test_fill(b, d, 2, 2);
        for (int64_t i = 0; i < d; i++)
            before += (double)a[i] * (double)b[i];
        memcpy(turned, a, sizeof turned);
        fj_turn_row(turned, d);
        fj_turn_row(b, d);
        for (int64_t i = 0; i < d; i++)
            after += (double)turned[i] * (double)b[i];
        CHECK(fabs(after - before) < 1e-5 * (double)d);
        CHECK(d % 2 || !test_same_bits(turned, a, d));
        fj_turn_row(turned, d);
        CHECK_NEAR(turned, a, d, 1e-6);
    }
    float x[4] = { 8, 0, 0, 0 };
    fj_turn_row(x, 4);
    CHECK(x[0] == 4 && x[1] == 4 && x[2] == 4 && x[3] == 4); /* what stood out is spread */
}

TEST(attention_over_a_cache_has_the_bits_of_attention_over_rows_in_chunks_and_batches)
{
    check_all(&fj_f32, &fj_f32, &plain);
}

TEST(attention_over_a_cache_in_a_window_has_the_bits_of_attention_over_rows)
{
    check_all(&fj_f32, &fj_f32, &window);
    check_all(&fj_f32, &fj_f32, &narrow);
}

TEST(attention_over_a_cache_of_a_type_is_attention_over_keys_that_the_type_holds)
{
    static const fj_dtype *const types[] = { &fj_f32,  &fj_f16,  &fj_bf16, &fj_q8_0,
                                             &fj_q5_1, &fj_q5_0, &fj_q4_1, &fj_q4_0 };
    for (size_t i = 0; i < FJ_LEN(types); i++)
        check_all(types[i], types[i], &plain);
    check_all(&fj_q8_0, &fj_q4_0, &plain);
    check_all(&fj_q4_0, &fj_f16, &window);
    check_all(&fj_f32, &fj_q8_0, &capped);
    check_all(&fj_q8_0, &fj_bf16, &modulo);
    check_all(&fj_q8_0, &fj_q8_0, &sparse);
}

TEST(attention_over_a_cache_with_caps_slopes_and_patterns_has_the_bits_of_attention_over_rows)
{
    check_all(&fj_f32, &fj_f32, &capped);
    check_all(&fj_f32, &fj_f32, &modulo);
    check_all(&fj_f16, &fj_f16, &sparse);
}

TEST(cache_store_writes_its_layer_of_its_pages_alone)
{
    numbers *x = malloc(sizeof *x);
    fj_kernels k;
    fj_pool *pool;
    fj_err err = { 0 };
    fj_tile tiles[4];
    CHECK(x);
    fj_kernels_init(&k, 0);
    CHECK_OK(fj_pool_open(1, &pool, &err));
    setting s = { .k = &k, .pool = pool, .shape = &plain, .k_type = &fj_f32, .v_type = &fj_f32 };
    fj_cache_layout layout = layout_of(&s);
    test_fill(x->q, ROWS * H * D, 1, 1);
    test_fill(x->k, ROWS * G * D, 2, 1);
    test_fill(x->v, ROWS * G * D, 3, 1);
    memset(x->cache, 0xff, sizeof x->cache);
    run_pass(x, &s, 0, 70, tiles, cut(0, 0, 0, 70, tiles));
    const float *cache = (const float *)(const void *)x->cache;
    int64_t written = 0;
    for (size_t i = 0; i < fj_page_bytes(&layout) / sizeof(float) * PAGES; i++)
        written += !isnan(cache[i]);
    CHECK(written == 70 * 2 * G * D);
    CHECK(test_same_bits(cache + fj_page_at(&layout, 0, LAYER, 1, false) / sizeof(float) + 5 * D,
                         x->k + (69 * G + 1) * D, D));
    CHECK(test_same_bits(cache + fj_page_at(&layout, 5, LAYER, 0, true) / sizeof(float), x->v, D));
    fj_pool_close(pool);
    free(x);
}
