/* SPDX-License-Identifier: Apache-2.0
 * See linear_tile.h. A part is up to TILE_ROWS rows by up to MOST_COLS outputs. Of a matrix that is widened WIDE_COLS rows of k values
 * at a time stay in the second-level cache while the rows pass by; int8 products lay out the activations once a part, which 32 outputs
 * would not pay for: of the products of 512 rows by 2048 values it was a third of the time. */
#include "ops/linear_tile.h"

#include "ops/weight_rows.h"

enum {
    TILE_ROWS = 256,
    MOST_COLS = 128,
    WIDE_COLS = 64,
    ENOUGH_PARTS = 16,
    LARGE = 64,
    PACK_ROWS = 16,
    GRAD_P = 256 /* two of the kernels' blocks */
};

bool fj_product_is_large(const fj_value *matrix)
{
    return matrix->shape.dim[0] >= LARGE && matrix->shape.dim[1] >= LARGE;
}

fj_product fj_product_of(const fj_run *run, const fj_value *matrix)
{
    bool is_plain = !matrix->weight || !matrix->weight->forms; /* a row is its blocks, in order */
    if (run->fast && is_plain && fj_pack_index(matrix->dtype) >= 0)
        return FJ_PRODUCT_INT8;
    if (((run->fast && matrix->dtype == &fj_bf16) || run->bf16) && fj_product_is_large(matrix))
        return FJ_PRODUCT_BF16;
    return FJ_PRODUCT_F32;
}

static size_t q8_row_bytes(int64_t k)
{
    return (size_t)(k / 32) * sizeof(fj_q8_block);
}

/* The int8 rows end on a 64-byte border, so that the bf16 rows start on one. */
static size_t q8_bytes(unsigned products, int64_t rows, int64_t k)
{
    if (!(products & (1u << FJ_PRODUCT_INT8)))
        return 0;
    return ((size_t)rows * q8_row_bytes(k) + 63) / 64 * 64;
}

size_t fj_rounded_bytes(unsigned products, int64_t rows, int64_t k)
{
    size_t bf16 = products & (1u << FJ_PRODUCT_BF16) ? (size_t)rows * (size_t)k * sizeof(uint16_t) : 0;
    return q8_bytes(products, rows, k) + bf16;
}

static uint16_t *bf16_rows(const fj_tile_job *job)
{
    return (uint16_t *)(void *)((unsigned char *)job->rounded + q8_bytes(job->products, job->row_capacity, job->k));
}

void fj_round_rows(const fj_run *run, const fj_tile_job *job, int64_t part)
{
    int64_t row0 = part * FJ_ROUND_ROWS, row1 = FJ_MIN(job->rows, row0 + FJ_ROUND_ROWS), k = job->k;
    for (int64_t r = row0; r < row1; r++) {
        if (job->products & (1u << FJ_PRODUCT_INT8))
            run->k->quantize_row_q8(job->x + r * k, (fj_q8_block *)job->rounded + r * (k / 32), k);
        if (job->products & (1u << FJ_PRODUCT_BF16))
            run->k->f32_to_bf16_row(bf16_rows(job) + r * k, job->x + r * k, k);
    }
}

/* Outputs of a part: a few rows are bound by reading the matrix; many want wide parts, and enough of them for the threads. */
static int64_t tile_cols(int64_t rows, int64_t n_out)
{
    int64_t cols = rows <= 8 ? WIDE_COLS : MOST_COLS;
    while (rows > 8 && cols > 32 && fj_blocks(rows, TILE_ROWS) * fj_blocks(n_out, cols) < ENOUGH_PARTS)
        cols /= 2;
    return cols;
}

int64_t fj_tile_parts(int64_t rows, int64_t n_out)
{
    return fj_blocks(rows, TILE_ROWS) * fj_blocks(n_out, tile_cols(rows, n_out));
}

size_t fj_tile_scratch(const fj_run *run, const fj_value *matrix)
{
    size_t k = (size_t)fj_cols(matrix);
    switch (fj_product_of(run, matrix)) {
    case FJ_PRODUCT_INT8: return fj_pack_of(matrix->dtype)->tile_bytes((int64_t)k) + 64;
    case FJ_PRODUCT_BF16: return WIDE_COLS * k * (sizeof(uint16_t) + sizeof(float));
    case FJ_PRODUCT_F32: break;
    }
    return matrix->dtype == &fj_f32 ? 0 : WIDE_COLS * k * sizeof(float);
}

typedef struct tile {
    int64_t row0, m, n0, n;
    float *y;
} tile;

static tile tile_of(const fj_tile_job *job, const fj_value *matrix, int64_t part)
{
    int64_t n_out = matrix->shape.dim[0], cols = tile_cols(job->rows, n_out);
    /* neighbours share the tile of the matrix, not the rows: the larger thing stays in the cache */
    int64_t n_rows = fj_blocks(job->rows, TILE_ROWS);
    tile t = { .row0 = part % n_rows * TILE_ROWS, .n0 = part / n_rows * cols };
    t.m = FJ_MIN(TILE_ROWS, job->rows - t.row0);
    t.n = FJ_MIN(cols, n_out - t.n0);
    t.y = job->y + t.row0 * job->ldy + t.n0;
    return t;
}

static void int8_tile(const fj_run *run, const fj_tile_job *job, const fj_value *matrix, const tile *t, void *scratch)
{
    int64_t k = job->k;
    fj_gemm_q_fn *gemm = run->k->gemm_q[fj_pack_index(matrix->dtype)];
    const fj_pack *pack = fj_pack_of(matrix->dtype);
    size_t x_bytes = q8_row_bytes(k), tile_bytes = pack->tile_bytes(k);
    const void *x = (const fj_q8_block *)job->rounded + t->row0 * (k / 32);
    const fj_weight *w = matrix->weight;
    if (w->packed) {
        gemm(t->y, job->ldy, x, x_bytes, (const unsigned char *)w->packed + (size_t)(t->n0 / PACK_ROWS) * tile_bytes,
             t->m, t->n, k);
        return;
    }
    size_t row_bytes = (size_t)(k / matrix->dtype->block_len) * (size_t)matrix->dtype->block_bytes;
    for (int64_t n = 0; n < t->n; n += PACK_ROWS) {
        int64_t rows = FJ_MIN(PACK_ROWS, t->n - n);
        pack->pack((const unsigned char *)matrix->data + (size_t)(t->n0 + n) * row_bytes, row_bytes, (int)rows, k,
                   scratch);
        gemm(t->y + n, job->ldy, x, x_bytes, scratch, t->m, rows, k);
    }
}

static void bf16_tile(const fj_run *run, const fj_tile_job *job, const fj_value *matrix, const tile *t, void *scratch)
{
    int64_t k = job->k, ld;
    const uint16_t *x = bf16_rows(job) + t->row0 * k, *w = (const uint16_t *)matrix->data + t->n0 * k;
    if (matrix->dtype != &fj_bf16) {
        float *wide = scratch;
        uint16_t *narrow = (uint16_t *)(wide + WIDE_COLS * k);
        const float *rows = fj_weight_rows(run, matrix, t->n0, t->n, 0, k, wide, &ld);
        run->k->f32_to_bf16_row(narrow, rows, t->n * k);
        w = narrow;
    }
    run->k->gemm_bf16(t->y, job->ldy, x, k, w, k, t->m, t->n, k);
}

static void f32_tile(const fj_run *run, const fj_tile_job *job, const fj_value *matrix, const tile *t, void *scratch)
{
    int64_t k = job->k, ld;
    const float *x = job->x + t->row0 * k;
    if (matrix->dtype == &fj_bf16)
        run->k->gemm_f32_bf16(t->y, job->ldy, x, k, (const uint16_t *)matrix->data + t->n0 * k, k, t->m, t->n, k);
    else if (matrix->dtype == &fj_f16)
        run->k->gemm_f32_f16(t->y, job->ldy, x, k, (const uint16_t *)matrix->data + t->n0 * k, k, t->m, t->n, k);
    else {
        const float *rows = fj_weight_rows(run, matrix, t->n0, t->n, 0, k, scratch, &ld);
        run->k->gemm_f32(t->y, job->ldy, x, k, rows, ld, t->m, t->n, k);
    }
}

void fj_linear_tile(const fj_run *run, const fj_tile_job *job, const fj_value *matrix, int64_t part, void *scratch)
{
    tile t = tile_of(job, matrix, part);
    fj_product product = fj_product_of(run, matrix);
    if (product == FJ_PRODUCT_INT8) {
        int8_tile(run, job, matrix, &t, scratch);
        return;
    }
    for (int64_t left = t.n; left > 0; left -= WIDE_COLS, t.n0 += WIDE_COLS, t.y += WIDE_COLS) {
        t.n = FJ_MIN(left, WIDE_COLS);
        if (product == FJ_PRODUCT_BF16)
            bf16_tile(run, job, matrix, &t, scratch);
        else
            f32_tile(run, job, matrix, &t, scratch);
    }
}

void fj_linear_tile_bias(const fj_run *run, const fj_tile_job *job, const fj_value *matrix, const fj_value *bias,
                         int64_t part)
{
    tile t = tile_of(job, matrix, part);
    for (int64_t i = 0; i < t.m; i++)
        run->k->add_row(t.y + i * job->ldy, t.y + i * job->ldy, (const float *)bias->data + t.n0, t.n);
}

size_t fj_dx_scratch(int64_t cols)
{
    size_t values = (size_t)GRAD_P * (size_t)cols;
    return values * sizeof(float) + 2 * values * sizeof(uint16_t);
}

bool fj_linear_dx(const fj_run *run, const fj_value *w, const float *dy, const uint16_t *dy16, const fj_dx_block *b,
                  float *scratch, bool add)
{
    int64_t n_out = w->shape.dim[0], ld;
    for (int64_t p0 = 0; p0 < n_out; p0 += GRAD_P) {
        int64_t p = FJ_MIN(GRAD_P, n_out - p0);
        uint16_t *half = (uint16_t *)(scratch + GRAD_P * b->nk), *pairs = half + p * b->nk;
        if (dy16 && w->dtype == &fj_bf16) {
            int64_t k = fj_cols(w);
            run->k->pack_pairs_bf16(pairs, (const uint16_t *)w->data + p0 * k + b->k0, k, p, b->nk);
        } else {
            const float *rows = fj_weight_rows(run, w, p0, p, b->k0, b->nk, scratch, &ld);
            if (!dy16) {
                run->k->gemm_rows_f32(b->c, b->ldc, dy + b->row0 * n_out + p0, n_out, 1, rows, ld, b->m, b->nk, p, add);
                add = true;
                continue;
            }
            for (int64_t i = 0; i < p; i++)
                run->k->f32_to_bf16_row(half + i * b->nk, rows + i * ld, b->nk);
            run->k->pack_pairs_bf16(pairs, half, b->nk, p, b->nk);
        }
        run->k->gemm_pairs_bf16(b->c, b->ldc, dy16 + b->row0 * n_out + p0, n_out, pairs, b->m, b->nk, p, add);
        add = true;
    }
    return add;
}
