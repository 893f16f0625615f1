/* SPDX-License-Identifier: Apache-2.0
 * Rows to micro-batches. The order of an epoch is a permutation keyed by (seed, epoch), so any window of a run can be asked for
 * at once: that is all that resuming needs.
 *
 *   units   rows, or packs of rows        order[epoch]: permutation of the units
 *   micro   batch_size units in a row     window: accumulation micro-batches; the epoch's last ones may be smaller */

#include <stdlib.h>
#include <string.h>

#include "base/rng.h"
#include "data/data_internal.h"

struct fj_loader {
    const fj_row *rows;
    int64_t n_rows, n_units;
    fj_loader_config config;
    int64_t *unit_start; /* n_units+1: first place in unit_rows */
    int64_t *unit_rows;  /* n_rows: rows of unit 0, then of unit 1, … */
    int64_t *order;      /* n_units: units in the order of `epoch` */
    int64_t epoch;       /* whose order is held; -1: none yet */
};

/* ---- units -------------------------------------------------------------------------------------------------------- */

static fj_status no_memory(fj_err *err)
{
    return fj_fail(err, FJ_ERR_MEMORY, "no memory for the order of the rows");
}

static fj_status pack_rows(fj_loader *l, fj_err *err)
{
    int64_t longest = 0, *pack = malloc((size_t)(l->n_rows + 1) * sizeof *pack);
    for (int64_t i = 0; i < l->n_rows; i++)
        longest = FJ_MAX(longest, (int64_t)l->rows[i].n);
    int64_t capacity = l->config.pack_len ? l->config.pack_len : longest;
    if (capacity < longest) {
        free(pack);
        return fj_fail(err, FJ_ERR_ARG, "packs of %lld tokens cannot hold a row of %lld", (long long)capacity,
                       (long long)longest);
    }
    l->n_units = pack ? fj_pack_best_fit(l->rows, l->n_rows, capacity, pack) : -1;
    if (l->n_units < 0) {
        free(pack);
        return no_memory(err);
    }
    for (int64_t i = 0; i < l->n_rows; i++)
        l->unit_start[pack[i] + 1]++;
    for (int64_t u = 0; u < l->n_units; u++)
        l->unit_start[u + 1] += l->unit_start[u];
    for (int64_t i = 0; i < l->n_rows; i++) /* rows of a pack stay in file order; unit_start moves up, and back below */
        l->unit_rows[l->unit_start[pack[i]]++] = i;
    for (int64_t u = l->n_units; u > 0; u--)
        l->unit_start[u] = l->unit_start[u - 1];
    l->unit_start[0] = 0;
    free(pack);
    return FJ_OK;
}

static void single_rows(fj_loader *l)
{
    l->n_units = l->n_rows;
    for (int64_t i = 0; i < l->n_rows; i++) {
        l->unit_start[i + 1] = i + 1;
        l->unit_rows[i] = i;
    }
}

fj_status fj_loader_new(const fj_row *rows, int64_t n_rows, const fj_loader_config *config, fj_loader **out,
                        fj_err *err)
{
    *out = NULL;
    if (n_rows < 1)
        return fj_fail(err, FJ_ERR_ARG, "no rows to make batches of");
    if (config->batch_size < 1 || config->accumulation < 1 || config->pack_len < 0)
        return fj_fail(err, FJ_ERR_ARG, "batches of %lld rows, %lld a window: both must be at least 1",
                       (long long)config->batch_size, (long long)config->accumulation);
    fj_loader *l = calloc(1, sizeof *l);
    if (!l)
        return no_memory(err);
    l->rows = rows;
    l->n_rows = n_rows;
    l->config = *config;
    l->epoch = -1;
    l->unit_start = calloc((size_t)n_rows + 2, sizeof *l->unit_start);
    l->unit_rows = calloc((size_t)n_rows + 1, sizeof *l->unit_rows);
    l->order = calloc((size_t)n_rows + 1, sizeof *l->order);
    fj_status st = l->unit_start && l->unit_rows && l->order ? FJ_OK : no_memory(err);
    if (!st && config->packing)
        st = pack_rows(l, err);
    else if (!st)
        single_rows(l);
    if (st) {
        fj_loader_free(l);
        return st;
    }
    *out = l;
    return FJ_OK;
}

void fj_loader_free(fj_loader *l)
{
    if (!l)
        return;
    free(l->unit_start);
    free(l->unit_rows);
    free(l->order);
    free(l);
}

/* ---- windows ------------------------------------------------------------------------------------------------------ */

static int64_t divide_up(int64_t a, int64_t b)
{
    return a / b + (a % b != 0);
}

static int64_t micros(const fj_loader *l)
{
    return divide_up(l->n_units, l->config.batch_size);
}

int64_t fj_loader_windows(const fj_loader *l)
{
    return divide_up(micros(l), l->config.accumulation);
}

int64_t fj_loader_packs(const fj_loader *l)
{
    return l->n_units;
}

static void hold_epoch(fj_loader *l, int64_t epoch)
{
    fj_assert(epoch >= 0 && epoch <= UINT32_MAX);
    if (l->epoch == epoch || (l->epoch >= 0 && !l->config.shuffle))
        return;
    if (l->config.shuffle)
        fj_rng_permutation(l->config.seed, FJ_STREAM_SHUFFLE, (uint32_t)epoch, l->order, l->n_units);
    else
        for (int64_t i = 0; i < l->n_units; i++)
            l->order[i] = i;
    l->epoch = epoch;
}

/* What micro-batch m of the held epoch (counted over the whole epoch) holds. */
static fj_batch_capacity measure(const fj_loader *l, int64_t m)
{
    fj_batch_capacity c = { 0 };
    int64_t to = FJ_MIN((m + 1) * l->config.batch_size, l->n_units);
    for (int64_t i = m * l->config.batch_size; i < to; i++)
        for (int64_t k = l->unit_start[l->order[i]]; k < l->unit_start[l->order[i] + 1]; k++) {
            const fj_row *row = &l->rows[l->unit_rows[k]];
            c.tokens += row->n;
            c.targets += row->n_targets;
            c.segments++;
            c.segment_tokens = FJ_MAX(c.segment_tokens, (int64_t)row->n);
        }
    return c;
}

fj_batch_capacity fj_loader_capacity(fj_loader *l, int64_t n_epochs)
{
    fj_batch_capacity most = { 0 };
    for (int64_t e = 0; e < (l->config.shuffle ? n_epochs : FJ_MIN(n_epochs, (int64_t)1)); e++) {
        hold_epoch(l, e);
        for (int64_t m = 0; m < micros(l); m++) {
            fj_batch_capacity c = measure(l, m);
            most.tokens = FJ_MAX(most.tokens, c.tokens);
            most.segments = FJ_MAX(most.segments, c.segments);
            most.targets = FJ_MAX(most.targets, c.targets);
            most.segment_tokens = FJ_MAX(most.segment_tokens, c.segment_tokens);
        }
    }
    return most;
}

fj_window fj_loader_window(fj_loader *l, int64_t epoch, int64_t window)
{
    fj_window w = { 0 };
    int64_t first = window * l->config.accumulation;
    fj_assert(window >= 0 && window < fj_loader_windows(l));
    hold_epoch(l, epoch);
    w.n_micro = FJ_MIN(l->config.accumulation, micros(l) - first);
    for (int64_t m = first; m < first + w.n_micro; m++) {
        fj_batch_capacity c = measure(l, m);
        w.n_targets += c.targets;
        w.n_tokens += c.tokens;
        w.n_segments += c.segments;
    }
    return w;
}

/* ---- batches ------------------------------------------------------------------------------------------------------ */

/* One block: rows (8 bytes) first, then six kinds of 4-byte numbers. A batch knows its room by `memory`'s head. */
typedef struct batch_memory {
    int64_t tokens, segments;
    int64_t data[];
} batch_memory;

fj_status fj_batch_new(const fj_batch_capacity *capacity, fj_batch *out, fj_err *err)
{
    size_t t = (size_t)capacity->tokens, s = (size_t)capacity->segments, bytes;
    batch_memory *m = NULL;
    *out = (fj_batch){ 0 };
    if (capacity->tokens < INT32_MAX && fj_mul_size(t, 5 * sizeof(int32_t), &bytes) && s <= t + 1 &&
        fj_add_size(bytes, (s + 1) * (sizeof(int32_t) + sizeof(int64_t)) + sizeof *m, &bytes))
        m = calloc(1, bytes);
    if (!m)
        return fj_fail(err, FJ_ERR_MEMORY, "no memory for a batch of %lld tokens", (long long)capacity->tokens);
    m->tokens = capacity->tokens;
    m->segments = capacity->segments;
    out->memory = m;
    out->rows = m->data;
    int32_t *at = (int32_t *)(m->data + s + 1);
    out->starts = at;
    out->ids = at + s + 1;
    out->positions = out->ids + t;
    out->labels = out->positions + t;
    out->targets = out->labels + t;
    out->types = out->targets + t;
    return FJ_OK;
}

void fj_batch_free(fj_batch *b)
{
    free(b->memory);
    *b = (fj_batch){ 0 };
}

static void add_row(fj_batch *b, const fj_row *row, int64_t index)
{
    const batch_memory *m = b->memory;
    fj_assert(b->n_tokens + row->n <= m->tokens && b->n_segments < m->segments);
    int64_t at = b->n_tokens;
    memcpy(b->ids + at, row->ids, (size_t)row->n * sizeof *b->ids);
    memcpy(b->labels + at, row->labels, (size_t)row->n * sizeof *b->labels);
    for (int32_t i = 0; i < row->n; i++) {
        b->positions[at + i] = i;
        b->targets[at + i] = i + 1 < row->n ? row->labels[i + 1] : FJ_LABEL_NONE;
        b->types[at + i] = row->types ? row->types[i] : 0;
    }
    b->rows[b->n_segments] = index;
    b->starts[b->n_segments++] = (int32_t)at;
    b->n_tokens += row->n;
    b->n_targets += row->n_targets;
    b->starts[b->n_segments] = (int32_t)b->n_tokens;
}

static void clear(fj_batch *b)
{
    b->n_tokens = b->n_segments = b->n_targets = 0;
    b->starts[0] = 0;
}

void fj_loader_fill(fj_loader *l, int64_t epoch, int64_t window, int64_t micro, fj_batch *out)
{
    int64_t m = window * l->config.accumulation + micro;
    fj_assert(window >= 0 && micro >= 0 && micro < l->config.accumulation && m < micros(l));
    hold_epoch(l, epoch);
    clear(out);
    int64_t to = FJ_MIN((m + 1) * l->config.batch_size, l->n_units);
    for (int64_t i = m * l->config.batch_size; i < to; i++)
        for (int64_t k = l->unit_start[l->order[i]]; k < l->unit_start[l->order[i] + 1]; k++)
            add_row(out, &l->rows[l->unit_rows[k]], l->unit_rows[k]);
}

fj_status fj_batch_of_rows(const fj_row *rows, int64_t n_rows, fj_batch *out, fj_err *err)
{
    fj_batch_capacity c = { .segments = n_rows };
    for (int64_t i = 0; i < n_rows; i++)
        c.tokens += rows[i].n;
    fj_status st = fj_batch_new(&c, out, err);
    if (st)
        return st;
    clear(out);
    for (int64_t i = 0; i < n_rows; i++)
        add_row(out, &rows[i], i);
    return FJ_OK;
}
