/* SPDX-License-Identifier: Apache-2.0
 * See attend.h. Keys that a query may not see get weight 0 in the tile's products, which changes no bit of a sum; a tile of which
 * a query sees nothing is skipped for it. */
#include "ops/attend.h"

#include <math.h>
#include <string.h>

#include "ops/cache.h"
#include "ops/weight_rows.h"

enum { T = FJ_TILE_ROWS, MOST_BLOCK = 32 };

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

size_t fj_attend_scratch(int64_t d)
{
    int64_t filled = fj_blocks(d, MOST_BLOCK) * MOST_BLOCK;
    return (size_t)(T * T + 2 * T * d + T * filled + 2 * T) * sizeof(float);
}

typedef struct state {
    float *scores, *sum, *max, *denominator; /* (T,T), (T,d), (T), (T) */
    float *q, *rows;                         /* (T,d): queries, turned; (T,ld): keys or values as f32 */
} state;

/* Turns row i of the scores into weights; its sum so far is rescaled when the maximum moves. */
static void soften(const fj_run *run, const fj_attend *a, state *s, int64_t i, int64_t index, int64_t n)
{
    int64_t first, end;
    float *row = s->scores + i * T;
    fj_attend_range(a, i, index, &first, &end);
    if (first >= end) {
        memset(row, 0, (size_t)n * sizeof(float));
        return;
    }
    for (int64_t j = 0; j < first; j++)
        row[j] = -INFINITY;
    for (int64_t j = end; j < n; j++)
        row[j] = -INFINITY;
    float scale = fj_attend_scores(run, a, i, index, first, end - first, row + first, NULL);
    float max = scale * run->k->max_row(row + first, end - first);
    if (max == -INFINITY) { /* no key of the pattern in this tile */
        memset(row, 0, (size_t)n * sizeof(float));
        return;
    }
    if (max > s->max[i]) {
        float factor;
        (void)run->k->exp_row(&factor, &s->max[i], 1.0f, max, 1);
        run->k->scale_row(s->sum + i * a->shape->d_head, s->sum + i * a->shape->d_head, factor, a->shape->d_head);
        s->denominator[i] *= factor;
        s->max[i] = max;
    }
    s->denominator[i] += run->k->exp_row(row, row, scale, s->max[i], n);
}

/* Rows that lie end to end as f32. */
static const float *widened(const fj_run *run, const fj_dtype *type, const void *rows, int64_t n, float *to)
{
    if (!type || type == &fj_f32)
        return rows;
    fj_rows_decode(run, type, rows, to, n);
    return to;
}

static void add_tile(const fj_run *run, const fj_attend *a, state *s, int64_t index)
{
    if (a->shape->vertical_stride > 0 && !fj_attend_sees(a, index))
        return;
    fj_key_tile tile = a->tile(a->context, index);
    int64_t last = a->pos0 + (a->n - 1) * a->pos_step, n = FJ_MIN(T, last + 1 - index * T), d = a->shape->d_head;
    if (a->k_type == &fj_f16)
        run->k->gemm_f32_f16(s->scores, T, a->q, a->ldq, tile.k, tile.ldk, a->n, n, d);
    else
        run->k->gemm_f32(s->scores, T, a->q, a->ldq, widened(run, a->k_type, tile.k, n * tile.ldk, s->rows), tile.ldk,
                         a->n, n, d);
    for (int64_t i = 0; i < a->n; i++)
        soften(run, a, s, i, index, n);
    run->k->gemm_rows_f32(s->sum, d, s->scores, T, 1, widened(run, a->v_type, tile.v, n * tile.ldv, s->rows), tile.ldv,
                          a->n, d, n, true);
}

static bool is_turned(const fj_dtype *type)
{
    return type && type->is_quantized;
}

/* The queries as the keys are. */
static void turn_queries(fj_attend *a, float *q)
{
    int64_t d = a->shape->d_head;
    for (int64_t i = 0; i < a->n; i++) {
        memcpy(q + i * d, a->q + i * a->ldq, (size_t)d * sizeof *q);
        fj_turn_row(q + i * d, d);
    }
    a->q = q;
    a->ldq = d;
}

void fj_attend_run(const fj_run *run, const fj_attend *asked, void *scratch)
{
    fj_attend turned = *asked, *a = &turned;
    state s = { .scores = scratch };
    int64_t d = a->shape->d_head;
    s.sum = s.scores + T * T;
    s.max = s.sum + T * d;
    s.denominator = s.max + T;
    s.q = s.denominator + T;
    s.rows = s.q + T * d;
    if (is_turned(a->k_type))
        turn_queries(a, s.q);
    memset(s.sum, 0, (size_t)(a->n * d) * sizeof(float));
    for (int64_t i = 0; i < a->n; i++) {
        s.max[i] = -INFINITY;
        s.denominator[i] = 0;
    }
    int64_t first, end;
    fj_attend_tiles(a, &first, &end);
    for (int64_t index = first; index < end; index++)
        add_tile(run, a, &s, index);
    for (int64_t i = 0; i < a->n; i++) {
        if (is_turned(a->v_type))
            fj_turn_row(s.sum + i * d, d);
        run->k->scale_row(a->out + i * a->ldo, s.sum + i * d, 1.0f / s.denominator[i], d);
        if (a->lse)
            a->lse[i * a->lse_step] = s.max[i] + logf(s.denominator[i]);
    }
}
