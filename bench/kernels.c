/* SPDX-License-Identifier: Apache-2.0
 * Speed of the products on one thread, in GFLOP/s: bench_kernels [isa [name]]
 * Each figure is the best of several runs, so that a busy machine disturbs it least. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/cpu.h"
#include "kernels/kernels.h"

/* Room for one product; the numbers in it are small and finite in every format. */
typedef struct bench {
    const fj_kernels *kernels;
    float *y, *x, *w;
    uint16_t *x16, *w16, *pairs;
    int64_t m, n, k;
} bench;

typedef void product_fn(bench *b);

typedef struct product {
    const char *name;
    product_fn *run;
} product;

static void f32(bench *b)
{
    b->kernels->gemm_f32(b->y, b->n, b->x, b->k, b->w, b->k, b->m, b->n, b->k);
}

static void f32_f16(bench *b)
{
    b->kernels->gemm_f32_f16(b->y, b->n, b->x, b->k, b->w16, b->k, b->m, b->n, b->k);
}

static void f32_bf16(bench *b)
{
    b->kernels->gemm_f32_bf16(b->y, b->n, b->x, b->k, b->w16, b->k, b->m, b->n, b->k);
}

static void bf16(bench *b)
{
    b->kernels->gemm_bf16(b->y, b->n, b->x16, b->k, b->w16, b->k, b->m, b->n, b->k);
}

static void rows_f32(bench *b)
{
    b->kernels->gemm_rows_f32(b->y, b->n, b->x, b->k, 1, b->w, b->n, b->m, b->n, b->k, false);
}

static void rows_f32_transposed(bench *b)
{
    b->kernels->gemm_rows_f32(b->y, b->n, b->x, 1, b->m, b->w, b->n, b->m, b->n, b->k, false);
}

static void pairs_bf16(bench *b)
{
    b->kernels->gemm_pairs_bf16(b->y, b->n, b->x16, b->k, b->pairs, b->m, b->n, b->k, false);
}

static const product products[] = {
    { "gemm_f32", f32 },
    { "gemm_f32_f16", f32_f16 },
    { "gemm_f32_bf16", f32_bf16 },
    { "gemm_bf16", bf16 },
    { "gemm_rows_f32", rows_f32 },
    { "gemm_rows_f32 a^T", rows_f32_transposed },
    { "gemm_pairs_bf16", pairs_bf16 },
};

/* Rows, columns, summands: decoding, a prompt and training with SmolLM2-135M's matrices, larger ones, a tile of ops/linear. */
static const int64_t shapes[][3] = {
    { 1, 1536, 576 },   { 1, 4096, 4096 },   { 4, 1536, 576 },    { 8, 576, 512 },
    { 64, 576, 576 },   { 256, 32, 576 },    { 256, 64, 64 },     { 512, 1536, 576 },
    { 512, 576, 1536 }, { 512, 2048, 2048 }, { 256, 4096, 4096 },
};

static double now(void)
{
    struct timespec t;
    timespec_get(&t, TIME_UTC);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

/* GFLOP/s, the best of runs of at least 20 ms within about 0.2 s */
static double measure(const product *p, bench *b)
{
    double flop = 2.0 * (double)b->m * (double)b->n * (double)b->k, best = 0, spent = 0;
    int64_t repeat = 1;
    while (spent < 0.2) {
        double start = now();
        for (int64_t i = 0; i < repeat; i++)
            p->run(b);
        double took = now() - start;
        spent += took;
        best = FJ_MAX(best, flop * (double)repeat / took * 1e-9);
        if (took < 0.02)
            repeat *= 2;
    }
    return best;
}

static bool fill(bench *b, const fj_kernels *kernels)
{
    size_t size = 0;
    for (size_t s = 0; s < FJ_LEN(shapes); s++) {
        const int64_t *d = shapes[s];
        size = FJ_MAX(size, (size_t)FJ_MAX(d[0] * d[1], FJ_MAX(d[0], d[1]) * d[2]));
    }
    b->kernels = kernels;
    b->y = calloc(size, sizeof *b->y);
    b->x = calloc(size, sizeof *b->x);
    b->w = calloc(size, sizeof *b->w);
    b->x16 = calloc(size, sizeof *b->x16);
    b->w16 = calloc(size, sizeof *b->w16);
    b->pairs = calloc(size, sizeof *b->pairs);
    if (!b->y || !b->x || !b->w || !b->x16 || !b->w16 || !b->pairs)
        return false;
    for (size_t i = 0; i < size; i++) {
        b->x[i] = (float)(i % 17) * 0.125f - 1;
        b->w[i] = (float)(i % 19) * 0.125f - 1;
    }
    kernels->f32_to_bf16_row(b->x16, b->x, (int64_t)size);
    kernels->f32_to_bf16_row(b->w16, b->w, (int64_t)size);
    memcpy(b->pairs, b->w16, size * sizeof *b->pairs);
    return true;
}

static void release(bench *b)
{
    free(b->y);
    free(b->x);
    free(b->w);
    free(b->x16);
    free(b->w16);
    free(b->pairs);
}

int main(int argc, char **argv)
{
    const char *isa = argc > 1 ? argv[1] : "auto", *only = argc > 2 ? argv[2] : "";
    unsigned mask = 0;
    if (!fj_cpu_mask(isa, &mask)) {
        fprintf(stderr, "usage: bench_kernels [ref|avx2|avx512-base|avx512|neon-base|neon|auto [name]]\n");
        return 2;
    }
    fj_kernels kernels;
    bench b = { 0 };
    fj_kernels_init(&kernels, fj_cpu_features() & mask);
    bool ready = fill(&b, &kernels);
    if (ready) {
        printf("%-20s", kernels.name);
        for (size_t s = 0; s < FJ_LEN(shapes); s++) {
            char shape[32];
            snprintf(shape, sizeof shape, "%d.%d.%d", (int)shapes[s][0], (int)shapes[s][1], (int)shapes[s][2]);
            printf(" %13s", shape);
        }
        printf("\n");
    }
    for (size_t p = 0; ready && p < FJ_LEN(products); p++) {
        if (strncmp(products[p].name, only, strlen(only)) != 0)
            continue;
        printf("%-20s", products[p].name);
        for (size_t s = 0; s < FJ_LEN(shapes); s++) {
            b.m = shapes[s][0], b.n = shapes[s][1], b.k = shapes[s][2];
            printf(" %13.1f", measure(&products[p], &b));
            fflush(stdout);
        }
        printf("\n");
    }
    release(&b);
    if (!ready)
        fprintf(stderr, "bench_kernels: not enough memory\n");
    return ready ? 0 : 4;
}
