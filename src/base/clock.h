/* SPDX-License-Identifier: Apache-2.0
 * Time and this process's memory. */
#ifndef FJ_BASE_CLOCK_H
#define FJ_BASE_CLOCK_H

#include <stdint.h>

double   fj_seconds(void);             /* monotonic */
uint64_t fj_peak_resident_bytes(void); /* VmHWM; 0 where the system does not say */
uint64_t fj_resident_bytes(void);      /* VmRSS */
uint64_t fj_memory_available(void);    /* MemAvailable and the cgroup limit, the smaller */
uint64_t fj_memory_total(void);

#endif
