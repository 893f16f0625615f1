/* SPDX-License-Identifier: Apache-2.0 */
#include "ops/op_test.h"
#include "quant/blocks_of_test.h"

/* 300 rows of a table, some taken often, some never. */
static fj_value *ids(op_rig *rig)
{
    int32_t list[71];
    for (int i = 0; i < 71; i++)
        list[i] = i % 5 == 0 ? 299 : i * i % 300;
    return op_ints(rig, FJ_ROWS, fj_shape_1(80), list);
}

static void record(op_rig *rig)
{
    fj_value *table = op_learned(rig, FJ_FIXED, fj_shape_2(300, 70), 0);
    op_seen(rig, fj_embed(op_graph(rig), ids(rig), table));
}

const op_case op_case_embed = { .name = "embed", .op = &fj_op_embed, .record = record, .rows = 71, .is_rowwise = true };

typedef struct table {
    const fj_dtype *dtype;
    bool is_packed;
} table;

static void record_typed(op_rig *rig)
{
    const table *t = rig->c->data;
    op_seen(rig, fj_embed(op_graph(rig), ids(rig), op_weight(rig, t->dtype, 300, 256, 9, t->is_packed)));
}

TEST(embed_gives_exact_rows_of_a_table_of_any_type_and_residence)
{
    fj_kernels tables[TEST_TABLES];
    int n = test_tables(tables);
    fj_pool *pool;
    fj_err err = { 0 };
    CHECK_OK(fj_pool_open(2, &pool, &err));
    for (int i = 0; fj_quants[i]; i++) {
        table t = { fj_quants[i]->dtype, false };
        for (int is_packed = 0; is_packed <= (fj_pack_of(t.dtype) != NULL); is_packed++) {
            t.is_packed = is_packed;
            op_case c = { .name = t.dtype->name, .record = record_typed, .data = &t, .rows = 71 };
            op_rig rig;
            float numbers[256], row[256];
            unsigned char bytes[1024];
            op_rig_open(&rig, &c, OP_DIRECT);
            rig.run.k = &tables[n - 1];
            rig.run.pool = pool;
            (void)op_forward(&rig);
            for (int r = 0; r < 71; r += 7) {
                int64_t id = ((const int32_t *)(const void *)rig.fixed[0].data)[r];
                for (int k = 0; k < 256; k++)
                    numbers[k] = (float)(2 * fj_rng_uniform(9, FJ_STREAM_TEST, 0, 0, (uint64_t)(id * 256 + k)) - 1);
                blocks_of_test(fj_quants[i], numbers, bytes, 256);
                fj_quants[i]->decode(bytes, row, 256);
                CHECK(test_same_bits(rig.seen[0].copy + r * 256, row, 256));
            }
            op_rig_close(&rig);
        }
    }
    fj_pool_close(pool);
}

TEST(embed_refuses_ids_that_are_no_integers)
{
    fj_err err = { 0 };
    fj_graph *g = fj_graph_new(&err);
    fj_value *x = fj_graph_external(g, "ids", &fj_f32, FJ_ROWS, fj_shape_1(4)),
             *t = fj_graph_external(g, "table", &fj_f32, FJ_FIXED, fj_shape_2(9, 8));
    (void)fj_embed(g, x, t);
    CHECK(err.status == FJ_ERR_SHAPE);
    CHECK_TEXT(err.message, "embed: wants i32 ids and a table of two dimensions");
    fj_graph_free(g);
}
