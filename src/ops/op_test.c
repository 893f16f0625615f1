/* SPDX-License-Identifier: Apache-2.0
 * See op_test.h. A case is recorded twice: forward alone, with nodes that sum the loss in double, for the differences; and with
 * gradients. All memory that a run may not read is NaN. */
#include "ops/op_test.h"

#include <stdio.h>
#include <stdlib.h>

#include "quant/blocks_of_test.h"

enum { PROBES = 7, SINGLE = 4, LOSS_ROWS = 7 };

static const op_case *const cases[] = {
    &op_case_activation_gelu,
    &op_case_activation_gelu_tanh,
    &op_case_activation_quick_gelu,
    &op_case_activation_silu,
    &op_case_add,
    &op_case_attention,
    &op_case_attention_capped,
    &op_case_attention_sloped,
    &op_case_attention_small_blocks,
    &op_case_attention_sparse,
    &op_case_attention_window,
    &op_case_balance_loss,
    &op_case_clamp,
    &op_case_combine,
    &op_case_conv1d,
    &op_case_dropout,
    &op_case_embed,
    &op_case_expert_linear,
    &op_case_expert_linear_bf16,
    &op_case_expert_linear_frozen,
    &op_case_expert_load,
    &op_case_experts,
    &op_case_experts_checkpoint,
    &op_case_gated_gelu,
    &op_case_gated_gelu_tanh,
    &op_case_gated_silu,
    &op_case_gather_rows,
    &op_case_head_loss,
    &op_case_head_loss_bias,
    &op_case_head_loss_capped,
    &op_case_layer_norm,
    &op_case_layer_norm_groups,
    &op_case_linear,
    &op_case_linear_bf16,
    &op_case_linear_frozen,
    &op_case_lora_add,
    &op_case_mul,
    &op_case_rms_norm,
    &op_case_rms_norm_groups,
    &op_case_rope_half,
    &op_case_rope_pairs,
    &op_case_route,
    &op_case_route_masked,
    &op_case_route_one,
    &op_case_route_two,
    &op_case_scale,
    &op_case_select_rows,
    &op_case_selective_scan,
    &op_case_selective_scan_plain,
    &op_case_softcap,
    &op_case_split,
    &op_case_split_partly,
    &op_case_swiglu,
};

static void *kept(op_rig *rig, size_t bytes)
{
    void *p = malloc(bytes + !bytes);
    CHECK(p && rig->n_memory < 8 * OP_MOST);
    memset(p, 0xff, bytes);
    return rig->memory[rig->n_memory++] = p;
}

fj_graph *op_graph(op_rig *rig)
{
    return rig->g[rig->side];
}

static int64_t rows_of(const op_rig *rig, const fj_value *v)
{
    return fj_rows(&rig->run, v);
}

/* ---- two operations of the rig's own ------------------------------------------------------------------------------------ */

static fj_status like_input(fj_node *node, fj_err *err)
{
    (void)err;
    for (int k = 0; k < node->n_out; k++) {
        node->out[k]->extent = node->in[0]->extent;
        node->out[k]->shape = node->in[0]->shape;
    }
    return FJ_OK;
}

static int64_t row_parts(const fj_run *run, const fj_node *node, int phase)
{
    (void)phase;
    const fj_node *f = node->rule < 0 ? node : node->fwd;
    return fj_blocks(fj_rows(run, f->in[0]), LOSS_ROWS);
}

static void scaled(const fj_run *run, const fj_value *v, int64_t part, const float *from, float *to, bool add)
{
    int64_t n = fj_cols(v), end = FJ_MIN((part + 1) * LOSS_ROWS, fj_rows(run, v)) * n;
    for (int64_t i = part * LOSS_ROWS * n; i < end; i++)
        to[i] = (add ? to[i] : 0) + 0.5f * from[i];
}

static void halve(const fj_run *run, const fj_node *node, int phase, int64_t part, int worker)
{
    (void)phase, (void)worker;
    scaled(run, node->in[0], part, node->in[0]->data, node->out[0]->data, false);
}

static void d_halve(const fj_run *run, const fj_node *node, int phase, int64_t part, int worker)
{
    (void)phase, (void)worker;
    scaled(run, node->fwd->in[0], part, node->dout[0]->data, node->din[0]->data, fj_adds(run, node, 0));
}

/* out = in / 2 */
static const fj_op op_halve = { .name = "halve",
                                .infer = like_input,
                                .forward = { .parts = row_parts, .part = halve },
                                .backward = { { .gives = 1, .work = { .parts = row_parts, .part = d_halve } } } };

/* Sums in[0] * in[1] in double, and copies in[0] to where the rig sees it. */
static void weigh(const fj_run *run, const fj_node *node, int phase, int64_t part, int worker)
{
    (void)phase, (void)part, (void)worker;
    op_result *s = (op_result *)(uintptr_t)node->extra;
    const float *y = node->in[0]->data, *weights = node->in[1]->data;
    int64_t n = fj_rows(run, node->in[0]) * fj_cols(node->in[0]);
    s->sum = 0;
    for (int64_t i = 0; i < n; i++)
        s->sum += (double)y[i] * weights[i];
    memcpy(s->copy, y, (size_t)n * sizeof(float));
}

static void d_weigh(const fj_run *run, const fj_node *node, int phase, int64_t part, int worker)
{
    (void)phase, (void)worker;
    const fj_value *y = node->fwd->in[0];
    const float *weights = node->fwd->in[1]->data;
    int64_t n = fj_cols(y), end = FJ_MIN((part + 1) * LOSS_ROWS, fj_rows(run, y)) * n;
    float *dy = node->din[0]->data;
    for (int64_t i = part * LOSS_ROWS * n; i < end; i++)
        dy[i] = (fj_adds(run, node, 0) ? dy[i] : 0) + weights[i];
}

static const fj_op op_weigh = {
    .name = "weigh",
    .infer = like_input,
    .forward = { .part = weigh },
    .backward = { { .gives = 1, .reads_in = 2, .work = { .parts = row_parts, .part = d_weigh } } },
    .is_loss = true,
};

/* ---- recording ------------------------------------------------------------------------------------------------------------ */

static op_input *bound(op_rig *rig, op_input *list, int *n, fj_value *v, const void *from, uint64_t seed)
{
    op_input *in = &list[*n];
    CHECK(*n < OP_MOST);
    ++*n;
    in->value[rig->side] = v;
    if (rig->side == 1) {
        v->data = in->data;
        return in;
    }
    in->capacity = fj_shape_count(&v->shape);
    int64_t row = v->shape.rank > 1 ? in->capacity / v->shape.dim[0] : 1;
    in->row_bytes = (size_t)row * 4;
    in->used = v->extent == FJ_FIXED ? in->capacity : rows_of(rig, v) * row;
    CHECK(in->used <= in->capacity);
    v->data = in->data = kept(rig, (size_t)in->capacity * 4);
    if (from)
        memcpy(in->data, from, (size_t)in->used * 4);
    else
        test_fill((float *)(void *)in->data, in->used, seed, 1);
    return in;
}

fj_value *op_ints(op_rig *rig, fj_extent extent, fj_shape shape, const int32_t *data)
{
    fj_value *v = fj_graph_external(op_graph(rig), "ints", &fj_i32, extent, shape);
    (void)bound(rig, rig->fixed, &rig->n_fixed, v, data, 0);
    return v;
}

fj_value *op_floats(op_rig *rig, fj_extent extent, fj_shape shape, uint64_t seed)
{
    fj_value *v = fj_graph_external(op_graph(rig), "floats", &fj_f32, extent, shape);
    (void)bound(rig, rig->fixed, &rig->n_fixed, v, NULL, seed);
    return v;
}

fj_value *op_learned(op_rig *rig, fj_extent extent, fj_shape shape, unsigned flags)
{
    fj_graph *g = op_graph(rig);
    fj_value *v = fj_graph_parameter(g, "learned", shape);
    v->extent = v->grad->extent = extent;
    op_input *in = bound(rig, rig->learned, &rig->n_learned, v, NULL, 100 + (uint64_t)rig->n_learned);
    if (rig->side == 0) {
        in->grad = kept(rig, (size_t)in->capacity * sizeof(float));
        in->start = kept(rig, (size_t)in->capacity * sizeof(float));
        memcpy(in->start, in->data, (size_t)in->capacity * sizeof(float));
    }
    v->grad->data = in->grad;
    op_path path = rig->path;
    if (flags & OP_ONCE && (path == OP_ACCUMULATED || path == OP_READ_AFTER))
        path = OP_THROUGH;
    if (path <= OP_ACCUMULATED && !(flags & OP_PASSED))
        return v;
    v = fj_graph_add(g, &op_halve, &v, 1, 1, NULL, 0, NULL)->out[0];
    if (path == OP_READ_BEFORE)
        op_seen(rig, v);
    if (path == OP_READ_AFTER)
        rig->read_after[rig->n_read_after++] = v;
    return v;
}

fj_value *op_weight(op_rig *rig, const fj_dtype *dtype, int64_t rows, int64_t cols, uint64_t seed, bool is_packed)
{
    fj_weight *w = kept(rig, sizeof *w);
    size_t bytes;
    CHECK(fj_dtype_bytes(dtype, rows * cols, &bytes));
    float *numbers = malloc((size_t)(rows * cols) * sizeof *numbers);
    CHECK(numbers);
    test_fill(numbers, rows * cols, seed, 1);
    unsigned char *data = kept(rig, bytes);
    for (int64_t r = 0; r < rows; r++)
        blocks_of_test(fj_quant_of(dtype), numbers + r * cols, data + (size_t)r * (bytes / (size_t)rows), cols);
    free(numbers);
    *w = (fj_weight){ .name = "weight", .layer = -1, .dtype = dtype, .shape = fj_shape_2(rows, cols), .data = data };
    if (is_packed) {
        const fj_pack *pack = fj_pack_of(dtype);
        size_t tile = pack->tile_bytes(cols), row = bytes / (size_t)rows;
        unsigned char *packed = rig->memory[rig->n_memory++] = aligned_alloc(64, tile * (size_t)fj_blocks(rows, 16));
        CHECK(packed && rig->n_memory < 8 * OP_MOST);
        for (int64_t r = 0; r < rows; r += 16)
            pack->pack(data + (size_t)r * row, row, (int)FJ_MIN(16, rows - r), cols, packed + (size_t)(r / 16) * tile);
        w->pack = pack;
        w->packed = packed;
        w->data = NULL;
    }
    return fj_graph_weight(op_graph(rig), w);
}

void op_seen(op_rig *rig, fj_value *out)
{
    CHECK(rig->n_seen < OP_MOST);
    op_result *s = &rig->seen[rig->n_seen];
    fj_value *weights = op_floats(rig, out->extent, out->shape, 500 + (uint64_t)rig->n_seen++);
    s->out = out;
    s->cols = fj_cols(out);
    if (rig->side == 0)
        s->copy = kept(rig, (size_t)fj_shape_count(&out->shape) * sizeof(float));
    fj_value *in[] = { out, weights };
    (void)fj_graph_add(op_graph(rig), &op_weigh, in, 2, 0, NULL, 0, s);
}

void op_loss_seen(op_rig *rig, fj_value *out, fj_value *weights)
{
    op_result *s = &rig->seen[rig->n_seen++];
    if (rig->side == 0)
        s->copy = kept(rig, (size_t)fj_shape_count(&out->shape) * sizeof(float));
    out->data = s->copy;
    s->cols = 1;
    s->out = out;
    s->row_weights = weights;
}

static void record(op_rig *rig, int side)
{
    rig->side = side;
    rig->n_learned = rig->n_fixed = rig->n_seen = rig->n_read_after = 0;
    rig->g[side] = fj_graph_new(&rig->err);
    CHECK(rig->g[side]);
    rig->c->record(rig);
    for (int i = 0; i < rig->n_read_after; i++)
        op_seen(rig, rig->read_after[i]);
    if (side == 1)
        fj_graph_differentiate(rig->g[1], rig->c->checkpoints);
    rig->run.fast = rig->c->fast;
    rig->run.bf16 = side == 1 && rig->c->bf16; /* differences are taken of what f32 computes */
    fj_err err = { 0 };
    CHECK_OK(fj_graph_plan(rig->g[side], &rig->run, &err));
}

void op_rig_open(op_rig *rig, const op_case *c, op_path path)
{
    memset(rig, 0, sizeof *rig);
    rig->c = c;
    rig->path = path;
    fj_err err = { 0 };
    fj_kernels_init(&rig->ref, 0);
    CHECK_OK(fj_pool_open(1, &rig->pool, &err));
    rig->run = (fj_run){ .k = &rig->ref,
                         .pool = rig->pool,
                         .n_rows = c->rows,
                         .n_out_rows = c->out_rows,
                         .n_tiles = c->tiles,
                         .seed = 11,
                         .step = 3,
                         .norm = rig->norm,
                         .add_to_grads = path == OP_ACCUMULATED };
    record(rig, 0);
    record(rig, 1);
}

void op_rig_close(op_rig *rig)
{
    fj_graph_free(rig->g[0]);
    fj_graph_free(rig->g[1]);
    fj_pool_close(rig->pool);
    for (int i = 0; i < rig->n_memory; i++)
        free(rig->memory[i]);
}

/* ---- running ---------------------------------------------------------------------------------------------------------------- */

void op_run_graph(fj_graph *g, fj_run *run)
{
    fj_err err = { 0 };
    size_t scratch = (size_t)fj_pool_threads(run->pool) * g->scratch_bytes;
    unsigned char *arena = aligned_alloc(64, g->arena_bytes + TEST_GUARD);
    CHECK(arena);
    run->scratch = aligned_alloc(64, scratch + TEST_GUARD);
    CHECK(run->scratch);
    run->scratch_bytes = g->scratch_bytes;
    memset(arena, 0xff, g->arena_bytes);
    memset(run->scratch, 0xff, scratch);
    test_guard_put(arena + g->arena_bytes);
    test_guard_put(run->scratch + scratch);
    fj_graph_bind(g, arena);
    CHECK_OK(fj_graph_run(g, run, 0, g->n_nodes, &err));
    CHECK(test_guard_ok(arena + g->arena_bytes));
    CHECK(test_guard_ok(run->scratch + scratch));
    free(arena);
    free(run->scratch);
    run->scratch = NULL;
}

double op_forward(op_rig *rig)
{
    rig->run.bf16 = false;
    op_run_graph(rig->g[0], &rig->run);
    double sum = 0;
    for (int i = 0; i < rig->n_seen; i++) {
        const op_result *s = &rig->seen[i];
        const float *weights = s->row_weights ? s->row_weights->data : NULL;
        sum += weights ? 0 : s->sum;
        for (int64_t r = 0; weights && r < rows_of(rig, s->out); r++)
            sum += (double)s->copy[r] * weights[r];
    }
    return sum;
}

/* What stands in a parameter's gradient before a run. */
static float before(int64_t i)
{
    return (float)(i % 17) - 8;
}

void op_backward(op_rig *rig)
{
    for (int i = 0; i < rig->n_learned; i++) {
        op_input *in = &rig->learned[i];
        memset(in->grad, 0xff, (size_t)in->capacity * sizeof(float));
        for (int64_t k = 0; rig->run.add_to_grads && k < in->used; k++)
            in->grad[k] = before(k);
    }
    rig->run.bf16 = rig->c->bf16;
    op_run_graph(rig->g[1], &rig->run);
    for (int i = 0; i < rig->n_learned; i++) {
        const op_input *in = &rig->learned[i];
        for (int64_t k = in->used; k < in->capacity; k++)
            CHECK(isnan(in->grad[k])); /* no row behind the run's last is written */
    }
}

/* ---- differences --------------------------------------------------------------------------------------------------------- */

/* Probe 0 to SINGLE-1 is a value alone (the first, the last, some between), the others are signs for all values together. */
static double component(const op_input *in, int probe, int64_t i)
{
    if (probe < SINGLE) {
        int64_t at = probe == 1 ? in->used - 1 : probe * 7919 % in->used;
        return i == at;
    }
    return fj_rng(5, FJ_STREAM_TEST, (uint32_t)probe, 0, (uint64_t)i) & 1 ? 1 : -1;
}

static double moved(op_rig *rig, op_input *in, int probe, double h)
{
    float *x = (float *)(void *)in->data;
    for (int64_t i = 0; i < in->used; i++)
        x[i] = (float)(in->start[i] + h * component(in, probe, i));
    double loss = op_forward(rig);
    memcpy(in->data, in->start, (size_t)in->capacity * sizeof(float));
    return loss;
}

static double difference(op_rig *rig, op_input *in, int probe)
{
    double h = rig->c->h > 0 ? rig->c->h : 1.0 / 64;
    double one = moved(rig, in, probe, h) - moved(rig, in, probe, -h);
    double two = moved(rig, in, probe, 2 * h) - moved(rig, in, probe, -2 * h);
    return (8 * one - two) / (12 * h);
}

/* What the rounding of results to f32 may do to a difference. */
static double noise(const op_rig *rig)
{
    double squares = 0;
    for (int i = 0; i < rig->n_seen; i++) {
        const op_result *s = &rig->seen[i];
        for (int64_t k = 0; k < rows_of(rig, s->out) * s->cols; k++)
            squares += (double)s->copy[k] * s->copy[k];
    }
    return 2 * test_epsilon * sqrt(squares) / (rig->c->h > 0 ? rig->c->h : 1.0 / 64);
}

static void compare(const op_rig *rig, int which, const double *wanted, double allowed)
{
    const op_input *in = &rig->learned[which];
    double square = 0, tolerance = rig->c->tolerance > 0 ? rig->c->tolerance : 1e-4;
    for (int64_t i = 0; i < in->used; i++) {
        double g = (double)in->grad[i] - (rig->run.add_to_grads ? before(i) : 0);
        square += g * g;
    }
    CHECK(isfinite(square));
    for (int probe = 0; probe < PROBES; probe++) {
        double got = 0, size = probe < SINGLE ? sqrt(square / (double)in->used) : sqrt(square);
        for (int64_t i = 0; i < in->used; i++)
            got += component(in, probe, i) * ((double)in->grad[i] - (rig->run.add_to_grads ? before(i) : 0));
        double off = fabs(got - wanted[probe]);
        if (off <= tolerance * (size + fabs(got)) + allowed)
            continue;
        print_error("%s, path %d, input %d, probe %d, %s, %d threads: gradient %.7g, difference %.7g, off by %.2g, "
                    "size %.3g, noise %.2g\n",
                    rig->c->name, (int)rig->path, which, probe, rig->run.k->name, fj_pool_threads(rig->run.pool), got,
                    wanted[probe], off, size, allowed);
        fail();
    }
}

static void check_tables(op_rig *rig, const fj_kernels *tables, int n_tables, fj_pool *const *pools)
{
    double wanted[OP_MOST][PROBES];
    rig->run.k = &tables[0];
    rig->run.pool = pools[0];
    for (int i = 0; i < rig->n_learned; i++)
        for (int probe = 0; probe < PROBES; probe++)
            wanted[i][probe] = difference(rig, &rig->learned[i], probe);
    double allowed = noise(rig);
    float *first[OP_MOST];
    for (int i = 0; i < rig->n_learned; i++)
        first[i] = kept(rig, (size_t)rig->learned[i].used * sizeof(float));
    for (int t = 0; t < n_tables; t++)
        for (int p = 0; p < 3; p++) {
            rig->run.k = &tables[t];
            rig->run.pool = pools[p];
            op_backward(rig);
            for (int i = 0; i < rig->n_learned; i++) {
                const op_input *in = &rig->learned[i];
                if (p == 0) {
                    memcpy(first[i], in->grad, (size_t)in->used * sizeof(float));
                    compare(rig, i, wanted[i], allowed);
                } else if (!test_same_bits(first[i], in->grad, in->used)) {
                    fail_msg("%s, path %d, input %d, %s: %d threads give other bits than one", rig->c->name,
                             (int)rig->path, i, rig->run.k->name, p + 1);
                }
            }
        }
}

void op_pools_open(fj_pool *pools[3])
{
    fj_err err = { 0 };
    for (int i = 0; i < 3; i++)
        CHECK_OK(fj_pool_open(i + 1, &pools[i], &err));
}

void op_pools_close(fj_pool *pools[3])
{
    for (int i = 0; i < 3; i++)
        fj_pool_close(pools[i]);
}

void op_check_gradient(const op_case *c)
{
    op_rig rig;
    fj_kernels tables[TEST_TABLES];
    int n_tables = test_tables(tables);
    fj_pool *pools[3];
    op_pools_open(pools);
    for (op_path path = OP_DIRECT; path < (c->is_model ? OP_THROUGH : OP_PATHS); path++) {
        op_rig_open(&rig, c, path);
        check_tables(&rig, tables, n_tables, pools);
        op_rig_close(&rig);
    }
    op_pools_close(pools);
}

/* ---- rows ------------------------------------------------------------------------------------------------------------------ */

static void forward_of_rows(op_rig *rig, int64_t first, int64_t rows)
{
    op_input *lists[] = { rig->learned, rig->fixed };
    int counts[] = { rig->n_learned, rig->n_fixed };
    for (int l = 0; l < 2; l++)
        for (int i = 0; i < counts[l]; i++) {
            op_input *in = &lists[l][i];
            if (in->value[0]->extent == FJ_ROWS)
                in->value[0]->data = in->data + (size_t)first * in->row_bytes;
        }
    rig->run.n_rows = rows;
    (void)op_forward(rig);
}

void op_check_rows(const op_case *c)
{
    op_rig rig;
    fj_kernels tables[TEST_TABLES];
    int n_tables = test_tables(tables);
    fj_pool *pools[3];
    float *whole[OP_MOST];
    CHECK(c->is_rowwise && c->rows > 20);
    op_pools_open(pools);
    op_rig_open(&rig, c, OP_DIRECT);
    rig.run.pool = pools[1];
    for (int t = 0; t < n_tables; t++) {
        rig.run.k = &tables[t];
        forward_of_rows(&rig, 0, c->rows);
        for (int i = 0; i < rig.n_seen; i++) {
            size_t bytes = (size_t)(c->rows * rig.seen[i].cols) * sizeof(float);
            whole[i] = malloc(bytes);
            CHECK(whole[i]);
            memcpy(whole[i], rig.seen[i].copy, bytes);
        }
        const int64_t pieces[][2] = { { 0, 1 }, { 3, 1 }, { c->rows - 1, 1 }, { 0, 8 }, { 5, 9 }, { 2, c->rows - 2 } };
        for (size_t p = 0; p < FJ_LEN(pieces); p++) {
            forward_of_rows(&rig, pieces[p][0], pieces[p][1]);
            for (int i = 0; i < rig.n_seen; i++) {
                int64_t n = rig.seen[i].cols;
                if (!test_same_bits(rig.seen[i].copy, whole[i] + pieces[p][0] * n, pieces[p][1] * n))
                    fail_msg("%s, %s: rows from %d on have other bits when they are %d", c->name, tables[t].name,
                             (int)pieces[p][0], (int)pieces[p][1]);
            }
        }
        for (int i = 0; i < rig.n_seen; i++)
            free(whole[i]);
    }
    op_rig_close(&rig);
    op_pools_close(pools);
}

int64_t op_tiles(const int32_t *lengths, int n, fj_tile *tiles)
{
    int64_t count = 0;
    int32_t first = 0;
    for (int s = 0; s < n; s++) {
        for (int32_t at = 0; at < lengths[s]; at += FJ_TILE_ROWS)
            tiles[count++] = (fj_tile){ .row0 = first + at,
                                        .n_rows = FJ_MIN(FJ_TILE_ROWS, lengths[s] - at),
                                        .pos0 = at,
                                        .seq = first,
                                        .seg_rows = lengths[s] };
        first += lengths[s];
    }
    return count;
}

/* ---- all operations -------------------------------------------------------------------------------------------------------- */

TEST(every_operation_with_a_gradient_has_a_case)
{
    for (int i = 0; fj_ops[i]; i++) {
        bool has_case = !fj_ops[i]->backward[0].gives;
        for (size_t k = 0; k < FJ_LEN(cases); k++)
            has_case |= cases[k]->op == fj_ops[i];
        if (!has_case)
            fail_msg("operation '%s' has gradients and no case", fj_ops[i]->name);
    }
}

TEST(operations_stand_in_alphabetical_order)
{
    for (int i = 1; fj_ops[i]; i++)
        CHECK(strcmp(fj_ops[i - 1]->name, fj_ops[i]->name) < 0);
}

TEST(every_gradient_equals_central_differences_on_every_path_table_and_number_of_threads)
{
    for (size_t i = 0; i < FJ_LEN(cases); i++)
        op_check_gradient(cases[i]);
}

TEST(rows_of_results_have_the_same_bits_alone_and_among_others)
{
    int checked = 0;
    for (size_t i = 0; i < FJ_LEN(cases); i++)
        if (cases[i]->is_rowwise) {
            op_check_rows(cases[i]);
            checked++;
        }
    CHECK(checked >= 6);
}
