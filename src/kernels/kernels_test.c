/* SPDX-License-Identifier: Apache-2.0
 * The table: complete at every level. */
#include "kernels/test_rows.h"

TEST(every_level_fills_every_row_of_the_float_table)
{
    fj_kernels tables[TEST_TABLES];
    int n_tables = test_tables(tables);
    for (int t = 0; t < n_tables; t++) {
        const fj_kernels *k = &tables[t];
        CHECK(k->gemm_f32 && k->gemm_f32_f16 && k->gemm_f32_bf16 && k->gemm_bf16);
        CHECK(k->gemm_rows_f32 && k->pack_pairs_bf16 && k->gemm_pairs_bf16);
        CHECK(k->f16_to_f32_row && k->bf16_to_f32_row && k->f32_to_f16_row && k->f32_to_bf16_row);
        CHECK(k->rms_norm_row && k->rms_norm_grad_row && k->add_row && k->axpy_row && k->scale_row && k->mul_row);
        CHECK(k->silu_mul_row && k->silu_mul_grad_row && k->rope_head && k->max_row && k->exp_row && k->dot_row);
        CHECK(k->pack_keys_f16 && k->pack_keys_f32 && k->pack_values_f16 && k->pack_values_f32 && k->exp_row_bf16);
        CHECK(k->sum_squares_row && k->adamw_row);
    }
}

TEST(the_table_is_named_after_its_best_level)
{
    fj_kernels tables[TEST_TABLES];
    int n_tables = test_tables(tables);
    for (int t = 0; t < n_tables; t++) {
        unsigned cpu = tables[t].cpu;
        const char *want = cpu & FJ_CPU_NEON     ? "neon"
                           : cpu & FJ_CPU_AVX512 ? "avx512"
                           : cpu & FJ_CPU_AVX2   ? "avx2"
                                                 : "ref";
        CHECK(strcmp(tables[t].name, want) == 0);
    }
}

TEST(each_level_replaces_the_products_of_the_one_below)
{
    fj_kernels tables[TEST_TABLES];
    int n_tables = test_tables(tables);
    for (int t = 1; t < n_tables; t++) {
        bool same_level = !strcmp(tables[t].name, tables[t - 1].name);
        CHECK((tables[t].gemm_f32 == tables[t - 1].gemm_f32) == same_level);
        CHECK((tables[t].gemm_rows_f32 == tables[t - 1].gemm_rows_f32) == same_level);
    }
}
