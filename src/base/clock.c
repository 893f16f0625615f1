/* SPDX-License-Identifier: Apache-2.0
 * Time, and what /proc says of memory. */
#include "base/clock.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "base/cgroup_internal.h"
#include "base/err.h"

double fj_seconds(void)
{
    struct timespec t;
    (void)clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

/* The number behind `key` in a file of "Key:  N kB" lines, in bytes; 0 when it is not there. */
static uint64_t kilobytes(const char *path, const char *key)
{
    char line[256];
    uint64_t value = 0;
    FILE *f = fopen(path, "r");
    while (f && fgets(line, sizeof line, f))
        if (!strncmp(line, key, strlen(key)) && sscanf(line + strlen(key), ": %" SCNu64, &value) == 1)
            break;
    if (f)
        (void)fclose(f);
    return value * 1024;
}

uint64_t fj_peak_resident_bytes(void)
{
    return kilobytes("/proc/self/status", "VmHWM");
}

uint64_t fj_resident_bytes(void)
{
    return kilobytes("/proc/self/status", "VmRSS");
}

uint64_t fj_memory_total(void)
{
    uint64_t limit, left;
    fj_cgroup_memory(fj_cgroup_here(), &limit, &left);
    return FJ_MIN(kilobytes("/proc/meminfo", "MemTotal"), limit);
}

uint64_t fj_memory_available(void)
{
    uint64_t limit, left;
    fj_cgroup_memory(fj_cgroup_here(), &limit, &left);
    return FJ_MIN(kilobytes("/proc/meminfo", "MemAvailable"), left);
}
