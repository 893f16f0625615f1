/* SPDX-License-Identifier: Apache-2.0
 * Randomness as a pure function: there is no generator state to save, share or advance.
 * Source: Salmon, Moraes, Dror, Shaw 2011, "Parallel random numbers: as easy as 1, 2, 3" (Philox 4x32-10). */
#ifndef FJ_BASE_RNG_H
#define FJ_BASE_RNG_H

#include <stdint.h>

/* What a stream of numbers is for; part of the key, so that uses never share numbers. */
enum fj_stream {
    FJ_STREAM_SAMPLE = 1,
    FJ_STREAM_LORA_INIT,
    FJ_STREAM_DROPOUT,
    FJ_STREAM_SHUFFLE,
    FJ_STREAM_NEFTUNE,
    FJ_STREAM_SPLIT,
    FJ_STREAM_TEST,
    FJ_STREAM_INIT,
};

/* 64 random bits for (seed, stream, step, row, index). */
uint64_t fj_rng(uint64_t seed, uint32_t stream, uint32_t step, uint32_t row, uint64_t index);

/* Uniform in [0,1) with 53 and 24 bits; standard normal (Box-Muller over two of them). Same keys. */
double fj_rng_uniform(uint64_t seed, uint32_t stream, uint32_t step, uint32_t row, uint64_t index);
double fj_rng_normal(uint64_t seed, uint32_t stream, uint32_t step, uint32_t row, uint64_t index);

/* order[0…n-1] becomes a permutation of 0…n-1 (Fisher-Yates on a keyed stream; unbiased). */
void fj_rng_permutation(uint64_t seed, uint32_t stream, uint32_t step, int64_t *order, int64_t n);

#endif
