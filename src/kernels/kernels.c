/* SPDX-License-Identifier: Apache-2.0
 * The choice of kernels: one table, filled worst to best; a level replaces only the rows it has. */
#include <string.h>

#include "base/cpu.h"
#include "kernels/kernels_internal.h"

static void init_ref(fj_kernels *k)
{
    k->name = "ref";
    fj_kernels_init_gemm_ref(k);
    fj_kernels_init_keys_ref(k);
    fj_kernels_init_rows_ref(k);
    fj_kernels_init_convert_ref(k);
    fj_kernels_init_optimizer_ref(k);
    fj_kernels_init_quant_ref(k);
    fj_kernels_init_decode_ref(k);
}

#if defined(__x86_64__)
static void init_avx2(fj_kernels *k)
{
    k->name = "avx2";
    fj_kernels_init_gemm_dot_avx2(k);
    fj_kernels_init_gemm_rows_avx2(k);
    fj_kernels_init_rows_avx2(k);
    fj_kernels_init_convert_avx2(k);
    fj_kernels_init_optimizer_avx2(k);
    fj_kernels_init_quant_avx2(k);
    fj_kernels_init_quant_dot_avx2(k);
    fj_kernels_init_decode_avx2(k);
}

static void init_avx512(fj_kernels *k)
{
    k->name = "avx512";
    fj_kernels_init_gemm_dot_avx512(k);
    fj_kernels_init_gemm_rows_avx512(k);
    fj_kernels_init_rows_avx512(k);
    fj_kernels_init_convert_avx512(k);
    fj_kernels_init_optimizer_avx512(k);
    fj_kernels_init_quant_avx512(k);
    fj_kernels_init_decode_avx512(k);
    if (k->cpu & FJ_CPU_VNNI)
        fj_kernels_init_quant_vnni_avx512(k);
    if (k->cpu & FJ_CPU_BF16) {
        fj_kernels_init_gemm_dot_bf16_avx512(k);
        fj_kernels_init_gemm_rows_bf16_avx512(k);
        fj_kernels_init_keys_bf16_avx512(k);
    }
}
#elif defined(__aarch64__)
static void init_neon(fj_kernels *k)
{
    k->name = "neon";
    fj_kernels_init_gemm_dot_neon(k);
    fj_kernels_init_gemm_rows_neon(k);
    fj_kernels_init_rows_neon(k);
    fj_kernels_init_convert_neon(k);
    fj_kernels_init_optimizer_neon(k);
    fj_kernels_init_quant_neon(k);
    fj_kernels_init_quant_dot_neon(k);
    fj_kernels_init_decode_neon(k);
    if (k->cpu & FJ_CPU_DOT)
        fj_kernels_init_quant_dotprod_neon(k);
    if (k->cpu & FJ_CPU_I8MM)
        fj_kernels_init_quant_i8mm_neon(k);
    if (k->cpu & FJ_CPU_BF16) {
        fj_kernels_init_gemm_dot_bf16_neon(k);
        fj_kernels_init_gemm_rows_bf16_neon(k);
        fj_kernels_init_keys_bf16_neon(k);
    }
}
#endif

void fj_kernels_init(fj_kernels *k, unsigned cpu)
{
    memset(k, 0, sizeof *k);
    k->cpu = cpu;
    init_ref(k);
#if defined(__x86_64__)
    if (cpu & FJ_CPU_AVX2)
        init_avx2(k);
    if (cpu & FJ_CPU_AVX512)
        init_avx512(k);
#elif defined(__aarch64__)
    if (cpu & FJ_CPU_NEON)
        init_neon(k);
#endif
}
