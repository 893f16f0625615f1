/* SPDX-License-Identifier: Apache-2.0 */
#include "base/cgroup_internal.h"

#include <stdio.h>
#include <stdlib.h>

#include "base/map.h"
#include "tests/test.h"

/* A file under a tree of its own for each test. */
static void put(const char *tree, const char *path, const char *text)
{
    fj_err err = { 0 };
    char name[256], folder[512];
    (void)snprintf(name, sizeof name, "%s/%s", tree, path);
    (void)snprintf(folder, sizeof folder, "%s", test_temporary(name));
    *strrchr(folder, '/') = '\0';
    CHECK_OK(fj_make_dirs(folder, &err));
    CHECK_OK(fj_file_write(test_temporary(name), text, strlen(text), &err));
}

/* tree/self and tree/sys; the caller's buffers hold the paths. */
static fj_cgroup_place place(const char *tree, char self[512], char mount[512])
{
    char name[256];
    (void)snprintf(name, sizeof name, "%s/self", tree);
    (void)snprintf(self, 512, "%s", test_temporary(name));
    (void)snprintf(name, sizeof name, "%s/sys", tree);
    (void)snprintf(mount, 512, "%s", test_temporary(name));
    return (fj_cgroup_place){ self, mount };
}

TEST(cgroup_2_takes_the_tightest_limit_up_the_tree)
{
    char self[512], mount[512];
    uint64_t limit, left;
    put("v2", "self", "0::/user.slice/job\n");
    put("v2", "sys/user.slice/job/cpu.max", "max 100000\n");
    put("v2", "sys/user.slice/job/memory.max", "8000000\n");
    put("v2", "sys/user.slice/job/memory.current", "6000000\n");
    put("v2", "sys/user.slice/job/memory.stat", "anon 1\nactive_file 1000000\ninactive_file 2000000\n");
    put("v2", "sys/user.slice/cpu.max", "150000 100000\n");
    put("v2", "sys/user.slice/memory.max", "max\n");
    fj_cgroup_place p = place("v2", self, mount);
    CHECK(fj_cgroup_cpus(p) == 2); /* one and a half */
    fj_cgroup_memory(p, &limit, &left);
    CHECK(limit == 8000000 && left == 5000000);
}

TEST(cgroup_1_reads_the_controllers_folders)
{
    char self[512], mount[512];
    uint64_t limit, left;
    put("v1", "self", "5:memory:/docker/x\n4:cpu,cpuacct:/docker/x\n1:name=systemd:/\n");
    put("v1", "sys/cpu,cpuacct/docker/x/cpu.cfs_quota_us", "300000\n");
    put("v1", "sys/cpu,cpuacct/docker/x/cpu.cfs_period_us", "100000\n");
    put("v1", "sys/cpu,cpuacct/cpu.cfs_quota_us", "-1\n");
    put("v1", "sys/cpu,cpuacct/cpu.cfs_period_us", "100000\n");
    put("v1", "sys/memory/docker/x/memory.limit_in_bytes", "9223372036854771712\n");
    put("v1", "sys/memory/memory.limit_in_bytes", "5000\n");
    put("v1", "sys/memory/memory.usage_in_bytes", "6000\n");
    fj_cgroup_place p = place("v1", self, mount);
    CHECK(fj_cgroup_cpus(p) == 3);
    fj_cgroup_memory(p, &limit, &left);
    CHECK(limit == 5000 && left == 0);
}

TEST(cgroup_in_a_container_stands_at_the_mount_itself)
{
    char self[512], mount[512];
    put("box", "self", "0::/system.slice/host-only\n");
    put("box", "sys/cpu.max", "50000 100000\n");
    CHECK(fj_cgroup_cpus(place("box", self, mount)) == 1);
}

TEST(cgroup_without_files_or_with_nonsense_sets_no_limit)
{
    char self[512], mount[512];
    uint64_t limit, left;
    put("odd", "self", "what\n::\n0::/../..\n");
    put("odd", "sys/cpu.max", "lots of it\n");
    put("odd", "sys/memory.max", "\n");
    fj_cgroup_place p = place("odd", self, mount);
    CHECK(fj_cgroup_cpus(p) == 0);
    fj_cgroup_memory(p, &limit, &left);
    CHECK(limit == UINT64_MAX && left == UINT64_MAX);
    CHECK(fj_cgroup_cpus((fj_cgroup_place){ "/nowhere/a", "/nowhere/b" }) == 0);
}
