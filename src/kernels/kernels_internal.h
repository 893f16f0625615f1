/* SPDX-License-Identifier: Apache-2.0
 * The parts of the table: each file of ref/, x86/ and arm/ fills the rows it has, worst level first (kernels.c). */
#ifndef FJ_KERNELS_KERNELS_INTERNAL_H
#define FJ_KERNELS_KERNELS_INTERNAL_H

#include "kernels/kernels.h"

/* Rows of gemm_q and decode_row: fj_pack_index and fj_decode_index of each type. Those without a packing are last. */
enum {
    FJ_ROW_Q8_0,
    FJ_ROW_Q4_0,
    FJ_ROW_Q4_1,
    FJ_ROW_Q5_0,
    FJ_ROW_Q5_1,
    FJ_ROW_Q4_K,
    FJ_ROW_Q5_K,
    FJ_ROW_Q6_K,
    FJ_ROW_Q3_K,
    FJ_ROW_Q2_K,
    FJ_ROW_IQ4_NL,
    FJ_ROW_IQ4_XS,
    FJ_ROW_MXFP4,
    FJ_ROW_TQ2_0,
    FJ_ROW_TQ1_0,
    FJ_ROW_INT8,
    FJ_ROW_U8_128,
    FJ_ROW_U8_32,
    FJ_ROW_U4_128,
    FJ_ROW_U4_32,
    FJ_ROW_U3_32,
    FJ_ROW_U2_32,
    FJ_ROW_IQ3_S,
    FJ_ROW_IQ3_XXS,
    FJ_ROW_IQ2_S,
    FJ_ROW_IQ2_XS,
    FJ_ROW_IQ2_XXS,
    FJ_ROW_IQ1_M,
    FJ_ROW_IQ1_S,
    FJ_ROW_NF4 = FJ_PACK_TYPES,
    FJ_ROW_FP4
};

/* ref: the oracle; fills every row. */
void fj_kernels_init_gemm_ref(fj_kernels *k);
void fj_kernels_init_keys_ref(fj_kernels *k);
void fj_kernels_init_rows_ref(fj_kernels *k);
void fj_kernels_init_convert_ref(fj_kernels *k);
void fj_kernels_init_optimizer_ref(fj_kernels *k);
void fj_kernels_init_quant_ref(fj_kernels *k);
void fj_kernels_init_decode_ref(fj_kernels *k);

/* x86, each compiled for its own level and called only where cpu has it. */
void fj_kernels_init_gemm_dot_avx2(fj_kernels *k);
void fj_kernels_init_gemm_rows_avx2(fj_kernels *k);
void fj_kernels_init_rows_avx2(fj_kernels *k);
void fj_kernels_init_convert_avx2(fj_kernels *k);
void fj_kernels_init_optimizer_avx2(fj_kernels *k);
void fj_kernels_init_quant_avx2(fj_kernels *k);
void fj_kernels_init_quant_dot_avx2(fj_kernels *k);
void fj_kernels_init_decode_avx2(fj_kernels *k);

void fj_kernels_init_gemm_dot_avx512(fj_kernels *k);
void fj_kernels_init_gemm_rows_avx512(fj_kernels *k);
void fj_kernels_init_rows_avx512(fj_kernels *k);
void fj_kernels_init_convert_avx512(fj_kernels *k);
void fj_kernels_init_optimizer_avx512(fj_kernels *k);
void fj_kernels_init_quant_avx512(fj_kernels *k);
void fj_kernels_init_decode_avx512(fj_kernels *k);

/* The rows that FJ_CPU_VNNI makes faster (VPDPBUSD). */
void fj_kernels_init_quant_vnni_avx512(fj_kernels *k);

/* The rows that FJ_CPU_BF16 makes faster (VDPBF16PS). */
void fj_kernels_init_gemm_dot_bf16_avx512(fj_kernels *k);
void fj_kernels_init_gemm_rows_bf16_avx512(fj_kernels *k);
void fj_kernels_init_keys_bf16_avx512(fj_kernels *k);

/* arm64 */
void fj_kernels_init_gemm_dot_neon(fj_kernels *k);
void fj_kernels_init_gemm_rows_neon(fj_kernels *k);
void fj_kernels_init_rows_neon(fj_kernels *k);
void fj_kernels_init_convert_neon(fj_kernels *k);
void fj_kernels_init_optimizer_neon(fj_kernels *k);
void fj_kernels_init_quant_neon(fj_kernels *k);
void fj_kernels_init_quant_dot_neon(fj_kernels *k);
void fj_kernels_init_decode_neon(fj_kernels *k);

/* The rows that FJ_CPU_DOT (SDOT), FJ_CPU_I8MM (SMMLA) and FJ_CPU_BF16 (BFDOT) make faster there. */
void fj_kernels_init_quant_dotprod_neon(fj_kernels *k);
void fj_kernels_init_quant_i8mm_neon(fj_kernels *k);
void fj_kernels_init_gemm_dot_bf16_neon(fj_kernels *k);
void fj_kernels_init_gemm_rows_bf16_neon(fj_kernels *k);
void fj_kernels_init_keys_bf16_neon(fj_kernels *k);

#endif
