/* SPDX-License-Identifier: Apache-2.0
 * The parts of the table: each file of ref/ and x86/ fills the rows it has, worst level first (kernels.c). */
#ifndef FJ_KERNELS_KERNELS_INTERNAL_H
#define FJ_KERNELS_KERNELS_INTERNAL_H

#include "kernels/kernels.h"

/* ref: the oracle; fills every row. */
void fj_kernels_init_gemm_ref(fj_kernels *k);
void fj_kernels_init_rows_ref(fj_kernels *k);
void fj_kernels_init_convert_ref(fj_kernels *k);
void fj_kernels_init_optimizer_ref(fj_kernels *k);
void fj_kernels_init_quant_ref(fj_kernels *k);

/* x86, each compiled for its own level and called only where cpu has it. */
void fj_kernels_init_gemm_dot_avx2(fj_kernels *k);
void fj_kernels_init_gemm_rows_avx2(fj_kernels *k);
void fj_kernels_init_rows_avx2(fj_kernels *k);
void fj_kernels_init_convert_avx2(fj_kernels *k);
void fj_kernels_init_optimizer_avx2(fj_kernels *k);
void fj_kernels_init_quant_avx2(fj_kernels *k);
void fj_kernels_init_quant_dot_avx2(fj_kernels *k);

void fj_kernels_init_gemm_dot_avx512(fj_kernels *k);
void fj_kernels_init_gemm_rows_avx512(fj_kernels *k);
void fj_kernels_init_rows_avx512(fj_kernels *k);
void fj_kernels_init_convert_avx512(fj_kernels *k);
void fj_kernels_init_optimizer_avx512(fj_kernels *k);
void fj_kernels_init_quant_avx512(fj_kernels *k);

/* The rows that FJ_CPU_VNNI makes faster (VPDPBUSD). */
void fj_kernels_init_quant_vnni_avx512(fj_kernels *k);

/* The rows that FJ_CPU_BF16 makes faster (VDPBF16PS). */
void fj_kernels_init_gemm_dot_bf16_avx512(fj_kernels *k);
void fj_kernels_init_gemm_rows_bf16_avx512(fj_kernels *k);

#endif
