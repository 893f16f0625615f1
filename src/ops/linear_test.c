/* SPDX-License-Identifier: Apache-2.0 */
#include "ops/op_test.h"

#include <stdlib.h>

/* Two matrices, one with a bias; rows, columns and outputs beyond one block of each phase. */
static void record(op_rig *rig)
{
    fj_value *x = op_learned(rig, FJ_ROWS, fj_shape_2(262, 68), 0), *out[2];
    fj_value *w[] = { op_learned(rig, FJ_FIXED, fj_shape_2(66, 68), 0),
                      op_learned(rig, FJ_FIXED, fj_shape_2(3, 68), 0) };
    fj_value *b[] = { op_learned(rig, FJ_FIXED, fj_shape_1(66), 0), NULL };
    fj_linear(op_graph(rig), x, w, b, 2, out);
    op_seen(rig, out[0]);
    op_seen(rig, out[1]);
}

/* Large matrices, in whose products training in bf16 rounds; nobody looks at what the first gives. */
static void record_bf16(op_rig *rig)
{
    fj_value *x = op_learned(rig, FJ_ROWS, fj_shape_2(75, 68), 0), *out[2];
    fj_value *w[] = { op_weight(rig, &fj_bf16, 80, 68, 4, false), op_learned(rig, FJ_FIXED, fj_shape_2(70, 68), 0) };
    fj_linear(op_graph(rig), x, w, NULL, 2, out);
    op_seen(rig, out[1]);
}

/* Frozen matrices of three types, of which the second's result nobody looks at. */
static void record_frozen(op_rig *rig)
{
    fj_value *x = op_learned(rig, FJ_ROWS, fj_shape_2(80, 96), 0), *out[3];
    fj_value *w[] = { op_weight(rig, &fj_q4_1, 70, 96, 1, false), op_weight(rig, &fj_bf16, 20, 96, 2, false),
                      op_weight(rig, &fj_q8_0, 33, 96, 3, true) };
    fj_linear(op_graph(rig), x, w, NULL, 3, out);
    op_seen(rig, out[0]);
    op_seen(rig, out[2]);
}

const op_case op_case_linear = {
    .name = "linear", .op = &fj_op_linear, .record = record, .rows = 261, .is_rowwise = true
};
const op_case op_case_linear_bf16 = {
    .name = "linear, bf16", .op = &fj_op_linear, .record = record_bf16, .rows = 71, .bf16 = true, .tolerance = 1e-2
};
const op_case op_case_linear_frozen = {
    .name = "linear, frozen", .op = &fj_op_linear, .record = record_frozen, .rows = 71, .is_rowwise = true
};

/* ---- types and residences --------------------------------------------------------------------------------------------- */

enum { WIDE = 512, OUTPUTS = 70, ROWS = 90 };

typedef struct matrix {
    const fj_dtype *dtype;
    bool is_packed, is_widened;
} matrix;

static void record_matrix(op_rig *rig)
{
    const matrix *m = rig->c->data;
    fj_value *x = op_learned(rig, FJ_ROWS, fj_shape_2(rig->c->rows, WIDE), 0), *out,
             *w = op_weight(rig, m->dtype, OUTPUTS, WIDE, 3, m->is_packed);
    if (m->is_widened) { /* its numbers in f32, as an ordinary input */
        float *wide = malloc(OUTPUTS * WIDE * sizeof *wide);
        CHECK(wide);
        fj_quant_of(m->dtype)->decode(w->weight->data, wide, OUTPUTS * WIDE);
        w = op_floats(rig, FJ_FIXED, fj_shape_2(OUTPUTS, WIDE), 0);
        memcpy(w->data, wide, OUTPUTS * WIDE * sizeof *wide);
        free(wide);
    }
    fj_linear(op_graph(rig), x, &w, NULL, 1, &out);
    op_seen(rig, out);
}

static op_case case_of(const matrix *m, bool fast)
{
    return (op_case){
        .name = m->dtype->name, .record = record_matrix, .data = m, .rows = ROWS, .is_rowwise = true, .fast = fast
    };
}

static void check_same(const matrix *a, const matrix *b, bool fast, const fj_kernels *k)
{
    op_case of_a = case_of(a, fast), of_b = case_of(b, fast);
    op_rig one, other;
    op_rig_open(&one, &of_a, OP_DIRECT);
    op_rig_open(&other, &of_b, OP_DIRECT);
    one.run.k = other.run.k = k;
    (void)op_forward(&one);
    (void)op_forward(&other);
    CHECK(test_same_bits(one.seen[0].copy, other.seen[0].copy, ROWS * OUTPUTS));
    op_backward(&one);
    op_backward(&other);
    CHECK(test_same_bits(one.learned[0].grad, other.learned[0].grad, ROWS * WIDE));
    op_rig_close(&one);
    op_rig_close(&other);
}

TEST(linear_over_a_matrix_of_any_type_and_residence_has_the_bits_of_the_widened_one)
{
    fj_kernels tables[TEST_TABLES];
    int n = test_tables(tables);
    for (int t = 0; t < n; t += FJ_MAX(1, n - 1)) /* the first and the last */
        for (int i = 0; fj_quants[i]; i++) {
            matrix stored = { .dtype = fj_quants[i]->dtype }, packed = stored, wide = stored;
            wide.is_widened = true;
            check_same(&stored, &wide, false, &tables[t]);
            packed.is_packed = true;
            if (fj_pack_of(stored.dtype))
                check_same(&packed, &wide, false, &tables[t]);
        }
}

TEST(linear_with_int8_has_the_same_bits_mapped_and_packed)
{
    fj_kernels tables[TEST_TABLES];
    int n = test_tables(tables);
    for (int i = 0; fj_quants[i]; i++) {
        matrix stored = { .dtype = fj_quants[i]->dtype }, packed = stored;
        packed.is_packed = true;
        if (fj_pack_of(stored.dtype))
            check_same(&stored, &packed, true, &tables[n - 1]);
    }
}

TEST(linear_with_int8_is_near_the_product_in_f32)
{
    fj_kernels tables[TEST_TABLES];
    int n = test_tables(tables);
    for (int i = 0; fj_quants[i]; i++) {
        matrix m = { .dtype = fj_quants[i]->dtype, .is_packed = fj_pack_of(fj_quants[i]->dtype) != NULL };
        op_case exact = case_of(&m, false), fast = case_of(&m, true);
        op_rig one, other;
        op_rig_open(&one, &exact, OP_DIRECT);
        op_rig_open(&other, &fast, OP_DIRECT);
        one.run.k = other.run.k = &tables[n - 1];
        (void)op_forward(&one);
        (void)op_forward(&other);
        /* products of 512 pairs from [-1,1): size 7.5; a rounding of 1/254 or 2^-9 of x each adds up to about 0.03 */
        for (int64_t k = 0; k < ROWS * OUTPUTS; k++)
            CHECK(fabsf(one.seen[0].copy[k] - other.seen[0].copy[k]) < 0.25f);
        op_rig_close(&one);
        op_rig_close(&other);
    }
}

TEST(linear_gives_a_row_the_same_bits_alone_and_in_a_batch_for_each_type_and_arithmetic)
{
    for (int i = 0; fj_quants[i]; i++)
        for (int is_packed = 0; is_packed <= (fj_pack_of(fj_quants[i]->dtype) != NULL); is_packed++)
            for (int fast = 0; fast < 2; fast++) {
                matrix m = { .dtype = fj_quants[i]->dtype, .is_packed = is_packed };
                op_case c = case_of(&m, fast);
                op_check_rows(&c);
            }
}

TEST(linear_gives_a_row_the_same_bits_in_a_batch_of_more_rows_than_a_tile)
{
    static const fj_dtype *const types[] = { &fj_f32, &fj_bf16, &fj_q4_1, &fj_q6_k };
    fj_kernels tables[TEST_TABLES];
    int n = test_tables(tables);
    for (size_t i = 0; i < FJ_LEN(types); i++) {
        matrix m = { .dtype = types[i], .is_packed = false };
        op_case few = case_of(&m, true), many = few;
        op_rig one, all;
        many.rows = 261;
        op_rig_open(&one, &few, OP_DIRECT);
        op_rig_open(&all, &many, OP_DIRECT);
        one.run.k = all.run.k = &tables[n - 1];
        memcpy(one.learned[0].data, all.learned[0].data + (261 - ROWS) * all.learned[0].row_bytes,
               ROWS * all.learned[0].row_bytes);
        (void)op_forward(&one);
        (void)op_forward(&all);
        CHECK(test_same_bits(all.seen[0].copy + (261 - ROWS) * OUTPUTS, one.seen[0].copy, ROWS * OUTPUTS));
        op_rig_close(&one);
        op_rig_close(&all);
    }
}

TEST(linear_refuses_widths_that_differ)
{
    fj_err err = { 0 };
    fj_graph *g = fj_graph_new(&err);
    fj_value *x = fj_graph_external(g, "x", &fj_f32, FJ_ROWS, fj_shape_2(4, 8)), *out,
             *w = fj_graph_external(g, "q.weight", &fj_f32, FJ_FIXED, fj_shape_2(5, 9)),
             *good = fj_graph_external(g, "q.weight", &fj_f32, FJ_FIXED, fj_shape_2(5, 8)),
             *b = fj_graph_external(g, "q.bias", &fj_f32, FJ_FIXED, fj_shape_1(8));
    fj_linear(g, x, &w, NULL, 1, &out);
    CHECK(err.status == FJ_ERR_SHAPE);
    CHECK_TEXT(err.message, "linear: 'q.weight' takes 9 values, rows have 8");
    err = (fj_err){ 0 };
    fj_linear(g, x, &good, &b, 1, &out);
    CHECK_TEXT(err.message, "linear: bias 'q.bias' has 8 values, its matrix 5 rows");
    fj_graph_free(g);
}
