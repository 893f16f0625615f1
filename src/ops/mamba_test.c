/* SPDX-License-Identifier: Apache-2.0
 * The convolution and the scan of Mamba: cases for op_test.c, the definitions, and passes over a state against whole segments. */
#include <stdlib.h>

#include "ops/op_test.h"

enum { I = 67, M = 3, TAPS = 4, ROWS = 72, TILES = 4, CAPACITY = 75, LONG = 66 };

static const int32_t lengths[] = { LONG, 1, 5 };

static fj_value *tiles_of(op_rig *rig)
{
    fj_tile tiles[TILES];
    CHECK(op_tiles(lengths, 3, tiles) == TILES);
    return op_ints(rig, FJ_TILES, fj_shape_2(6, 5), &tiles[0].row0);
}

static fj_value *rows_of(op_rig *rig, int64_t n)
{
    return op_learned(rig, FJ_ROWS, fj_shape_2(CAPACITY, n), 0);
}

static void record_conv(op_rig *rig)
{
    fj_value *u = rows_of(rig, I), *w = op_learned(rig, FJ_FIXED, (fj_shape){ .rank = 3, .dim = { I, 1, TAPS } }, 0),
             *b = op_learned(rig, FJ_FIXED, fj_shape_1(I), 0);
    op_seen(rig, fj_conv1d(op_graph(rig), u, w, b, tiles_of(rig)));
}

static fj_scan scan_of(op_rig *rig)
{
    bool is_plain = rig->c->data != NULL; /* A as GGUF stores it; B and C frozen */
    fj_scan s = { .u = rows_of(rig, I), .a_is_log = !is_plain };
    s.b = is_plain ? op_floats(rig, FJ_ROWS, fj_shape_2(CAPACITY, M), 4) : rows_of(rig, M);
    s.c = is_plain ? op_floats(rig, FJ_ROWS, fj_shape_2(CAPACITY, M), 5) : rows_of(rig, M);
    s.a = op_learned(rig, FJ_FIXED, fj_shape_2(I, M), 0);
    s.d = op_learned(rig, FJ_FIXED, fj_shape_1(I), 0);
    if (is_plain)
        s.a = fj_affine(op_graph(rig), s.a, 0.5, -1);
    s.dt = fj_activate(op_graph(rig), rows_of(rig, I), &fj_act_softplus);
    return s;
}

static void record_scan(op_rig *rig)
{
    fj_scan s = scan_of(rig);
    op_seen(rig, fj_selective_scan(op_graph(rig), &s, tiles_of(rig)));
}

const op_case op_case_conv1d = {
    .name = "conv1d", .op = &fj_op_conv1d, .record = record_conv, .rows = ROWS, .tiles = TILES
};
const op_case op_case_selective_scan = {
    .name = "selective_scan", .op = &fj_op_selective_scan, .record = record_scan, .rows = ROWS, .tiles = TILES
};
const op_case op_case_selective_scan_plain = { .name = "selective_scan, A itself",
                                               .op = &fj_op_selective_scan,
                                               .record = record_scan,
                                               .data = "A",
                                               .rows = ROWS,
                                               .tiles = TILES };

static const float *numbers(const op_rig *rig, int i)
{
    return (const float *)(const void *)rig->learned[i].data;
}

TEST(conv1d_looks_back_within_the_segment)
{
    fj_kernels tables[TEST_TABLES];
    int n = test_tables(tables);
    op_rig rig;
    op_rig_open(&rig, &op_case_conv1d, OP_DIRECT);
    for (int t = 0; t < n; t++) {
        rig.run.k = &tables[t];
        (void)op_forward(&rig);
        int64_t first = 0;
        for (int s = 0; s < 3; first += lengths[s++])
            for (int64_t r = first; r < first + lengths[s]; r++) {
                float wanted[I];
                for (int i = 0; i < I; i++) {
                    double y = numbers(&rig, 2)[i];
                    for (int64_t c = 0; c < TAPS; c++)
                        if (r - TAPS + 1 + c >= first)
                            y += (double)numbers(&rig, 1)[i * TAPS + c] * numbers(&rig, 0)[(r - TAPS + 1 + c) * I + i];
                    wanted[i] = (float)y;
                }
                CHECK_NEAR(rig.seen[0].copy + r * I, wanted, I, 1e-6);
            }
    }
    op_rig_close(&rig);
}

TEST(selective_scan_is_the_recurrence_of_each_segment_from_zero)
{
    fj_kernels tables[TEST_TABLES];
    int n = test_tables(tables);
    op_rig rig;
    op_rig_open(&rig, &op_case_selective_scan, OP_DIRECT);
    const float *u = numbers(&rig, 0), *b = numbers(&rig, 1), *c = numbers(&rig, 2), *a = numbers(&rig, 3),
                *d = numbers(&rig, 4), *raw = numbers(&rig, 5);
    for (int t = 0; t < n; t++) {
        rig.run.k = &tables[t];
        (void)op_forward(&rig);
        int64_t r = 0;
        for (int s = 0; s < 3; s++) {
            double memory[I][M] = { { 0 } };
            for (int64_t end = r + lengths[s]; r < end; r++) {
                float wanted[I];
                for (int i = 0; i < I; i++) {
                    double dt = log1p(exp(raw[r * I + i])), y = (double)d[i] * u[r * I + i];
                    for (int m = 0; m < M; m++) {
                        memory[i][m] = exp(-dt * exp(a[i * M + m])) * memory[i][m] + dt * u[r * I + i] * b[r * M + m];
                        y += memory[i][m] * c[r * M + m];
                    }
                    wanted[i] = (float)y;
                }
                CHECK_NEAR(rig.seen[0].copy + r * I, wanted, I, 2e-6); /* a sum with memory: a few roundings more */
            }
        }
    }
    op_rig_close(&rig);
}

/* ---- passes over a memory ------------------------------------------------------------------------------------------------------ */

enum { SHORT = 9, ALL = LONG + SHORT, LAYERS = 2, LAYER = 1, SLOTS = 3 };

static const fj_state_shape state_shape = { .n_layers = LAYERS, .d_inner = I, .d_conv = TAPS, .d_state = M };
static const int32_t slots[] = { 2, 0 };

typedef struct numbers_of {
    float u[ALL * I], dt[ALL * I], b[ALL * M], c[ALL * M], w[I * TAPS], a[I * M], d[I];
    float conv[2][ALL * I], scan[2][ALL * I]; /* in whole segments, in passes */
    float state[SLOTS * LAYERS * (TAPS - 1 + M) * I];
} numbers_of;

static fj_value *external(fj_graph *g, const fj_dtype *dtype, fj_extent extent, fj_shape shape, const void *data)
{
    fj_value *v = fj_graph_external(g, "x", dtype, extent, shape);
    v->data = (void *)(uintptr_t)data;
    return v;
}

static void seen_at(fj_value *v, float *to)
{
    v->place = FJ_EXTERNAL;
    v->data = to;
}

/* n rows from `first` of the numbers on; over the state, or as whole segments. */
static void pass(numbers_of *x, fj_run *run, int64_t first, int64_t n, const fj_tile *tiles, int64_t n_tiles,
                 bool is_cached)
{
    fj_err err = { 0 };
    fj_graph *g = fj_graph_new(&err);
    fj_value *u = external(g, &fj_f32, FJ_ROWS, fj_shape_2(n, I), x->u + first * I),
             *w = external(g, &fj_f32, FJ_FIXED, fj_shape_2(I, TAPS), x->w),
             *t = external(g, &fj_i32, FJ_TILES, fj_shape_2(n_tiles, 5), tiles);
    fj_scan s = { .dt = external(g, &fj_f32, FJ_ROWS, fj_shape_2(n, I), x->dt + first * I),
                  .u = u,
                  .b = external(g, &fj_f32, FJ_ROWS, fj_shape_2(n, M), x->b + first * M),
                  .c = external(g, &fj_f32, FJ_ROWS, fj_shape_2(n, M), x->c + first * M),
                  .a = external(g, &fj_f32, FJ_FIXED, fj_shape_2(I, M), x->a),
                  .d = external(g, &fj_f32, FJ_FIXED, fj_shape_1(I), x->d),
                  .a_is_log = true };
    fj_state state = { .slots = external(g, &fj_i32, FJ_SEQS, fj_shape_1(2), slots),
                       .values = external(g, &fj_f32, FJ_FIXED, fj_shape_1(1), x->state),
                       .shape = state_shape,
                       .layer = LAYER };
    seen_at(is_cached ? fj_conv1d_cached(g, u, w, NULL, t, &state) : fj_conv1d(g, u, w, NULL, t),
            x->conv[is_cached] + first * I);
    seen_at(is_cached ? fj_selective_scan_cached(g, &s, t, &state) : fj_selective_scan(g, &s, t),
            x->scan[is_cached] + first * I);
    run->n_rows = n;
    run->n_tiles = n_tiles;
    run->n_seqs = 2;
    CHECK_OK(fj_graph_plan(g, run, &err));
    op_run_graph(g, run);
    fj_graph_free(g);
}

/* Rows of sequence seq from position pos0 on. */
static int64_t cut(int32_t seq, int32_t row0, int32_t pos0, int32_t n, fj_tile *tiles)
{
    int64_t count = 0;
    for (int32_t at = 0; at < n; at += FJ_TILE_ROWS)
        tiles[count++] = (fj_tile){
            .row0 = row0 + at, .n_rows = FJ_MIN(FJ_TILE_ROWS, n - at), .pos0 = pos0 + at, .seq = seq
        };
    return count;
}

static void check_passes(numbers_of *x, fj_run *run)
{
    fj_tile tiles[8];
    const int32_t both[] = { LONG, SHORT }, chunks[] = { 1, 2, 5, 64, LONG };
    pass(x, run, 0, ALL, tiles, op_tiles(both, 2, tiles), false);
    for (size_t i = 0; i < FJ_LEN(chunks); i++) {
        memset(x->state, 0xff, sizeof x->state); /* a new sequence needs no clean slot */
        memset(x->conv[1], 0xff, sizeof x->conv[1]);
        memset(x->scan[1], 0xff, sizeof x->scan[1]);
        for (int32_t at = 0; at < LONG - 1; at += chunks[i]) {
            int32_t n = FJ_MIN(chunks[i], LONG - 1 - at);
            pass(x, run, at, n, tiles, cut(0, 0, at, n, tiles), true);
        }
        int64_t n = cut(0, 0, LONG - 1, 1, tiles); /* the last of one sequence and the other whole, in one pass */
        n += cut(1, 1, 0, SHORT, tiles + n);
        pass(x, run, LONG - 1, 1 + SHORT, tiles, n, true);
        CHECK(test_same_bits(x->conv[0], x->conv[1], ALL * I));
        CHECK(test_same_bits(x->scan[0], x->scan[1], ALL * I));
        for (int64_t v = 0; v < fj_state_values(&state_shape); v++) /* slot 1 is nobody's */
            CHECK(isnan(x->state[fj_state_at(&state_shape, 1, 0) + v]));
    }
}

TEST(passes_over_a_state_have_the_bits_of_whole_segments_in_chunks_and_batches)
{
    fj_kernels tables[TEST_TABLES];
    int n = test_tables(tables);
    fj_pool *pools[3];
    numbers_of *x = malloc(sizeof *x);
    CHECK(x);
    op_pools_open(pools);
    float *all[] = { x->u, x->dt, x->b, x->c, x->w, x->a, x->d };
    int64_t counts[] = { ALL * I, ALL * I, ALL * M, ALL * M, I * TAPS, I * M, I };
    for (int i = 0; i < 7; i++)
        test_fill(all[i], counts[i], (uint64_t)i + 1, 1);
    for (int i = 0; i < ALL * I; i++)
        x->dt[i] = fabsf(x->dt[i]);
    for (int t = 0; t < n; t++) {
        fj_run run = { .k = &tables[t], .pool = pools[t % 3] };
        check_passes(x, &run);
    }
    op_pools_close(pools);
    free(x);
}

TEST(conv1d_and_scan_refuse_shapes_that_do_not_fit)
{
    fj_err err = { 0 };
    fj_graph *g = fj_graph_new(&err);
    fj_value *u = fj_graph_external(g, "u", &fj_f32, FJ_ROWS, fj_shape_2(4, 6)),
             *w = fj_graph_external(g, "conv1d.weight", &fj_f32, FJ_FIXED, fj_shape_2(5, 4)),
             *b = fj_graph_external(g, "b", &fj_f32, FJ_ROWS, fj_shape_2(4, 2)),
             *a = fj_graph_external(g, "A_log", &fj_f32, FJ_FIXED, fj_shape_2(6, 3)),
             *d = fj_graph_external(g, "D", &fj_f32, FJ_FIXED, fj_shape_1(6)),
             *t = fj_graph_external(g, "tiles", &fj_i32, FJ_TILES, fj_shape_2(1, 5));
    (void)fj_conv1d(g, u, w, NULL, t);
    CHECK(err.status == FJ_ERR_SHAPE);
    CHECK_TEXT(err.message, "conv1d: 'conv1d.weight' has 20 values for 6 channels");
    err = (fj_err){ 0 };
    fj_scan s = { .dt = u, .u = u, .b = b, .c = b, .a = a, .d = d };
    (void)fj_selective_scan(g, &s, t);
    CHECK_TEXT(err.message, "selective_scan: 'A_log' has 18 values for 6 channels of 2");
    fj_graph_free(g);
}
