/* SPDX-License-Identifier: Apache-2.0
 * See attend.h. Keys that a query may not see get weight 0 in the tile's products, which changes no bit of a sum; a tile of which
 * a query sees nothing is skipped for it. */
#include "ops/attend.h"

#include <assert.h>
#include <math.h>
#include <string.h>

#include "ops/cache.h"
#include "ops/weight_rows.h"

enum { T = FJ_TILE_ROWS, MOST_BLOCK = 32 };

static_assert((int)T == (int)FJ_KEY_COLUMNS, "a tile of keys is one of the kernels'");

fj_attention_shape *fj_attention_shape_copy(fj_arena *arena, const fj_attention_shape *s)
{
    size_t slopes = s->slopes ? (size_t)s->n_heads * sizeof(float) : 0;
    fj_attention_shape *copy = fj_arena_take(arena, sizeof *copy);
    float *to = slopes ? fj_arena_take(arena, slopes) : NULL;
    fj_assert(copy && (to || !slopes));
    *copy = *s;
    if (to)
        memcpy(to, s->slopes, slopes);
    copy->slopes = to;
    return copy;
}

static int64_t block_rows(const fj_attention_shape *s)
{
    return s->block_rows > 0 ? s->block_rows : T;
}

/* Whether block-sparse query i sees the block of key j, which is not behind its own. */
static bool is_in_pattern(const fj_attend *a, int64_t i, int64_t j)
{
    const fj_attention_shape *s = a->shape;
    int64_t rows = block_rows(s), block = (a->pos0 + i * a->pos_step) / rows, head = a->head + i * a->head_step;
    return block - j / rows < s->local_blocks || (j / rows + 1 + head * s->head_offset) % s->vertical_stride == 0;
}

/* Blocks of whole tiles are skipped or seen at once; keys of others are looked at one by one. */
static bool has_whole_tiles(const fj_attention_shape *s)
{
    return s->vertical_stride < 1 || block_rows(s) % T == 0;
}

static bool sees_tile(const fj_attend *a, int64_t i, int64_t index)
{
    return a->shape->vertical_stride < 1 || !has_whole_tiles(a->shape) || is_in_pattern(a, i, index * T);
}

void fj_attend_range(const fj_attend *a, int64_t i, int64_t index, int64_t *first, int64_t *end)
{
    int64_t pos = a->pos0 + i * a->pos_step, base = index * T, window = a->shape->window;
    *end = sees_tile(a, i, index) ? FJ_MIN(T, pos + 1 - base) : 0;
    *first = window > 0 ? FJ_MAX(0, pos - window + 1 - base) : 0;
}

bool fj_attend_sees(const fj_attend *a, int64_t index)
{
    for (int64_t i = 0; i < a->n; i++) {
        int64_t first, end;
        fj_attend_range(a, i, index, &first, &end);
        if (first < end)
            return true;
    }
    return false;
}

float fj_attend_scores(const fj_run *run, const fj_attend *a, int64_t i, int64_t index, int64_t first, int64_t n,
                       float *row, float *slope)
{
    const fj_attention_shape *s = a->shape;
    float scale = (float)s->scale, cap = (float)s->softcap;
    if (cap > 0) {
        run->k->tanh_row(row, row, (float)(s->scale / s->softcap), n);
        for (int64_t j = 0; slope && j < n; j++)
            slope[j] = scale * (1.0f - row[j] * row[j]);
        scale = cap;
    } else if (slope) {
        for (int64_t j = 0; j < n; j++)
            slope[j] = scale;
    }
    if (s->slopes) {
        float rise = s->slopes[a->head + i * a->head_step];
        int64_t away = index * T + first - (a->pos0 + i * a->pos_step);
        for (int64_t j = 0; j < n; j++)
            row[j] = scale * row[j] + rise * (float)(away + j);
        scale = 1.0f;
    }
    for (int64_t j = 0; !has_whole_tiles(s) && j < n; j++)
        if (!is_in_pattern(a, i, index * T + first + j))
            row[j] = -INFINITY;
    return scale;
}

void fj_attend_tiles(const fj_attend *a, int64_t *first, int64_t *end)
{
    int64_t last = a->pos0 + (a->n - 1) * a->pos_step, window = a->shape->window;
    *end = last / T + 1;
    *first = window > 0 ? FJ_MAX(0, a->pos0 - window + 1) / T : 0;
}

void fj_attend_chunks(const fj_attend *a, int64_t *first, int64_t *end)
{
    fj_attend_tiles(a, first, end);
    *first /= FJ_CHUNK_TILES;
    *end = fj_blocks(*end, FJ_CHUNK_TILES);
}

/* What n queries have summed up so far. */
typedef struct sums {
    float *sum, *max, *denominator; /* (n,d), (n), (n) */
} sums;

int64_t fj_part_values(int64_t n, int64_t d)
{
    return n * (d + 2);
}

static sums sums_at(float *at, int64_t n, int64_t d)
{
    return (sums){ .sum = at, .max = at + n * d, .denominator = at + n * d + n };
}

static void clear(const fj_attend *a, sums s)
{
    memset(s.sum, 0, (size_t)(a->n * a->shape->d_head) * sizeof(float));
    for (int64_t i = 0; i < a->n; i++) {
        s.max[i] = -INFINITY;
        s.denominator[i] = 0;
    }
}

typedef struct state {
    fj_attend a;                   /* queries as the keys are: turned where those are */
    float *scores, *common, *rows; /* (T,T); (T): products with the first key; (T,ld): keys or values as f32 */
    float *part, *all, *q;         /* sums; sums; (T,d): queries, turned */
    uint16_t *q16, *keys, *values, *weights; /* bf16: (T,d), pack_keys, pack_values, (T,T) */
} state;

size_t fj_attend_scratch(int64_t d)
{
    int64_t filled = fj_blocks(d, MOST_BLOCK) * MOST_BLOCK;
    return (size_t)(T * T + T + T * filled + 2 * fj_part_values(T, d) + T * d) * sizeof(float) +
           (size_t)(T * d + T * (d + 1) + T * d + T * T) * sizeof(uint16_t);
}

static bool is_turned(const fj_dtype *type)
{
    return type && type->is_quantized;
}

static void turn_queries(state *s)
{
    int64_t d = s->a.shape->d_head;
    for (int64_t i = 0; i < s->a.n; i++) {
        memcpy(s->q + i * d, s->a.q + i * s->a.ldq, (size_t)d * sizeof *s->q);
        fj_turn_row(s->q + i * d, d);
    }
    s->a.q = s->q;
    s->a.ldq = d;
}

static state begin(const fj_run *run, const fj_attend *a, float *scratch)
{
    int64_t d = a->shape->d_head;
    state s = { .a = *a, .scores = scratch };
    s.common = s.scores + T * T;
    s.rows = s.common + T;
    s.part = s.rows + T * fj_blocks(d, MOST_BLOCK) * MOST_BLOCK;
    s.all = s.part + fj_part_values(T, d);
    s.q = s.all + fj_part_values(T, d);
    s.q16 = (uint16_t *)(void *)(s.q + T * d);
    s.keys = s.q16 + T * d;
    s.values = s.keys + T * (d + 1);
    s.weights = s.values + T * d;
    if (is_turned(a->k_type))
        turn_queries(&s);
    for (int64_t i = 0; a->bf16 && i < a->n; i++)
        run->k->f32_to_bf16_row(s.q16 + i * d, s.a.q + i * s.a.ldq, d);
    return s;
}

/* ---- one tile ------------------------------------------------------------------------------------------------------------ */

static bool is_linear(const fj_attention_shape *s)
{
    return s->softcap <= 0 && !s->slopes && has_whole_tiles(s);
}

/* Row i of the products with n keys becomes scores, -inf where the query does not look. Returns the largest, and by what they are
 * still to be multiplied and what is still to be added to them. */
static float score_row(const fj_run *run, const state *s, int64_t i, int64_t index, int64_t n, float *scale,
                       float *shift)
{
    int64_t first, end;
    float *row = s->scores + i * T;
    fj_attend_range(&s->a, i, index, &first, &end);
    if (first >= end)
        return -INFINITY;
    for (int64_t j = 0; j < first; j++)
        row[j] = -INFINITY;
    for (int64_t j = end; j < n; j++)
        row[j] = -INFINITY;
    for (int64_t j = first; j < end && s->a.bf16 && !is_linear(s->a.shape); j++)
        row[j] += s->common[i];
    *scale = fj_attend_scores(run, &s->a, i, index, first, end - first, row + first, NULL);
    *shift = s->a.bf16 && is_linear(s->a.shape) ? *scale * s->common[i] : 0;
    return *scale * run->k->max_row(row + first, end - first) + *shift;
}

/* Turns the scores of n keys into weights; sums so far are rescaled where the maximum moves. */
static void soften(const fj_run *run, const state *s, sums to, int64_t index, int64_t n)
{
    int64_t d = s->a.shape->d_head;
    float scale[T], shift[T], largest[T], factor[T];
    for (int64_t i = 0; i < s->a.n; i++) {
        largest[i] = score_row(run, s, i, index, n, &scale[i], &shift[i]);
        factor[i] = largest[i] > to.max[i] ? to.max[i] - largest[i] : 0;
        to.max[i] = FJ_MAX(to.max[i], largest[i]);
    }
    (void)run->k->exp_row(factor, factor, 1.0f, 0.0f, s->a.n);
    for (int64_t i = 0; i < s->a.n; i++) {
        float *row = s->scores + i * T;
        uint16_t *weights = s->weights + i * T;
        if (factor[i] != 1.0f) {
            run->k->scale_row(to.sum + i * d, to.sum + i * d, factor[i], d);
            to.denominator[i] *= factor[i];
        }
        if (largest[i] > -INFINITY)
            to.denominator[i] += s->a.bf16 ? run->k->exp_row_bf16(weights, row, scale[i], to.max[i] - shift[i], n)
                                           : run->k->exp_row(row, row, scale[i], to.max[i], n);
        else if (s->a.bf16)
            memset(weights, 0, (size_t)n * sizeof *weights);
        else
            memset(row, 0, (size_t)n * sizeof *row);
    }
}

/* Rows that lie end to end as f32. */
static const float *widened(const fj_run *run, const fj_dtype *type, const void *rows, int64_t n, float *to)
{
    if (!type || type == &fj_f32)
        return rows;
    fj_rows_decode(run, type, rows, to, n);
    return to;
}

static void add_tile_f32(const fj_run *run, const state *s, sums to, int64_t index, const fj_key_tile *tile, int64_t n)
{
    const fj_attend *a = &s->a;
    int64_t d = a->shape->d_head;
    if (a->k_type == &fj_f16)
        run->k->gemm_f32_f16(s->scores, T, a->q, a->ldq, tile->k, tile->ldk, a->n, n, d);
    else
        run->k->gemm_f32(s->scores, T, a->q, a->ldq, widened(run, a->k_type, tile->k, n * tile->ldk, s->rows),
                         tile->ldk, a->n, n, d);
    soften(run, s, to, index, n);
    run->k->gemm_rows_f32(to.sum, d, s->scores, T, 1, widened(run, a->v_type, tile->v, n * tile->ldv, s->rows),
                          tile->ldv, a->n, d, n, true);
}

/* Products with all columns: keys that are not there count as zeros. Keys are rounded less the tile's first, whose own products, the
 * common ones, stay in f32 and wait: what all keys of a tile share, in some models most of them, then costs no precision. */
static void score_bf16(const fj_run *run, const state *s, const fj_key_tile *tile, int64_t n)
{
    const fj_attend *a = &s->a;
    int64_t d = a->shape->d_head;
    const float *keys = widened(run, a->k_type, tile->k, a->k_type == &fj_f16 ? d : n * tile->ldk, s->rows);
    run->k->gemm_f32(s->common, 1, a->q, a->ldq, keys, tile->ldk, a->n, 1, d);
    if (a->k_type == &fj_f16)
        run->k->pack_keys_f16(s->keys, tile->k, tile->ldk, keys, n, d);
    else
        run->k->pack_keys_f32(s->keys, keys, tile->ldk, keys, n, d);
    run->k->gemm_pairs_bf16(s->scores, T, s->q16, d, s->keys, a->n, T, d, false);
}

/* Values that are not there count as zeros: an even number of them. */
static void add_tile_bf16(const fj_run *run, const state *s, sums to, int64_t index, const fj_key_tile *tile, int64_t n)
{
    const fj_attend *a = &s->a;
    int64_t d = a->shape->d_head, even = n + n % 2;
    score_bf16(run, s, tile, n);
    soften(run, s, to, index, even);
    if (a->v_type == &fj_f16)
        run->k->pack_values_f16(s->values, tile->v, tile->ldv, n, d);
    else
        run->k->pack_values_f32(s->values, widened(run, a->v_type, tile->v, n * tile->ldv, s->rows), tile->ldv, n, d);
    run->k->gemm_pairs_bf16(to.sum, d, s->weights, T, s->values, a->n, d, even, true);
}

static void add_chunk(const fj_run *run, const state *s, sums to, int64_t chunk)
{
    int64_t first, end, last = s->a.pos0 + (s->a.n - 1) * s->a.pos_step;
    clear(&s->a, to);
    fj_attend_tiles(&s->a, &first, &end);
    first = FJ_MAX(first, chunk * FJ_CHUNK_TILES);
    end = FJ_MIN(end, (chunk + 1) * FJ_CHUNK_TILES);
    for (int64_t index = first; index < end; index++) {
        if (s->a.shape->vertical_stride > 0 && !fj_attend_sees(&s->a, index))
            continue;
        fj_key_tile tile = s->a.tile(s->a.context, index);
        (s->a.bf16 ? add_tile_bf16 : add_tile_f32)(run, s, to, index, &tile, FJ_MIN(T, last + 1 - index * T));
    }
}

/* ---- chunks -------------------------------------------------------------------------------------------------------------- */

static void fold(const fj_run *run, const fj_attend *a, sums all, sums part)
{
    int64_t d = a->shape->d_head;
    float before[T], now[T];
    for (int64_t i = 0; i < a->n; i++) {
        float max = FJ_MAX(all.max[i], part.max[i]);
        before[i] = max > -INFINITY ? all.max[i] - max : 0;
        now[i] = max > -INFINITY ? part.max[i] - max : 0;
        all.max[i] = max;
    }
    (void)run->k->exp_row(before, before, 1.0f, 0.0f, a->n);
    (void)run->k->exp_row(now, now, 1.0f, 0.0f, a->n);
    for (int64_t i = 0; i < a->n; i++) {
        run->k->scale_row(all.sum + i * d, all.sum + i * d, before[i], d);
        run->k->axpy_row(all.sum + i * d, part.sum + i * d, now[i], d);
        all.denominator[i] = all.denominator[i] * before[i] + part.denominator[i] * now[i];
    }
}

static void finish(const fj_run *run, const fj_attend *a, sums all)
{
    int64_t d = a->shape->d_head;
    for (int64_t i = 0; i < a->n; i++) {
        if (is_turned(a->v_type))
            fj_turn_row(all.sum + i * d, d);
        run->k->scale_row(a->out + i * a->ldo, all.sum + i * d, 1.0f / all.denominator[i], d);
        if (a->lse)
            a->lse[i * a->lse_step] = all.max[i] + logf(all.denominator[i]);
    }
}

void fj_attend_run(const fj_run *run, const fj_attend *a, void *scratch)
{
    state s = begin(run, a, scratch);
    sums all = sums_at(s.all, a->n, a->shape->d_head), part = sums_at(s.part, a->n, a->shape->d_head);
    int64_t first, end;
    clear(a, all);
    fj_attend_chunks(a, &first, &end);
    for (int64_t chunk = first; chunk < end; chunk++) {
        add_chunk(run, &s, part, chunk);
        fold(run, a, all, part);
    }
    finish(run, a, all);
}

void fj_attend_part(const fj_run *run, const fj_attend *a, int64_t chunk, float *part, void *scratch)
{
    state s = begin(run, a, scratch);
    add_chunk(run, &s, sums_at(part, a->n, a->shape->d_head), chunk);
}

void fj_attend_parts(const fj_run *run, const fj_attend *a, const float *parts, int64_t n_parts, void *scratch)
{
    int64_t d = a->shape->d_head, values = fj_part_values(a->n, d);
    sums all = sums_at(scratch, a->n, d);
    clear(a, all);
    for (int64_t i = 0; i < n_parts; i++)
        fold(run, a, all, sums_at((float *)(uintptr_t)(parts + i * values), a->n, d));
    finish(run, a, all);
}
