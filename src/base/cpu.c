/* SPDX-License-Identifier: Apache-2.0
 * CPUID and XGETBV: an instruction set counts when the processor has it and the system saves its registers. On arm64 the kernel
 * says so in HWCAP. */
#include "base/cpu.h"

#include <stdio.h>
#include <string.h>

#include "base/err.h"

#if defined(__x86_64__)
#include <cpuid.h>

static unsigned long long saved_state(void)
{
    unsigned low, high;
    __asm__ volatile("xgetbv" : "=a"(low), "=d"(high) : "c"(0));
    return (unsigned long long)high << 32 | low;
}

unsigned fj_cpu_features(void)
{
    unsigned a, b, c, d, a1, b1, c1, d1, f = 0;
    if (!__get_cpuid(1, &a, &b, &c, &d) || !(c & (1u << 27)))
        return 0;
    unsigned long long state = saved_state();
    bool has_fma = c & (1u << 12), has_f16c = c & (1u << 29), saves_ymm = (state & 6) == 6,
         saves_zmm = (state & 0xe6) == 0xe6;
    if (!__get_cpuid_count(7, 0, &a, &b, &c, &d))
        return 0;
    if ((b & (1u << 5)) && has_fma && has_f16c && saves_ymm)
        f |= FJ_CPU_AVX2;
    unsigned base = 1u << 16 | 1u << 17 | 1u << 30 | 1u << 31; /* F DQ BW VL */
    if (!(f & FJ_CPU_AVX2) || (b & base) != base || !saves_zmm)
        return f;
    f |= FJ_CPU_AVX512;
    if (c & (1u << 11))
        f |= FJ_CPU_VNNI;
    if (__get_cpuid_count(7, 1, &a1, &b1, &c1, &d1) && (a1 & (1u << 5)))
        f |= FJ_CPU_BF16;
    return f;
}
#elif defined(__aarch64__)
#include <sys/auxv.h>

enum {
    HAS_SDOT = 1 << 20,
    HAS_I8MM = 1 << 13,
    HAS_BF16 = 1 << 14
}; /* asm/hwcap.h: ASIMDDP; I8MM, BF16 of the second word */

unsigned fj_cpu_features(void)
{
    unsigned long first = getauxval(AT_HWCAP), second = getauxval(AT_HWCAP2);
    unsigned f = FJ_CPU_NEON;
    if (first & HAS_SDOT)
        f |= FJ_CPU_DOT;
    if ((first & HAS_SDOT) && (second & HAS_I8MM))
        f |= FJ_CPU_I8MM;
    if (second & HAS_BF16)
        f |= FJ_CPU_BF16;
    return f;
}
#else
unsigned fj_cpu_features(void)
{
    return 0;
}
#endif

bool fj_cpu_mask(const char *isa, unsigned *mask)
{
    static const struct {
        const char *name;
        unsigned mask;
    } known[] = {
        { "auto", ~0u },
        { "ref", 0 },
        { "avx2", FJ_CPU_AVX2 },
        { "avx512-base", FJ_CPU_AVX2 | FJ_CPU_AVX512 },
        { "avx512", FJ_CPU_AVX2 | FJ_CPU_AVX512 | FJ_CPU_VNNI | FJ_CPU_BF16 },
        { "neon-base", FJ_CPU_NEON },
        { "neon", FJ_CPU_NEON | FJ_CPU_DOT | FJ_CPU_I8MM | FJ_CPU_BF16 },
    };
    for (size_t i = 0; i < FJ_LEN(known); i++)
        if (!strcmp(isa, known[i].name)) {
            *mask = known[i].mask;
            return true;
        }
    return false;
}

char *fj_cpu_names(unsigned features, char out[64])
{
    static const char *const names[] = { "avx2", "avx512", "vnni", "bf16", "neon", "dotprod", "i8mm" };
    size_t at = 0;
    out[0] = '\0';
    for (size_t i = 0; i < FJ_LEN(names); i++)
        if (features & (1u << i))
            at += (size_t)snprintf(out + at, 64 - at, "%s%s", at ? " " : "", names[i]);
    if (!at)
        (void)snprintf(out, 64, "ref only");
    return out;
}
