/* SPDX-License-Identifier: Apache-2.0
 * What the control groups of a process (containers, service managers) leave it. */
#ifndef FJ_BASE_CGROUP_INTERNAL_H
#define FJ_BASE_CGROUP_INTERNAL_H

#include <stdint.h>

/* Where to look: self is /proc/self/cgroup, mount is /sys/fs/cgroup; tests have others. */
typedef struct fj_cgroup_place {
    const char *self, *mount;
} fj_cgroup_place;

fj_cgroup_place fj_cgroup_here(void);

/* Processors by the tightest quota of the group and those above it, versions 1 and 2, rounded up; 0 without a quota. */
int fj_cgroup_cpus(fj_cgroup_place place);

/* The tightest memory limit likewise, and what is left of it, in bytes; UINT64_MAX without a limit. */
void fj_cgroup_memory(fj_cgroup_place place, uint64_t *limit, uint64_t *left);

#endif
