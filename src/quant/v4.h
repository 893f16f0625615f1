/* SPDX-License-Identifier: Apache-2.0
 * Four floats at a time, in the vector extension that gcc and clang share: 16 bytes is native on x86-64 and on arm64, and
 * the order of sums is the same everywhere. */
#ifndef FJ_QUANT_V4_H
#define FJ_QUANT_V4_H

#include <stdint.h>
#include <string.h>

typedef float v4f __attribute__((vector_size(16)));
typedef int32_t v4i __attribute__((vector_size(16)));

static inline v4f load(const float *p)
{
    v4f v;
    memcpy(&v, p, sizeof v);
    return v;
}

static inline v4f all(float x)
{
    return (v4f){ x, x, x, x };
}

static inline v4f pick(v4i mask, v4f yes, v4f no)
{
    return (v4f)((mask & (v4i)yes) | (~mask & (v4i)no));
}

static inline float total(v4f v)
{
    return (v[0] + v[2]) + (v[1] + v[3]);
}

#endif
