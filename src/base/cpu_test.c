/* SPDX-License-Identifier: Apache-2.0 */
#include "base/cpu.h"

#include <stdio.h>
#include <stdlib.h>

#include "base/map.h"
#include "tests/test.h"

/* Whether the kernel lists all of the words among this machine's flags. */
static bool kernel_lists(const char *flags, const char *const *words)
{
    for (; *words; words++) {
        char word[32];
        (void)snprintf(word, sizeof word, " %s ", *words);
        if (!strstr(flags, word))
            return false;
    }
    return true;
}

TEST(cpu_features_are_those_that_the_kernel_lists)
{
    static const char *const avx2[] = { "avx2", "fma", "f16c", NULL };
    static const char *const avx512[] = { "avx512f", "avx512bw", "avx512dq", "avx512vl", NULL };
    static const char *const vnni[] = { "avx512_vnni", NULL }, *const bf16[] = { "avx512_bf16", NULL };
    static const char *const sdot[] = { "asimddp", NULL }, *const smmla[] = { "asimddp", "i8mm", NULL };
    static const char *const bfdot[] = { "bf16", NULL };
    fj_err err = { 0 };
    fj_str s = { 0 };
    unsigned f = fj_cpu_features();
    CHECK_OK(fj_file_read("/proc/cpuinfo", 1 << 24, &s, &err));
    bool is_arm = f & FJ_CPU_NEON;
    char *flags = strstr(s.data, is_arm ? "\nFeatures" : "\nflags"), *end = flags ? strchr(flags + 1, '\n') : NULL;
    fj_str line = { 0 };
    if (end) {
        *end = '\0';
        fj_str_printf(&line, "%s ", flags);
    }
    if (end && is_arm) {
        CHECK(!(f & FJ_CPU_DOT) == !kernel_lists(line.data, sdot));
        CHECK(!(f & FJ_CPU_I8MM) == !kernel_lists(line.data, smmla));
        CHECK(!(f & FJ_CPU_BF16) == !kernel_lists(line.data, bfdot));
    } else if (end) { /* x86-64 */
        CHECK(!(f & FJ_CPU_AVX2) == !kernel_lists(line.data, avx2));
        CHECK(!(f & FJ_CPU_AVX512) == !kernel_lists(line.data, avx512));
        CHECK(!(f & FJ_CPU_VNNI) == !(kernel_lists(line.data, avx512) && kernel_lists(line.data, vnni)));
        CHECK(!(f & FJ_CPU_BF16) == !(kernel_lists(line.data, avx512) && kernel_lists(line.data, bf16)));
    }
    fj_str_free(&line);
    fj_str_free(&s);
}

TEST(cpu_masks_have_the_names_of_the_isa_option)
{
    unsigned mask = 0;
    CHECK(fj_cpu_mask("ref", &mask) && mask == 0);
    CHECK(fj_cpu_mask("avx2", &mask) && mask == FJ_CPU_AVX2);
    CHECK(fj_cpu_mask("avx512-base", &mask) && mask == (FJ_CPU_AVX2 | FJ_CPU_AVX512));
    CHECK(fj_cpu_mask("avx512", &mask) && (mask & FJ_CPU_VNNI) && (mask & FJ_CPU_BF16));
    CHECK(fj_cpu_mask("neon-base", &mask) && mask == FJ_CPU_NEON);
    CHECK(fj_cpu_mask("neon", &mask) && mask == (FJ_CPU_NEON | FJ_CPU_DOT | FJ_CPU_I8MM | FJ_CPU_BF16));
    CHECK(fj_cpu_mask("auto", &mask) && (fj_cpu_features() & mask) == fj_cpu_features());
    CHECK(!fj_cpu_mask("sse", &mask) && !fj_cpu_mask("", &mask));
}

TEST(cpu_names_are_written_in_order)
{
    char out[64];
    CHECK_TEXT(fj_cpu_names(0, out), "ref only");
    CHECK_TEXT(fj_cpu_names(FJ_CPU_AVX2 | FJ_CPU_AVX512 | FJ_CPU_BF16, out), "avx2 avx512 bf16");
    CHECK_TEXT(fj_cpu_names(FJ_CPU_NEON | FJ_CPU_DOT | FJ_CPU_I8MM, out), "neon dotprod i8mm");
    CHECK(strlen(fj_cpu_names(~0u, out)) < sizeof out);
}
