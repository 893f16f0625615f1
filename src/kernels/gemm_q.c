/* SPDX-License-Identifier: Apache-2.0
 * The loops around the int8 kernels: which panel meets which tile when. The order of the loops never touches the order
 * of summation.
 *
 *   for each run of tiles that the second-level cache holds     weights come from memory once
 *     for each panel of up to 12 rows                           activations: copied once per run, then cached
 *       for each run of blocks along k that the panel holds: 32 for 12 rows, 384 for one
 *         for each tile of the run */
#include "kernels/tile_internal.h"

enum { TILES_CACHED_BYTES = 512 * 1024 };

/* Rows past m are zero: they are computed and not stored. Only the words that the form's kernels read are written. */
FJ_INLINE void fill(fj_word *panel, const uint8_t *x, size_t x_bytes, int m, const int rows, int64_t n_blocks,
                    int offset, bool has_offset, bool has_min, const bool halves)
{
    const int stride = rows * FJ_PANEL_ROW_WORDS;
    for (int r = 0; r < m; r++) {
        const fj_q8_block *q8 = (const void *)(x + (size_t)r * x_bytes);
        fj_word *block = panel;
        for (int64_t b = 0; b < n_blocks; b++, q8++, block += stride) {
            int sum0 = halves ? q8->sum[0] : q8->sum[0] + q8->sum[1], sum1 = q8->sum[1];
            memcpy(block + fj_panel_q(r), q8->q, sizeof q8->q);
            block[fj_panel_scale(rows, r)].f = q8->scale;
            if (has_offset)
                block[fj_panel_start(rows, 0, r)].i = -offset * sum0;
            if (has_offset && halves)
                block[fj_panel_start(rows, 1, r)].i = -offset * sum1;
            if (has_min)
                block[fj_panel_scaled_sum(rows, 0, r)].f = q8->scale * (float)sum0;
            if (has_min && halves)
                block[fj_panel_scaled_sum(rows, 1, r)].f = q8->scale * (float)sum1;
        }
    }
}

static void fill_panel(fj_form f, fj_word *panel, const uint8_t *x, size_t x_bytes, int m, int rows, int64_t n_blocks)
{
    if (m < rows)
        memset(panel, 0, (size_t)n_blocks * (size_t)(rows * FJ_PANEL_ROW_WORDS) * sizeof *panel);
    if (fj_has_min(f) && f.offset)
        fill(panel, x, x_bytes, m, rows, n_blocks, f.offset, true, true, false);
    else if (fj_has_half_mins(f))
        fill(panel, x, x_bytes, m, rows, n_blocks, 0, false, true, true);
    else if (fj_has_min(f))
        fill(panel, x, x_bytes, m, rows, n_blocks, 0, false, true, false);
    else if (fj_has_halves(f))
        fill(panel, x, x_bytes, m, rows, n_blocks, f.offset, true, false, true);
    else
        fill(panel, x, x_bytes, m, rows, n_blocks, f.offset, true, false, false);
}

static int panel_rows(int64_t left, int max_rows)
{
    static const int sizes[] = { 1, 2, 4, 8, 12 };
    for (int i = 0; i < 5; i++)
        if (left <= sizes[i] && sizes[i] <= max_rows)
            return sizes[i];
    return max_rows;
}

/* All k of one panel against tiles [tile0, tile1). */
static void panel_by_tiles(fj_form form, fj_tile_fn *fn, const uint8_t *x, size_t x_bytes, const uint8_t *tiles,
                           int64_t tile0, int64_t tile1, int64_t n, int64_t n_blocks, fj_tile_work *work)
{
    fj_word panel[FJ_PANEL_WORDS];
    int64_t capacity = FJ_PANEL_WORDS /
                       (work->rows * FJ_PANEL_ROW_WORDS); /* blocks: 384, 192, 96, 48 or 32, whole super-blocks */
    size_t tile_bytes = fj_tile_size(form, n_blocks * FJ_BLOCK);
    float *y = work->y;
    work->panel = panel;
    work->book = form.book;
    work->first_block = 0;
    do {
        work->n_blocks = n_blocks - work->first_block < capacity ? n_blocks - work->first_block : capacity;
        fill_panel(form, panel, x + (size_t)work->first_block * sizeof(fj_q8_block), x_bytes, work->m, work->rows,
                   work->n_blocks);
        for (int64_t t = tile0; t < tile1; t++) {
            int64_t col = t * FJ_TILE_ROWS;
            work->y = y + col;
            work->n = n - col < FJ_TILE_ROWS ? (int)(n - col) : FJ_TILE_ROWS;
            work->tile = tiles + (size_t)t * tile_bytes;
            fn(work);
        }
        work->first_block += work->n_blocks;
    } while (work->first_block < n_blocks);
}

void fj_gemm_q_tiles(fj_form form, fj_tile_fn *fn, int max_rows, float *y, int64_t ldy, const void *x, size_t x_bytes,
                     const void *tiles, int64_t m, int64_t n, int64_t k)
{
    size_t tile_bytes = fj_tile_size(form, k);
    int64_t n_tiles = (n + FJ_TILE_ROWS - 1) / FJ_TILE_ROWS;
    int64_t run = tile_bytes < TILES_CACHED_BYTES ? (int64_t)(TILES_CACHED_BYTES / (tile_bytes + 1)) : 1;
    run = run < 1 ? 1 : run;
    for (int64_t tile0 = 0; tile0 < n_tiles; tile0 += run) {
        int64_t tile1 = n_tiles - tile0 < run ? n_tiles : tile0 + run;
        for (int64_t i = 0; i < m;) {
            fj_tile_work work = { .y = y + i * ldy, .ldy = ldy, .rows = panel_rows(m - i, max_rows) };
            work.m = m - i < work.rows ? (int)(m - i) : work.rows;
            panel_by_tiles(form, fn, (const uint8_t *)x + (size_t)i * x_bytes, x_bytes, tiles, tile0, tile1, n,
                           k / FJ_BLOCK, &work);
            i += work.m;
        }
    }
}
