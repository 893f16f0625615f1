/* SPDX-License-Identifier: Apache-2.0
 * See machine.h. Each thread works on memory of its own; the best of several rounds counts, since others only ever slow a round down. */
#include "tasks/machine.h"

#include <string.h>

#include "base/arena.h"
#include "base/buffer.h"
#include "base/clock.h"

/* A product that stays in the second-level cache: (ROWS, DEPTH) by (COLUMNS, DEPTH). */
enum { ROWS = 64, COLUMNS = 64, DEPTH = 512, LARGEST_READ = 512 << 20, PIECE = 1 << 20 };

/* One thread's operands. */
typedef struct bench {
    float *y, *x, *w;
    uint16_t *x16, *w16;
    unsigned char *q, *tiles; /* quantized rows; packed weights */
} bench;

typedef struct job {
    const fj_kernels *k;
    bench *benches;
    int repetitions;
    const unsigned char *memory; /* of the reading job */
    size_t piece_bytes;
    float *sums; /* of its pieces: what is read must be wanted */
} job;

static void part_f32(void *context, int64_t part, int worker)
{
    const job *j = context;
    const bench *b = &j->benches[part];
    (void)worker;
    for (int i = 0; i < j->repetitions; i++)
        j->k->gemm_f32(b->y, COLUMNS, b->x, DEPTH, b->w, DEPTH, ROWS, COLUMNS, DEPTH);
}

static void part_bf16(void *context, int64_t part, int worker)
{
    const job *j = context;
    const bench *b = &j->benches[part];
    (void)worker;
    for (int i = 0; i < j->repetitions; i++)
        j->k->gemm_bf16(b->y, COLUMNS, b->x16, DEPTH, b->w16, DEPTH, ROWS, COLUMNS, DEPTH);
}

static void part_int8(void *context, int64_t part, int worker)
{
    const job *j = context;
    const bench *b = &j->benches[part];
    fj_gemm_q_fn *product = j->k->gemm_q[fj_pack_index(&fj_q8_0)];
    (void)worker;
    for (int i = 0; i < j->repetitions; i++)
        product(b->y, COLUMNS, b->q, DEPTH / 32 * sizeof(fj_q8_block), b->tiles, ROWS, COLUMNS, DEPTH);
}

static void part_read(void *context, int64_t part, int worker)
{
    const job *j = context;
    const float *piece = (const float *)(const void *)(j->memory + (size_t)part * j->piece_bytes);
    int64_t half = (int64_t)(j->piece_bytes / sizeof(float) / 2);
    (void)worker;
    j->sums[part] = j->k->dot_row(piece, piece + half, half);
}

/* ---- operands ------------------------------------------------------------------------------------------------------------------------- */

static bool fill_bench(const fj_kernels *k, fj_arena *arena, bench *b)
{
    const fj_pack *pack = fj_pack_of(&fj_q8_0);
    const fj_quant *quant = fj_quant_of(&fj_q8_0);
    size_t tile = pack->tile_bytes(DEPTH), row = DEPTH / 32 * (size_t)fj_q8_0.block_bytes;
    unsigned char *rows = fj_arena_take(arena, 16 * row);
    *b = (bench){ .y = fj_arena_array(arena, ROWS * COLUMNS, sizeof(float)),
                  .x = fj_arena_array(arena, ROWS * DEPTH, sizeof(float)),
                  .w = fj_arena_array(arena, COLUMNS * DEPTH, sizeof(float)),
                  .x16 = fj_arena_array(arena, ROWS * DEPTH, sizeof(uint16_t)),
                  .w16 = fj_arena_array(arena, COLUMNS * DEPTH, sizeof(uint16_t)),
                  .q = fj_arena_array(arena, ROWS * DEPTH / 32, sizeof(fj_q8_block)),
                  .tiles = fj_arena_array(arena, COLUMNS / 16, tile) };
    if (!rows || !b->y || !b->x || !b->w || !b->x16 || !b->w16 || !b->q || !b->tiles)
        return false;
    for (int i = 0; i < ROWS * DEPTH; i++)
        b->x[i] = b->w[i] = (float)(i % 13 - 6) / 8;
    k->f32_to_bf16_row(b->x16, b->x, ROWS * DEPTH);
    k->f32_to_bf16_row(b->w16, b->w, COLUMNS * DEPTH);
    for (int r = 0; r < ROWS; r++)
        k->quantize_row_q8(b->x + (size_t)r * DEPTH,
                           (fj_q8_block *)(void *)(b->q + (size_t)r * (DEPTH / 32) * sizeof(fj_q8_block)), DEPTH);
    for (int r = 0; r < 16; r++)
        quant->encode(b->w + (size_t)r * DEPTH, rows + (size_t)r * row, DEPTH, NULL);
    for (int t = 0; t < COLUMNS / 16; t++)
        pack->pack(rows, row, 16, DEPTH, b->tiles + (size_t)t * tile);
    return true;
}

/* ---- measuring ------------------------------------------------------------------------------------------------------------------------ */

/* Rounds of `parts` until the time is up; the shortest. */
static double best_round(fj_pool *pool, fj_part_fn *fn, job *j, int64_t parts, double seconds)
{
    double end = fj_seconds() + seconds, best = 1e30;
    int rounds = 0;
    do {
        double started = fj_seconds();
        fj_pool_run(pool, fn, j, parts);
        best = FJ_MIN(best, fj_seconds() - started);
        rounds++;
    } while (fj_seconds() < end || rounds < 3);
    return best;
}

/* Products a second: as many repetitions as make a round of an eighth of the time. */
static double product_rate(fj_pool *pool, fj_part_fn *fn, job *j, double seconds)
{
    int threads = fj_pool_threads(pool);
    double took = 0;
    for (j->repetitions = 1; j->repetitions < 1 << 24; j->repetitions *= 2) {
        double started = fj_seconds();
        fj_pool_run(pool, fn, j, threads);
        took = fj_seconds() - started;
        if (took > seconds / 8)
            break;
    }
    took = best_round(pool, fn, j, threads, seconds);
    return 2.0 * ROWS * COLUMNS * DEPTH * j->repetitions * threads / took;
}

static fj_status read_rate(fj_pool *pool, job *j, double seconds, double *out, fj_err *err)
{
    fj_buffer memory = { 0 };
    fj_arena *arena = fj_arena_new();
    uint64_t room = fj_memory_available() / 8;
    int64_t pieces = (int64_t)FJ_MAX((room ? FJ_MIN(room, LARGEST_READ) : LARGEST_READ) / PIECE, 1);
    fj_status st = fj_buffer_open(&memory, (size_t)pieces * PIECE, "the measurement of bandwidth", err);
    j->sums = arena && !st ? fj_arena_array(arena, (size_t)pieces, sizeof *j->sums) : NULL;
    if (!st && !j->sums)
        st = fj_fail(err, FJ_ERR_MEMORY, "no memory to measure");
    if (!st) {
        memset(memory.data, 0, memory.size); /* untouched pages would all be the same one */
        j->memory = memory.data;
        j->piece_bytes = PIECE;
        *out = (double)memory.size / best_round(pool, part_read, j, pieces, seconds);
    }
    fj_arena_free(arena);
    fj_buffer_close(&memory);
    return st;
}

fj_status fj_machine_measure(fj_pool *pool, const fj_kernels *k, double seconds, fj_machine *out, fj_err *err)
{
    int threads = fj_pool_threads(pool);
    fj_arena *arena = fj_arena_new();
    job j = { .k = k, .benches = arena ? fj_arena_array(arena, (size_t)threads, sizeof(bench)) : NULL };
    bool ok = j.benches != NULL;
    for (int i = 0; i < threads && ok; i++)
        ok = fill_bench(k, arena, &j.benches[i]);
    fj_status st = ok ? read_rate(pool, &j, seconds, &out->read_bytes_per_second, err)
                      : fj_fail(err, FJ_ERR_MEMORY, "no memory to measure");
    if (!st) {
        out->f32_flops = product_rate(pool, part_f32, &j, seconds);
        out->bf16_flops = product_rate(pool, part_bf16, &j, seconds);
        out->int8_ops = product_rate(pool, part_int8, &j, seconds);
    }
    fj_arena_free(arena);
    return st;
}
