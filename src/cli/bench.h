/* SPDX-License-Identifier: Apache-2.0
 * What forja bench's files share. */
#ifndef FJ_CLI_BENCH_H
#define FJ_CLI_BENCH_H

#include "cli/commands.h"

typedef struct fj_bench_settings {
    fj_common common;
    const char *model, *adapter, *max_memory;
    int64_t n_prompt, n_predict, repeat;
    bool no_repack, no_limits, load;
    fj_expert_settings experts;
    fj_cache_settings cache;
} fj_bench_settings;

/* --load: from nothing to the first token, as forja run goes; prints the milliseconds of each part. */
fj_status fj_bench_load(const fj_call *call, fj_err *err);

#endif
