/* SPDX-License-Identifier: Apache-2.0
 * What this processor can do, for choosing kernels at start. */
#ifndef FJ_BASE_CPU_H
#define FJ_BASE_CPU_H

#include <stdbool.h>

/* Rising levels; each needs the ones before it on its architecture. */
enum {
    FJ_CPU_AVX2   = 1u << 0, /* AVX2 + FMA + F16C */
    FJ_CPU_AVX512 = 1u << 1, /* AVX-512 F BW DQ VL, VBMI not needed */
    FJ_CPU_VNNI   = 1u << 2, /* AVX-512 VNNI */
    FJ_CPU_BF16   = 1u << 3, /* AVX-512 BF16, or arm64's BF16 */
    FJ_CPU_NEON   = 1u << 4, /* arm64 baseline */
    FJ_CPU_DOT    = 1u << 5, /* arm64 SDOT */
    FJ_CPU_I8MM   = 1u << 6, /* arm64 SMMLA */
};

unsigned fj_cpu_features(void); /* by CPUID and XGETBV or the kernel's HWCAP, not by the compiler's builtin */

/* "ref", "avx2", "avx512" (with VNNI and BF16 where there), "avx512-base" (without), "neon" (with SDOT, SMMLA and BF16 where there),
 * "neon-base" (without): the mask to keep. False for an unknown name.
 * Names for help: "ref, avx2, avx512-base, avx512, neon-base, neon, auto". */
bool fj_cpu_mask(const char *isa, unsigned *mask);

/* The part of a mask that a processor may lack and still be what the name says: VNNI, BF16, SDOT, SMMLA. */
enum { FJ_CPU_EXTRAS = FJ_CPU_VNNI | FJ_CPU_BF16 | FJ_CPU_DOT | FJ_CPU_I8MM };

/* "avx2 avx512 vnni bf16" into out (at least 64 bytes), or "ref only". */
char *fj_cpu_names(unsigned features, char out[64]);

#endif
