/* SPDX-License-Identifier: Apache-2.0
 * Speed of the int8 products and of what surrounds them, on one thread: bench_quant_kernels [isa]
 *   many rows   GOP/s (a multiply and an add are two) of (512,k) x (k,n)
 *   few rows    GB/s of packed weights read, from memory (96 MB of weights) and from the caches
 *   pack        GB/s of file bytes packed; decode  G values/s; at the end, activations quantized in G values/s
 * Each figure is the best of several runs, so that a busy machine disturbs it least. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/cpu.h"
#include "kernels/kernels.h"

enum { M = 512, N_WIDE = 1536, BIG_BYTES = 96 << 20, RUNS = 5 };

static double now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

/* Random blocks whose scales are 2^-6: every other byte is legal. */
static void fill_blocks(const fj_dtype *dtype, uint8_t *bytes, size_t size)
{
    uint32_t state = 1;
    for (size_t i = 0; i < size; i++) {
        state = state * 1664525u + 1013904223u;
        bytes[i] = (uint8_t)(state >> 24);
    }
    const uint8_t half[2] = { 0x00, 0x24 };
    for (size_t at = 0; at + (size_t)dtype->block_bytes <= size; at += (size_t)dtype->block_bytes) {
        memcpy(bytes + at + (dtype == &fj_q6_k ? 208 : 0), half, 2);
        if (dtype == &fj_q4_1 || dtype == &fj_q5_1 || dtype == &fj_q4_k || dtype == &fj_q5_k)
            memcpy(bytes + at + 2, half, 2);
    }
}

typedef struct bench {
    const fj_kernels *kernels;
    const fj_pack *pack;
    int index;
    uint8_t *blocks, *tiles;
    fj_q8_block *x;
    float *y;
} bench;

static double seconds_of_product(const bench *b, int64_t m, int64_t n, int64_t k, int repeats)
{
    double best = 1e9;
    for (int run = 0; run < RUNS; run++) {
        double start = now();
        for (int i = 0; i < repeats; i++)
            b->kernels->gemm_q[b->index](b->y, n, b->x, (size_t)(k / 32) * sizeof(fj_q8_block), b->tiles, m, n, k);
        double took = (now() - start) / repeats;
        best = took < best ? took : best;
    }
    return best;
}

static double many_rows(const bench *b, int64_t m, int64_t n, int64_t k)
{
    return 2e-9 * (double)(m * n * k) / seconds_of_product(b, m, n, k, 1);
}

static double few_rows(const bench *b, int64_t m, int64_t n, int64_t k, int repeats)
{
    return 1e-9 * (double)b->pack->tile_bytes(k) * (double)(n / 16) / seconds_of_product(b, m, n, k, repeats);
}

static double packing(const bench *b, int64_t k, double *decoding)
{
    size_t row_bytes = (size_t)(k / b->pack->dtype->block_len * b->pack->dtype->block_bytes);
    double best = 1e9, best_decode = 1e9;
    for (int run = 0; run < 200; run++) {
        double start = now();
        b->pack->pack(b->blocks, row_bytes, 16, k, b->tiles);
        double middle = now();
        b->kernels->decode_row[b->index](b->blocks, b->y, k);
        double end = now();
        best = middle - start < best ? middle - start : best;
        best_decode = end - middle < best_decode ? end - middle : best_decode;
    }
    *decoding = 1e-9 * (double)k / best_decode;
    return 1e-9 * (double)row_bytes * 16 / best;
}

static void print_type(bench *b, const fj_dtype *dtype)
{
    const int64_t k = 2048, narrow = dtype->block_len == 32 ? 576 : 512;
    double decode, pack;
    b->pack = fj_pack_of(dtype);
    b->index = fj_pack_index(dtype);
    int64_t n_tiles = (int64_t)(BIG_BYTES / b->pack->tile_bytes(k));
    size_t row_bytes = (size_t)(k / dtype->block_len * dtype->block_bytes);
    fill_blocks(dtype, b->blocks, 16 * row_bytes);
    pack = packing(b, k, &decode);
    for (int64_t t = 0; t < n_tiles; t++)
        b->pack->pack(b->blocks, row_bytes, 16, k, b->tiles + (size_t)t * b->pack->tile_bytes(k));
    double big1 = few_rows(b, 1, 16 * n_tiles, k, 1), big4 = few_rows(b, 4, 16 * n_tiles, k, 1);
    /* the rest reads these tiles as if they had other shapes: scales are finite or not, which costs the same */
    double small1 = few_rows(b, 1, 64, narrow, 100), part = many_rows(b, 256, 32, narrow);
    printf("%-5s %8.0f %8.0f %8.0f %8.0f %8.1f %8.1f %8.1f %8.1f %8.2f\n", dtype->name, many_rows(b, M, N_WIDE, narrow),
           many_rows(b, M, 576, 1536), part, many_rows(b, 8, N_WIDE, narrow), big1, big4, small1, pack, decode);
}

int main(int argc, char **argv)
{
    static const fj_dtype *const types[] = { &fj_q8_0, &fj_q4_0, &fj_q4_1, &fj_q5_0,
                                             &fj_q5_1, &fj_q4_k, &fj_q5_k, &fj_q6_k };
    unsigned mask;
    fj_kernels kernels;
    if (!fj_cpu_mask(argc > 1 ? argv[1] : "auto", &mask)) {
        fprintf(stderr, "bench_quant_kernels: no such isa: %s\n", argv[1]);
        return 2;
    }
    fj_kernels_init(&kernels, fj_cpu_features() & mask);
    bench b = { .kernels = &kernels,
                .blocks = malloc(1 << 20),
                .tiles = aligned_alloc(64, BIG_BYTES),
                .x = malloc(M * 64 * sizeof(fj_q8_block)),
                .y = malloc(sizeof(float) << 20) };
    float *values = malloc(M * 2048 * sizeof *values);
    if (!b.blocks || !b.tiles || !b.x || !b.y || !values)
        return 1;
    for (int i = 0; i < M * 2048; i++)
        values[i] = (float)(i * 37 % 255 - 127) / 50;
    double took = 1e9;
    for (int run = 0; run < RUNS; run++) {
        double start = now();
        for (int i = 0; i < M; i++)
            kernels.quantize_row_q8(values + i * 2048, b.x + i * 64, 2048);
        took = now() - start < took ? now() - start : took;
    }
    memset(b.tiles, 0, BIG_BYTES);
    printf("%s\n%-5s %8s %8s %8s %8s %8s %8s %8s %8s %8s\n", kernels.name, "type", "GOP/s", "tall", "n=32", "m=8",
           "GB/s m=1", "m=4", "cached", "pack", "decode");
    for (size_t i = 0; i < sizeof types / sizeof *types; i++)
        print_type(&b, types[i]);
    printf("activations: %.2f G values/s\n", 1e-9 * M * 2048 / took);
    free(values);
    free(b.y);
    free(b.x);
    free(b.tiles);
    free(b.blocks);
    return 0;
}
