/* SPDX-License-Identifier: Apache-2.0
 * Sixteen numbers side by side: plain loops over lanes that compilers turn into vectors. The order of sums is the same everywhere,
 * whatever a processor's vectors hold, and so is every bit. */
#ifndef FJ_QUANT_LANES_H
#define FJ_QUANT_LANES_H

#include <stdalign.h>
#include <string.h>

enum { FJ_LANES = 16 };

typedef struct fj_lanes {
    alignas(64) float v[FJ_LANES];
} fj_lanes;

/* A function compiled for three levels of x86 in one file, because what differs is the compiler's choice of instructions and nothing
 * else. (gcc's vector extension would be cut to the first level before the copies are made.) */
#if defined(__x86_64__) && defined(__GNUC__) && !defined(__clang__) && !defined(__SANITIZE_THREAD__) && \
    !defined(__SANITIZE_ADDRESS__)
#define FJ_LEVELS __attribute__((target_clones("avx512f", "avx2", "default")))
#else
#define FJ_LEVELS /* the same bits, slower */
#endif
#define FJ_INLINE static inline __attribute__((always_inline))

FJ_INLINE fj_lanes fj_lanes_all(float x)
{
    fj_lanes out;
    for (int j = 0; j < FJ_LANES; j++)
        out.v[j] = x;
    return out;
}

FJ_INLINE float fj_lanes_total(const fj_lanes *t)
{
    float x[8], y[4];
    for (int i = 0; i < 8; i++)
        x[i] = t->v[i] + t->v[i + 8];
    for (int i = 0; i < 4; i++)
        y[i] = x[i] + x[i + 4];
    return (y[0] + y[2]) + (y[1] + y[3]);
}

FJ_INLINE float fj_lanes_max(const fj_lanes *t)
{
    float x[8], y[4];
    for (int i = 0; i < 8; i++)
        x[i] = t->v[i] > t->v[i + 8] ? t->v[i] : t->v[i + 8];
    for (int i = 0; i < 4; i++)
        y[i] = x[i] > x[i + 4] ? x[i] : x[i + 4];
    float a = y[0] > y[2] ? y[0] : y[2], b = y[1] > y[3] ? y[1] : y[3];
    return a > b ? a : b;
}

/* t cut to low…high (low for NaN), then to the nearest integer, ties to even: 3 * 2^22 has no fraction bits. */
FJ_INLINE float fj_lane_nearest(float t, float low, float high)
{
    t = t > low ? t : low;
    t = t < high ? t : high;
    return (t + 12582912.0f) - 12582912.0f;
}

/* Of each lane 1 / d, or 0 where that is not finite. */
FJ_INLINE fj_lanes fj_lanes_inverse(const fj_lanes *d)
{
    fj_lanes out;
    for (int j = 0; j < FJ_LANES; j++) {
        float inverse = 1.0f / d->v[j];
        out.v[j] = inverse - inverse == 0 ? inverse : 0.0f;
    }
    return out;
}

/* Where error is below *least, it and the candidate become the best. */
FJ_INLINE void fj_lanes_keep(const fj_lanes *error, fj_lanes *least, const fj_lanes *candidate, fj_lanes *best)
{
    for (int j = 0; j < FJ_LANES; j++)
        best->v[j] = error->v[j] < least->v[j] ? candidate->v[j] : best->v[j];
    for (int j = 0; j < FJ_LANES; j++)
        least->v[j] = error->v[j] < least->v[j] ? error->v[j] : least->v[j];
}

/* The sum of each block's lanes, which lie side by side, n_runs a block. */
FJ_INLINE void fj_lanes_sums(const fj_lanes *of, int n_blocks, int n_runs, float *sums)
{
    for (int block = 0; block < n_blocks; block++) {
        sums[block] = 0;
        for (int run = 0; run < n_runs; run++)
            sums[block] += of->v[block * n_runs + run];
    }
}

#endif
