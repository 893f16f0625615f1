/* SPDX-License-Identifier: Apache-2.0
 * The choice of kernels: one table, filled worst to best; a level replaces only the rows it has. */
#include <string.h>

#include "base/cpu.h"
#include "kernels/kernels_internal.h"

static void init_ref(fj_kernels *k)
{
    k->name = "ref";
    fj_kernels_init_gemm_ref(k);
    fj_kernels_init_rows_ref(k);
    fj_kernels_init_convert_ref(k);
    fj_kernels_init_optimizer_ref(k);
}

void fj_kernels_init(fj_kernels *k, unsigned cpu)
{
    memset(k, 0, sizeof *k);
    k->cpu = cpu;
    init_ref(k);
}
