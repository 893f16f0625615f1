/* SPDX-License-Identifier: Apache-2.0
 * See cgroup_internal.h. A limit may stand on the group itself or on any above it, so all folders up to the mount are read.
 * Inside a container the path that /proc/self/cgroup names is often the host's and not there; then only the mount's own
 * files say something. Source: the kernel's cgroup-v2.rst and cgroup-v1/{memory,cpusets}.rst. */
#include "base/cgroup_internal.h"

#include <inttypes.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/err.h"
#include "base/map.h"

enum { MAX_PATH = 4096 };

typedef struct limits {
    double cpus;           /* 0: none */
    uint64_t memory, left; /* UINT64_MAX: none */
} limits;

fj_cgroup_place fj_cgroup_here(void)
{
    return (fj_cgroup_place){ "/proc/self/cgroup", "/sys/fs/cgroup" };
}

/* The numbers at the start of dir/name; how many there were. "max" is none. */
static int numbers(const char *dir, const char *name, uint64_t out[2])
{
    char *path = fj_path_join(dir, name);
    FILE *f = path ? fopen(path, "r") : NULL;
    int n = f ? fscanf(f, "%" SCNu64 " %" SCNu64, &out[0], &out[1]) : 0;
    if (f)
        (void)fclose(f);
    free(path);
    return n < 0 ? 0 : n;
}

/* Bytes of a group's memory that hold files and can be had back; version 1 calls the sums with those below total_. */
static uint64_t of_files(const char *dir)
{
    static const char *const keys[] = { "inactive_file ", "active_file ", "total_inactive_file ",
                                        "total_active_file " };
    char *path = fj_path_join(dir, "memory.stat"), line[128];
    FILE *f = path ? fopen(path, "r") : NULL;
    uint64_t value, own = 0, total = 0;
    while (f && fgets(line, sizeof line, f))
        for (size_t i = 0; i < FJ_LEN(keys); i++)
            if (!strncmp(line, keys[i], strlen(keys[i])) && sscanf(line + strlen(keys[i]), "%" SCNu64, &value) == 1)
                *(i < 2 ? &own : &total) += value;
    if (f)
        (void)fclose(f);
    free(path);
    return FJ_MAX(own, total);
}

static void tighten_cpus(limits *l, double cpus)
{
    if (cpus > 0 && (l->cpus == 0 || cpus < l->cpus))
        l->cpus = cpus;
}

static void tighten_memory(limits *l, const char *dir, uint64_t memory, const char *used_name)
{
    uint64_t used[2] = { 0, 0 };
    if (memory >= (uint64_t)1 << 62) /* version 1 writes a huge number for none */
        return;
    (void)numbers(dir, used_name, used);
    uint64_t files = FJ_MIN(of_files(dir), used[0]);
    used[0] -= files;
    l->memory = FJ_MIN(l->memory, memory);
    l->left = FJ_MIN(l->left, memory > used[0] ? memory - used[0] : 0);
}

/* Both versions' files of one folder. */
static void read_folder(const char *dir, limits *l)
{
    uint64_t a[2] = { 0, 0 }, b[2] = { 0, 0 };
    if (numbers(dir, "cpu.max", a) == 2 && a[1])
        tighten_cpus(l, (double)a[0] / (double)a[1]);
    bool has_quota = numbers(dir, "cpu.cfs_quota_us", a) == 1 && numbers(dir, "cpu.cfs_period_us", b) == 1 && b[0];
    if (has_quota && a[0] < INT64_MAX) /* -1, none, reads as a huge number */
        tighten_cpus(l, (double)a[0] / (double)b[0]);
    if (numbers(dir, "memory.max", a) == 1)
        tighten_memory(l, dir, a[0], "memory.current");
    if (numbers(dir, "memory.limit_in_bytes", a) == 1)
        tighten_memory(l, dir, a[0], "memory.usage_in_bytes");
}

/* The folder root + path and all above it, up to and with root. */
static void read_up(const char *root, const char *path, limits *l)
{
    char dir[MAX_PATH];
    size_t least = strlen(root);
    if (snprintf(dir, sizeof dir, "%s%s", root, path) >= (int)sizeof dir)
        return;
    for (;;) {
        read_folder(dir, l);
        char *slash = strrchr(dir, '/');
        if (!slash || (size_t)(slash - dir) < least)
            return;
        *slash = '\0';
    }
}

/* Lines are "0::/path" for version 2 and "4:cpu,cpuacct:/path" for version 1, mounted at mount/cpu,cpuacct. */
static limits read_limits(fj_cgroup_place place)
{
    limits l = { .memory = UINT64_MAX, .left = UINT64_MAX };
    char line[MAX_PATH], root[MAX_PATH];
    static const char *const controllers[] = { "cpu", "memory" };
    read_folder(place.mount, &l);
    for (size_t i = 0; i < FJ_LEN(controllers); i++)
        if (snprintf(root, sizeof root, "%s/%s", place.mount, controllers[i]) < (int)sizeof root)
            read_folder(root, &l);
    FILE *f = fopen(place.self, "r");
    while (f && fgets(line, sizeof line, f)) {
        line[strcspn(line, "\n")] = '\0';
        char *names = strchr(line, ':'), *path = names ? strchr(names + 1, ':') : NULL;
        if (!path)
            continue;
        *path++ = '\0';
        names++;
        if (snprintf(root, sizeof root, "%s%s%s", place.mount, *names ? "/" : "", names) < (int)sizeof root)
            read_up(root, path, &l);
    }
    if (f)
        (void)fclose(f);
    return l;
}

int fj_cgroup_cpus(fj_cgroup_place place)
{
    double cpus = read_limits(place).cpus;
    int whole = cpus < 1e6 ? (int)cpus : 0;
    return whole + (cpus < 1e6 && cpus > whole);
}

void fj_cgroup_memory(fj_cgroup_place place, uint64_t *limit, uint64_t *left)
{
    limits l = read_limits(place);
    *limit = l.memory;
    *left = l.left;
}
