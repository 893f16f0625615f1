/* SPDX-License-Identifier: Apache-2.0
 * Speed of the products of every type of weights, as `run` does them: bench_quant_kernels [-i isa] [TYPE...]
 * Prints a Markdown table, a row a type, for one thread and for two. Matrices have TinyLlama's shapes (LAYER); weights lie as `run`
 * puts them, repacked where the type has a packing.
 *   512 rows   GOP/s (a multiply and an add are two), and the share of what products of this arithmetic reach in the cache
 *   one row    GB/s of the type's own bytes, as in the file, from memory: enough layers for MOST_BYTES; and the share of what reading
 *              alone reaches. Where the packed form is larger than the file's, its bytes are read: "packed" says how many a file's byte
 * Each figure is the best of several rounds in processor seconds over threads, so that other programs disturb it little; its limit, the
 * best of several rounds too, is measured just before. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/buffer.h"
#include "base/cpu.h"
#include "ops/linear_tile.h"

enum { MATRICES = 3, ROWS = 512, LARGEST_K = 5632, MOST_LAYERS = 32, ROUNDS = 5, PACK_ROWS = 16, MOST_THREADS = 2 };
enum {
    CACHED = 64,
    DEPTH = 512,
    REPEATS = 200,
    PIECE = 1 << 18
}; /* of the limits: (64,512) by (64,512); floats of a piece */
static const size_t most_bytes = (size_t)160 << 20;
static const int64_t layer[MATRICES][2] = { { 2048, 2048 }, { 5632, 2048 }, { 2048, 5632 } };

typedef struct bench {
    fj_kernels kernels;
    fj_run run;
    fj_pool *pool;
    float *x, *y, *memory; /* memory: most_bytes to read */
    unsigned char *rounded, *scratch;
    size_t scratch_bytes;
    fj_buffer file, packed; /* one layer as in a file; layers as they are used */
    int layers;
    size_t file_bytes; /* of a layer */
    fj_weight weight[MOST_LAYERS * MATRICES];
    fj_value matrix[MOST_LAYERS * MATRICES];
} bench;

static void die(const char *message)
{
    fprintf(stderr, "bench_quant_kernels: %s\n", message);
    exit(1);
}

/* Bytes that make every half a number, and scales in float that are no subnormal ones: those would be slow. */
static void fill_blocks(const fj_dtype *dtype, unsigned char *bytes, size_t size)
{
    uint32_t state = 1;
    const float scale = 1.0f / 64;
    const bool is_float = dtype == &fj_f32;
    for (size_t i = 0; i < size; i++) {
        state = state * 1664525u + 1013904223u;
        bytes[i] = (unsigned char)(state >> 24 & 0x3b);
    }
    for (size_t at = 0; (is_float || dtype == &fj_bf16) && at < size; at += is_float ? 4 : 2)
        bytes[at + (is_float ? 3 : 1)] = 0x3c;
    for (size_t at = 0; dtype->block_len == 64 && at < size; at += (size_t)dtype->block_bytes)
        memcpy(bytes + at, &scale, sizeof scale);
}

static size_t bytes_of(const fj_dtype *dtype, int64_t rows, int64_t k)
{
    return (size_t)(rows * (k / dtype->block_len)) * (size_t)dtype->block_bytes;
}

/* Bytes of a matrix where `run` has it. */
static size_t resident_bytes(const fj_dtype *dtype, int64_t rows, int64_t k)
{
    const fj_pack *pack = fj_pack_of(dtype);
    return pack ? pack->tile_bytes(k) * (size_t)(rows / PACK_ROWS) : (bytes_of(dtype, rows, k) + 63) / 64 * 64;
}

static void put_matrix(bench *b, const fj_dtype *dtype, int i, const unsigned char *file, unsigned char *to)
{
    int64_t rows = layer[i % MATRICES][0], k = layer[i % MATRICES][1];
    const fj_pack *pack = fj_pack_of(dtype);
    size_t row_bytes = bytes_of(dtype, 1, k);
    for (int64_t r = 0; pack && r < rows; r += PACK_ROWS)
        pack->pack(file + (size_t)r * row_bytes, row_bytes, PACK_ROWS, k,
                   to + (size_t)(r / PACK_ROWS) * pack->tile_bytes(k));
    if (!pack)
        memcpy(to, file, (size_t)rows * row_bytes);
    b->weight[i] = (fj_weight){ .name = "w",
                                .dtype = dtype,
                                .shape = fj_shape_2(rows, k),
                                .data = pack ? NULL : to,
                                .pack = pack,
                                .packed = pack ? to : NULL };
    b->matrix[i] = (fj_value){ .place = FJ_WEIGHT,
                               .shape = fj_shape_2(rows, k),
                               .dtype = dtype,
                               .weight = &b->weight[i],
                               .data = pack ? NULL : to };
}

static void open_type(bench *b, const fj_dtype *dtype)
{
    fj_err err = { 0 };
    size_t resident = 0, at = 0;
    b->file_bytes = 0;
    for (int i = 0; i < MATRICES; i++) {
        b->file_bytes += bytes_of(dtype, layer[i][0], layer[i][1]);
        resident += resident_bytes(dtype, layer[i][0], layer[i][1]);
    }
    b->layers = (int)(most_bytes / b->file_bytes) + 1;
    b->layers = b->layers > MOST_LAYERS ? MOST_LAYERS : b->layers;
    if (fj_buffer_open(&b->file, b->file_bytes, "a layer", &err) ||
        fj_buffer_open(&b->packed, resident * (size_t)b->layers, "layers", &err))
        die(err.message);
    fill_blocks(dtype, b->file.data, b->file.size);
    for (int i = 0; i < b->layers * MATRICES; i++) {
        const unsigned char *file = b->file.data;
        for (int before = 0; before < i % MATRICES; before++)
            file += bytes_of(dtype, layer[before][0], layer[before][1]);
        put_matrix(b, dtype, i, file, b->packed.data + at);
        at += resident_bytes(dtype, layer[i % MATRICES][0], layer[i % MATRICES][1]);
    }
}

static void close_type(bench *b)
{
    fj_buffer_close(&b->file);
    fj_buffer_close(&b->packed);
}

/* ---- a product as op linear cuts it ------------------------------------------------------------------------------------------------ */

typedef struct product {
    bench *b;
    fj_tile_job job;
    const fj_value *matrix;
} product;

static void round_part(void *context, int64_t part, int worker)
{
    const product *p = context;
    (void)worker;
    fj_round_rows(&p->b->run, &p->job, part);
}

static void tile_part(void *context, int64_t part, int worker)
{
    const product *p = context;
    fj_linear_tile(&p->b->run, &p->job, p->matrix, part, p->b->scratch + (size_t)worker * p->b->scratch_bytes);
}

static void multiply(bench *b, const fj_value *matrix, int64_t rows)
{
    product p = { .b = b, .matrix = matrix };
    p.job = (fj_tile_job){ .x = b->x,
                           .k = matrix->shape.dim[1],
                           .rows = rows,
                           .row_capacity = rows,
                           .rounded = b->rounded,
                           .y = b->y,
                           .ldy = matrix->shape.dim[0] };
    p.job.products = 1u << fj_product_of(&b->run, matrix);
    if (fj_rounded_bytes(p.job.products, 1, p.job.k))
        fj_pool_run(b->pool, round_part, &p, (rows + FJ_ROUND_ROWS - 1) / FJ_ROUND_ROWS);
    fj_pool_run(b->pool, tile_part, &p, fj_tile_parts(rows, matrix->shape.dim[0]));
}

static double processor_seconds(void)
{
    struct timespec t;
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

/* Seconds of the first n matrices, one after the other; the best round. */
static double best_round(bench *b, int n, int64_t rows)
{
    double best = 1e30;
    for (int round = 0; round < ROUNDS; round++) {
        double started = processor_seconds(), took;
        for (int i = 0; i < n; i++)
            multiply(b, &b->matrix[i], rows);
        took = processor_seconds() - started;
        best = took < best ? took : best;
    }
    return best / fj_pool_threads(b->pool);
}

/* ---- limits ------------------------------------------------------------------------------------------------------------------------ */

/* A product whose operands stay in the cache, in the arithmetic of the type. Each thread has its own y; the operands are only read. */
static void cached_part(void *context, int64_t part, int worker)
{
    const bench *b = context;
    const fj_kernels *k = &b->kernels;
    float *y = b->y + worker * CACHED * CACHED;
    (void)part;
    for (int i = 0; i < REPEATS; i++)
        switch (fj_product_of(&b->run, b->matrix)) {
        case FJ_PRODUCT_INT8:
            k->gemm_q[fj_pack_index(&fj_q8_0)](y, CACHED, b->rounded, DEPTH / 32 * sizeof(fj_q8_block), b->scratch,
                                               CACHED, CACHED, DEPTH);
            break;
        case FJ_PRODUCT_BF16:
            k->gemm_bf16(y, CACHED, (uint16_t *)(void *)b->rounded, DEPTH, (uint16_t *)(void *)b->scratch, DEPTH,
                         CACHED, CACHED, DEPTH);
            break;
        case FJ_PRODUCT_F32:
            k->gemm_f32(y, CACHED, b->x, DEPTH, b->x + CACHED * DEPTH, DEPTH, CACHED, CACHED, DEPTH);
            break;
        }
}

static void read_part(void *context, int64_t part, int worker)
{
    const bench *b = context;
    b->y[worker] += b->kernels.dot_row(b->memory + part * PIECE, b->memory + part * PIECE + PIECE / 2, PIECE / 2);
}

static double best_of(bench *b, fj_part_fn *fn, int64_t parts)
{
    double best = 1e30;
    for (int round = 0; round < ROUNDS; round++) {
        double started = processor_seconds(), took;
        fj_pool_run(b->pool, fn, b, parts);
        took = processor_seconds() - started;
        best = took < best ? took : best;
    }
    return best / fj_pool_threads(b->pool);
}

static void print_with(bench *b, int threads)
{
    fj_err err = { 0 };
    double ops = 0;
    if (fj_pool_open(threads, &b->pool, &err))
        die(err.message);
    memset(b->rounded, 0, CACHED * DEPTH * sizeof(float));
    memset(b->scratch, 0, CACHED * DEPTH * sizeof(float));
    double peak = 2.0 * CACHED * CACHED * DEPTH * REPEATS * threads / best_of(b, cached_part, threads);
    double reading = (double)most_bytes / best_of(b, read_part, (int64_t)(most_bytes / sizeof(float) / PIECE));
    for (int i = 0; i < MATRICES; i++)
        ops += 2.0 * ROWS * (double)layer[i][0] * (double)layer[i][1];
    double many = ops / best_round(b, MATRICES, ROWS);
    double one = (double)b->file_bytes * b->layers / best_round(b, b->layers * MATRICES, 1);
    printf(" %.0f | %.0f %% | %.1f | %.0f %% |", 1e-9 * many, 100 * many / peak, 1e-9 * one, 100 * one / reading);
    fj_pool_close(b->pool);
}

static void print_type(bench *b, const fj_dtype *dtype)
{
    static const char *const products[] = { "f32", "bf16", "int8" };
    open_type(b, dtype);
    printf("| %s | %s | %.2f |", dtype->name, products[fj_product_of(&b->run, b->matrix)],
           (double)b->packed.size / ((double)b->file_bytes * b->layers));
    for (int threads = 1; threads <= MOST_THREADS; threads++)
        print_with(b, threads);
    printf("\n");
    fflush(stdout);
    close_type(b);
}

static bool is_wanted(const char *name, int n, char **names)
{
    for (int i = 0; i < n; i++)
        if (strcmp(name, names[i]) == 0)
            return true;
    return n == 0;
}

int main(int argc, char **argv)
{
    static bench b;
    unsigned mask;
    int first = argc > 2 && strcmp(argv[1], "-i") == 0 ? 3 : 1;
    if (!fj_cpu_mask(first == 3 ? argv[2] : "auto", &mask))
        die("no such isa");
    fj_kernels_init(&b.kernels, fj_cpu_features() & mask);
    b.run = (fj_run){ .k = &b.kernels, .fast = true };
    b.scratch_bytes = 4 * PACK_ROWS * LARGEST_K * 2 * sizeof(float);
    b.x = aligned_alloc(64, ROWS * LARGEST_K * sizeof *b.x);
    b.y = aligned_alloc(64, ROWS * LARGEST_K * sizeof *b.y);
    b.rounded = aligned_alloc(64, ROWS * LARGEST_K * sizeof(float));
    b.scratch = aligned_alloc(64, MOST_THREADS * b.scratch_bytes);
    b.memory = aligned_alloc(64, most_bytes);
    if (!b.x || !b.y || !b.rounded || !b.scratch || !b.memory)
        die("no memory");
    memset(b.memory, 0, most_bytes); /* untouched pages would all be the same one */
    memset(b.y, 0, ROWS * LARGEST_K * sizeof *b.y);
    for (int i = 0; i < ROWS * LARGEST_K; i++)
        b.x[i] = (float)(i * 37 % 255 - 127) / 50;
    printf("| %s | product | packed | 512 rows, 1 thread, GOP/s | of the limit | one row, GB/s | of reading | 512 "
           "rows, 2 threads | "
           "of the limit | one row | of reading |\n|---|---|---|---|---|---|---|---|---|---|---|\n",
           b.kernels.name);
    for (int i = 0; fj_quants[i]; i++)
        if (is_wanted(fj_quants[i]->dtype->name, argc - first, argv + first))
            print_type(&b, fj_quants[i]->dtype);
    free(b.x);
    free(b.y);
    free(b.rounded);
    free(b.scratch);
    free(b.memory);
    return 0;
}
